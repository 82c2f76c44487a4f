//go:build !linux

package scan

import "io/fs"

// kindOf is for directories that are listed by package os.
func kindOf(t fs.FileMode) kind {
	if t.IsDir() {
		return kindDir
	}
	return kindOther
}
