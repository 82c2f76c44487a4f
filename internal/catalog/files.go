package catalog

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Files keeps plaintext copies of metadata objects in a folder.
type Files struct{ dir string }

// OpenFiles opens the folder, which it makes if it is not there, and removes
// what a killed run left half-written more than a day ago.
func OpenFiles(dir string) (*Files, error) {
	for _, sub := range []string{"", "indexes", "trees", "snapshots", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("opening the cache: %w", err)
		}
	}
	f := &Files{dir: dir}
	return f, f.sweep(time.Now().Add(-24 * time.Hour))
}

func (f *Files) sweep(before time.Time) error {
	old, err := os.ReadDir(filepath.Join(f.dir, "tmp"))
	if err != nil {
		return fmt.Errorf("opening the cache: %w", err)
	}
	for _, e := range old {
		if info, err := e.Info(); err == nil && info.ModTime().Before(before) {
			os.Remove(filepath.Join(f.dir, "tmp", e.Name())) // another run may have been faster
		}
	}
	return nil
}

// Open opens the copy under name; fs.ErrNotExist if there is none.
func (f *Files) Open(name string) (io.ReadCloser, error) {
	return os.Open(f.path(name))
}

// Forget removes the copy under name, if there is one.
func (f *Files) Forget(name string) error {
	if err := os.Remove(f.path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (f *Files) path(name string) string {
	return filepath.Join(f.dir, filepath.FromSlash(strings.ReplaceAll(name, "..", "_")))
}

// Create begins a copy whose name is given when it is kept.
func (f *Files) Create() (interface {
	io.Writer
	Keep(name string) error
	Discard() error
}, error) {
	tmp, err := os.CreateTemp(filepath.Join(f.dir, "tmp"), "new-*")
	if err != nil {
		return nil, fmt.Errorf("writing to the cache: %w", err)
	}
	buf := fileBuffers.Get().(*bufio.Writer)
	buf.Reset(tmp)
	return &File{files: f, tmp: tmp, buf: buf}, nil
}

// fileBuffers spares a run over many folders, which makes three copies of each, their buffers.
var fileBuffers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 64<<10) }}

// release gives the buffer back; nothing may be written after it.
func (f *File) release() {
	f.buf.Reset(nil)
	fileBuffers.Put(f.buf)
	f.buf = nil
}

// File is a copy in the making. Exactly one of Keep and Discard ends it.
type File struct {
	files *Files
	tmp   *os.File
	buf   *bufio.Writer
}

// Write implements io.Writer.
func (f *File) Write(p []byte) (int, error) { return f.buf.Write(p) }

// Keep makes the copy visible under name. It is not synced: a copy that a
// power cut damaged is found by its checksum and fetched again.
func (f *File) Keep(name string) error {
	err := f.buf.Flush()
	f.release()
	if err := errors.Join(err, f.tmp.Close()); err != nil {
		os.Remove(f.tmp.Name())
		return fmt.Errorf("writing %s to the cache: %w", name, err)
	}
	if err := os.Rename(f.tmp.Name(), f.files.path(name)); err != nil {
		return fmt.Errorf("writing %s to the cache: %w", name, err)
	}
	return nil
}

// Discard gives the copy up.
func (f *File) Discard() error {
	f.release()
	return errors.Join(f.tmp.Close(), os.Remove(f.tmp.Name()))
}
