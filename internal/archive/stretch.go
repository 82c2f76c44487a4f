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

// next returns the content of the next frame, in a buffer that the caller
// gives back.
func (r *frameReader) next() ([]byte, error) {
	f := r.frames[0]
	stored := takeBuffer()
	defer func() { giveBuffer(stored) }()
	if cap(stored) < int(f.Compressed) {
		stored = make([]byte, f.Compressed)
	}
	stored = stored[:f.Compressed]
	if _, err := io.ReadFull(r.src, stored); err != nil {
		return nil, fmt.Errorf("reading frame %d of an archive: %w", r.number, noEOF(err))
	}
	raw, err := decodeFrame(takeBuffer(), stored, int(f.Uncompressed))
	if err != nil {
		giveBuffer(raw)
		return nil, fmt.Errorf("decoding frame %d of an archive: %w: %w", r.number, tarn.ErrDamaged, err)
	}
	r.frames = r.frames[1:]
	r.number++
	return raw, nil
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

// stretch is what Stretch returns.
type stretch struct {
	src    io.Closer
	cancel context.CancelFunc
	frames frameReader
	ahead  chan []byte // frames that decode has decoded; nil if Read does it itself
	done   sync.WaitGroup
	failed error  // of decode, once ahead is closed
	whole  []byte // the frame that is being read
	rest   []byte // of whole
	skip   int64  // bytes of the first frame before the stretch
	left   int64
	err    error
	closed bool
}

// decode decodes ahead of the reader.
func (d *stretch) decode(ctx context.Context) {
	defer close(d.ahead)
	for len(d.frames.frames) > 0 {
		raw, err := d.frames.next()
		if err != nil {
			d.failed = err
			return
		}
		select {
		case d.ahead <- raw:
		case <-ctx.Done():
			d.failed = ctx.Err()
			giveBuffer(raw)
			return
		}
	}
}

// frame returns the next frame.
func (d *stretch) frame() ([]byte, error) {
	if d.ahead == nil {
		return d.frames.next()
	}
	if raw, ok := <-d.ahead; ok {
		return raw, nil
	}
	return nil, d.failed
}

// Read implements io.Reader.
func (d *stretch) Read(p []byte) (int, error) {
	switch {
	case d.closed:
		return 0, errClosed
	case d.err != nil:
		return 0, d.err
	case d.left == 0:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	if len(d.rest) == 0 {
		d.recycle()
		if d.whole, d.err = d.frame(); d.err != nil {
			return 0, d.err
		}
		d.rest = d.whole[d.skip:]
		d.skip = 0
	}
	n := copy(p[:min(int64(len(p)), d.left)], d.rest)
	d.rest = d.rest[n:]
	d.left -= int64(n)
	return n, nil
}

func (d *stretch) recycle() {
	if d.whole != nil {
		giveBuffer(d.whole)
	}
	d.whole, d.rest = nil, nil
}

// Close ends the reading, also before its end.
func (d *stretch) Close() error {
	if d.closed {
		return nil
	}
	d.closed = true
	d.cancel()
	if d.ahead != nil {
		for raw := range d.ahead {
			giveBuffer(raw)
		}
		d.done.Wait()
	}
	d.recycle()
	if err := d.src.Close(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("closing an archive: %w", err)
	}
	return nil
}
