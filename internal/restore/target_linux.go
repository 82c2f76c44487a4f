package restore

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tarn-backup/tarn"
)

const (
	// walkFlags open a directory that may not be listed, too.
	walkFlags = unix.O_PATH
	omitTime  = unix.UTIME_OMIT
)

// inode is a descriptor that metadata is set through. One that only stands for
// a name (O_PATH, so that nothing is opened that could act or block) takes some
// calls by its path in /proc, which leads to the inode itself, a link too.
type inode struct {
	fd   int
	proc string // empty for a descriptor open for writing
}

func inodeOf(_ *dir, _ string, fd int) inode { return inode{fd: fd} }

// at opens an O_PATH descriptor of name. The caller closes it.
func (d *dir) at(name string) (inode, info, error) {
	fd, err := openat(d.fd, name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return inode{}, info{}, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return inode{}, info{}, err
	}
	return inode{fd, "/proc/self/fd/" + strconv.Itoa(fd)}, infoOf(&st), nil
}

// setMeta sets the metadata of what stands at name, which must have e's type.
func (d *dir) setMeta(name string, e *tarn.Entry, warn warnFunc) error {
	n, st, err := d.at(name)
	if err != nil {
		return err
	}
	defer unix.Close(n.fd)
	if st.typ != e.Type {
		return fmt.Errorf("a %s stands there, not a %s", st.typ, e.Type)
	}
	return apply(n, e, &st, warn)
}

func (d *dir) chmod(name string, mode uint32) error {
	n, st, err := d.at(name)
	if err != nil {
		return err
	}
	defer unix.Close(n.fd)
	if st.typ == tarn.TypeSymlink {
		return unix.ELOOP
	}
	return n.chmod(mode)
}

func (n inode) chown(uid, gid int) error {
	return unix.Fchownat(n.fd, "", uid, gid, unix.AT_EMPTY_PATH)
}

func (n inode) chmod(mode uint32) error {
	if n.proc == "" {
		return unix.Fchmod(n.fd, mode)
	}
	return unix.Chmod(n.proc, mode)
}

func (n inode) setTimes(ts []unix.Timespec) error {
	err := unix.UtimesNanoAt(n.fd, "", ts, unix.AT_EMPTY_PATH)
	if err == unix.EINVAL || err == unix.ENOENT { // before Linux 5.8
		err = unix.UtimesNanoAt(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(n.fd), ts, 0)
	}
	return err
}

func (n inode) listXattr(buf []byte) (int, error) {
	if n.proc == "" {
		return unix.Flistxattr(n.fd, buf)
	}
	return unix.Listxattr(n.proc, buf)
}

func (n inode) getXattr(name string, buf []byte) (int, error) {
	if n.proc == "" {
		return unix.Fgetxattr(n.fd, name, buf)
	}
	return unix.Getxattr(n.proc, name, buf)
}

func (n inode) setXattr(name string, value []byte) error {
	if n.proc == "" {
		return unix.Fsetxattr(n.fd, name, value, 0)
	}
	return unix.Setxattr(n.proc, name, value, 0)
}

func (n inode) removeXattr(name string) error {
	if n.proc == "" {
		return unix.Fremovexattr(n.fd, name)
	}
	return unix.Removexattr(n.proc, name)
}

// restorable reports whether an attribute that an entry doesn't have is
// removed: not labels of a security module, nor what a file system shows there.
func restorable(name string) bool {
	return strings.HasPrefix(name, "user.") || strings.HasPrefix(name, "trusted.") ||
		strings.HasPrefix(name, "system.posix_acl_") || name == "security.capability"
}

func (d *dir) special(name string, e *tarn.Entry) error {
	mode := map[tarn.Type]uint32{
		tarn.TypeFIFO: unix.S_IFIFO, tarn.TypeSocket: unix.S_IFSOCK,
		tarn.TypeChar: unix.S_IFCHR, tarn.TypeBlock: unix.S_IFBLK,
	}[e.Type]
	dev := 0
	if e.Type == tarn.TypeChar || e.Type == tarn.TypeBlock {
		dev = int(unix.Mkdev(e.Major, e.Minor))
	}
	return again(func() error { return unix.Mknodat(d.fd, name, mode|0o600, dev) })
}

func renameNew(fd int, old, name string) error {
	return unix.Renameat2(fd, old, fd, name, unix.RENAME_NOREPLACE)
}

func (d *dir) sync() error { return unix.Syncfs(d.fd) }

// mounted reports whether the directory name, of which st is known, is the
// root of a mount: also of one of this very file system.
func (d *dir) mounted(name string, st info) (bool, error) {
	var stx unix.Statx_t
	err := again(func() error { return unix.Statx(d.fd, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, 0, &stx) })
	if err == nil && stx.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return stx.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
	}
	return d.otherDevice(st) // before Linux 5.8
}
