package archive

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/tarn-backup/tarn"
)

// Ranger reads length bytes from offset of the object.
type Ranger func(ctx context.Context, offset, length int64) (io.ReadCloser, error)

// Reader reads stretches of the tar stream of an archive by ranges of its
// object. Its methods may be called at the same time.
type Reader struct {
	layout  Layout
	ranger  Ranger
	aead    cipher.AEAD // nil if not encrypted
	payload int64       // bytes before encryption
	ends    []int64     // of the frames in the tar stream
	stored  []int64     // ends of the frames in the payload
}

// NewReader checks the layout and opens its age header. It reads nothing.
func NewReader(l Layout, r Ranger, ids []age.Identity) (*Reader, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	a := &Reader{layout: l, ranger: r}
	if l.Header != nil {
		var err error
		if a.aead, err = payloadKey(l.Header, ids); err != nil {
			return nil, err
		}
	}
	a.ends = make([]int64, len(l.Frames))
	a.stored = make([]int64, len(l.Frames))
	var end, stored int64
	for i, f := range l.Frames {
		end += int64(f.Uncompressed)
		stored += int64(f.Compressed)
		a.ends[i], a.stored[i] = end, stored
	}
	a.payload = stored + seekTableSize(len(l.Frames))
	return a, nil
}

// span is the frames from first to before last, and where they lie.
type span struct {
	first, last int
	tar         int64 // offset of the first in the tar stream
	from, to    int64 // in the payload
}

func (a *Reader) span(offset, length int64) (s span, err error) {
	if offset < 0 || length <= 0 || offset > a.layout.Size || length > a.layout.Size-offset {
		return s, fmt.Errorf("stretch of %d bytes from %d lies outside of the archive's %d: %w", length, offset, a.layout.Size, tarn.ErrDamaged)
	}
	s.first = sort.Search(len(a.ends), func(i int) bool { return a.ends[i] > offset })
	s.last = sort.Search(len(a.ends), func(i int) bool { return a.ends[i] >= offset+length }) + 1
	if s.first > 0 {
		s.tar, s.from = a.ends[s.first-1], a.stored[s.first-1]
	}
	s.to = a.stored[s.last-1]
	return s, nil
}

// object returns the range of the object that holds a part of the payload.
func (a *Reader) object(from, to int64) (offset, length int64) {
	if a.aead == nil {
		return from, to - from
	}
	head := int64(len(a.layout.Header))
	start := from / chunkSize * chunkStore
	end := min((to+chunkSize-1)/chunkSize*chunkStore, sealedSize(a.payload))
	return head + start, end - start
}

// Cost returns the range of the object that Stretch reads.
func (a *Reader) Cost(offset, length int64) (objectOffset, objectLength int64) {
	s, err := a.span(offset, length)
	if err != nil {
		return 0, 0
	}
	return a.object(s.from, s.to)
}

// Stretch returns length bytes from offset of the tar stream. It reads the
// object once, and decodes a few frames ahead.
func (a *Reader) Stretch(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
	s, err := a.span(offset, length)
	if err != nil {
		return nil, err
	}
	from, size := a.object(s.from, s.to)
	body, err := a.ranger(ctx, from, size)
	if err != nil {
		return nil, err
	}
	var src io.Reader = body
	if a.aead != nil {
		chunk := s.from / chunkSize
		src = &chunkReader{src: body, aead: a.aead, next: chunk, last: (a.payload - 1) / chunkSize}
		if _, err := io.CopyN(io.Discard, src, s.from-chunk*chunkSize); err != nil {
			body.Close()
			return nil, noEOF(err)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	d := &stretch{body: body, cancel: cancel, frames: make(chan []byte, 2), skip: offset - s.tar, left: length}
	d.done.Go(func() {
		defer close(d.frames)
		d.err = decodeFrames(ctx, src, a.layout.Frames[s.first:s.last], d.frames)
	})
	return d, nil
}

var decoders = sync.Pool{New: func() any {
	// These options are always valid.
	d, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(FrameSize), zstd.WithDecoderMaxWindow(8<<20))
	return d
}}

var frameBuffers = sync.Pool{New: func() any { b := make([]byte, 0, FrameSize); return &b }}

// decodeFrames reads and decodes frames until they end, src fails or ctx ends.
func decodeFrames(ctx context.Context, src io.Reader, frames []Frame, out chan<- []byte) error {
	dec := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(dec)
	var stored []byte
	for i, f := range frames {
		if cap(stored) < int(f.Compressed) {
			stored = make([]byte, f.Compressed, maxStored)
		}
		stored = stored[:f.Compressed]
		if _, err := io.ReadFull(src, stored); err != nil {
			return noEOF(err)
		}
		raw, err := dec.DecodeAll(stored, (*frameBuffers.Get().(*[]byte))[:0])
		if err != nil {
			return fmt.Errorf("decoding frame %d of the stretch: %w: %w", i, tarn.ErrDamaged, err)
		}
		if len(raw) != int(f.Uncompressed) {
			return fmt.Errorf("decoding frame %d of the stretch: %d bytes, not %d: %w", i, len(raw), f.Uncompressed, tarn.ErrDamaged)
		}
		select {
		case out <- raw:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// stretch is the reader that Stretch returns.
type stretch struct {
	body   io.ReadCloser
	cancel context.CancelFunc
	done   sync.WaitGroup
	frames chan []byte
	err    error // of decodeFrames, when frames is closed
	whole  []byte
	cur    []byte
	skip   int64
	left   int64
}

// Read implements io.Reader.
func (d *stretch) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	for len(d.cur) == 0 {
		d.recycle()
		raw, ok := <-d.frames
		if !ok {
			if d.err == nil {
				d.err = fmt.Errorf("archive ends early: %w", tarn.ErrDamaged)
			}
			return 0, d.err
		}
		n := min(d.skip, int64(len(raw)))
		d.skip -= n
		d.whole, d.cur = raw, raw[n:]
	}
	n := copy(p[:min(int64(len(p)), d.left)], d.cur)
	d.cur = d.cur[n:]
	d.left -= int64(n)
	return n, nil
}

func (d *stretch) recycle() {
	if cap(d.whole) >= FrameSize {
		b := d.whole[:0]
		frameBuffers.Put(&b)
	}
	d.whole = nil
}

// Close ends the reading.
func (d *stretch) Close() error {
	d.cancel()
	err := d.body.Close()
	for range d.frames { // until decodeFrames has ended
	}
	d.done.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
