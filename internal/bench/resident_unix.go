//go:build unix

package main

import (
	"os"
	"runtime"
	"syscall"
)

// maxResident returns the maximum resident set of a process that ended and of
// the children that it waited for, in bytes.
func maxResident(s *os.ProcessState) int64 {
	usage, ok := s.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(usage.Maxrss) // bytes there, KiB elsewhere
	}
	return int64(usage.Maxrss) << 10
}
