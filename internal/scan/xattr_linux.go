package scan

import (
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	errNoXattr = unix.ENODATA
	noAtime    = unix.O_NOATIME
)

var haveProc = sync.OnceValue(func() bool {
	_, err := os.Stat("/proc/self/fd")
	return err == nil
})

// xattrPath returns a path for the calls that take attributes by path only:
// through the open directory, however long its own path and whoever renames it; without
// /proc, the path on disk.
func (d dir) xattrPath(name, disk string) string {
	if !haveProc() {
		return disk
	}
	return "/proc/self/fd/" + strconv.Itoa(d.fd) + "/" + name
}
