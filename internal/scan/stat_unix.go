//go:build unix && !(linux && (amd64 || arm64 || riscv64))

package scan

import (
	"github.com/tarn-backup/tarn"
	"golang.org/x/sys/unix"
)

// stat fills an entry, but for its path and the names of its owners, from a
// name with a zero byte after it.
func (d dir) stat(name []byte, e *tarn.Entry) error {
	var st unix.Stat_t
	err := retry(func() error {
		return unix.Fstatat(d.fd, string(name[:len(name)-1]), &st, unix.AT_SYMLINK_NOFOLLOW)
	})
	if err != nil {
		return err
	}
	return fill(e, &st)
}
