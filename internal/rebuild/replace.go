package rebuild

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/repo"
)

// Marks of a snapshot that a rebuild made.
const (
	rebuiltTag  = "rebuilt"
	rebuiltFrom = "rebuilt_from"
)

// replace writes, beside each snapshot that lost a tree for good, one with what
// there is of it. The damaged one stays: nothing is ever deleted here.
func (r *run) replace(ctx context.Context) error {
	broken := map[tarn.SnapshotID]bool{}
	waiting := map[tarn.SnapshotID]bool{}
	for _, l := range r.lost {
		for _, id := range l.snapshots {
			broken[id] = broken[id] || l.outcome == Partial || l.outcome == Lost
			waiting[id] = waiting[id] || l.outcome == Waiting
		}
	}
	done, err := r.replaced(ctx)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(broken)) {
		if !broken[id] || waiting[id] {
			continue
		}
		old, err := r.fresh.Snapshot(ctx, id)
		if err != nil {
			return err
		}
		s, trees := r.replacement(old)
		if len(s.Splits) == 0 || slices.ContainsFunc(done[id], func(d []repo.Split) bool { return slices.Equal(d, s.Splits) }) {
			continue
		}
		if err := r.commit(ctx, s, trees); err != nil {
			return fmt.Errorf("replacing snapshot %s: %w", id, err)
		}
		r.result.Replaced = append(r.result.Replaced, Replaced{Lost: id, New: s.ID})
	}
	return nil
}

// replaced returns the splits of the snapshots that earlier rebuilds wrote, by
// the snapshot that they replace, so that a rebuild that is run again adds nothing.
func (r *run) replaced(ctx context.Context) (map[tarn.SnapshotID][][]repo.Split, error) {
	done := map[tarn.SnapshotID][][]repo.Split{}
	if len(r.lost) == 0 {
		return done, nil
	}
	for _, id := range r.readable {
		s, err := r.fresh.Snapshot(ctx, id)
		if err != nil {
			return nil, err
		}
		if from := s.Options[rebuiltFrom]; from != "" {
			done[tarn.SnapshotID(from)] = append(done[tarn.SnapshotID(from)], s.Splits)
		}
		if err := r.fresh.ForgetSnapshot(id); err != nil {
			return nil, err
		}
	}
	return done, nil
}

// replacement is what there is of a snapshot, and the trees that are new.
func (r *run) replacement(old *repo.Snapshot) (*repo.Snapshot, []tarn.TreeID) {
	s := *old
	s.ID = after(old.ID)
	s.Ended = r.now().UTC()
	s.Tags = slices.Clone(old.Tags)
	if !slices.Contains(s.Tags, rebuiltTag) {
		s.Tags = append(s.Tags, rebuiltTag)
	}
	s.Options = map[string]string{}
	maps.Copy(s.Options, old.Options)
	s.Options[rebuiltFrom] = string(old.ID)
	s.Splits, s.Errors = nil, slices.Clone(old.Errors)
	var trees []tarn.TreeID
	for _, sp := range old.Splits {
		l := r.lost[sp.Tree]
		if l == nil || l.outcome == Copied || l.outcome == Exact {
			s.Splits = append(s.Splits, sp)
			continue
		}
		s.Errors = append(s.Errors, repo.EntryError{
			Path:  sp.Path,
			Error: fmt.Sprintf("rebuilt without its tree: %d of %d files, %d of %d directories", l.made.Files, sp.Files, l.made.Dirs, sp.Dirs),
		})
		s.ErrorCount++
		if l.outcome == Partial {
			s.Splits = append(s.Splits, l.made)
			trees = append(trees, l.made.Tree)
		}
	}
	slices.SortStableFunc(s.Errors, func(a, b repo.EntryError) int { return tarn.ComparePaths(a.Path, b.Path) })
	return &s, trees
}

// after makes an id of the same time that sorts after id, so that the
// replacement stands where the snapshot stood, and is what `latest` means if
// that was the last.
func after(id tarn.SnapshotID) tarn.SnapshotID {
	t := id.Time()
	for try := 1; ; try++ {
		var random [8]byte
		rand.Read(random[:])
		if n := tarn.SnapshotID(tarn.FormatID(t, random)); n > id {
			return n
		}
		if try%1000 == 0 { // hardly any is greater: take the next second
			t = t.Add(1e9)
		}
	}
}

// commit stores the new trees and then the snapshot.
func (r *run) commit(ctx context.Context, s *repo.Snapshot, trees []tarn.TreeID) error {
	none := make(chan *repo.Archive)
	close(none)
	return r.fresh.Commit(ctx, repo.Run{
		Archives: none,
		Trees:    func() ([]tarn.TreeID, error) { return trees, nil },
		Snapshot: func() (*repo.Snapshot, error) { return s, nil },
	})
}
