//go:build unix

package scan

import (
	"errors"
	"fmt"
	"io"

	"github.com/tarn-backup/tarn"
	"golang.org/x/sys/unix"
)

// File is an open regular file of a source. It is for one goroutine.
type File struct {
	s    *Source
	path string
	disk string
	fd   int
	born tarn.Entry // what it was when it was opened
}

// OpenFile opens the regular file at an entry path for reading. It follows no symlink below
// the root, blocks on no FIFO and, if permitted, leaves the access time alone.
// A file that is not there (any more) is fs.ErrNotExist.
func (s *Source) OpenFile(path string) (*File, error) {
	rel, err := s.rel(path)
	if err != nil {
		return nil, err
	}
	const flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY
	fd, err := s.openBelow(s.below(rel), flags|noAtime)
	if errors.Is(err, unix.EPERM) && noAtime != 0 { // the file is another user's
		fd, err = s.openBelow(s.below(rel), flags)
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", s.onDisk(rel), err)
	}
	f := &File{s: s, path: path, disk: s.onDisk(rel), fd: fd}
	f.born, err = f.Stat()
	if err == nil && f.born.Type != tarn.TypeFile {
		err = fmt.Errorf("opening %s: %w: it is a %s", f.disk, errNotRegular, f.born.Type)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Read implements io.Reader.
func (f *File) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	b = b[:min(len(b), 1<<30)]
	var n int
	err := retry(func() (err error) {
		n, err = unix.Read(f.fd, b)
		return err
	})
	switch {
	case err != nil:
		return 0, fmt.Errorf("reading %s: %w", f.disk, err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Opened returns what Stat gave when the file was opened, before anything of it was read.
func (f *File) Opened() (tarn.Entry, error) { return f.born, nil }

// Stat returns the entry of the open file, as Entries yields it, as of now.
func (f *File) Stat() (tarn.Entry, error) {
	e := tarn.Entry{Path: f.path}
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstat(f.fd, &st) })
	if err == nil {
		err = fill(&e, &st)
	}
	if err != nil {
		return tarn.Entry{Path: f.path}, fmt.Errorf("looking at %s: %w", f.disk, err)
	}
	memo := ownerMemo{names: f.s.names}
	memo.name(&e)
	return e, nil
}

// Close closes the file.
func (f *File) Close() error {
	if err := unix.Close(f.fd); err != nil && err != unix.EINTR {
		return fmt.Errorf("closing %s: %w", f.disk, err)
	}
	return nil
}

// Complete sets e.Xattrs as Source.Complete does, but of the open file and cheaper.
func (f *File) Complete(e *tarn.Entry) error {
	return addXattrs(e, f.disk, fdXattrs(f.fd))
}
