package restore

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/repo"
)

// missing is the error of an object that the repository should have. It wraps
// the storage's, and is a tarn.ErrDamaged.
type missing struct {
	what string
	err  error
}

func (m *missing) Error() string { return m.what + " is not in the repository any more" }

func (m *missing) Unwrap() []error { return []error{m.err, tarn.ErrDamaged} }

// archiveError says which archive could not be read.
func archiveError(id tarn.ArchiveID, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &missing{fmt.Sprintf("archive %s", id), err}
	}
	return fmt.Errorf("reading archive %s: %w", id, err)
}

// treeError says which tree could not be read, and what that means.
func treeError(sp repo.Split, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		err = &missing{fmt.Sprintf("its tree %s", sp.Tree), err}
	}
	return fmt.Errorf("some or all of the %d files and folders there could not be restored: %w", sp.Files+sp.Dirs+sp.Others, err)
}
