package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/tarn-backup/tarn"
)

// Buffers and decoders are kept for all readers, of which a restore has many
// for short times.
var (
	frameBuffers = sync.Pool{New: func() any {
		b := make([]byte, 0, bufferSize)
		return &b
	}}
	decoders = sync.Pool{New: func() any {
		// These options are always valid.
		d, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(FrameSize))
		return d
	}}
)

func takeBuffer() []byte { return (*frameBuffers.Get().(*[]byte))[:0] }

func giveBuffer(b []byte) {
	if cap(b) >= FrameSize {
		frameBuffers.Put(&b)
	}
}

// frameReader reads and decodes frames one after the other.
type frameReader struct {
	src    io.Reader
	frames []Frame
	number int // of the first in the archive
}

// decoded is the content of a frame, in parts of a buffer that goes back when they are read.
type decoded struct {
	buf   []byte
	parts [][]byte
}

func (d *decoded) recycle() {
	if d.buf != nil {
		giveBuffer(d.buf)
	}
	*d = decoded{}
}

// next returns the content of the next frame.
func (r *frameReader) next() (decoded, error) {
	f := r.frames[0]
	stored := takeBuffer()
	if cap(stored) < int(f.Compressed) {
		stored = make([]byte, f.Compressed)
	}
	stored = stored[:f.Compressed]
	if _, err := io.ReadFull(r.src, stored); err != nil {
		giveBuffer(stored)
		return decoded{}, fmt.Errorf("reading frame %d of an archive: %w", r.number, noEOF(err))
	}
	content, err := decode(stored, int(f.Uncompressed))
	if err != nil {
		return decoded{}, fmt.Errorf("decoding frame %d of an archive: %w: %w", r.number, tarn.ErrDamaged, err)
	}
	r.frames = r.frames[1:]
	r.number++
	return content, nil
}

// decode decodes a frame in a buffer, which it takes over.
func decode(stored []byte, size int) (decoded, error) {
	if parts, ok := rawBlocks(stored, size); ok {
		return decoded{stored, parts}, nil
	}
	raw, err := decodeFrame(takeBuffer(), stored, size)
	giveBuffer(stored)
	if err != nil {
		giveBuffer(raw)
		return decoded{}, err
	}
	return decoded{raw, [][]byte{raw}}, nil
}

// decodeFrame decodes one frame whose content must have size bytes. The frame's
// header is checked first, so that nothing is decoded which claims more.
func decodeFrame(dst, stored []byte, size int) ([]byte, error) {
	var h zstd.Header
	if err := h.Decode(stored); err != nil {
		return dst, err
	}
	if h.Skippable || !h.HasFCS || !h.HasCheckSum || h.FrameContentSize != uint64(size) {
		return dst, errors.New("it is no frame of the size that was recorded")
	}
	dec := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(dec)
	raw, err := dec.DecodeAll(stored, dst)
	if err == nil && len(raw) != size {
		err = fmt.Errorf("it holds %d bytes, not %d", len(raw), size)
	}
	return raw, err
}

// Stretch reads a stretch of the tar stream of an archive. Close ends it.
type Stretch struct {
	src    io.Closer
	cancel context.CancelFunc
	frames frameReader
	ahead  chan decoded // frames that decode has decoded; nil if Read does it itself
	done   sync.WaitGroup
	failed error   // of decode, once ahead is closed
	frame  decoded // that is being read; parts are those that are left of it
	skip   int64   // bytes of the first frame before the stretch
	left   int64
	err    error
	closed bool
}

// decode decodes ahead of the reader.
func (d *Stretch) decode(ctx context.Context) {
	defer close(d.ahead)
	for len(d.frames.frames) > 0 {
		f, err := d.frames.next()
		if err != nil {
			d.failed = err
			return
		}
		select {
		case d.ahead <- f:
		case <-ctx.Done():
			d.failed = ctx.Err()
			f.recycle()
			return
		}
	}
}

// advance takes the next frame.
func (d *Stretch) advance() (err error) {
	d.frame.recycle()
	if d.ahead == nil {
		d.frame, err = d.frames.next()
	} else if f, ok := <-d.ahead; ok {
		d.frame = f
	} else {
		err = d.failed
	}
	for err == nil && d.skip > 0 {
		n := min(d.skip, int64(len(d.frame.parts[0])))
		d.take(int(n))
		d.skip -= n
	}
	return err
}

// take removes the first n bytes of the first part.
func (d *Stretch) take(n int) {
	p := d.frame.parts
	if p[0] = p[0][n:]; len(p[0]) == 0 {
		d.frame.parts = p[1:]
	}
}

// part returns the next bytes, at most most of them, which are valid until the
// next call; none at the end.
func (d *Stretch) part(most int64) ([]byte, error) {
	switch {
	case d.closed:
		return nil, errClosed
	case d.err != nil:
		return nil, d.err
	case d.left == 0:
		return nil, nil
	}
	if len(d.frame.parts) == 0 {
		if d.err = d.advance(); d.err != nil {
			return nil, d.err
		}
	}
	p := d.frame.parts[0]
	p = p[:min(int64(len(p)), most, d.left)]
	d.left -= int64(len(p))
	d.take(len(p))
	return p, nil
}

// Read implements io.Reader.
func (d *Stretch) Read(b []byte) (int, error) {
	if len(b) == 0 && d.err == nil && !d.closed && d.left > 0 {
		return 0, nil
	}
	p, err := d.part(int64(len(b)))
	if err == nil && len(p) == 0 {
		err = io.EOF
	}
	return copy(b, p), err
}

// CopyTo writes the next n bytes to w, without a copy on their way;
// io.ErrUnexpectedEOF if there are fewer.
func (d *Stretch) CopyTo(w io.Writer, n int64) error {
	for n > 0 {
		p, err := d.part(n)
		if err == nil && len(p) == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(p); err != nil {
			return err
		}
		n -= int64(len(p))
	}
	return nil
}

// Close ends the reading, also before its end.
func (d *Stretch) Close() error {
	if d.closed {
		return nil
	}
	d.closed = true
	if d.src == nil {
		return nil
	}
	d.cancel()
	if d.ahead != nil {
		for f := range d.ahead {
			f.recycle()
		}
		d.done.Wait()
	}
	d.frame.recycle()
	if err := d.src.Close(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("closing an archive: %w", err)
	}
	return nil
}
