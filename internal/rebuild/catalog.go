package rebuild

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/repo"
)

// catalog empties the look-up and adds every index, read from the repository:
// a copy on this machine may be what is wrong.
func (r *run) catalog(ctx context.Context) error {
	if err := r.Contents.Reset(); err != nil {
		return fmt.Errorf("emptying the catalog: %w", err)
	}
	ids := slices.Sorted(maps.Keys(r.indexed))
	r.Progress.begin("catalog", len(ids))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, id := range ids {
		group.Go(func() error {
			defer r.Progress.done.Add(1)
			return r.add(gctx, id)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return r.lostArchives(ctx)
}

// add brings one index into the catalog.
func (r *run) add(ctx context.Context, id tarn.ArchiveID) error {
	a, n := r.Contents.Add(id), int64(0)
	ix, err := r.fresh.Index(ctx, id, func(c repo.Content) error {
		if n++; n > maxMembers {
			return fmt.Errorf("it names more contents than an archive holds: %w", tarn.ErrDamaged)
		}
		a.Content(c.Hash, c.Offset, c.Size)
		return nil
	})
	if err != nil {
		advice := "Delete the object and rebuild again: the index is made anew from its archive."
		if r.Repo.CheckCachedIndex(id) == nil {
			advice = "Delete the object and rebuild again: this machine has a good copy of it."
		}
		return r.problem(ctx, r.fresh.IndexKey(id), err, advice)
	}
	if err := r.fresh.ForgetIndex(id); err != nil {
		return err
	}
	if err := r.Repo.CheckCachedIndex(id); err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.log.Warn("this machine's copy of an index is damaged; it is read again when it is needed", "archive", id, "error", err)
		if err := r.Repo.ForgetIndex(id); err != nil {
			return err
		}
	}
	if err := r.archiveOf(ctx, ix); err != nil {
		return err
	}
	r.note(ix)
	return a.Done()
}

// note notes an index that is in the catalog.
func (r *run) note(ix *repo.Index) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.splits[ix.Split] = append(r.splits[ix.Split], indexed{ix.Archive, ix.Key, ix.Rebuilt && r.Repo.Encrypted() && !r.TrustArchives})
	r.result.Indexes++
	r.result.Contents += ix.Contents
}
