package browse

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/repo"
)

// Filter chooses snapshots; an empty field chooses all.
type Filter struct {
	Host string
	Tags []string // each must be there
	Path string   // of a source on disk, or its name
}

// Match reports whether the snapshot is chosen.
func (f Filter) Match(s *repo.Snapshot) bool {
	if f.Host != "" && s.Host != f.Host {
		return false
	}
	for _, tag := range f.Tags {
		if !slices.Contains(s.Tags, tag) {
			return false
		}
	}
	return f.Path == "" || slices.ContainsFunc(s.Sources, func(src repo.SourceInfo) bool {
		return src.Path == f.Path || src.Name == f.Path
	})
}

// Snapshots reads the chosen snapshots, oldest first. One that can't be read is
// given to bad, and left out; an error of bad ends it.
func Snapshots(ctx context.Context, r *repo.Repo, f Filter, bad func(tarn.SnapshotID, error) error) ([]*repo.Snapshot, error) {
	ids, err := r.SnapshotIDs(ctx)
	if err != nil {
		return nil, err
	}
	var list []*repo.Snapshot
	for _, id := range ids {
		s, err := r.Snapshot(ctx, id)
		if err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			if err := bad(id, err); err != nil {
				return nil, err
			}
			continue
		}
		if f.Match(s) {
			list = append(list, s)
		}
	}
	return list, nil
}

// Find returns the snapshot that name means: an id, a unique prefix of one or of its
// digits after the dash, "latest", or "latest~N", the N-th before that.
// One that can't be read is an error where it may be the latest.
func Find(ctx context.Context, r *repo.Repo, name string, f Filter) (*repo.Snapshot, error) {
	return FindReadable(ctx, r, name, f, func(id tarn.SnapshotID, err error) error {
		return fmt.Errorf("%w (it may be the one that %q means; name an older one by its id)", err, name)
	})
}

// FindReadable is Find, where the latest is the latest that can be read: the
// others are given to bad, whose error ends it.
func FindReadable(ctx context.Context, r *repo.Repo, name string, f Filter, bad func(tarn.SnapshotID, error) error) (*repo.Snapshot, error) {
	if rest, ok := strings.CutPrefix(name, "latest"); ok {
		return latest(ctx, r, name, rest, f, bad)
	}
	ids, err := r.SnapshotIDs(ctx)
	if err != nil {
		return nil, err
	}
	var found []tarn.SnapshotID
	for _, id := range ids {
		_, digits, _ := strings.Cut(string(id), "-")
		if name != "" && (strings.HasPrefix(string(id), name) || strings.HasPrefix(digits, name)) {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 0:
		return nil, &absentError{fmt.Sprintf("no snapshot is %q, nor begins so (`tarn snapshots` lists them)", name)}
	case 1:
		return r.Snapshot(ctx, found[0])
	}
	return nil, fmt.Errorf("snapshot %q: %d snapshots begin so, among them %s and %s: give more of it", name, len(found), found[0], found[1])
}

// none says why no snapshot was chosen of so many.
func none(all int) string {
	if all == 0 {
		return "there is none yet (`tarn backup` makes one)"
	}
	return fmt.Sprintf("none of the %d can be read and is one that --host, --tag and --path choose", all)
}

func latest(ctx context.Context, r *repo.Repo, name, rest string, f Filter, bad func(tarn.SnapshotID, error) error) (*repo.Snapshot, error) {
	back := 0
	if rest != "" {
		n, ok := strings.CutPrefix(rest, "~")
		v, err := strconv.Atoi(n)
		if !ok || err != nil || v < 0 {
			return nil, fmt.Errorf("snapshot %q: want latest or latest~N", name)
		}
		back = v
	}
	ids, err := r.SnapshotIDs(ctx)
	if err != nil {
		return nil, err
	}
	n := back
	for _, id := range slices.Backward(ids) {
		s, err := r.Snapshot(ctx, id)
		if err != nil {
			if ctx.Err() == nil {
				err = bad(id, err)
			}
			if err != nil {
				return nil, err
			}
			continue
		}
		if !f.Match(s) {
			continue
		}
		if n == 0 {
			return s, nil
		}
		n--
	}
	if n == back { // none matched
		return nil, &absentError{fmt.Sprintf("snapshot %q: %s", name, none(len(ids)))}
	}
	return nil, &absentError{fmt.Sprintf("snapshot %q: there are only %d", name, back-n)}
}
