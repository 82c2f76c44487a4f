package browse

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/repo"
)

// Alone is what no other snapshot needs.
type Alone struct {
	Contents, Bytes int64
	// Archives are those of which nothing is needed by others. Archives are
	// never rewritten, so that only these free something.
	Archives []tarn.ArchiveID
	Trees    []tarn.TreeID
}

// OnlyIn finds what the snapshot needs and the others don't. Memory grows with
// the number of contents in trees that the snapshot shares with no other, by 24
// bytes for each.
func OnlyIn(ctx context.Context, r *repo.Repo, c *catalog.Contents, s *repo.Snapshot, others []*repo.Snapshot) (*Alone, error) {
	w := &alone{ctx: ctx, r: r, c: c, archives: map[tarn.ArchiveID]struct{}{}}
	theirs := map[tarn.TreeID]repo.Split{}
	for _, o := range others {
		for _, sp := range o.Splits {
			theirs[sp.Tree] = sp
		}
	}
	if err := w.take(s, theirs); err != nil {
		return nil, err
	}
	for _, sp := range theirs {
		if len(w.own) == 0 {
			break
		}
		if err := w.tree(sp, w.share); err != nil {
			return nil, err
		}
	}
	a := &Alone{Trees: w.trees}
	for i, own := range w.own {
		if !w.shared[i] {
			a.Contents++
			a.Bytes += own.size
		}
	}
	for id := range w.archives {
		a.Archives = append(a.Archives, id)
	}
	slices.Sort(a.Archives)
	return a, nil
}

// alone is the work of OnlyIn.
type alone struct {
	ctx      context.Context // of the one call
	r        *repo.Repo
	c        *catalog.Contents
	trees    []tarn.TreeID
	own      []ownContent // sorted
	shared   []bool       // by index in own
	archives map[tarn.ArchiveID]struct{}
}

// ownContent is a content of the snapshot's own trees, by the beginning of its
// hash: of two that begin alike, one counts as the other at worst.
type ownContent struct {
	beginning uint64
	size      int64
}

// take collects the contents and archives of the trees that only s has.
func (w *alone) take(s *repo.Snapshot, theirs map[tarn.TreeID]repo.Split) error {
	seen := map[tarn.TreeID]bool{}
	for _, sp := range s.Splits {
		if _, shared := theirs[sp.Tree]; shared || seen[sp.Tree] {
			continue
		}
		seen[sp.Tree] = true
		w.trees = append(w.trees, sp.Tree)
		err := w.tree(sp, func(h tarn.ContentHash, size int64) error {
			w.own = append(w.own, ownContent{beginningOf(h), size})
			return w.each(h, func(id tarn.ArchiveID) { w.archives[id] = struct{}{} })
		})
		if err != nil {
			return err
		}
	}
	slices.SortFunc(w.own, compareOwn)
	w.own = slices.CompactFunc(w.own, func(a, b ownContent) bool { return a.beginning == b.beginning })
	w.shared = make([]bool, len(w.own))
	return nil
}

func compareOwn(a, b ownContent) int {
	switch {
	case a.beginning < b.beginning:
		return -1
	case a.beginning > b.beginning:
		return 1
	}
	return 0
}

// share notes a content of another snapshot: it, and every archive that has it, stay.
func (w *alone) share(h tarn.ContentHash, _ int64) error {
	if i, ok := slices.BinarySearchFunc(w.own, ownContent{beginning: beginningOf(h)}, compareOwn); ok {
		w.shared[i] = true
	}
	if len(w.archives) == 0 {
		return nil
	}
	return w.each(h, func(id tarn.ArchiveID) { delete(w.archives, id) })
}

// each calls do with every archive that has a content.
func (w *alone) each(h tarn.ContentHash, do func(tarn.ArchiveID)) error {
	list, err := w.c.Locations(h)
	for _, at := range list {
		do(at.Archive)
	}
	return err
}

// tree calls do with the contents of a tree.
func (w *alone) tree(sp repo.Split, do func(h tarn.ContentHash, length int64) error) error {
	if err := w.r.FetchTree(w.ctx, sp); err != nil {
		return fmt.Errorf("reading the tree of %q: %w", sp.Path, err)
	}
	for e, err := range w.r.Tree(w.ctx, sp) {
		if err != nil {
			return fmt.Errorf("reading the tree of %q: %w", sp.Path, err)
		}
		for h, length := range contentsOf(e) {
			if err := do(h, length); err != nil {
				return err
			}
		}
	}
	return nil
}

// contentsOf yields the contents that a file consists of, with the bytes of each that it needs.
func contentsOf(e *tarn.Entry) iter.Seq2[tarn.ContentHash, int64] {
	return func(yield func(tarn.ContentHash, int64) bool) {
		if len(e.Extents) == 0 && e.Type == tarn.TypeFile && e.Size > 0 {
			yield(e.Content, e.Size)
			return
		}
		for _, x := range e.Extents {
			if !yield(x.Content, x.Length) {
				return
			}
		}
	}
}

func beginningOf(h tarn.ContentHash) uint64 { return binary.BigEndian.Uint64(h[:]) }
