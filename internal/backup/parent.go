package backup

import (
	"context"
	"errors"
	"iter"
	"path"
	"slices"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/scan"
)

// oldTree steps through the parent's tree beside the walk.
type oldTree struct {
	next  func() (*tarn.Entry, error, bool)
	stop  func()
	entry *tarn.Entry
	ended bool
	keep  string // a path whose entries are kept although the walk does not meet them
	// pass takes each entry that the walk does not meet.
	pass func(e tarn.Entry, kept bool) error
}

// parentTree opens the parent's tree of a split; it has no entries if there is
// none, or if it cannot be read here.
func (r *run) parentTree(ctx context.Context, path string) *oldTree {
	sp, ok := r.parents[path]
	if ok {
		if err := r.Repo.FetchTree(ctx, sp); err != nil {
			if !errors.Is(err, context.Canceled) {
				r.log.Warn("can't read the parent's tree, comparing with nothing", "split", path, "error", err)
			}
			ok = false
		}
	}
	if !ok {
		return &oldTree{ended: true, stop: func() {}}
	}
	t := new(oldTree)
	t.next, t.stop = iter.Pull2(r.Repo.Tree(ctx, sp))
	return t
}

// skip passes over the first n entries, which the walk has met unchanged.
func (t *oldTree) skip(n int64) error {
	for ; n > 0 && !t.ended; n-- {
		_, err, ok := t.next()
		if err != nil {
			return err
		}
		t.ended = !ok
	}
	return nil
}

// at returns the parent's entry at path, or nil. Entries of the parent that lie
// before it are passed over. Paths come in order.
func (t *oldTree) at(path string) (*tarn.Entry, error) {
	for !t.ended {
		if t.entry != nil {
			c := tarn.ComparePaths(t.entry.Path, path)
			if c > 0 {
				return nil, nil
			}
			found := *t.entry
			t.entry = nil
			if c == 0 {
				return &found, nil
			}
			if err := t.pass(found, t.keeps(&found)); err != nil {
				return nil, err
			}
		}
		next, err, ok := t.next()
		if err != nil {
			return nil, err
		}
		t.entry, t.ended = next, !ok
	}
	return nil, nil
}

func (t *oldTree) keeps(e *tarn.Entry) bool { return t.keep != "" && tarn.Within(e.Path, t.keep) }

// rest passes over what is left to keep when the walk has ended.
func (t *oldTree) rest() error {
	for t.keep != "" && !t.ended {
		if e := t.entry; e != nil {
			if !t.keeps(e) {
				return nil
			}
			t.entry = nil
			if err := t.pass(*e, true); err != nil {
				return err
			}
		}
		next, err, ok := t.next()
		if err != nil {
			return err
		}
		t.entry, t.ended = next, !ok
	}
	return nil
}

// keepBelow keeps the parent's entries at and below a path that can't be
// looked at: an older state is better than none.
func (r *run) keepBelow(sp scan.Split, old *oldTree, at string) error {
	// What is wrong with an ignore file is told before what lies before it in
	// the order, and it hides nothing.
	if slices.ContainsFunc(r.Sources, func(c scan.Config) bool { return c.IgnoreFile == path.Base(at) }) {
		return nil
	}
	e, err := old.at(at)
	if err != nil {
		return err
	}
	if e != nil {
		if err := old.pass(*e, true); err != nil {
			return err
		}
	}
	old.keep = at
	if !sp.Recursive { // the splits below are not known
		r.mu.Lock()
		r.hidden = append(r.hidden, at)
		r.mu.Unlock()
	}
	return nil
}

// keepSplits keeps the parent's splits that lie in directories that could not
// be read.
func (r *run) keepSplits() {
	if len(r.hidden) == 0 {
		return
	}
	known := map[string]bool{}
	for _, sp := range r.splits {
		known[sp.Path] = true
	}
	for _, sp := range r.parents {
		within := func(dir string) bool { return tarn.Within(sp.Path, dir) }
		if !known[sp.Path] && slices.ContainsFunc(r.hidden, within) {
			r.splits = append(r.splits, sp)
			r.result.Unchanged += sp.Files + sp.Others
		}
	}
}
