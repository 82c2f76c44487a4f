//go:build windows

package scan

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tarn-backup/tarn"
)

// root is the open directory that all paths of a source are relative to.
type root struct{ r *os.Root }

func openRoot(path string) (root, error) {
	r, err := os.OpenRoot(path)
	return root{r}, err
}

func (r root) close() error { return r.r.Close() }

// dir is a directory of a source.
type dir struct {
	r   *os.Root
	rel string
}

func (s *Source) openDir(rel string) (dir, error) {
	d := dir{s.root.r, filepath.FromSlash(rel)}
	if rel == "" {
		d.rel = "."
	}
	info, err := d.r.Lstat(d.rel)
	if err == nil && !info.IsDir() {
		err = errChanged
	}
	return d, bare(err)
}

func (d dir) close() {}

// device is always the same: mount points are reparse points here, and none is followed.
func (d dir) device() (uint64, error) { return 0, nil }

func (d dir) readFile(name string, limit int64) ([]byte, error) {
	path := filepath.Join(d.rel, name)
	if info, err := d.r.Lstat(path); err != nil {
		return nil, bare(err)
	} else if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	f, err := d.r.Open(path)
	if err != nil {
		return nil, bare(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit))
	return b, bare(err)
}

func (d dir) readNames(n *names, limit int) error {
	f, err := d.r.Open(d.rel)
	if err != nil {
		return bare(err)
	}
	defer f.Close()
	for {
		list, err := f.ReadDir(1024)
		for _, e := range list {
			if err := n.add([]byte(e.Name()), kindOf(e.Type()), limit); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return bare(err)
		}
	}
}

func (d dir) stat(name []byte, e *tarn.Entry) error {
	info, err := d.r.Lstat(filepath.Join(d.rel, string(name[:len(name)-1])))
	if err != nil {
		return bare(err)
	}
	return fill(e, info)
}

func (s *Source) statBelow(rel string, e *tarn.Entry) error {
	if rel == "" {
		rel = "."
	}
	info, err := s.root.r.Lstat(filepath.FromSlash(rel))
	if err != nil {
		return bare(err)
	}
	return fill(e, info)
}

// fill sets what a stat knows: no owners, links and blocks here.
func fill(e *tarn.Entry, info os.FileInfo) error {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		e.Type, e.Size = tarn.TypeFile, info.Size()
	case mode.IsDir():
		e.Type = tarn.TypeDir
	case mode&os.ModeSymlink != 0:
		e.Type = tarn.TypeSymlink
	default:
		return fmt.Errorf("%w: mode %s", errUnknownType, mode)
	}
	e.Mode = uint32(info.Mode().Perm())
	e.MTime = tarn.TimespecOf(info.ModTime())
	return nil
}

// File is an open regular file of a source. It is for one goroutine.
type File struct {
	f    *os.File
	path string
}

// OpenFile opens the regular file at an entry path for reading. It never
// leaves the source through a symlink. A file that is not there (any more) is
// fs.ErrNotExist.
func (s *Source) OpenFile(path string) (*File, error) {
	rel, err := s.rel(path)
	if err != nil {
		return nil, err
	}
	below := filepath.FromSlash(s.below(rel))
	info, err := s.root.r.Lstat(below)
	if err == nil && !info.Mode().IsRegular() {
		err = errNotRegular
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", s.onDisk(rel), bare(err))
	}
	f, err := s.root.r.Open(below)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", s.onDisk(rel), bare(err))
	}
	return &File{f, path}, nil
}

// Read implements io.Reader.
func (f *File) Read(b []byte) (int, error) { return f.f.Read(b) }

// Opened returns what Stat gives before anything of the file is read.
func (f *File) Opened() (tarn.Entry, error) { return f.Stat() }

// Stat returns the entry of the open file, as Entries yields it, as of now.
func (f *File) Stat() (tarn.Entry, error) {
	e := tarn.Entry{Path: f.path}
	info, err := f.f.Stat()
	if err != nil {
		return e, err
	}
	return e, fill(&e, info)
}

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }

// Complete sets nothing: there are no extended attributes here.
func (f *File) Complete(*tarn.Entry) error { return nil }

// Complete sets what Entries leaves out: the target of a symlink.
func (s *Source) Complete(e *tarn.Entry) error {
	rel, err := s.rel(e.Path)
	if err != nil || e.Type != tarn.TypeSymlink {
		return err
	}
	e.Target, err = s.root.r.Readlink(filepath.FromSlash(s.below(rel)))
	if err != nil {
		return fmt.Errorf("reading the target of %s: %w", s.onDisk(rel), bare(err))
	}
	return nil
}
