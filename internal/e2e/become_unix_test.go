//go:build unix

package e2e_test

import (
	"os/exec"
	"syscall"
)

// become lets the program run as the person.
func (p *person) become(cmd *exec.Cmd) {
	if p.uid != 0 {
		id := uint32(p.uid)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
	}
}
