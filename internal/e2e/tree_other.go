//go:build !linux

package e2e

import "io/fs"

func owner(fs.FileInfo) string { return "" }

func inode(fs.FileInfo) any { return nil }
