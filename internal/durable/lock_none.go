//go:build unix && !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package durable

import "os"

// lockFile does nothing where the system has no flock: renameNew is then safe
// within the process only.
func lockFile(*os.File) error { return nil }

// tryLockFile keeps nobody out.
func tryLockFile(*os.File) error { return nil }
