//go:build linux || darwin

package restore

import (
	"bytes"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tarn-backup/tarn"
)

// apply gives the inode the metadata of e. cur is what it has, nil if that is
// not known; what is equal is not set, so that ctime stays.
//
// The order matters: a change of owner clears setuid and capabilities, and
// writing an ACL or attributes changes the mode or needs a writable one.
func apply(n inode, e *tarn.Entry, cur *info, warn warnFunc) error {
	mode, chmod := e.Mode&0o7777, cur == nil || cur.mode != e.Mode&0o7777
	if cur == nil || cur.uid != e.UID || cur.gid != e.GID {
		kept, err := chown(n, e, warn)
		if err != nil {
			return err
		}
		// The new owner has cost the file its setuid and setgid bits.
		chmod = chmod || kept != 0o7777 || mode&(unix.S_ISUID|unix.S_ISGID) != 0
		mode &= kept
	}
	if applyXattrs(n, e, cur, warn) {
		chmod = true
	}
	if cur == nil || cur.mtime != e.MTime {
		mtime, err := unix.TimeToTimespec(e.MTime.Time())
		if err == nil {
			err = n.setTimes([]unix.Timespec{{Nsec: omitTime}, mtime})
		}
		if err := tolerate("times", err, warn); err != nil {
			return err
		}
	}
	if chmod && e.Type != tarn.TypeSymlink {
		return tolerate("mode", n.chmod(mode), warn)
	}
	return nil
}

// tolerate turns into a warning what a user or file system is not able to do.
func tolerate(what string, err error, warn warnFunc) error {
	switch err {
	case unix.EPERM, unix.EACCES, unix.ENOTSUP, unix.EINVAL, unix.ENOSYS, unix.EOVERFLOW, unix.ERANGE:
		warn(what, err)
		return nil
	}
	return err
}

// chown sets the owners and returns the bits of the mode that may be set then:
// a program that was to run as one user must not run as another.
func chown(n inode, e *tarn.Entry, warn warnFunc) (kept uint32, err error) {
	err = n.chown(int(e.UID), int(e.GID))
	if err == nil {
		return 0o7777, nil
	}
	kept = 0o7777 &^ unix.S_ISUID
	if n.chown(-1, int(e.GID)) != nil && e.Type != tarn.TypeDir {
		kept &^= unix.S_ISGID
	}
	return kept, tolerate("owner", err, warn)
}

// applyXattrs makes the inode's xattrs those of e, as far as they are the
// user's: it leaves alone what a security module keeps there, unless e has it.
// It reports whether the mode may have changed by it.
func applyXattrs(n inode, e *tarn.Entry, cur *info, warn warnFunc) (changed bool) {
	if cur != nil && cur.bare && len(e.Xattrs) == 0 {
		return false
	}
	have, err := listXattrs(n)
	if err != nil && len(e.Xattrs) > 0 {
		warn("xattr", err)
	}
	set := func(name string, f func() error) {
		err := f()
		if err == unix.EACCES && cur != nil && e.Type != tarn.TypeSymlink {
			// Attributes of a read-only file are its owner's to set only
			// while it isn't; the caller sets the mode afterwards.
			if n.chmod(cur.mode|0o200) == nil {
				err = f()
			}
		}
		if err != nil {
			warn("xattr "+namespace(name), err)
		}
		changed = true
	}
	for _, name := range have {
		wanted := slices.ContainsFunc(e.Xattrs, func(x tarn.Xattr) bool { return x.Name == name })
		if !wanted && restorable(name) {
			set(name, func() error { return n.removeXattr(name) })
		}
	}
	for _, x := range e.Xattrs {
		if !slices.Contains(have, x.Name) || !hasXattr(n, x) {
			set(x.Name, func() error { return n.setXattr(x.Name, x.Value) })
		}
	}
	return changed
}

// namespace cuts a name that anyone may have chosen to one of a few kinds.
func namespace(name string) string {
	ns, _, _ := strings.Cut(name, ".")
	switch ns {
	case "user", "system", "security", "trusted", "com":
		return ns
	}
	return "other"
}

// listXattrs returns the names of the inode's extended attributes.
func listXattrs(n inode) ([]string, error) {
	var small [512]byte
	for buf := small[:]; ; {
		size, err := n.listXattr(buf)
		if err == unix.ERANGE {
			if size, err = n.listXattr(nil); err == nil {
				buf = make([]byte, size+256)
				continue
			}
		}
		if err != nil || size == 0 {
			return nil, err
		}
		return strings.Split(strings.TrimSuffix(string(buf[:size]), "\x00"), "\x00"), nil
	}
}

func hasXattr(n inode, x tarn.Xattr) bool {
	buf := make([]byte, len(x.Value)+1)
	size, err := n.getXattr(x.Name, buf)
	return err == nil && bytes.Equal(buf[:size], x.Value)
}
