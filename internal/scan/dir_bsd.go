//go:build unix && !linux

package scan

import (
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// searchFlags open a directory to go through it.
const searchFlags = unix.O_RDONLY | unix.O_DIRECTORY

// nextPiece cuts from a path what one openAt takes: a name, since the system
// has no call that refuses symlinks on the way.
func nextPiece(rel string) (piece, rest string) {
	piece, rest, _ = strings.Cut(rel, "/")
	return piece, rest
}

// openAt opens a name in an open directory, following no symlink.
func openAt(fd int, name string, flags int) (int, error) {
	for {
		got, err := unix.Openat(fd, name, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
		if err != unix.EINTR {
			return got, err
		}
	}
}

// readNames adds the names of the directory. After an error, those before it are there.
func (d dir) readNames(n *names, limit int) error {
	fd, err := openAt(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), ".")
	defer f.Close()
	for {
		list, err := f.ReadDir(1024)
		for _, e := range list {
			if err := n.add([]byte(e.Name()), kindOf(e.Type()), limit); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return bare(err)
		}
	}
}
