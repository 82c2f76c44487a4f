//go:build unix

package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// publishNew gives temp the name final if that is free. A hard link does it
// in one step; on a file system that has none, a lock on the folder makes the
// look and the rename one step for every process that goes the same way.
func publishNew(temp, final string, link func(oldname, newname string) error) error {
	err := link(temp, final)
	if err == nil {
		os.Remove(temp) // a second name of the same file: no harm if it stays
		return nil
	}
	if !noHardLinks(err) {
		return err
	}
	return renameNew(temp, final)
}

func noHardLinks(err error) bool {
	for _, e := range []error{syscall.EPERM, syscall.ENOTSUP, syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.EMLINK, syscall.EXDEV} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// renaming guards renameNew within the process, also where the file system
// has no locks.
var renaming sync.Mutex

func renameNew(temp, final string) error {
	renaming.Lock()
	defer renaming.Unlock()
	dir, err := os.Open(filepath.Dir(final))
	if err != nil {
		return err
	}
	defer dir.Close() // which releases the lock
	if err := lockFile(dir); err != nil && !noHardLinks(err) && !errors.Is(err, syscall.EBADF) && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	if _, err := os.Lstat(final); err == nil {
		return &os.LinkError{Op: "rename", Old: temp, New: final, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(temp, final)
}

// SyncDir brings the names in a folder to the disk.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	// Some network file systems sync names by themselves and refuse the call.
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.EBADF) {
		err = nil
	}
	if e := d.Close(); err == nil {
		err = e
	}
	return err
}
