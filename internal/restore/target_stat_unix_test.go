//go:build linux || darwin

package restore

import (
	"io/fs"
	"syscall"
)

func hardLinks(fi fs.FileInfo) uint64 { return uint64(fi.Sys().(*syscall.Stat_t).Nlink) }
