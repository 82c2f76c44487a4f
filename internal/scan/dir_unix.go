//go:build unix

package scan

import (
	"fmt"
	"io"
	"os"

	"github.com/tarn-backup/tarn"
	"golang.org/x/sys/unix"
)

// root is the open directory that all paths of a source are relative to.
type root struct{ fd int }

// openRoot opens a directory, which may be behind symlinks.
func openRoot(path string) (root, error) {
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Open(path, searchFlags|unix.O_CLOEXEC, 0)
		return err
	})
	return root{fd}, err
}

func (r root) close() error { return unix.Close(r.fd) }

// dir is an open directory of a source.
type dir struct{ fd int }

// openDir opens a directory for reading.
func (s *Source) openDir(rel string) (dir, error) {
	fd, err := s.openBelow(rel, unix.O_RDONLY|unix.O_DIRECTORY)
	return dir{fd}, err
}

func (d dir) close() { unix.Close(d.fd) }

// device returns the number of the device that the directory lies on.
func (d dir) device() (uint64, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstat(d.fd, &st) })
	return uint64(st.Dev), err
}

// readFile returns the content of a regular file in the directory, up to limit bytes of it.
func (d dir) readFile(name string, limit int64) ([]byte, error) {
	fd, err := openAt(d.fd, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, bare(err)
	} else if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	b, err := io.ReadAll(io.LimitReader(f, limit))
	return b, bare(err)
}

// openBelow opens a path below the root without following any symlink. Paths
// longer than the system takes are opened piece by piece.
func (s *Source) openBelow(rel string, flags int) (int, error) {
	if rel == "" {
		return openAt(s.root.fd, ".", flags)
	}
	fd := s.root.fd
	for {
		piece, rest := nextPiece(rel)
		mode := flags
		if rest != "" {
			mode = searchFlags
		}
		next, err := openAt(fd, piece, mode)
		if fd != s.root.fd {
			unix.Close(fd)
		}
		if err != nil || rest == "" {
			return next, err
		}
		fd, rel = next, rest
	}
}

// openParent opens the directory of an entry to look at the entry, and
// returns the entry's name in it.
func (s *Source) openParent(rel string) (dir, string, error) {
	if rel == "" {
		fd, err := openAt(s.root.fd, ".", searchFlags)
		return dir{fd}, ".", err
	}
	parent, name := cut(rel)
	fd, err := s.openBelow(parent, searchFlags)
	return dir{fd}, name, err
}

// statBelow fills an entry of a path below the root, but for its path and
// the names of its owners.
func (s *Source) statBelow(rel string, e *tarn.Entry) error {
	d, name, err := s.openParent(rel)
	if err != nil {
		return err
	}
	defer d.close()
	return d.stat(append([]byte(name), 0), e)
}

// readLink returns the target of the symlink name in the directory.
func (d dir) readLink(name string) (string, error) {
	for size := 256; ; size *= 4 {
		b := make([]byte, size)
		var n int
		err := retry(func() (err error) {
			n, err = unix.Readlinkat(d.fd, name, b)
			return err
		})
		if err != nil {
			return "", err
		}
		if n < size {
			return string(b[:n]), nil
		}
	}
}

// retry calls f again for as long as a signal interrupts it.
func retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

// fill sets what a stat knows.
func fill(e *tarn.Entry, st *unix.Stat_t) error {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		e.Type, e.Size = tarn.TypeFile, st.Size
		e.Sparse = int64(st.Blocks)*512 < st.Size
	case unix.S_IFDIR:
		e.Type = tarn.TypeDir
	case unix.S_IFLNK:
		e.Type = tarn.TypeSymlink
	case unix.S_IFIFO:
		e.Type = tarn.TypeFIFO
	case unix.S_IFSOCK:
		e.Type = tarn.TypeSocket
	case unix.S_IFCHR:
		e.Type = tarn.TypeChar
	case unix.S_IFBLK:
		e.Type = tarn.TypeBlock
	default:
		return fmt.Errorf("%w: file type %#o", errUnknownType, st.Mode&unix.S_IFMT)
	}
	if e.Type == tarn.TypeChar || e.Type == tarn.TypeBlock {
		e.Major, e.Minor = unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev))
	}
	if st.Nlink > 1 && e.Type != tarn.TypeDir {
		e.Inode = uint64(st.Ino)
	}
	e.Mode = uint32(st.Mode) & 0o7777
	e.UID, e.GID = st.Uid, st.Gid
	e.MTime, e.CTime = timespec(st.Mtim), timespec(st.Ctim)
	return nil
}

func timespec(ts unix.Timespec) tarn.Timespec {
	sec, nsec := ts.Unix()
	return tarn.Timespec{Sec: sec, Nsec: int32(nsec)}
}
