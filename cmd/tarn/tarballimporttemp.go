package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tarn-backup/tarn/internal/durable"
)

// What a folder that a tarball is unpacked in is called, and what it has: a file that is
// locked as long as the import lives, and what was unpacked.
const (
	importTempPrefix = "tarn-import-"
	importTempLock   = "lock"
	importTempFiles  = "files"
)

// importTemp is a folder that a tarball is unpacked in.
type importTemp struct {
	dir, files string
	lock       *durable.Lock
}

func newImportTemp(in string) (*importTemp, error) {
	dir, err := os.MkdirTemp(in, importTempPrefix)
	if err != nil {
		return nil, err
	}
	t := &importTemp{dir: dir, files: filepath.Join(dir, importTempFiles)}
	if t.lock, err = durable.TryLock(filepath.Join(dir, importTempLock)); err == nil {
		err = os.Mkdir(t.files, 0o700)
	}
	if err != nil {
		return nil, errors.Join(err, t.remove())
	}
	return t, nil
}

func (t *importTemp) remove() (err error) {
	if t.lock != nil {
		err = t.lock.Unlock() // first: some systems remove no file that is open
	}
	if removeErr := removeTree(t.dir); removeErr != nil {
		err = errors.Join(err, fmt.Errorf("removing the temporary folder %s: %w", t.dir, removeErr))
	}
	return err
}

// sweepImports removes what killed imports have left. What it may not look at or remove
// is somebody else's.
func sweepImports(in string) {
	list, err := os.ReadDir(in)
	if err != nil {
		return // making a folder there says why
	}
	for _, e := range list {
		if dir := filepath.Join(in, e.Name()); e.IsDir() && strings.HasPrefix(e.Name(), importTempPrefix) && deadImport(dir) {
			removeTree(dir)
		}
	}
}

// deadImport reports whether the lock of a folder is there and nobody holds it. In a
// folder that all may write to, others may have made it: no link is followed out of it.
func deadImport(dir string) bool {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false
	}
	defer root.Close()
	f, err := root.OpenFile(importTempLock, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	lock, err := durable.TryLockOpen(f)
	return err == nil && lock.Unlock() == nil
}

// removeTree removes a folder, also where folders in it can't be written to.
func removeTree(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			os.Chmod(path, 0o700) // if that fails, RemoveAll says why
		}
		return nil
	})
	return os.RemoveAll(dir)
}
