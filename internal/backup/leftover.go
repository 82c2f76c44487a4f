package backup

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"slices"
	"sync"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/repo"
)

// leftovers tell what archives hold that are newer than the parent: those that
// a killed run has left, or another machine has written. What they hold under a
// file's path is what extraction by hand ends at, not the parent's content.
type leftovers struct {
	mu    sync.Mutex
	ready bool
	seed  maphash.Seed
	last  map[uint64]uint64 // by hash of a path: the beginning of its newest content
}

// newest returns the beginning of the newest content under path in archives
// that are newer than the parent, and whether there is one. The indexes are
// read once, when the first file asks.
func (r *run) newest(ctx context.Context, path string) (content uint64, ok bool, err error) {
	l := &r.known.left
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ready {
		if err := l.read(ctx, r); err != nil {
			return 0, false, err
		}
		l.ready = true
	}
	content, ok = l.last[maphash.String(l.seed, path)]
	return content, ok, nil
}

func (l *leftovers) read(ctx context.Context, r *run) error {
	l.seed, l.last = maphash.MakeSeed(), map[uint64]uint64{}
	list := slices.DeleteFunc(r.Contents.Archives(), func(id tarn.ArchiveID) bool {
		return r.known.isLost(id) || !id.Time().After(r.result.Parent.Time()) || !id.Time().Before(r.stamp)
	})
	slices.Sort(list)
	for _, id := range list {
		_, err := r.Repo.Index(ctx, id, func(c repo.Content) error {
			l.last[maphash.String(l.seed, c.Path)] = beginning(c.Hash)
			return nil
		})
		if err != nil && !unreadable(err) {
			return fmt.Errorf("looking for what an earlier run has stored: %w", err)
		}
	}
	return nil
}

// unreadable reports whether an index is not for this machine to read, or no
// longer readable: what it holds counts as unknown.
func unreadable(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, tarn.ErrNoIdentity) || errors.Is(err, tarn.ErrDamaged) || errors.Is(err, tarn.ErrNotAuthentic)
}
