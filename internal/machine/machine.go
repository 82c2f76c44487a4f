// Package machine is what this machine keeps for its user: where
// configuration, cache and data lie, the identities, and what it remembers of
// the repositories that it has seen. Files with keys are 0600.
package machine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/tarn-backup/tarn/internal/durable"
)

// Dirs are the folders of one user.
type Dirs struct {
	Config string // identities and remembered keys
	Cache  string // catalogs; may be deleted at any time
	Data   string // the repository that is used if none is named
}

// UserDirs returns the folders as the platform has them: the XDG base
// directories on Linux, the library folders elsewhere.
func UserDirs(getenv func(string) string) (d Dirs, err error) {
	if d.Config, err = os.UserConfigDir(); err != nil {
		return d, fmt.Errorf("finding the configuration folder: %w (set HOME)", err)
	}
	if d.Cache, err = os.UserCacheDir(); err != nil {
		return d, fmt.Errorf("finding the cache folder: %w (set HOME)", err)
	}
	d.Data = d.Config
	if dir := getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		d.Data = dir
	} else if home, err := os.UserHomeDir(); err == nil && runtime.GOOS != "windows" && runtime.GOOS != "darwin" {
		d.Data = filepath.Join(home, ".local", "share")
	}
	for _, p := range []*string{&d.Config, &d.Cache, &d.Data} {
		*p = filepath.Join(*p, "tarn")
	}
	return d, nil
}

// DefaultRepository is the local repository that is used if none is named.
func (d Dirs) DefaultRepository() string { return filepath.Join(d.Data, "repository") }

// Catalog is the folder of a repository's catalog.
func (d Dirs) Catalog(repository string) string { return filepath.Join(d.Cache, repository) }

// Identity is the file in which init keeps the identity of a repository.
func (d Dirs) Identity(repository string) string {
	return filepath.Join(d.Config, "identities", repository+".txt")
}

// Identities lists the files of identities in the configuration folder.
func (d Dirs) Identities() ([]string, error) {
	return filepath.Glob(filepath.Join(d.Config, "identities", "*.txt"))
}

// Record is what the machine remembers of a repository.
type Record struct {
	Location string `json:"location"`
	ID       string `json:"id"`
	Key      []byte `json:"key,omitempty"` // absent if it is not encrypted
}

func (d Dirs) recordPath(location string) string {
	sum := sha256.Sum256([]byte(location))
	return filepath.Join(d.Config, "repositories", hex.EncodeToString(sum[:8])+".json")
}

// Recall returns what is remembered of the repository at location; nil if
// nothing is.
func (d Dirs) Recall(location string) (*Record, error) {
	path := d.recordPath(location)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading what is remembered of %s: %w", location, err)
	}
	var r Record
	if err := json.Unmarshal(data, &r); err != nil || r.Location != location || len(r.Key) != 0 && len(r.Key) != 32 {
		return nil, fmt.Errorf("%s: not the record of %s (delete it if the repository is another now): %w", path, location, errors.Join(err, fs.ErrInvalid))
	}
	return &r, nil
}

// Remember keeps r for the next run.
func (d Dirs) Remember(r Record) error {
	path := d.recordPath(r.Location)
	data, err := json.Marshal(r)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = durable.WriteFile(path, data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("remembering the repository %s: %w", r.Location, err)
	}
	return nil
}

// RecordPath names the file of Recall, for messages.
func (d Dirs) RecordPath(location string) string { return d.recordPath(location) }
