package local

import (
	"context"
	"io"
	"sync"

	"github.com/tarn-backup/tarn/internal/durable"
)

// buffers are those of objects on their way to the disk: large and aligned, so
// that they need not go through the page cache.
var buffers = sync.Pool{New: func() any { return new([durable.DirectSize]byte) }}

// write copies r to f, in pieces of durable.DirectSize, and calls wrote with
// each when it is written. The next piece is read while one is written. It ends with ctx.
func write(ctx context.Context, f io.Writer, r io.Reader, wrote func([]byte)) (n int64, err error) {
	buf, err := fill(ctx, r)
	for err == nil && buf.last == nil {
		// There is more, so it pays to have a goroutine.
		written := make(chan error, 1)
		go func(buf *buffer) { written <- buf.write(f, wrote) }(buf)
		next, readErr := fill(ctx, r)
		n += int64(buf.n)
		if err = <-written; err == nil {
			err = readErr
		}
		buf.release()
		buf = next
	}
	if err == nil {
		n += int64(buf.n)
		err = buf.write(f, wrote)
	}
	buf.release()
	return n, err
}

// buffer holds n bytes of an object; last is io.EOF if there are no more.
type buffer struct {
	data *[durable.DirectSize]byte
	n    int
	last error
}

// fill reads until a buffer is full or r ends. It always returns a buffer.
func fill(ctx context.Context, r io.Reader) (*buffer, error) {
	b := &buffer{data: buffers.Get().(*[durable.DirectSize]byte)}
	for b.n < len(b.data) {
		if err := ctx.Err(); err != nil {
			return b, err
		}
		m, err := r.Read(b.data[b.n:])
		b.n += m
		if err == io.EOF { // not errors.Is: a wrapped one is an error of the reader
			b.last = io.EOF
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

func (b *buffer) write(f io.Writer, wrote func([]byte)) error {
	if b.n == 0 {
		return nil
	}
	if _, err := f.Write(b.data[:b.n]); err != nil {
		return err
	}
	wrote(b.data[:b.n])
	return nil
}

func (b *buffer) release() { buffers.Put(b.data) }
