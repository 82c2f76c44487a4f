package restore

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tarn-backup/tarn"
)

const (
	walkFlags = unix.O_RDONLY
	omitTime  = -2 // UTIME_OMIT of <sys/stat.h>
)

// inode is a name in an open directory and, if xattrs can be set, a descriptor
// of what stands there. Unlike Linux's, the calls by name can leave links alone.
type inode struct {
	dir  *dir
	name string
	fd   int // -1 if it can't be opened
}

func inodeOf(d *dir, name string, fd int) inode { return inode{d, name, fd} }

// setMeta sets the metadata of what stands at name, which must have e's type.
func (d *dir) setMeta(name string, e *tarn.Entry, warn warnFunc) error {
	st, err := d.stat(name)
	if err != nil {
		return err
	}
	if st.typ != e.Type {
		return fmt.Errorf("a %s stands there, not a %s", st.typ, e.Type)
	}
	n := inode{d, name, -1}
	if st.typ == tarn.TypeFile || st.typ == tarn.TypeDir || st.typ == tarn.TypeSymlink {
		flags := unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOFOLLOW
		if st.typ == tarn.TypeSymlink {
			flags = unix.O_RDONLY | unix.O_SYMLINK
		}
		if fd, err := openat(d.fd, name, flags, 0); err == nil {
			defer unix.Close(fd)
			n.fd = fd
		}
	}
	return apply(n, e, &st, warn)
}

func (d *dir) chmod(name string, mode uint32) error {
	return unix.Fchmodat(d.fd, name, mode, unix.AT_SYMLINK_NOFOLLOW)
}

func (n inode) chown(uid, gid int) error {
	return unix.Fchownat(n.dir.fd, n.name, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
}

func (n inode) chmod(mode uint32) error { return n.dir.chmod(n.name, mode) }

func (n inode) setTimes(ts []unix.Timespec) error {
	return unix.UtimesNanoAt(n.dir.fd, n.name, ts, unix.AT_SYMLINK_NOFOLLOW)
}

func (n inode) listXattr(buf []byte) (int, error) {
	if n.fd < 0 {
		return 0, unix.ENOTSUP
	}
	return unix.Flistxattr(n.fd, buf)
}

func (n inode) getXattr(name string, buf []byte) (int, error) {
	return unix.Fgetxattr(n.fd, name, buf)
}

func (n inode) setXattr(name string, value []byte) error {
	return unix.Fsetxattr(n.fd, name, value, 0)
}

func (n inode) removeXattr(name string) error { return unix.Fremovexattr(n.fd, name) }

// restorable reports whether an attribute that an entry doesn't have is
// removed: not what the system itself puts there.
func restorable(name string) bool { return !strings.HasPrefix(name, "com.apple.") }

// errNoMknod: macOS has no call that makes one in an open directory.
var errNoMknod = errors.New("special files can't be restored on macOS")

func (d *dir) special(string, *tarn.Entry) error { return errNoMknod }

func renameNew(fd int, old, name string) error {
	return unix.RenameatxNp(fd, old, fd, name, unix.RENAME_EXCL)
}

func (d *dir) sync() error { return unix.Sync() }

// mounted reports whether the directory name, of which st is known, lies on
// another file system.
func (d *dir) mounted(_ string, st info) (bool, error) { return d.otherDevice(st) }
