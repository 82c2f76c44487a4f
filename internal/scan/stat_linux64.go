//go:build linux && (amd64 || arm64 || riscv64)

package scan

import (
	"unsafe"

	"github.com/tarn-backup/tarn"
	"golang.org/x/sys/unix"
)

// stat fills an entry, but for its path and the names of its owners, from a
// name with a zero byte after it. unix.Fstatat would copy each name.
func (d dir) stat(name []byte, e *tarn.Entry) error {
	var st unix.Stat_t
	for {
		_, _, errno := unix.Syscall6(unix.SYS_NEWFSTATAT, uintptr(d.fd), uintptr(unsafe.Pointer(&name[0])),
			uintptr(unsafe.Pointer(&st)), unix.AT_SYMLINK_NOFOLLOW, 0, 0)
		switch errno {
		case unix.EINTR:
			continue
		case 0:
			return fill(e, &st)
		}
		return errno
	}
}
