//go:build !linux

package durable

import (
	"errors"
	"io/fs"
	"os"
)

func createAnonymous(string, fs.FileMode) *File { return nil }

func publishOpen(*os.File, string) error { return errors.ErrUnsupported }
