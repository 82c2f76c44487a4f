//go:build linux || darwin

package restore

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/tarn-backup/tarn"
)

// dir is an open directory. All its methods take one component and follow no
// link, so that no path is ever long, or looked up twice.
type dir struct{ fd int }

// info is what stat knows of an entry.
type info struct {
	typ            tarn.Type
	mode, uid, gid uint32
	major, minor   uint32
	size           int64
	mtime          tarn.Timespec
	dev, ino       uint64
	bare           bool // just made, and has inherited no ACL
}

// again repeats f while a signal interrupts it, as network file systems allow.
func again(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

func openat(d int, name string, flags int, mode uint32) (fd int, err error) {
	err = again(func() error {
		fd, err = unix.Openat(d, name, flags|unix.O_CLOEXEC, mode)
		return err
	})
	return fd, err
}

// openTop opens the target, the one directory that a link may lead to.
func openTop(path string) (*dir, error) {
	fd, err := openat(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return &dir{fd}, nil
}

func (d *dir) close() error { return unix.Close(d.fd) }

func (d *dir) open(name string) (*dir, error) {
	fd, err := openat(d.fd, name, walkFlags|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err == unix.ENOTDIR || err == unix.ELOOP {
		err = errNotDir
	}
	if err != nil {
		return nil, err
	}
	return &dir{fd}, nil
}

func (d *dir) list() (*os.File, error) {
	fd, err := openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "."), nil
}

func (d *dir) mkdir(name string) error {
	return again(func() error { return unix.Mkdirat(d.fd, name, 0o700) })
}

func (d *dir) stat(name string) (info, error) {
	var st unix.Stat_t
	err := again(func() error { return unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	return infoOf(&st), err
}

// otherDevice reports whether what st was learned of lies on another device
// than the directory.
func (d *dir) otherDevice(st info) (bool, error) {
	var own unix.Stat_t
	err := again(func() error { return unix.Fstat(d.fd, &own) })
	return infoOf(&own).dev != st.dev, err
}

func infoOf(st *unix.Stat_t) info {
	dev := uint64(st.Rdev)
	return info{
		typ: typeOf(uint32(st.Mode)), mode: uint32(st.Mode) & 0o7777, uid: st.Uid, gid: st.Gid,
		major: unix.Major(dev), minor: unix.Minor(dev), size: st.Size,
		mtime: tarn.Timespec{Sec: int64(st.Mtim.Sec), Nsec: int32(st.Mtim.Nsec)},
		dev:   uint64(st.Dev), ino: st.Ino,
	}
}

func typeOf(mode uint32) tarn.Type {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return tarn.TypeFile
	case unix.S_IFDIR:
		return tarn.TypeDir
	case unix.S_IFLNK:
		return tarn.TypeSymlink
	case unix.S_IFIFO:
		return tarn.TypeFIFO
	case unix.S_IFSOCK:
		return tarn.TypeSocket
	case unix.S_IFCHR:
		return tarn.TypeChar
	}
	return tarn.TypeBlock
}

func (d *dir) create(name string) (*os.File, error) {
	fd, err := openat(d.fd, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// read opens a regular file; anything else could block or act.
func (d *dir) read(name string) (*os.File, error) {
	st, err := d.stat(name)
	if err != nil {
		return nil, err
	}
	if st.typ != tarn.TypeFile {
		return nil, fmt.Errorf("a %s, not a file", st.typ)
	}
	fd, err := openat(d.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	var now unix.Stat_t
	err = unix.Fstat(fd, &now)
	if err == nil && infoOf(&now).typ != tarn.TypeFile {
		err = errors.New("replaced while it was opened")
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), name), nil
}

// rename moves a name within the directory; unless replace is set, a new name
// that is taken is an fs.ErrExist.
func (d *dir) rename(old, name string, replace bool) error {
	if replace {
		return again(func() error { return unix.Renameat(d.fd, old, d.fd, name) })
	}
	err := again(func() error { return renameNew(d.fd, old, name) })
	if err != unix.EINVAL && err != unix.ENOSYS && err != unix.ENOTSUP {
		return err
	}
	// This file system can't. A link fails where the name is taken.
	if err := unix.Linkat(d.fd, old, d.fd, name, 0); err == nil || err == unix.EEXIST {
		if err == nil {
			err = d.remove(old)
		}
		return err
	}
	if _, err := d.stat(name); err != unix.ENOENT {
		if err == nil {
			err = unix.EEXIST
		}
		return err
	}
	return unix.Renameat(d.fd, old, d.fd, name)
}

func (d *dir) link(name string, to *dir, as string) error {
	return again(func() error { return unix.Linkat(d.fd, name, to.fd, as, 0) })
}

func (d *dir) symlink(target, name string) error {
	return again(func() error { return unix.Symlinkat(target, d.fd, name) })
}

func (d *dir) readlink(name string) (string, error) {
	buf := make([]byte, 4096) // of Linux; elsewhere links are shorter
	n, err := unix.Readlinkat(d.fd, name, buf)
	return string(buf[:max(n, 0)]), err
}

func (d *dir) remove(name string) error {
	return again(func() error { return unix.Unlinkat(d.fd, name, 0) })
}

func (d *dir) rmdir(name string) error {
	return again(func() error { return unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR) })
}

// seal sets the metadata of a file just written, through its descriptor, and
// closes it.
func (d *dir) seal(f *os.File, tmp string, e *tarn.Entry, warn warnFunc) error {
	err := apply(inodeOf(d, tmp, int(f.Fd())), e, nil, warn)
	return errors.Join(err, f.Close())
}

func validOnThisSystem(string) error { return nil }

func isNoSpace(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

func isReadOnly(err error) bool { return errors.Is(err, unix.EROFS) }
