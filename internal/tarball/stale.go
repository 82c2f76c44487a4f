package tarball

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tarn-backup/tarn"
)

// Stale is an archive that no run like this one brings up to date. The run neither
// changes it nor deletes it.
type Stale struct {
	Key      string
	Class    tarn.Class
	Size     int64
	Modified time.Time
}

// archivesThere are the archives that are there.
func (r *run) archivesThere() shelf {
	var all []shelved
	for key, o := range r.there {
		k, ok := ParseKey(r.Name, key)
		if !ok || k.Kind != Archive {
			continue
		}
		since := o.Modified
		for _, kind := range []Kind{Sum, List} {
			if side, ok := r.there[k.Of(kind).String()]; ok && side.Modified.After(since) {
				since = side.Modified
			}
		}
		all = append(all, shelved{key: k, folder: k.folder(), since: since})
	}
	return newShelf(all)
}

// leftOver finds the archives that were there and are none of the run's: those that
// overlap with its own, and those for which it came to no file.
func (r *run) leftOver(made shelf) {
	for i := range r.shelf {
		k := r.shelf[i].key
		o := r.there[k.String()]
		left := Stale{Key: o.Key, Class: o.Class, Size: o.Size, Modified: o.Modified}
		switch {
		case made.has(k):
			if r.empty[k] {
				r.res.Vanished = append(r.res.Vanished, left)
			}
		case made.overlaps(k), r.otherTop(k):
			r.res.Stale = append(r.res.Stale, left)
		case r.SplitDepth > 0 && systemFolder(k.folder()) == "":
			r.res.Vanished = append(r.res.Vanished, left)
		}
	}
}

func (s shelf) has(k Key) bool {
	for _, e := range s.at(k.folder()) {
		if e.key == k {
			return true
		}
	}
	return false
}

func (s shelf) overlaps(k Key) bool {
	for range s.overlapping(k) {
		return true
	}
	return false
}

// otherTop reports whether an archive has files of the path and does not lie where
// those of the run do: with a split depth of 0 that is below the name of the path, with any
// other below the path.
func (r *run) otherTop(k Key) bool {
	if r.SplitDepth > 0 {
		return k.Dir == r.base && !k.OwnFiles
	}
	first, _, _ := strings.Cut(k.folder(), "/")
	if first == "" {
		return k.OwnFiles
	}
	info, err := os.Lstat(filepath.Join(r.path, first))
	return err == nil && info.IsDir()
}

// confirm says that an archive has what the disk has by now, where one of another
// split depth is newer: its list is stored again.
func (j *job) confirm(ctx context.Context) (done bool, err error) {
	mine := shelved{key: j.key, folder: j.key.folder()}
	for _, e := range j.shelf.at(mine.folder) {
		if e.key == mine.key {
			mine = e
		}
	}
	for e := range j.shelf.overlapping(j.key) {
		if e.newer(&mine) {
			return true, j.listAgain(ctx)
		}
	}
	return false, nil
}
