package tarball

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/storage"
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
		t := &Tarball{Key: k, Body: objectThere(o)}
		for kind, at := range map[Kind]**Object{Sum: &t.Sum, List: &t.List} {
			side, ok := r.there[k.Of(kind).String()]
			switch o := objectThere(side); {
			case ok && kind == Sum && side.Modified.Before(t.Body.Modified):
				t.OldSum = true
			case ok && side.Class.Cold():
				t.Cooled = append(t.Cooled, o)
			case ok:
				*at = &o
			}
		}
		all = append(all, t.shelved())
	}
	return newShelf(all)
}

func objectThere(o storage.Object) Object {
	return Object{Object: cold.Object{Key: o.Key, Size: o.Size, Class: o.Class}, Modified: o.Modified, Latest: true}
}

// leftOver finds the archives that were there and are none of the run's: those that
// overlap with its own, and those for which it came to no file.
func (r *run) leftOver(made shelf) {
	for old := range r.shelf.each() {
		k := old.key
		o := r.there[k.String()]
		left := Stale{Key: o.Key, Class: o.Class, Size: o.Size, Modified: o.Modified}
		mine := made.has(k)
		switch {
		case mine && !r.empty[k]:
		case !mine && (made.overlaps(k) || r.otherTop(k)):
			r.res.Stale = append(r.res.Stale, left)
		case !mine && (r.SplitDepth == 0 || systemFolder(k.folder()) != ""):
		case r.enclosed(old):
			r.res.Superseded = append(r.res.Superseded, left)
		default:
			r.res.Vanished = append(r.res.Vanished, left)
		}
	}
}

// enclosed reports whether a restore of all takes nothing of an archive: a newer one
// covers all of it, or a file stands where its folder was.
func (r *run) enclosed(old *shelved) bool {
	for e := range r.shelf.overlapping(old.key) {
		if e.newer(old) && e.encloses(old) {
			return true
		}
	}
	for at := old.folder; at != ""; at = above(at) {
		if info, err := os.Lstat(r.onDisk(at)); err == nil {
			return info.Mode().IsRegular()
		}
	}
	return false
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

// confirm says that an archive has what the disk has by now, where others that say
// something else are newer: its list is stored again.
func (j *job) confirm(ctx context.Context) (done bool, err error) {
	for mine := range j.shelf.at(j.key.folder()).each() {
		if mine.key != j.key {
			continue
		}
		for range j.shelf.superseding(mine, func(of *shelved, place string) bool {
			if of == mine { // which has what is there
				info, err := os.Lstat(j.onDisk(place))
				return err == nil && info.Mode().IsRegular()
			}
			has, readErr := j.listHas(ctx, of.tarball, place)
			err = errors.Join(err, readErr)
			return has
		}) {
			return true, j.listAgain(ctx)
		}
	}
	return false, err
}

// listHas looks into the list of another archive, which is read once.
func (r *run) listHas(ctx context.Context, t *Tarball, place string) (bool, error) {
	r.listing.Lock()
	defer r.listing.Unlock()
	if _, ok := r.lists[t]; !ok {
		p, err := t.places(ctx, r.Storage)
		if err != nil {
			return false, err
		}
		r.lists[t] = p
	}
	return r.lists[t].has(place), nil
}
