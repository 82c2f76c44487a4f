// Package local keeps a repository in a folder: a file per object, under the
// object's key. It suits a disk, a network share and, as the tests do, a
// temporary folder.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/minio/crc64nvme"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/durable"
	"github.com/tarn-backup/tarn/internal/storage"
)

const (
	filePerm = 0o600
	dirPerm  = 0o700
	maxKey   = 1024 // bytes, as on S3
)

// Storage is a folder as a storage.Storage. It can't remove: Remover can.
type Storage struct {
	root string
	// made holds the folders that are known to be on the disk, by path.
	made sync.Map
	// swept holds the folders that sweep has been to.
	swept sync.Map
}

// Create makes the folder dir where it is missing and opens it.
func Create(dir string) (*Storage, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("creating the folder %s: %w", dir, err)
	}
	if err := durable.MkdirAll(abs, dirPerm); err != nil {
		return nil, fmt.Errorf("creating the folder %s: %w", dir, err)
	}
	return Open(abs)
}

// Open opens the folder dir, which exists: fs.ErrNotExist if it does not.
func Open(dir string) (*Storage, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the folder %s: %w", dir, err)
	}
	info, err := os.Stat(abs)
	if err != nil {
		return nil, fmt.Errorf("opening the folder %s: %w", dir, err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("opening the folder %s: it is a file", dir)
	}
	return &Storage{root: abs}, nil
}

// Location returns the absolute path of the folder.
func (s *Storage) Location() string { return s.root }

// path returns where the object lies, and refuses keys that would lie outside
// of the folder or look like a temporary file.
func (s *Storage) path(key string) (string, error) {
	name := filepath.FromSlash(key)
	if len(key) > maxKey || !tarn.ValidPath(key) || !filepath.IsLocal(name) || hidden(key) {
		return "", fmt.Errorf("key %.80q: %w", key, fs.ErrInvalid)
	}
	return filepath.Join(s.root, name), nil
}

// hidden reports whether a component of key is a temporary name, which List
// does not show.
func hidden(key string) bool {
	for c := range strings.SplitSeq(key, "/") {
		if durable.IsTemp(c) {
			return true
		}
	}
	return false
}

// Put implements storage.Storage. The object is on the disk when it returns.
func (s *Storage) Put(ctx context.Context, key string, r io.Reader, opts storage.PutOptions) (storage.Object, error) {
	o, err := s.put(ctx, key, r, opts.Acknowledged)
	if err != nil {
		return storage.Object{}, fmt.Errorf("putting %s: %w", key, err)
	}
	return o, nil
}

func (s *Storage) put(ctx context.Context, key string, r io.Reader, acknowledged func(int64)) (storage.Object, error) {
	path, err := s.path(key)
	if err != nil {
		return storage.Object{}, err
	}
	if _, err := os.Lstat(path); err == nil { // spares the copy; Commit is what decides
		return storage.Object{}, &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	f, err := s.create(path)
	if err != nil {
		return storage.Object{}, err
	}
	sum := crc64nvme.New()
	n, err := write(ctx, f, r, func(p []byte) {
		sum.Write(p)
		if acknowledged != nil {
			acknowledged(int64(len(p)))
		}
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		f.Abort()
		return storage.Object{}, err
	}
	if err := f.Commit(); err != nil {
		return storage.Object{}, err
	}
	o := storage.Object{
		Key: key, Size: n, Class: tarn.Standard,
		Checksum: storage.Checksum{Sum: sum.Sum64(), Known: true},
	}
	if info, err := os.Stat(path); err == nil {
		o.Modified = info.ModTime()
	}
	return o, nil
}

// create starts the file of an object. A folder that was made before may have
// been deleted by hand since; then it is made once more.
func (s *Storage) create(path string) (*durable.File, error) {
	dir := filepath.Dir(path)
	if err := s.ensure(dir); err != nil {
		return nil, err
	}
	s.sweep(dir)
	f, err := durable.CreateNew(path, filePerm)
	if errors.Is(err, fs.ErrNotExist) && dir != s.root {
		s.made.Clear()
		if err := s.ensure(dir); err != nil {
			return nil, err
		}
		return durable.CreateNew(path, filePerm)
	}
	return f, err
}

// abandoned is the age from which a temporary file belongs to no process that
// still writes to it: each write makes it younger.
const abandoned = 24 * time.Hour

// sweep removes, once for each folder that is written to, what killed
// processes left there, on file systems where a file in the making needs a name.
func (s *Storage) sweep(dir string) {
	if _, done := s.swept.LoadOrStore(dir, struct{}{}); !done {
		durable.Sweep(dir, time.Now().Add(-abandoned)) // an error here is one of the write, too
	}
}

// ensure makes the folder dir and those above it up to the root, and has
// their names on the disk when it returns.
func (s *Storage) ensure(dir string) error {
	if dir == s.root {
		return nil
	}
	if _, ok := s.made.Load(dir); ok {
		return nil
	}
	if err := s.ensure(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := durable.Mkdir(dir, dirPerm); err != nil {
		return err
	}
	s.made.Store(dir, struct{}{})
	return nil
}

// Stat implements storage.Storage. It does not read, so it knows no checksum.
func (s *Storage) Stat(ctx context.Context, key string) (storage.Object, error) {
	if err := ctx.Err(); err != nil {
		return storage.Object{}, err
	}
	path, err := s.path(key)
	if err != nil {
		return storage.Object{}, fmt.Errorf("looking at %s: %w", key, err)
	}
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "stat", Path: path, Err: fs.ErrNotExist}
	}
	if err != nil {
		return storage.Object{}, fmt.Errorf("looking at %s: %w", key, absent(err))
	}
	return object(key, info), nil
}

func object(key string, info fs.FileInfo) storage.Object {
	return storage.Object{Key: key, Size: info.Size(), Modified: info.ModTime(), Class: tarn.Standard}
}

// Thaw implements storage.Storage: files are never cold.
func (s *Storage) Thaw(ctx context.Context, key string, _ storage.ThawOptions) error {
	_, err := s.Stat(ctx, key)
	return err
}

// Remover returns what deletes objects of s.
func (s *Storage) Remover() storage.Remover { return remover{s} }

type remover struct{ s *Storage }

// Remove implements storage.Remover.
func (r remover) Remove(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	path, err := r.s.path(key)
	if err != nil {
		return fmt.Errorf("removing %s: %w", key, err)
	}
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("removing %s: %w", key, fs.ErrNotExist)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing %s: %w", key, absent(err))
	}
	if err := durable.SyncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("removing %s: %w", key, err)
	}
	return nil
}

// absent adds fs.ErrNotExist to the error of a path that leads through a file
// as if it were a folder: on S3 both keys can exist, and neither is an error
// of the other.
func absent(err error) error {
	if throughFile(err) {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}
