//go:build !linux

package durable

import "os"

// Writer appends to F. Only Linux has what it needs to go past the page cache.
type Writer struct{ F *os.File }

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) { return w.F.Write(p) }
