//go:build !linux

package main

import "io/fs"

func statText(fs.FileInfo) string { return "" }

func inode(fs.FileInfo) any { return nil }
