package restore

import (
	"context"
	"errors"

	"github.com/tarn-backup/tarn"
)

// verify reads every file of the snapshot in the target.
func (r *run) verify(ctx context.Context) error {
	for e, err := range r.Repo.Entries(ctx, r.Snapshot, r.Paths) {
		if err != nil {
			continue // all has reported it
		}
		if e.Type != tarn.TypeFile {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		h, size, err := r.target.HashFile(ctx, e.Path, e.Size)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil && (size != e.Size || size > 0 && h != e.Content) {
			err = errors.New("what stands there does not have the content of the snapshot")
		}
		if err != nil {
			r.problem(e.Path, err)
			continue
		}
		r.result.Verified++
	}
	return nil
}
