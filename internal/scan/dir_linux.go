package scan

import (
	"bytes"
	"encoding/binary"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// searchFlags open a directory to go through it, which needs no permission to read it.
const searchFlags = unix.O_PATH | unix.O_DIRECTORY

// pathMax is how many bytes of a path the kernel takes, with the zero byte.
const pathMax = 4096

// haveOpenat2 reports whether neither the kernel (before 5.6) nor a sandbox
// refuses openat2; else paths are opened name by name.
var haveOpenat2 = sync.OnceValue(func() bool {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS}
	fd, err := unix.Openat2(unix.AT_FDCWD, "/", &how)
	if err == nil {
		unix.Close(fd)
	}
	return err == nil
})

// nextPiece cuts from a path what one openAt takes.
func nextPiece(rel string) (piece, rest string) {
	if !haveOpenat2() {
		piece, rest, _ = strings.Cut(rel, "/")
		return piece, rest
	}
	if len(rel) < pathMax {
		return rel, ""
	}
	i := strings.LastIndexByte(rel[:pathMax], '/')
	if i < 0 {
		return rel, ""
	}
	return rel[:i], rel[i+1:]
}

// openAt opens a path below an open directory, following no symlink in it.
func openAt(fd int, path string, flags int) (int, error) {
	flags |= unix.O_CLOEXEC | unix.O_NOFOLLOW
	if !strings.Contains(path, "/") {
		return openName(fd, path, flags)
	}
	how := unix.OpenHow{Flags: uint64(flags) | unix.O_LARGEFILE, Resolve: unix.RESOLVE_NO_SYMLINKS}
	for {
		got, err := unix.Openat2(fd, path, &how)
		if err != unix.EINTR && err != unix.EAGAIN {
			return got, err
		}
	}
}

func openName(fd int, name string, flags int) (int, error) {
	for {
		got, err := unix.Openat(fd, name, flags, 0)
		if err != unix.EINTR {
			return got, err
		}
	}
}

var direntBuffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// readNames adds the names of the directory. After an error, those before it are there.
func (d dir) readNames(n *names, limit int) error {
	buf := direntBuffers.Get().(*[64 << 10]byte)
	defer direntBuffers.Put(buf)
	for {
		size, err := unix.Getdents(d.fd, buf[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || size <= 0 {
			return err
		}
		if err := addDirents(n, buf[:size], limit); err != nil {
			return err
		}
	}
}

// addDirents reads the kernel's struct linux_dirent64: inode (8 bytes), offset
// (8), length of the record (2), type (1), name, zero byte.
func addDirents(n *names, b []byte, limit int) error {
	const header = 19
	for len(b) > header {
		size := int(binary.NativeEndian.Uint16(b[16:]))
		if size <= header || size > len(b) {
			return unix.EIO
		}
		name := b[header:size]
		if i := bytes.IndexByte(name, 0); i >= 0 {
			name = name[:i]
		}
		k := kindOther
		switch b[18] {
		case unix.DT_DIR:
			k = kindDir
		case unix.DT_UNKNOWN:
			k = kindUnknown
		}
		b = b[size:]
		if s := string(name); s == "" || s == "." || s == ".." {
			continue
		}
		if err := n.add(name, k, limit); err != nil {
			return err
		}
	}
	return nil
}
