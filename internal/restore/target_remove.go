package restore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"

	"github.com/tarn-backup/tarn"
)

// batchSize is how many names of a directory are read at once.
const batchSize = 1024

// Extra yields the names of what is in the directory at dirPath, "" for the
// target itself, in no order, without the temporary files of this run; the
// caller knows which of them are not in the snapshot. A directory that isn't
// there has none. The caller may Remove while it iterates on Linux; elsewhere
// a system may then leave out names.
func (t *Target) Extra(dirPath string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if dirPath != "" && !tarn.ValidPath(dirPath) {
			yield("", t.fail("listing", dirPath, errors.New("path is not allowed in a tree")))
			return
		}
		h, err := t.acquire(dirPath, false)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			yield("", t.fail("listing", dirPath, err))
			return
		}
		defer t.release(h)
		for name, err := range h.dir.names() {
			if err != nil {
				yield("", t.fail("listing", dirPath, err))
				return
			}
			if !t.ours(name) && !yield(name, nil) {
				return
			}
		}
	}
}

// Remove removes what stands at path, with all that is in it. It follows no
// link and stops at the first error. A path where nothing stands is no error.
func (t *Target) Remove(path string) error {
	t.drop(path)
	return t.fail("removing", path, t.removeTree(path))
}

// errFilled says that a directory has to be emptied before it can be removed.
var errFilled = errors.New("directory is not empty")

func (t *Target) removeTree(path string) error {
	remove := func(d *dir, name string) error {
		st, err := d.stat(name)
		if err != nil {
			return err
		}
		if st.typ != tarn.TypeDir {
			return d.remove(name)
		}
		if d.rmdir(name) == nil {
			return nil
		}
		if !t.root && st.mode&0o700 != 0o700 {
			if err := d.chmod(name, st.mode|0o700); err != nil {
				return err
			}
		}
		return errFilled
	}
	err := t.inParent(path, false, remove)
	for errors.Is(err, errFilled) {
		var names []string
		if names, err = t.batch(path); err != nil {
			break
		}
		for _, name := range names {
			if err := t.removeTree(path + "/" + name); err != nil {
				return err
			}
		}
		t.drop(path)
		if err = t.inParent(path, false, remove); errors.Is(err, errFilled) && len(names) == 0 {
			// Empty, but it stays: a mount point, say.
			err = t.inParent(path, false, func(d *dir, name string) error { return d.rmdir(name) })
			break
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%q: %w", path, err)
	}
	return nil
}

// batch returns some of the names in the directory at path, which may be
// forgotten and reached anew between batches: a tree may be deeper than
// directories can be open.
func (t *Target) batch(path string) ([]string, error) {
	h, err := t.acquire(path, false)
	if err != nil {
		return nil, err
	}
	defer t.release(h)
	f, err := h.dir.list()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(batchSize)
	if err == io.EOF {
		err = nil
	}
	return names, err
}

// names yields the names in the directory, in no order.
func (d *dir) names() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		f, err := d.list()
		if err != nil {
			yield("", err)
			return
		}
		defer f.Close()
		readNames(f, yield)
	}
}

func readNames(f *os.File, yield func(string, error) bool) {
	for {
		names, err := f.Readdirnames(batchSize)
		for _, name := range names {
			if !yield(name, nil) {
				return
			}
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			yield("", err)
			return
		}
	}
}
