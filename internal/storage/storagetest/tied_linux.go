package storagetest

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// diesWithUs is whether a server ends with the process that has started it,
// however that ends.
const diesWithUs = true

// startTied starts a program that the system kills once this process is gone: a
// test that is killed leaves no server behind.
func startTied(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	result := make(chan error)
	parent() <- func() { result <- cmd.Start() }
	return <-result
}

// parent runs functions on a thread that never ends: to the system a child's
// parent is the thread that has started it.
var parent = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})
