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
	return func(yield func(*tarn.Entry, error) bool) {
		for _, sp := range s.Splits {
			if !touches(sp.Path, paths) {
				continue
			}
			for e, err := range r.Tree(ctx, sp) {
				if err == nil && !want(e.Path) {
					continue
				}
				if !yield(e, err) {
					return
				}
			}
		}
	}
}

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
