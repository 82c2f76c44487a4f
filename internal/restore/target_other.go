//go:build !linux && !darwin

package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tarn-backup/tarn"
)

// dir is an open directory. os.Root keeps what is done below it within it, even
// where a link is put in the way at the wrong moment.
type dir struct {
	root *os.Root
	top  *os.Root // the target, and where this directory lies in it
	rel  string
}

// info is what stat knows of an entry.
type info struct {
	typ          tarn.Type
	mode         uint32
	major, minor uint32
	size         int64
	mtime        tarn.Timespec
	dev, ino     uint64 // not known here
}

func openTop(path string) (*dir, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &dir{root, root, "."}, nil
}

func (d *dir) close() error { return d.root.Close() }

func (d *dir) open(name string) (*dir, error) {
	st, err := d.stat(name)
	if err != nil {
		return nil, err
	}
	if st.typ != tarn.TypeDir {
		return nil, errNotDir
	}
	root, err := d.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return &dir{root, d.top, filepath.Join(d.rel, name)}, nil
}

func (d *dir) list() (*os.File, error) { return d.root.Open(".") }

func (d *dir) mkdir(name string) error { return d.root.Mkdir(name, 0o700) }

func (d *dir) stat(name string) (info, error) {
	fi, err := d.root.Lstat(name)
	if err != nil {
		return info{}, err
	}
	st := info{mode: uint32(fi.Mode().Perm()), size: fi.Size(), mtime: tarn.TimespecOf(fi.ModTime())}
	switch fi.Mode().Type() {
	case 0:
		st.typ = tarn.TypeFile
	case fs.ModeDir:
		st.typ = tarn.TypeDir
	case fs.ModeSymlink:
		st.typ = tarn.TypeSymlink
	case fs.ModeNamedPipe:
		st.typ = tarn.TypeFIFO
	case fs.ModeSocket:
		st.typ = tarn.TypeSocket
	case fs.ModeDevice | fs.ModeCharDevice:
		st.typ = tarn.TypeChar
	default: // a junction, say: never walked into
		st.typ = tarn.TypeBlock
	}
	return st, nil
}

// mounted is never so: what is mounted in a folder is a junction here, which
// is no directory.
func (d *dir) mounted(string, info) (bool, error) { return false, nil }

func (d *dir) create(name string) (*os.File, error) {
	return d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

func (d *dir) read(name string) (*os.File, error) {
	st, err := d.stat(name)
	if err != nil {
		return nil, err
	}
	if st.typ != tarn.TypeFile {
		return nil, fmt.Errorf("a %s, not a file", st.typ)
	}
	return d.root.Open(name)
}

// rename moves a name within the directory; unless replace is set, a new name
// that is taken is an fs.ErrExist.
func (d *dir) rename(old, name string, replace bool) error {
	if !replace {
		if _, err := d.root.Lstat(name); err == nil {
			return fs.ErrExist
		}
	}
	return d.root.Rename(old, name)
}

// link goes by the target's own os.Root: one root can't name what is in another.
func (d *dir) link(name string, to *dir, as string) error {
	return d.top.Link(filepath.Join(d.rel, name), filepath.Join(to.rel, as))
}

func (d *dir) symlink(target, name string) error {
	return d.root.Symlink(filepath.FromSlash(target), name)
}

func (d *dir) readlink(name string) (string, error) {
	to, err := d.root.Readlink(name)
	return filepath.ToSlash(to), err
}

func (d *dir) special(_ string, e *tarn.Entry) error {
	return fmt.Errorf("a %s can't be restored on this system", e.Type)
}

func (d *dir) remove(name string) error { return d.root.Remove(name) }
func (d *dir) rmdir(name string) error  { return d.root.Remove(name) }

func (d *dir) chmod(name string, mode uint32) error {
	return d.root.Chmod(name, fs.FileMode(mode&0o777))
}

// seal makes a file just written durable, since there is no sync of a whole
// file system here, closes it and sets its metadata.
func (d *dir) seal(f *os.File, tmp string, e *tarn.Entry, warn warnFunc) error {
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return d.setMeta(tmp, e, warn)
}

// setMeta sets mode and mtime; owners and xattrs are those of another system.
func (d *dir) setMeta(name string, e *tarn.Entry, warn warnFunc) error {
	st, err := d.stat(name)
	if err != nil {
		return err
	}
	if st.typ != e.Type {
		return fmt.Errorf("a %s stands there, not a %s", st.typ, e.Type)
	}
	if len(e.Xattrs) > 0 {
		warn("xattr", errors.ErrUnsupported)
	}
	if e.Type == tarn.TypeSymlink {
		return nil
	}
	// First the time: a read-only file doesn't take one.
	if err := d.root.Chtimes(name, e.MTime.Time(), e.MTime.Time()); err != nil {
		warn("times", err)
	}
	if err := d.chmod(name, e.Mode); err != nil {
		warn("mode", err)
	}
	return nil
}

func (d *dir) sync() error { return nil } // seal did it

// validOnThisSystem refuses names that mean something else here: a drive, a
// stream, another directory, a device.
func validOnThisSystem(path string) error {
	if strings.ContainsAny(path, `\:`) || !filepath.IsLocal(path) {
		return errors.New("this system can't have such a name")
	}
	return nil
}

// The numbers of Windows for a full disk and a write-protected medium.
func isNoSpace(err error) bool {
	return errors.Is(err, syscall.Errno(112)) || errors.Is(err, syscall.Errno(39)) || errors.Is(err, syscall.ENOSPC)
}

func isReadOnly(err error) bool {
	return errors.Is(err, syscall.Errno(19)) || errors.Is(err, syscall.EROFS)
}
