package rebuild

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/repo"
)

// lostTree is a tree that snapshots name and that is gone.
type lostTree struct {
	split     repo.Split
	snapshots []tarn.SnapshotID // oldest first
	outcome   Outcome
	made      repo.Split // what stands in its place, if partial
}

// missing notes that a snapshot names a tree that is gone.
func (r *run) missing(id tarn.SnapshotID, sp repo.Split) {
	l := r.lost[sp.Tree]
	if l == nil {
		l = &lostTree{split: sp}
		r.lost[sp.Tree] = l
	}
	l.snapshots = append(l.snapshots, id)
}

// lostTrees rebuilds the trees that are gone, those of older snapshots first,
// which those of newer ones build on.
func (r *run) lostTrees(ctx context.Context) error {
	list := slices.SortedFunc(maps.Values(r.lost), func(a, b *lostTree) int {
		return cmp.Or(cmp.Compare(a.snapshots[0], b.snapshots[0]), tarn.ComparePaths(a.split.Path, b.split.Path))
	})
	r.Progress.begin("trees", len(list))
	if len(list) == 0 {
		return nil
	}
	history, err := r.history(ctx)
	if err != nil {
		return err
	}
	for _, l := range list {
		err := r.tree(ctx, l, history[l.split.Path])
		if errors.As(err, new(*repo.ReadError)) { // better none than one that lacks what is there
			l.outcome, l.made = Waiting, repo.Split{}
			err = r.problem(ctx, r.fresh.TreeKey(l.split.Tree), err, "")
		}
		if err != nil {
			return fmt.Errorf("rebuilding the tree of %q: %w", l.split.Path, err)
		}
		r.Progress.done.Add(1)
		r.result.Trees = append(r.result.Trees, Tree{
			Tree: l.split.Tree, Split: l.split.Path, Snapshots: l.snapshots,
			Outcome: l.outcome, Had: l.split.Counts, Has: l.made.Counts,
		})
	}
	return nil
}

// version is what a snapshot says of a split.
type version struct {
	snapshot tarn.SnapshotID
	split    repo.Split
}

// history collects what the snapshots say of the splits that lost a tree.
func (r *run) history(ctx context.Context) (map[string][]version, error) {
	all := map[string][]version{}
	for _, l := range r.lost {
		all[l.split.Path] = nil
	}
	for _, id := range r.readable {
		s, err := r.fresh.Snapshot(ctx, id)
		if err == nil {
			err = r.fresh.ForgetSnapshot(id)
		}
		if err != nil {
			return nil, err
		}
		for _, sp := range s.Splits {
			if h, ok := all[sp.Path]; ok {
				all[sp.Path] = append(h, version{id, sp})
			}
		}
	}
	return all, nil
}

// tree puts back one tree, or what can be known of it.
func (r *run) tree(ctx context.Context, l *lostTree, history []version) error {
	if r.Repo.CheckCachedTree(l.split) == nil {
		l.outcome, l.made = Copied, l.split
		return r.store(ctx, r.Repo, l.split.Tree)
	}
	at := l.snapshots[0]
	base, next := r.neighbours(history, at)
	var after tarn.SnapshotID
	if base != nil {
		after = base.snapshot
	}
	// The very tree that was lost proves itself by its id, whoever wrote what it
	// is made of. One that is not must not get in what a stranger put there.
	archives := r.between(l.split.Path, after, at)
	var unproven []string
	for {
		stored, waiting, err := r.members(ctx, archives, l.split.Path)
		if err != nil {
			return err
		}
		if waiting {
			l.outcome = Waiting
			return nil
		}
		exact, most, err := r.best(ctx, l, r.tries(ctx, base, next, stored, at))
		if exact || err != nil {
			return err
		}
		proven := slices.DeleteFunc(slices.Clone(archives), func(a indexed) bool { return a.unknown })
		if len(proven) == len(archives) {
			l.outcome, l.made = Partial, most
			r.result.Unproven = append(r.result.Unproven, unproven...)
			break
		}
		for _, a := range archives {
			if a.unknown {
				unproven = append(unproven, a.key)
			}
		}
		archives = proven
	}
	if sum(l.made.Counts) == 0 {
		l.outcome = Lost
	}
	return nil
}

// best tries lists until one is the very tree that was lost; else most is the
// one that has most.
func (r *run) best(ctx context.Context, l *lostTree, tries [][]entries) (exact bool, most repo.Split, err error) {
	for _, list := range tries {
		if exact, err := r.attempt(ctx, l, list); exact || err != nil {
			return exact, most, err
		}
		if sum(l.made.Counts) > sum(most.Counts) {
			most = l.made
		}
	}
	return false, most, nil
}

// tries are the lists of entries whose merge may be the tree: the snapshot
// before, what was stored since, and of the snapshot after what has not changed in between.
func (r *run) tries(ctx context.Context, base, next *version, stored []entries, at tarn.SnapshotID) (tries [][]entries) {
	if base != nil {
		before := []entries{r.fresh.Tree(ctx, base.split)}
		if next != nil {
			tries = append(tries, slices.Concat(before, stored, []entries{unchanged(r.fresh.Tree(ctx, next.split), at)}))
		}
		tries = append(tries, slices.Concat(before, stored))
	}
	if next != nil { // without what was deleted since the one before
		tries = append(tries, slices.Concat(stored, []entries{unchanged(r.fresh.Tree(ctx, next.split), at)}))
	}
	if base == nil {
		tries = append(tries, stored)
	}
	return tries
}

func sum(c repo.Counts) int64 { return c.Files + c.Dirs + c.Others }

// neighbours returns the nearest older and newer versions of a split whose trees are there.
func (r *run) neighbours(history []version, at tarn.SnapshotID) (base, next *version) {
	for i := range history {
		v := &history[i]
		switch {
		case !r.trees[v.split.Tree]:
		case v.snapshot < at:
			base = v
		case v.snapshot > at && next == nil:
			next = v
		}
	}
	return base, next
}

// unchanged yields the entries that were the same when the snapshot at was
// taken: their inodes have not changed since.
func unchanged(list entries, at tarn.SnapshotID) entries {
	return func(yield func(*tarn.Entry, error) bool) {
		for e, err := range list {
			if err == nil && (e.CTime.IsZero() || e.CTime.Time().After(at.Time())) {
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// store stores a tree from its copy in the cache of from.
func (r *run) store(ctx context.Context, from *repo.Repo, id tarn.TreeID) error {
	if err := from.StoreTree(ctx, id); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	r.trees[id] = true
	return nil
}

// attempt makes a tree of the entries, of which later ones count for more, and
// stores it if it is the very one that was lost. If not, l.made is what it is.
func (r *run) attempt(ctx context.Context, l *lostTree, list []entries) (exact bool, err error) {
	l.made = repo.Split{Path: l.split.Path}
	w, err := r.fresh.NewTree()
	if err != nil {
		return false, err
	}
	for e, err := range merge(list) {
		if err != nil {
			err = errors.Join(err, w.Discard())
			if ctx.Err() != nil || errors.As(err, new(*repo.ReadError)) {
				return false, err
			}
			return false, r.problem(ctx, r.fresh.TreeKey(l.split.Tree), err, "") // a neighbour is damaged
		}
		if !tarn.Within(e.Path, l.split.Path) {
			continue
		}
		if err := w.Add(e); err != nil {
			return false, errors.Join(err, w.Discard())
		}
	}
	t, err := w.Finish()
	if err != nil {
		return false, err
	}
	l.made.Tree, l.made.Size, l.made.Counts = t.ID, t.Size, t.Counts
	if t.ID != l.split.Tree {
		return false, nil
	}
	l.outcome = Exact
	return true, r.store(ctx, r.fresh, t.ID)
}
