package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tarn-backup/tarn/internal/durable"
)

// DrillPath is the file of what drills of a repository have proven. It lies with
// the configuration, since a cache may be deleted at any time, and what is in this
// was paid for.
func (d Dirs) DrillPath(repository string) string {
	return filepath.Join(d.Config, "drills", repository+".json")
}

// Drill returns what KeepDrill has kept; nil if nothing was.
func (d Dirs) Drill(repository string) ([]byte, error) {
	data, err := os.ReadFile(d.DrillPath(repository))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading what drills have proven: %w", err)
	}
	return data, nil
}

// KeepDrill keeps the record of a repository's drills for the next run.
func (d Dirs) KeepDrill(repository string, data []byte) error {
	path := d.DrillPath(repository)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = durable.WriteFile(path, data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keeping what drills have proven: %w", err)
	}
	return nil
}
