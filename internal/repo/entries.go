package repo

import (
	"context"
	"iter"

	"github.com/tarn-backup/tarn"
)

// Entries yields the entries of a snapshot at and below the given paths, in
// order; all of them if no path is given. The yielded pointer is valid until
// the next one. A tree that can't be read is yielded as an error, and the
// caller decides whether to go on.
func (r *Repo) Entries(ctx context.Context, s *Snapshot, paths []string) iter.Seq2[*tarn.Entry, error] {
	return r.entries(ctx, s, paths, func(name string) bool { return chosen(name, paths) })
}

// EntriesAndParents yields, beside the entries of Entries, the directories
// that lead to the paths.
func (r *Repo) EntriesAndParents(ctx context.Context, s *Snapshot, paths []string) iter.Seq2[*tarn.Entry, error] {
	return r.entries(ctx, s, paths, func(name string) bool { return chosen(name, paths) || leads(name, paths) })
}

func (r *Repo) entries(ctx context.Context, s *Snapshot, paths []string, want func(string) bool) iter.Seq2[*tarn.Entry, error] {
	var splits []Split
	for _, sp := range s.Splits {
		if touches(sp.Path, paths) {
			splits = append(splits, sp)
		}
	}
	tree := func(sp Split) iter.Seq2[*tarn.Entry, error] { return r.Tree(ctx, sp) }
	return func(yield func(*tarn.Entry, error) bool) {
		inOrder(splits, tree, func(e *tarn.Entry, err error) bool {
			return err == nil && !want(e.Path) || yield(e, err)
		})
	}
}

// inOrder yields the entries of sorted splits in one order. The entries of a
// split lie together but where the path of another one lies in it: the files
// of Pictures stand on both sides of the split Pictures/2010. So only the splits
// around the current one have to be held open, not all of them.
func inOrder(splits []Split, tree func(Split) iter.Seq2[*tarn.Entry, error], yield func(*tarn.Entry, error) bool) {
	var around []*openTree
	defer func() {
		for _, t := range around {
			t.stop()
		}
	}()
	// before yields what the open splits hold before a path, innermost first.
	before := func(path string) bool {
		for n := len(around); n > 0; n = len(around) {
			t := around[n-1]
			for t.more && (t.err != nil || path == "" || tarn.ComparePaths(t.entry.Path, path) < 0) {
				if !yield(t.entry, t.err) {
					return false
				}
				t.advance()
			}
			if t.more {
				break
			}
			t.stop()
			around = around[:n-1]
		}
		return true
	}
	for i, sp := range splits {
		if !before(sp.Path) {
			return
		}
		if i+1 < len(splits) && tarn.Within(splits[i+1].Path, sp.Path) {
			t := new(openTree)
			t.next, t.stop = iter.Pull2(tree(sp))
			t.advance()
			around = append(around, t)
			continue
		}
		for e, err := range tree(sp) {
			if !yield(e, err) {
				return
			}
		}
	}
	before("")
}

// openTree is a tree of which the next entry is at hand.
type openTree struct {
	next  func() (*tarn.Entry, error, bool)
	stop  func()
	entry *tarn.Entry
	err   error
	more  bool
}

func (t *openTree) advance() { t.entry, t.err, t.more = t.next() }

// touches reports whether a split can hold something at or below the paths.
func touches(split string, paths []string) bool {
	if len(paths) == 0 {
		return true
	}
	for _, p := range paths {
		if tarn.Within(split, p) || tarn.Within(p, split) {
			return true
		}
	}
	return false
}

func chosen(name string, paths []string) bool {
	if len(paths) == 0 {
		return true
	}
	for _, p := range paths {
		if tarn.Within(name, p) {
			return true
		}
	}
	return false
}

func leads(name string, paths []string) bool {
	for _, p := range paths {
		if tarn.Within(p, name) {
			return true
		}
	}
	return false
}
