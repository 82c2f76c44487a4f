package restore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"

	"github.com/tarn-backup/tarn"
)

// batchSize is how many names of a directory are read at once.
const batchSize = 1024

// Removal has a say in what Remove removes. Its zero value lets everything go.
type Removal struct {
	// DryRun removes nothing, and calls Removed with what would be.
	DryRun bool
	// Spare reports whether an entry stays, with all that is in it.
	Spare func(path string, dir bool) bool
	// Enter is called with each directory, before Spare is with what is in it.
	// An error leaves the directory as it is, and is a problem of it.
	Enter func(dir string) error
	// Last is a name that comes after all others of a directory.
	Last string
	// Removed is called with each entry that is gone.
	Removed func(path string, dir bool)
	// Mounted is called with each directory that stays since another file
	// system is mounted there.
	Mounted func(path string)
	// Problem takes what could not be removed, and goes on unless it returns an
	// error itself. Without it, the first error ends Remove.
	Problem func(path string, err error) error
}

// Remove removes what stands at path, with all that is in it and that how does
// not spare; left says that some of it stays. It follows no link and
// goes into no file system that is mounted there. A path where nothing stands is no error.
func (t *Target) Remove(path string, how Removal) (left bool, err error) {
	gone, err := t.remove(path, how)
	return !gone, t.fail("removing", path, err)
}

func (t *Target) remove(path string, how Removal) (gone bool, err error) {
	st, mounted, err := t.look(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	isDir := st.typ == tarn.TypeDir
	if how.Spare != nil && how.Spare(path, isDir) {
		return false, nil
	}
	if isDir {
		if mounted {
			if how.Mounted != nil {
				how.Mounted(path)
			}
			return false, nil
		}
		if gone, err = t.removeIn(path, st, how); err != nil || !gone {
			return false, err
		}
		t.drop(path)
	}
	if !how.DryRun {
		err = t.inParent(path, false, func(d *dir, name string) error {
			if isDir {
				return d.rmdir(name)
			}
			return d.remove(name)
		})
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if how.Removed != nil {
		how.Removed(path, isDir)
	}
	return true, nil
}

// removeIn removes what is in a directory, and reports whether that is all.
func (t *Target) removeIn(path string, st info, how Removal) (empty bool, err error) {
	if how.Enter != nil {
		if err := how.Enter(path); err != nil {
			return false, err
		}
	}
	if !how.DryRun && !t.root && st.mode&0o700 != 0o700 {
		chmod := func(mode uint32) error {
			return t.inParent(path, false, func(d *dir, name string) error { return d.chmod(name, mode) })
		}
		if err := chmod(st.mode | 0o700); err != nil {
			return false, err
		}
		defer func() {
			if !empty {
				err = errors.Join(err, chmod(st.mode))
			}
		}()
	}
	names, err := t.Names(path)
	if err != nil {
		return false, err
	}
	if i := slices.Index(names, how.Last); i >= 0 {
		names = append(slices.Delete(names, i, i+1), how.Last)
	}
	empty = true
	for _, name := range names {
		gone, err := t.remove(path+"/"+name, how)
		if err != nil {
			err = t.fail("removing", path+"/"+name, err)
			if how.Problem == nil {
				return false, err
			}
			if err := how.Problem(path+"/"+name, err); err != nil {
				return false, err
			}
		}
		empty = empty && gone
	}
	return empty, nil
}

// look returns what stands at path, and whether it is a directory that another
// file system is mounted on.
func (t *Target) look(path string) (st info, mounted bool, err error) {
	err = t.inParent(path, false, func(d *dir, name string) (err error) {
		if st, err = d.stat(name); err == nil && st.typ == tarn.TypeDir {
			mounted, err = d.mounted(name, st)
		}
		return err
	})
	return st, mounted, err
}

// Mounted reports whether a directory of another file system, or a mount of
// the same one, stands at path.
func (t *Target) Mounted(path string) (bool, error) {
	_, mounted, err := t.look(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir) {
		return false, nil
	}
	return mounted, t.fail("looking at", path, err)
}

// Names returns the names of what is in the directory at dirPath, "" for the
// target itself, sorted and without the temporary files of this run. A
// directory that isn't there has none.
func (t *Target) Names(dirPath string) (names []string, err error) {
	if dirPath != "" && !tarn.ValidPath(dirPath) {
		return nil, t.fail("listing", dirPath, errors.New("path is not allowed in a tree"))
	}
	h, err := t.acquire(dirPath, false)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir) {
		return nil, nil
	}
	if err != nil {
		return nil, t.fail("listing", dirPath, err)
	}
	defer t.release(h)
	for name, err := range h.dir.names() {
		if err != nil {
			return nil, t.fail("listing", dirPath, err)
		}
		if !t.ours(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// ReadFile returns the first limit bytes of the regular file at path; there is
// none for a path where anything else stands, or nothing: fs.ErrNotExist. With
// a limit of 0 it gives nothing of whatever stands there.
func (t *Target) ReadFile(path string, limit int64) (data []byte, err error) {
	err = t.inParent(path, false, func(d *dir, name string) error {
		st, err := d.stat(name)
		if err != nil || limit == 0 {
			return err
		}
		if st.typ != tarn.TypeFile {
			return fmt.Errorf("a %s, not a file: %w", st.typ, fs.ErrNotExist)
		}
		f, err := d.read(name)
		if err != nil {
			return err
		}
		data, err = io.ReadAll(io.LimitReader(f, limit))
		return errors.Join(err, f.Close())
	})
	if errors.Is(err, errNotDir) {
		err = fs.ErrNotExist
	}
	return data, t.fail("reading", path, err)
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
