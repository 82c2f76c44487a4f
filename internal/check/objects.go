package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/storage"
)

// listing is what there is, by name.
type listing struct {
	config, recovery bool
	keys             []tarn.KeysID
	snapshots        []tarn.SnapshotID
	indexes          []tarn.ArchiveID
	archives         map[string]*archiveObject // by key
	trees            map[tarn.TreeID]bool      // whether a snapshot names it
	strange          []string
	strangeCount     int
}

// archiveObject is an archive that is there.
type archiveObject struct {
	storage.Object
	id      tarn.ArchiveID
	indexed bool // an index names this very object
}

// list finds what there is.
func (r *run) list(ctx context.Context) error {
	r.Progress.begin("objects", 0)
	l := &r.listed
	l.archives, l.trees = map[string]*archiveObject{}, map[tarn.TreeID]bool{}
	for o, err := range r.fresh.List(ctx) {
		if err != nil {
			return err
		}
		r.Progress.done.Add(1)
		switch o.Kind {
		case repo.KindConfig:
			l.config = true
		case repo.KindRecovery:
			l.recovery = true
		case repo.KindKeys:
			l.keys = append(l.keys, o.Keys)
		case repo.KindSnapshot:
			l.snapshots = append(l.snapshots, o.Snapshot)
		case repo.KindIndex:
			l.indexes = append(l.indexes, o.Archive)
		case repo.KindTree:
			l.trees[o.Tree] = false
		case repo.KindArchive:
			l.archives[o.Key] = &archiveObject{Object: o.Object, id: o.Archive}
		default:
			if l.strangeCount++; len(l.strange) < maxPerList {
				l.strange = append(l.strange, o.Key)
			}
		}
	}
	r.result.Snapshots, r.result.Indexes = len(l.snapshots), len(l.indexes)
	r.result.Archives, r.result.Trees = len(l.archives), len(l.trees)
	if l.strangeCount > 0 {
		r.note("%d objects are none of the repository's: %s", l.strangeCount, few(l.strange, l.strangeCount))
	}
	return nil
}

// few names the first of n names.
func few(names []string, n int) string {
	s := strings.Join(names, ", ")
	if n > len(names) {
		s += ", …"
	}
	return s
}

// basics checks the configuration, the keys and RECOVERY.txt.
func (r *run) basics(ctx context.Context) error {
	if err := r.fresh.CheckConfig(ctx); err != nil {
		if _, err := r.fault(ctx, "tarn.json", err); err != nil {
			return err
		}
	}
	if err := r.keys(ctx); err != nil {
		return err
	}
	switch err := r.fresh.CheckRecovery(ctx); {
	case errors.Is(err, fs.ErrNotExist):
		r.note("RECOVERY.txt is missing")
	case errors.Is(err, tarn.ErrDamaged):
		r.note("RECOVERY.txt: %v. Don't run its commands unless you know who wrote them", err)
	case err != nil:
		_, err = r.fault(ctx, "RECOVERY.txt", err)
		return err
	}
	return ctx.Err()
}

// keys checks the keys objects. A damaged one costs nothing if there are enough
// whole copies.
func (r *run) keys(ctx context.Context) error {
	whole, odd := 0, map[tarn.KeysID]error{}
	for _, id := range r.listed.keys {
		inForce, err := r.fresh.CheckKeys(ctx, id)
		switch {
		case inForce:
			whole++
		case errors.Is(err, repo.ErrForeignKeys):
			r.note("keys/%s.json is of another repository, as a killed init leaves one; nothing uses it", id)
		case errors.Is(err, repo.ErrConfigChanged):
			whole = repo.KeysCopies // it is whole itself
			if _, err := r.fault(ctx, "tarn.json", err); err != nil {
				return err
			}
		case err != nil:
			odd[id] = err
		}
	}
	for id, err := range odd {
		if whole >= repo.KeysCopies && errors.Is(err, tarn.ErrDamaged) && !errors.As(err, new(*repo.ReadError)) {
			r.note("keys/%s.json is damaged and may be deleted: there are %d whole copies of the keys", id, whole)
			continue
		}
		if _, err := r.fault(ctx, "keys/"+string(id)+".json", err); err != nil {
			return err
		}
	}
	if whole < repo.KeysCopies && len(odd) == 0 {
		_, err := r.fault(ctx, "keys/", fmt.Errorf("%d of %d copies of the keys in force are left", whole, repo.KeysCopies))
		return err
	}
	return nil
}

// treeUse is a tree as a snapshot names it; several may name one.
type treeUse struct {
	split     repo.Split
	snapshots []int // by number, ascending
}

// snapshots reads all snapshots and collects their trees.
func (r *run) snapshots(ctx context.Context) error {
	r.ids = r.listed.snapshots
	slices.Sort(r.ids)
	r.Progress.begin("snapshots", len(r.ids))
	parents := make([]tarn.SnapshotID, len(r.ids))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(treesOnce)
	for n, id := range r.ids {
		group.Go(func() error {
			defer r.Progress.done.Add(1)
			s, err := r.fresh.Snapshot(gctx, id)
			if err != nil {
				d, err := r.fault(gctx, r.fresh.SnapshotKey(id), err)
				if err != nil {
					return err
				}
				r.lose(d, "", true, 0, []int{n})
				return nil
			}
			parents[n] = s.Parent
			r.use(n, s)
			return r.fresh.ForgetSnapshot(id)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, uses := range r.trees {
		for _, u := range uses {
			slices.Sort(u.snapshots)
		}
	}
	for n, p := range parents {
		if _, there := slices.BinarySearch(r.ids, p); p != "" && !there {
			r.note("snapshot %s names %s as its parent, which is not there: it was forgotten, or it is lost", r.ids[n], p)
		}
	}
	return nil
}

// use notes the trees of snapshot number n.
func (r *run) use(n int, s *repo.Snapshot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, sp := range s.Splits {
		uses := r.trees[sp.Tree]
		i := slices.IndexFunc(uses, func(u *treeUse) bool { return u.split == sp })
		if i < 0 {
			i = len(uses)
			r.trees[sp.Tree] = append(uses, &treeUse{split: sp})
		}
		u := r.trees[sp.Tree][i]
		u.snapshots = append(u.snapshots, n)
	}
}

// lose records what a damage costs.
func (r *run) lose(d *damage, path string, below bool, files int64, snapshots []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d.lose(path, below, files, snapshots)
}

// loose notes the trees that no snapshot names.
func (r *run) loose() {
	var names []string
	for id, named := range r.listed.trees {
		if !named {
			names = append(names, id.String())
		}
	}
	if len(names) == 0 {
		return
	}
	slices.Sort(names)
	r.note("%d trees are named by no snapshot, as a killed run or a lost snapshot leaves them: %s",
		len(names), few(names[:min(len(names), maxPerList)], len(names)))
}

// stale compares the machine's catalog with the indexes.
func (r *run) stale() {
	if r.Contents == nil {
		return
	}
	there := map[tarn.ArchiveID]bool{}
	for _, id := range r.listed.indexes {
		there[id] = true
	}
	gone := 0
	for _, id := range r.Contents.Archives() {
		if !there[id] {
			gone++
		}
	}
	if gone > 0 {
		r.note("this machine's catalog names %d archives that have no index in the repository: `tarn rebuild` makes it anew", gone)
	}
}
