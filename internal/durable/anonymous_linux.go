package durable

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// createAnonymous starts a file that has no name before Commit, so that a
// killed process leaves nothing behind. It is nil where the file system has no
// such files.
func createAnonymous(path string, perm fs.FileMode) *File {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		return nil
	}
	fd, err := unix.Open(filepath.Dir(path), unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, uint32(perm.Perm()))
	if err != nil {
		return nil // whatever is wrong, the way with a name meets it again
	}
	f := os.NewFile(uintptr(fd), path)
	return &File{f: f, w: writer{F: f}, final: path}
}

// publishOpen gives an anonymous file its name, if that is free.
func publishOpen(f *os.File, final string) error {
	from := "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
	err := unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, final, unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return &os.LinkError{Op: "link", Old: from, New: final, Err: err}
	}
	return nil
}
