package catalog

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tarn-backup/tarn"
)

// objects is the file of what indexes say of the objects of their archives, a
// line of id, bytes and key each. It is only appended to; of several lines of
// an archive the last counts. A line that a killed run or a bad disk spoiled
// makes an archive look wrong until its index is read again, and no more.
const objects = "objects"

// Object is what the index of an archive says of its object.
type Object struct {
	Key    string
	Stored int64 // bytes
}

// Objects returns the objects that were noted.
func (c *Contents) Objects() (map[tarn.ArchiveID]Object, error) {
	noted := map[tarn.ArchiveID]Object{}
	f, err := os.Open(filepath.Join(c.dir, objects))
	if errors.Is(err, fs.ErrNotExist) {
		return noted, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading the catalog: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		id, rest, _ := strings.Cut(lines.Text(), " ")
		size, key, ok := strings.Cut(rest, " ")
		stored, err := strconv.ParseInt(size, 10, 64)
		if _, bad := tarn.ParseArchiveID(id); ok && err == nil && bad == nil {
			noted[tarn.ArchiveID(id)] = Object{Key: key, Stored: stored}
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return nil, fmt.Errorf("reading the catalog: %w", err)
	}
	return noted, nil
}

// NoteObjects adds to the objects that are noted. Several processes may do so
// at the same time.
func (c *Contents) NoteObjects(more map[tarn.ArchiveID]Object) (err error) {
	if len(more) == 0 {
		return nil
	}
	var b []byte
	for id, o := range more {
		b = fmt.Appendf(b, "%s %d %s\n", id, o.Stored, o.Key)
	}
	f, err := os.OpenFile(filepath.Join(c.dir, objects), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("writing the catalog: %w", err)
	}
	if _, err = f.Write(b); err != nil {
		err = fmt.Errorf("writing the catalog: %w", err)
	}
	return errors.Join(err, f.Close())
}
