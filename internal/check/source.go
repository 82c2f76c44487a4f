package check

import (
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/repo"
)

// localError marks an error of this machine, such as a full disk.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// problem says in words what an error means for the object it is of.
func problem(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "is missing"
	case errors.As(err, new(*repo.ReadError)):
		return "could not be read: " + err.Error()
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
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
