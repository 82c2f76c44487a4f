package browse

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/repo"
)

// Change is one difference between two snapshots.
type Change struct {
	Kind     Kind
	Path     string
	Old, New *tarn.Entry // nil where it is not
}

// Kind says what a change is.
type Kind string

// The kinds of changes.
const (
	Added    Kind = "added"
	Removed  Kind = "removed"
	Modified Kind = "modified" // content, type or target
	Metadata Kind = "metadata" // mode, owner, time or xattrs only
)

// Diff yields what differs from a to b, in order. Splits whose tree is the same
// are not read. One whose tree can't be read is given to bad, whose error ends it;
// nothing is said of what lies in it. The yielded change is valid until the next one.
func Diff(ctx context.Context, r *repo.Repo, a, b *repo.Snapshot, bad func(repo.Split, error) error) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		old, fresh := differing(a, b)
		lostOld, err := dropUnreadable(ctx, r, old, bad)
		lostFresh, err2 := dropUnreadable(ctx, r, fresh, bad)
		if err = errors.Join(err, err2); err != nil {
			yield(Change{}, err)
			return
		}
		x, stopX := iter.Pull2(r.Entries(ctx, old, nil))
		defer stopX()
		y, stopY := iter.Pull2(r.Entries(ctx, fresh, nil))
		defer stopY()
		e, errE, okE := x()
		f, errF, okF := y()
		for okE || okF {
			for _, err := range []error{errE, errF} {
				if err != nil {
					yield(Change{}, err)
					return
				}
			}
			c := 0
			switch {
			case !okF:
				c = -1
			case !okE:
				c = 1
			default:
				c = tarn.ComparePaths(e.Path, f.Path)
			}
			if ch, ok := change(c, e, f); ok && !inSplits(lostOld, a, ch.Path) && !inSplits(lostFresh, b, ch.Path) && !yield(ch, nil) {
				return
			}
			if c <= 0 {
				e, errE, okE = x()
			}
			if c >= 0 {
				f, errF, okF = y()
			}
		}
	}
}

// differing leaves out the splits that are equal.
func differing(a, b *repo.Snapshot) (x, y *repo.Snapshot) {
	only := func(s, other *repo.Snapshot) *repo.Snapshot {
		c := *s
		c.Splits = slices.DeleteFunc(slices.Clone(s.Splits), func(sp repo.Split) bool {
			i, ok := slices.BinarySearchFunc(other.Splits, sp.Path, func(o repo.Split, p string) int { return tarn.ComparePaths(o.Path, p) })
			return ok && other.Splits[i].Tree == sp.Tree
		})
		return &c
	}
	return only(a, b), only(b, a)
}

// dropUnreadable takes the splits out of s whose trees can't be had, and
// returns their paths.
func dropUnreadable(ctx context.Context, r *repo.Repo, s *repo.Snapshot, bad func(repo.Split, error) error) (lost map[string]bool, err error) {
	lost = map[string]bool{}
	kept := s.Splits[:0] // a copy of its own
	for _, sp := range s.Splits {
		err := r.FetchTree(ctx, sp)
		switch {
		case err == nil:
			kept = append(kept, sp)
			continue
		case ctx.Err() == nil:
			err = bad(sp, err)
		}
		if err != nil {
			return nil, err
		}
		lost[sp.Path] = true
	}
	s.Splits = kept
	return lost, nil
}

// inSplits reports whether the split of s that an entry belongs to, the deepest
// of those that it lies in, is among the given ones.
func inSplits(among map[string]bool, s *repo.Snapshot, name string) bool {
	for len(among) > 0 {
		_, ok := slices.BinarySearchFunc(s.Splits, name, func(sp repo.Split, p string) int { return tarn.ComparePaths(sp.Path, p) })
		if ok {
			return among[name]
		}
		i := strings.LastIndexByte(name, '/')
		if i < 0 {
			return false
		}
		name = name[:i]
	}
	return false
}

func change(c int, e, f *tarn.Entry) (Change, bool) {
	switch {
	case c < 0:
		return Change{Kind: Removed, Path: e.Path, Old: e}, true
	case c > 0:
		return Change{Kind: Added, Path: f.Path, New: f}, true
	case e.Type != f.Type || e.Content != f.Content || e.Target != f.Target || e.Major != f.Major || e.Minor != f.Minor:
		return Change{Modified, f.Path, e, f}, true
	case e.Mode != f.Mode || e.UID != f.UID || e.GID != f.GID || e.MTime != f.MTime || !sameXattrs(e.Xattrs, f.Xattrs):
		return Change{Metadata, f.Path, e, f}, true
	}
	return Change{}, false
}

func sameXattrs(a, b []tarn.Xattr) bool {
	return slices.EqualFunc(a, b, func(x, y tarn.Xattr) bool { return x.Name == y.Name && bytes.Equal(x.Value, y.Value) })
}
