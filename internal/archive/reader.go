package archive

import (
	"context"
	"fmt"
	"io"
	"sort"

	"filippo.io/age"

	"github.com/tarn-backup/tarn"
)

// Ranger reads length bytes from offset of the object. What it returns is read
// from one goroutine at a time, and closed when nothing reads it any more.
type Ranger func(ctx context.Context, offset, length int64) (io.ReadCloser, error)

// Reader reads stretches of the tar stream of one archive by ranges of its
// object. Its methods may be called at the same time.
type Reader struct {
	object object
	frames []Frame
	ends   []int64 // of the frames in the tar stream
	stored []int64 // ends of the frames in the object before encryption
	size   int64   // of the tar stream
}

// NewReader checks the layout, which may come from anywhere, and opens its age
// header, once for all stretches. It reads nothing.
func NewReader(l Layout, r Ranger, ids []age.Identity) (*Reader, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	a := &Reader{object: object{ranger: r, plain: l.plain()}, frames: l.Frames, size: l.Size}
	if l.Header != nil {
		aead, err := payloadKey(l.Header, ids)
		if err != nil {
			return nil, err
		}
		a.object.aead, a.object.head = aead, int64(len(l.Header))
	}
	a.ends = make([]int64, len(l.Frames))
	a.stored = make([]int64, len(l.Frames))
	var end, stored int64
	for i, f := range l.Frames {
		end += int64(f.Uncompressed)
		stored += int64(f.Compressed)
		a.ends[i], a.stored[i] = end, stored
	}
	return a, nil
}

// span is the frames from first to before last, and where they lie.
type span struct {
	first, last int
	tar         int64 // offset of the first in the tar stream
	from, to    int64 // in the object before encryption
}

// span returns the frames that cover a stretch, which is not empty.
func (a *Reader) span(offset, length int64) (s span) {
	s.first = sort.Search(len(a.ends), func(i int) bool { return a.ends[i] > offset })
	s.last = sort.Search(len(a.ends), func(i int) bool { return a.ends[i] >= offset+length }) + 1
	if s.first > 0 {
		s.tar, s.from = a.ends[s.first-1], a.stored[s.first-1]
	}
	s.to = a.stored[s.last-1]
	return s
}

// inside reports whether a stretch lies in the tar stream.
func (a *Reader) inside(offset, length int64) bool {
	return offset >= 0 && length >= 0 && offset <= a.size && length <= a.size-offset
}

// Cost returns the range of the object that Stretch reads; zeros if it reads
// nothing, because the stretch is empty or lies outside of the archive.
func (a *Reader) Cost(offset, length int64) (objectOffset, objectLength int64) {
	if length == 0 || !a.inside(offset, length) {
		return 0, 0
	}
	s := a.span(offset, length)
	return a.object.place(s.from, s.to)
}

// Stretch returns length bytes from offset of the tar stream; the caller closes
// it. It reads the range of the object that Cost names, with one call of the Ranger
// (none for an empty stretch), and decrypts and decodes it in order, at most
// two frames ahead of its reader. What it gives is checked: bytes that are not
// what was written are an error that wraps tarn.ErrDamaged.
func (a *Reader) Stretch(ctx context.Context, offset, length int64) (*Stretch, error) {
	if !a.inside(offset, length) {
		return nil, fmt.Errorf("reading %d bytes from %d of an archive of %d: %w", length, offset, a.size, tarn.ErrDamaged)
	}
	if length == 0 {
		return &Stretch{}, nil
	}
	s := a.span(offset, length)
	ctx, cancel := context.WithCancel(ctx)
	src, err := a.object.open(ctx, s.from, s.to)
	if err != nil {
		cancel()
		return nil, err
	}
	d := &Stretch{src: src, cancel: cancel, skip: offset - s.tar, left: length}
	d.frames = frameReader{src: src, frames: a.frames[s.first:s.last], number: s.first}
	if s.last-s.first > 1 {
		d.ahead = make(chan decoded, 1)
		d.done.Go(func() { d.decode(ctx) })
	}
	return d, nil
}
