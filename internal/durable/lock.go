package durable

import (
	"errors"
	"fmt"
	"os"
)

// ErrLocked says that another process holds a lock.
var ErrLocked = errors.New("another process holds it")

// Lock is a lock on a file that one process at a time has. The system releases
// it when the process ends, however that comes.
type Lock struct{ f *os.File }

// TryLock takes the lock on a file, which is made if it is not there and stays
// when the lock is released. One that is taken gives ErrLocked at once. Where
// the system has no such locks, nobody is kept out.
func TryLock(path string) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return TryLockOpen(f)
}

// TryLockOpen is TryLock of a file that is open, which it closes if it fails.
func TryLockOpen(f *os.File) (*Lock, error) {
	if err := tryLockFile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", f.Name(), err), f.Close())
	}
	return &Lock{f}, nil
}

// Unlock releases the lock.
func (l *Lock) Unlock() error { return l.f.Close() }
