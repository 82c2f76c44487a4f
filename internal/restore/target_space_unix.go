//go:build linux || darwin

package restore

import "golang.org/x/sys/unix"

// freeSpace returns how many bytes this user may still write below dir.
func freeSpace(dir string) (free int64, known bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil || st.Blocks == 0 { // of a file system that does not count
		return 0, false
	}
	return int64(st.Bavail) * int64(st.Bsize), true
}
