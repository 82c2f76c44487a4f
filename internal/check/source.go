package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/storage"
)

// storageError marks an error of the storage, which says nothing about the
// object: a connection that broke is no damage.
type storageError struct{ err error }

func (e *storageError) Error() string { return e.err.Error() }
func (e *storageError) Unwrap() error { return e.err }

// localError marks an error of this machine, such as a full disk.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// problem says in words what an error means for the object it is of.
func problem(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "is missing"
	case errors.As(err, new(*storageError)):
		return "could not be read: " + err.Error()
	}
	return err.Error()
}

// door marks the errors of a storage.
type door struct{ storage.Storage }

func mark(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || // an object that is short is damaged
		errors.Is(err, fs.ErrNotExist) || errors.Is(err, tarn.ErrCold) || errors.Is(err, tarn.ErrThawing) {
		return err
	}
	return &storageError{err}
}

// Get implements storage.Storage.
func (d door) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	body, err := d.Storage.Get(ctx, key, offset, length)
	if err != nil {
		return nil, mark(err)
	}
	return markedBody{body}, nil
}

// Stat implements storage.Storage.
func (d door) Stat(ctx context.Context, key string) (storage.Object, error) {
	o, err := d.Storage.Stat(ctx, key)
	return o, mark(err)
}

// Put implements storage.Storage: a check writes nothing.
func (d door) Put(_ context.Context, key string, _ io.Reader, _ storage.PutOptions) (storage.Object, error) {
	return storage.Object{}, fmt.Errorf("putting %s during a check: %w", key, errors.ErrUnsupported)
}

type markedBody struct{ io.ReadCloser }

func (b markedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		return n, err
	}
	return n, mark(err)
}

// scratch is the empty cache of a check, whose own errors are marked, so that
// a full disk is not taken for damage.
type scratch struct{ files *catalog.Files }

func local(err error) error {
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return &localError{err}
}

// Open implements repo.Cache.
func (s scratch) Open(name string) (io.ReadCloser, error) {
	f, err := s.files.Open(name)
	return f, local(err)
}

// Forget implements repo.Cache.
func (s scratch) Forget(name string) error { return local(s.files.Forget(name)) }

// Create implements repo.Cache.
func (s scratch) Create() (repo.CacheFile, error) {
	f, err := s.files.Create()
	return scratchFile{f}, local(err)
}

type scratchFile struct{ file repo.CacheFile }

func (f scratchFile) Write(p []byte) (int, error) {
	n, err := f.file.Write(p)
	return n, local(err)
}

func (f scratchFile) Keep(name string) error { return local(f.file.Keep(name)) }
func (f scratchFile) Discard() error         { return local(f.file.Discard()) }
