package local

import (
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/tarn-backup/tarn/internal/durable"
)

// block is what offset and length of a direct read are multiples of.
const block = 4096

// pastCache reads a long stretch of a file in large pieces: from the page cache
// where it holds them, else past it. Content that is read once would only push
// what is of use out of it, and finding pages for it costs more than decrypting it.
type pastCache struct {
	f      *os.File
	direct *os.File // nil if not opened yet
	plain  bool     // the file system has no such reads
	offset int64    // of what comes after rest
	buf    *[durable.DirectSize]byte
	rest   []byte // of buf
}

var pieces = sync.Pool{New: func() any { return new([durable.DirectSize]byte) }}

// newPastCache reads f from offset, or is nil where the stretch is short.
func newPastCache(f *os.File, offset, length int64) io.ReadCloser {
	if length < durable.DirectSize {
		return nil
	}
	return &pastCache{f: f, offset: offset}
}

func (r *pastCache) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// fill reads the next piece, from the block that offset lies in.
func (r *pastCache) fill() error {
	if r.buf == nil {
		r.buf = pieces.Get().(*[durable.DirectSize]byte)
	}
	skip := r.offset % block
	n, err := r.at(r.buf[:], r.offset-skip)
	if err != nil {
		return err
	}
	if int64(n) <= skip {
		return io.EOF
	}
	r.rest = r.buf[skip:n]
	r.offset += int64(n) - skip
	return nil
}

// at reads at an offset: what is in the page cache, else from the disk.
func (r *pastCache) at(p []byte, offset int64) (n int, err error) {
	if !r.plain {
		n, err = unix.Preadv2(int(r.f.Fd()), [][]byte{p}, offset, unix.RWF_NOWAIT)
		switch {
		case err == nil && n > 0:
			return n, nil
		case err == nil || errors.Is(err, unix.EAGAIN):
			if n, err = r.fromDisk(p, offset); err == nil {
				return n, nil
			}
		}
		r.plain = true // and the plain way meets a real error again
	}
	for {
		n, err = unix.Pread(int(r.f.Fd()), p, offset)
		if !errors.Is(err, unix.EINTR) {
			return n, os.NewSyscallError("pread", err)
		}
	}
}

func (r *pastCache) fromDisk(p []byte, offset int64) (int, error) {
	if r.direct == nil {
		f, err := os.OpenFile(r.f.Name(), os.O_RDONLY|unix.O_DIRECT, 0)
		if err != nil {
			return 0, err
		}
		r.direct = f
		a, err := r.f.Stat()
		if err != nil {
			return 0, err
		}
		if b, err := f.Stat(); err != nil || !os.SameFile(a, b) {
			return 0, errors.Join(err, errors.ErrUnsupported)
		}
	}
	return unix.Pread(int(r.direct.Fd()), p, offset)
}

func (r *pastCache) Close() error {
	if r.buf != nil {
		pieces.Put(r.buf)
		r.buf, r.rest = nil, nil
	}
	if r.direct != nil {
		return r.direct.Close() // f belongs to who gave it
	}
	return nil
}
