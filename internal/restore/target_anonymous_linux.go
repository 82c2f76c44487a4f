package restore

import (
	"os"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/tarn-backup/tarn"
)

// anonymous makes a file without a name in the directory, so that a killed run
// leaves nothing of it, and with the mode that it is to have in the end, as far
// as the umask lets it: nobody can open it yet.
func (d *dir) anonymous(mode uint32) (*os.File, error) {
	fd, err := openat(d.fd, ".", unix.O_TMPFILE|unix.O_RDWR, mode&0o777)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "a file without a name yet"), nil
}

// dress sets the metadata of an anonymous file. bare says that a file just
// made in the directory has inherited no ACL from it.
func (d *dir) dress(f *os.File, e *tarn.Entry, bare bool, warn warnFunc) error {
	fd := int(f.Fd())
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	cur := infoOf(&st)
	cur.bare = bare
	return apply(inode{fd: fd}, e, &cur, warn)
}

// byProc is set once the kernel wants a privilege for a link to a bare descriptor.
var byProc atomic.Bool

// publish gives an anonymous file its name if that is free; else it is an
// fs.ErrExist.
func (d *dir) publish(f *os.File, name string) error {
	fd := int(f.Fd())
	if !byProc.Load() {
		err := again(func() error { return unix.Linkat(fd, "", d.fd, name, unix.AT_EMPTY_PATH) })
		if err != unix.ENOENT && err != unix.EINVAL {
			return err
		}
	}
	from := "/proc/self/fd/" + strconv.Itoa(fd)
	err := again(func() error { return unix.Linkat(unix.AT_FDCWD, from, d.fd, name, unix.AT_SYMLINK_FOLLOW) })
	if err == nil {
		byProc.Store(true)
	}
	return err
}

// inherits reports whether what is made in the directory may get an ACL from it.
func (d *dir) inherits() bool {
	_, err := unix.Getxattr("/proc/self/fd/"+strconv.Itoa(d.fd), "system.posix_acl_default", nil)
	return err != unix.ENODATA && err != unix.ENOTSUP
}
