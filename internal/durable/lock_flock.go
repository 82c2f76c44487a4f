//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package durable

import (
	"os"
	"syscall"
)

// lockFile waits for the only lock on f, which closing f releases.
func lockFile(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if err != syscall.EINTR {
			return err
		}
	}
}

// tryLockFile takes the only lock on f, which closing f releases, or returns ErrLocked.
func tryLockFile(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch err {
		case syscall.EINTR:
			continue
		case syscall.EWOULDBLOCK:
			return ErrLocked
		case syscall.ENOSYS, syscall.ENOTSUP, syscall.ENOLCK: // a file system without locks
			return nil
		}
		return err
	}
}
