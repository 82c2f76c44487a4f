//go:build !linux

package storagetest

import "os/exec"

// diesWithUs is whether a server ends with the process that has started it,
// however that ends.
const diesWithUs = false

func startTied(cmd *exec.Cmd) error { return cmd.Start() }
