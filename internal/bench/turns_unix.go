//go:build unix

package main

import (
	"os"
	"syscall"
)

// turn waits for the lock of the file, as flock(1) takes it, and returns what
// gives it back. Without a name there is nothing to wait for.
func turn(name string) (func(), error) {
	if name == "" {
		return func() {}, nil
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if err != syscall.EINTR {
			f.Close()
			return nil, &os.PathError{Op: "flock", Path: name, Err: err}
		}
	}
}
