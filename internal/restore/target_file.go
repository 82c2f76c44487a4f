package restore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/tarn-backup/tarn"
)

// holeSize is the alignment and the least size, in bytes, of a run of zeros
// that becomes a hole: the block of nearly every file system.
const holeSize = 4096

var zeros [holeSize]byte

// File is a regular file on its way into the target. Nothing of it is visible
// under its own name before Commit; it has none at all till then, or where the
// file system has no such files, a temporary one. It is used by one goroutine at a time and
// ended by exactly one of Commit and Abort.
type File struct {
	t         *Target
	h         *handle
	e         *tarn.Entry
	name, tmp string // tmp is empty while it has no name
	f         *os.File
	hash      hash.Hash // nil if the content is not to be checked: it is right, or nobody knows
	n         int64
	err       error // of a Write: the file can't become right any more
}

// Create opens a file for e's content beside e's path, making missing directories. e
// must not change before the file is ended.
func (t *Target) Create(e *tarn.Entry) (*File, error) {
	if e.Type != tarn.TypeFile {
		return nil, fmt.Errorf("creating %q: entry is a %s", e.Path, e.Type)
	}
	t.keep(e.Path)
	for try := 0; ; try++ {
		h, name, err := t.parent(e.Path, true)
		if err != nil {
			return nil, t.fail("creating", e.Path, err)
		}
		w := &File{t: t, h: h, e: e, name: name, hash: sha256.New()}
		if err = w.open(); err == nil {
			return w, nil
		}
		t.release(h)
		if try > 0 || !errors.Is(err, fs.ErrNotExist) {
			return nil, t.fail("creating", e.Path, err)
		}
		t.dropAll() // the directory was removed under its handle
	}
}

// CreateUnsummed is Create of an entry whose content nobody has hashed: of that
// only the size is checked.
func (t *Target) CreateUnsummed(e *tarn.Entry) (*File, error) {
	w, err := t.Create(e)
	if err == nil {
		w.hash = nil
	}
	return w, err
}

// open makes the file: without a name where it can, which costs less than to
// make one and rename it. A sparse file needs a name: if that can't be given
// afterwards, the content is copied, and its holes would be filled.
func (w *File) open() (err error) {
	if !w.t.named.Load() && !w.e.Sparse {
		if w.f, err = w.h.dir.anonymous(w.e.Mode); err == nil {
			return nil
		}
		if !isNoSpace(err) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			w.t.named.Store(true)
		}
	}
	w.tmp, err = w.t.withTemp(func(tmp string) (err error) {
		w.f, err = w.h.dir.create(tmp)
		return err
	})
	return err
}

// Write appends p. Of a sparse entry's content, aligned runs of zeros become
// holes. More bytes than the entry has are refused.
func (w *File) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if int64(len(p)) > w.e.Size-w.n {
		w.err = fmt.Errorf("writing %q: content has more than the %d bytes that were recorded: %w",
			w.e.Path, w.e.Size, tarn.ErrDamaged)
		return 0, w.err
	}
	if w.hash != nil {
		w.hash.Write(p)
	}
	if err := w.store(p); err != nil {
		w.err = w.t.fail("writing", w.e.Path, err)
		return 0, w.err
	}
	w.n += int64(len(p))
	return len(p), nil
}

// store writes p at the end of the file. Zeros between holeSize boundaries are
// just not written, which is right wherever the boundaries of p lie: a block
// that another Write does write reads as zeros where it doesn't.
func (w *File) store(p []byte) error {
	if !w.e.Sparse {
		_, err := w.f.Write(p)
		return err
	}
	off, start := 0, 0
	for off < len(p) {
		end := min(len(p), off+holeSize-int((w.n+int64(off))%holeSize))
		if bytes.Equal(p[off:end], zeros[:end-off]) {
			if err := w.storeAt(p, start, off); err != nil {
				return err
			}
			start = end
		}
		off = end
	}
	return w.storeAt(p, start, off)
}

func (w *File) storeAt(p []byte, start, end int) error {
	if start == end {
		return nil
	}
	_, err := w.f.WriteAt(p[start:end], w.n+int64(start))
	return err
}

// Commit checks that what was written is the entry's content, gives the file
// its metadata and puts it at the entry's path. After an error the file is gone and what stood at the path still stands there. Content that is
// not what was recorded is a tarn.ErrDamaged.
func (w *File) Commit() error {
	if err := w.check(); err != nil {
		w.Abort()
		return err
	}
	if w.e.Sparse {
		if err := w.f.Truncate(w.e.Size); err != nil {
			w.Abort()
			return w.t.fail("writing", w.e.Path, err)
		}
	}
	if w.tmp == "" {
		return w.t.fail("writing", w.e.Path, w.commitAnonymous())
	}
	return w.t.fail("writing", w.e.Path, w.commitNamed())
}

func (w *File) check() error {
	if w.err != nil {
		return w.err
	}
	sum := w.e.Content
	if w.hash != nil {
		w.hash.Sum(sum[:0])
	}
	return rightContent(w.e, w.n, sum)
}

// Abort throws the file away. After Commit it does nothing.
func (w *File) Abort() {
	if w.f == nil {
		return
	}
	// The file is thrown away: what Close says of its content is of no use.
	w.f.Close()
	w.f = nil
	if w.tmp == "" {
		w.t.release(w.h)
		return
	}
	if err := w.h.dir.remove(w.tmp); err != nil {
		w.t.opts.Logger.Debug("removing temporary file", "path", w.e.Path, "error", err)
	}
	w.t.release(w.h)
}

var hashBuffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// HashFile reads the regular file at path and returns the hash of its content,
// zero if it is empty, and its size in bytes. Where size is not negative, a
// file of another size is not read, and its hash is zero. It ends with ctx.
func (t *Target) HashFile(ctx context.Context, path string, size int64) (sum tarn.ContentHash, found int64, err error) {
	hash := sha256.New()
	read, found, err := t.hashFile(ctx, path, size, hash)
	if read && found > 0 {
		hash.Sum(sum[:0])
	}
	return sum, found, err
}

// SumFile reads the regular file at path into a hash.
func (t *Target) SumFile(ctx context.Context, path string, hash hash.Hash) error {
	_, _, err := t.hashFile(ctx, path, -1, hash)
	return err
}

func (t *Target) hashFile(ctx context.Context, path string, size int64, hash hash.Hash) (read bool, found int64, err error) {
	err = t.inParent(path, false, func(d *dir, name string) error {
		f, err := d.read(name)
		if err != nil {
			return err
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			return err
		}
		if found = st.Size(); size >= 0 && found != size {
			return nil
		}
		buf := hashBuffers.Get().(*[256 << 10]byte)
		defer hashBuffers.Put(buf)
		// The wrapper also keeps io from preferring the file's own WriterTo to the buffer.
		read = true
		found, err = io.CopyBuffer(hash, ctxReader{ctx, f}, buf[:])
		return err
	})
	return read, found, t.fail("reading", path, err)
}

// ctxReader ends the reading of a file, which may be of any size, with ctx.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (r ctxReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
