//go:build linux || darwin

package scan

import (
	"errors"

	"golang.org/x/sys/unix"
)

func pathXattrs(path string) xattrSource {
	return xattrSource{
		list: func(b []byte) (int, error) { return unix.Llistxattr(path, b) },
		get:  func(name string, b []byte) (int, error) { return unix.Lgetxattr(path, name, b) },
	}
}

func fdXattrs(fd int) xattrSource {
	return xattrSource{
		list: func(b []byte) (int, error) { return unix.Flistxattr(fd, b) },
		get:  func(name string, b []byte) (int, error) { return unix.Fgetxattr(fd, name, b) },
	}
}

func xattrsUnsupported(err error) bool {
	return errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EOPNOTSUPP)
}

func xattrTooLarge(err error) bool { return errors.Is(err, unix.ERANGE) }

// xattrGone reports whether the attribute was removed after it was listed.
func xattrGone(err error) bool { return errors.Is(err, errNoXattr) }
