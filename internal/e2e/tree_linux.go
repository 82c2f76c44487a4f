package e2e

import (
	"fmt"
	"io/fs"
	"syscall"
)

// owner is what only a Unix stat tells: owner, links, device.
func owner(info fs.FileInfo) string {
	s := info.Sys().(*syscall.Stat_t)
	text := fmt.Sprintf("%d:%d", s.Uid, s.Gid)
	if !info.IsDir() {
		text += fmt.Sprintf(" links %d device %d", s.Nlink, s.Rdev)
	}
	return text
}

// inode tells which names are one file.
func inode(info fs.FileInfo) any {
	s := info.Sys().(*syscall.Stat_t)
	return [2]uint64{s.Dev, s.Ino}
}
