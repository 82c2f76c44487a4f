package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// weak runs a program without root's right to read and write what permissions
// forbid, so that permission denied can be tested as root, too.
func weak() {
	runtime.LockOSThread()
	path, err := exec.LookPath(os.Args[1])
	if os.Getuid() == 0 {
		for _, c := range []uintptr{unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH} {
			if err == nil {
				err = unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
			}
		}
	}
	if err == nil {
		err = unix.Exec(path, os.Args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "weak:", err)
	os.Exit(125)
}
