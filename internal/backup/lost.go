package backup

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/repo"
)

// lostArchives are archives whose index is there and which are not, and the
// contents that went with them.
type lostArchives struct {
	archives map[tarn.ArchiveID]struct{}
	// contents are the beginnings of the hashes that need a new place, sorted.
	// Two hashes with one beginning cost a read of a file at worst.
	contents []uint64
	again    map[uint64]struct{} // contents of this run, under the lock of dedup
	// unknown says that not all of their contents are known: each content is
	// looked up then.
	unknown bool
}

// lose makes the contents of archives not count. Their indexes are read for
// what that means for files that have not changed.
func (d *dedup) lose(ctx context.Context, r *repo.Repo, ids []tarn.ArchiveID) error {
	if len(ids) == 0 {
		return nil
	}
	l := &lostArchives{archives: map[tarn.ArchiveID]struct{}{}, again: map[uint64]struct{}{}}
	d.lost = l
	for _, id := range ids {
		l.archives[id] = struct{}{}
	}
	for _, id := range ids {
		_, err := r.Index(ctx, id, func(c repo.Content) error {
			held, err := d.held(c.Hash)
			if err == nil && !held {
				l.contents = append(l.contents, beginning(c.Hash))
			}
			return err
		})
		if unreadable(err) {
			l.unknown = true
		} else if err != nil {
			return fmt.Errorf("looking for what was lost with archive %s: %w", id, err)
		}
	}
	slices.Sort(l.contents)
	l.contents = slices.Compact(l.contents)
	return nil
}

// isLost reports whether an archive is known to be lost.
func (d *dedup) isLost(id tarn.ArchiveID) bool {
	if d.lost == nil {
		return false
	}
	_, lost := d.lost.archives[id]
	return lost
}

// lookup is where the repository holds a content.
func (d *dedup) lookup(h tarn.ContentHash) (loc tarn.Location, ok bool, err error) {
	if d.lost == nil {
		return d.contents.Lookup(h)
	}
	list, err := d.contents.Locations(h)
	for _, l := range list {
		if !ok || l.Archive > loc.Archive {
			loc, ok = l, true
		}
	}
	// The newest place counts: where a file had this content, another and this
	// one again, extraction by hand needs the last.
	if err != nil || d.isLost(loc.Archive) {
		return tarn.Location{}, false, err
	}
	return loc, ok, nil
}

func (d *dedup) held(h tarn.ContentHash) (bool, error) {
	_, ok, err := d.lookup(h)
	return ok, err
}

// gone reports whether an entry's content was in an archive that is lost, and
// nowhere else.
func (d *dedup) gone(e *tarn.Entry) (bool, error) {
	if d.lost == nil || e.Type != tarn.TypeFile || e.Size == 0 {
		return false, nil
	}
	if len(e.Extents) == 0 {
		return d.goneContent(e.Content)
	}
	for _, x := range e.Extents {
		if gone, err := d.goneContent(x.Content); gone || err != nil {
			return gone, err
		}
	}
	return false, nil
}

func (d *dedup) goneContent(h tarn.ContentHash) (bool, error) {
	if d.lost.unknown {
		held, err := d.held(h)
		return !held, err
	}
	_, found := slices.BinarySearch(d.lost.contents, beginning(h))
	return found, nil
}

// stillLost counts the contents that were lost and that this run has not
// stored again.
func (d *dedup) stillLost() (n int64) {
	if d.lost == nil {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return int64(len(d.lost.contents) - len(d.lost.again))
}

// claimed notes a content that this run stores. The lock is held.
func (d *dedup) claimed(h tarn.ContentHash) {
	if d.lost == nil {
		return
	}
	if _, found := slices.BinarySearch(d.lost.contents, beginning(h)); found {
		d.lost.again[beginning(h)] = struct{}{}
	}
}

func beginning(h tarn.ContentHash) uint64 { return binary.BigEndian.Uint64(h[:]) }
