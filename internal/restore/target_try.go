package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrNoRoom says that a target has too little room for what is to be written.
var ErrNoRoom = errors.New("too little room")

// TryTarget reports whether files of so many bytes can be written to a
// directory, before anything is paid for them. It makes what is missing of the
// directory and a small file in it, and removes all of that again. Where the system
// tells how much room there is, too little is ErrNoRoom; that of a directory which
// holds something is only known to be so if nothing in it is replaced.
func TryTarget(dir string, bytes int64) (err error) {
	made, err := missingAbove(dir)
	if err != nil {
		return fmt.Errorf("trying target: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		removeMade(made)
		return fmt.Errorf("trying target: %w", err)
	}
	defer removeMade(made)
	f, err := os.CreateTemp(dir, tempPrefix+"*")
	if err != nil {
		return fmt.Errorf("trying target: %w", err)
	}
	_, err = f.WriteString("tarn tries whether it can write here\n")
	if err := errors.Join(err, f.Close(), os.Remove(f.Name())); err != nil {
		return fmt.Errorf("trying target: %w", err)
	}
	if free, known := freeSpace(dir); known && free < bytes {
		return fmt.Errorf("target %q has %d bytes free, and %d are to be written: %w", dir, free, bytes, ErrNoRoom)
	}
	return nil
}

// missingAbove returns the directories that making dir makes, the deepest first.
func missingAbove(dir string) (made []string, err error) {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil || filepath.Dir(at) == at {
			return made, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		made = append(made, at)
	}
}

// removeMade removes directories that were made for a try. One that somebody has
// put something into in the meantime stays.
func removeMade(made []string) {
	for _, dir := range made {
		os.Remove(dir)
	}
}
