package check

import (
	"context"
	"fmt"
	"io/fs"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/repo"
)

// allTrees reads each tree that a snapshot names, once.
func (r *run) allTrees(ctx context.Context) error {
	r.Progress.begin("trees", len(r.trees))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(treesOnce)
	for id, uses := range r.trees {
		_, there := r.listed.trees[id]
		if there {
			r.listed.trees[id] = true
		}
		group.Go(func() error {
			defer r.Progress.done.Add(1)
			for _, u := range uses {
				if err := r.tree(gctx, u, there); err != nil {
					return err
				}
			}
			return r.fresh.ForgetTree(id)
		})
	}
	return group.Wait()
}

// tree reads one tree as some snapshots name it.
func (r *run) tree(ctx context.Context, u *treeUse, there bool) error {
	key := r.fresh.TreeKey(u.split.Tree)
	lost := func(err error) error {
		d, err := r.fault(ctx, key, err)
		if err != nil {
			return err
		}
		r.lose(d, u.split.Path, true, u.split.Files, u.snapshots)
		return nil
	}
	if !there {
		return lost(fs.ErrNotExist)
	}
	var counts repo.Counts
	for e, err := range r.fresh.Tree(ctx, u.split) {
		if err != nil {
			return lost(err)
		}
		counts.Add(e)
		if err := r.entry(ctx, u, key, e); err != nil {
			return err
		}
	}
	r.mu.Lock()
	r.result.Entries += counts.Files + counts.Dirs + counts.Others
	r.mu.Unlock()
	if counts != u.split.Counts {
		r.note("snapshot %s counts other entries for %q than its tree has", r.ids[u.snapshots[0]], u.split.Path)
	}
	return nil
}

// entry checks that the content of an entry lies somewhere.
func (r *run) entry(ctx context.Context, u *treeUse, key string, e *tarn.Entry) error {
	if e.Type != tarn.TypeFile || e.Size == 0 {
		return nil
	}
	if len(e.Extents) == 0 {
		return r.content(ctx, u, key, e, tarn.Extent{Content: e.Content, Length: e.Size})
	}
	for _, x := range e.Extents {
		if err := r.content(ctx, u, key, e, x); err != nil {
			return err
		}
	}
	return nil
}

// content checks that one stretch of a content lies in a healthy archive, and
// charges whatever is damaged if not.
func (r *run) content(ctx context.Context, u *treeUse, key string, e *tarn.Entry, x tarn.Extent) error {
	loc, ok, err := r.healthy.Lookup(x.Content)
	if !ok && err == nil {
		if loc, ok, err = r.salvaged.Lookup(x.Content); ok {
			r.mu.Lock()
			r.blame[loc.Archive].used = true
			r.mu.Unlock()
		}
	}
	if err != nil {
		return &localError{err}
	}
	if ok && len(e.Extents) == 0 && loc.Size != e.Size || ok && x.Offset > loc.Size-x.Length {
		d, err := r.fault(ctx, key, fmt.Errorf("names stretches of contents that have another size: %w", tarn.ErrDamaged))
		if err != nil {
			return err
		}
		r.lose(d, e.Path, false, 1, u.snapshots)
		return nil
	}
	if ok {
		return nil
	}
	loc, ok, err = r.suspect.Lookup(x.Content)
	if err != nil {
		return &localError{err}
	}
	var d *damage
	if ok {
		r.mu.Lock()
		d = r.blame[loc.Archive]
		r.mu.Unlock()
	} else {
		d = r.guess()
	}
	r.lose(d, e.Path, false, 1, u.snapshots)
	return nil
}
