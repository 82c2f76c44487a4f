//go:build !windows

package local

import (
	"errors"
	"syscall"
)

func throughFile(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
