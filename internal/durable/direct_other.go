//go:build !linux

package durable

import "os"

// writer appends to F. Only Linux has what it needs to go past the page cache.
type writer struct{ F *os.File }

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) { return w.F.Write(p) }
