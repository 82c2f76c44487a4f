package rebuild

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/tarn-backup/tarn/internal/repo"
)

// lostArchive is an archive that an index names and that is not there as it says.
type lostArchive struct {
	key string
	err error
}

// archiveOf looks whether the archive of an index is there in its size.
func (r *run) archiveOf(ctx context.Context, ix *repo.Index) error {
	if o, ok := r.archives[ix.Key]; ok && o.Size == ix.Layout.Stored {
		return nil
	}
	o, err := r.fresh.Storage().Stat(ctx, ix.Key) // the listing may be older than the index
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = errors.New("is missing")
	case err != nil:
		return r.problem(ctx, ix.Key, err, "")
	case o.Size == ix.Layout.Stored:
		return nil
	default:
		err = fmt.Errorf("has %d bytes, not the %d that its index recorded", o.Size, ix.Layout.Stored)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone[ix.Archive] = lostArchive{ix.Key, err}
	return nil
}

// lostArchives reports the archives that are lost, but for those whose contents
// were all stored again.
func (r *run) lostArchives(ctx context.Context) error {
	for id, l := range r.gone {
		n := 0
		_, err := r.fresh.Index(ctx, id, func(c repo.Content) error {
			places, err := r.Contents.Locations(c.Hash)
			for _, p := range places {
				if _, gone := r.gone[p.Archive]; !gone {
					return err
				}
			}
			n++
			return err
		})
		if err == nil {
			err = r.fresh.ForgetIndex(id)
		}
		if err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		if err := r.problem(ctx, l.key, fmt.Errorf("%w (%d contents are in no other archive)", l.err, n),
			"The next `tarn backup` of sources that still have the files stores them again; `tarn check` names the files."); err != nil {
			return err
		}
	}
	return nil
}
