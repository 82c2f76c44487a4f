package tarball

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"
)

// A run at another split depth makes other archives of the same files, and nothing
// deletes those that are there: the user of the script's stack may not. So archives may
// overlap, and the older ones get stale.

// shelved is an archive on a shelf.
type shelved struct {
	key     Key
	folder  string
	since   time.Time // the content of its files is known to be that of the disk
	tarball *Tarball

	finished bool
}

// newer reports whether an archive says more of the files that both cover. One that was
// never finished may be cut off, and says less than any that was. Of the same time, which
// storages tell in whole seconds, it is the more specific one.
func (a *shelved) newer(b *shelved) bool {
	if a.finished != b.finished {
		return a.finished
	}
	if c := a.since.Compare(b.since); c != 0 {
		return c > 0
	}
	return len(a.folder) > len(b.folder) || a.folder == b.folder && a.key.OwnFiles && !b.key.OwnFiles
}

// shelf are archives, sorted by folder.
type shelf []shelved

func newShelf(all []shelved) shelf {
	slices.SortFunc(all, func(a, b shelved) int {
		return cmp.Or(strings.Compare(a.folder, b.folder), strings.Compare(a.key.String(), b.key.String()))
	})
	return all
}

// since is when it was last known that the archive has what the disk has: a run that
// finds nothing to upload may store the list beside it anew to say so.
func (t *Tarball) since() time.Time {
	at := t.Body.Modified
	for _, side := range []*Object{t.Sum, t.List} {
		if side != nil && side.Modified.After(at) {
			at = side.Modified
		}
	}
	for _, side := range t.Cooled {
		if side.Modified.After(at) {
			at = side.Modified
		}
	}
	return at
}

func (t *Tarball) shelved() shelved {
	return shelved{key: t.Key, folder: t.Key.folder(), since: t.since(), tarball: t, finished: t.Finished()}
}

// between are those whose folder is in a range of the order of bytes.
func (s shelf) between(from, to string) shelf {
	by := func(e shelved, folder string) int { return strings.Compare(e.folder, folder) }
	i, _ := slices.BinarySearchFunc(s, from, by)
	n, _ := slices.BinarySearchFunc(s[i:], to, by)
	return s[i : i+n]
}

func (s shelf) at(folder string) shelf { return s.between(folder, folder+"\x00") }

func (s shelf) below(folder string) shelf {
	if folder == "" {
		return s[len(s.at("")):]
	}
	return s.between(folder+"/", folder+"0") // which follows the slash
}

// above is the folder that a path lies in; "" is that of all.
func above(path string) string { return path[:max(0, strings.LastIndexByte(path, '/'))] }

// overlapping yields the archives that cover files of k's, too.
func (s shelf) overlapping(k Key) iter.Seq[*shelved] {
	return func(yield func(*shelved) bool) {
		folder := k.folder()
		tell := func(among shelf, is func(e *shelved) bool) bool {
			for e := range among.each() {
				if e.key != k && is(e) && !yield(e) {
					return false
				}
			}
			return true
		}
		for at := folder; at != ""; {
			at = above(at)
			if !tell(s.at(at), func(e *shelved) bool { return !e.key.OwnFiles }) {
				return
			}
		}
		if tell(s.at(folder), func(e *shelved) bool { return !e.key.OwnFiles || !k.OwnFiles }) && !k.OwnFiles {
			tell(s.below(folder), func(*shelved) bool { return true })
		}
	}
}

// superseding yields the newer archives that say what is where an archive has its
// files: they cover those, or a file that one has stands where the folder of the other was.
func (s shelf) superseding(old *shelved, has func(of *shelved, place string) bool) iter.Seq[*shelved] {
	return func(yield func(*shelved) bool) {
		for e := range s.overlapping(old.key) {
			if e.newer(old) && !yield(e) {
				return
			}
		}
		for at := old.folder; at != ""; at = above(at) {
			for e := range s.at(above(at)).each() {
				if e.key.OwnFiles && e.newer(old) && has(e, at) && !yield(e) {
					return
				}
			}
		}
		if !old.key.OwnFiles {
			return // what is below overlaps
		}
		for e := range s.below(old.folder).each() {
			if e.newer(old) && has(old, childOf(old.folder, e.folder)) && !yield(e) {
				return
			}
		}
	}
}

func (s shelf) each() iter.Seq[*shelved] {
	return func(yield func(*shelved) bool) {
		for i := range s {
			if !yield(&s[i]) {
				return
			}
		}
	}
}

// childOf is what lies directly in a folder, on the way to a path below it.
func childOf(folder, path string) string {
	start := 0
	if folder != "" {
		start = len(folder) + 1
	}
	if i := strings.IndexByte(path[start:], '/'); i >= 0 {
		return path[:start+i]
	}
	return path
}

// covering yields the archives that say what is at a place, which is a folder or is
// not: also those by which a file stands where it or a folder above it was, or a folder
// where it was a file.
func (s shelf) covering(place string, dir bool, lists map[*Tarball]*places) iter.Seq[*shelved] {
	return func(yield func(*shelved) bool) {
		for at := place; ; at = above(at) {
			for e := range s.at(at).each() {
				if (!e.key.OwnFiles || at == place || at == above(place) && !dir) && !yield(e) {
					return
				}
			}
			if at == "" {
				break
			}
			for e := range s.at(above(at)).each() {
				if e.key.OwnFiles && (at != place || dir) && lists[e.tarball].has(at) && !yield(e) {
					return
				}
			}
		}
		if dir {
			return
		}
		for e := range s.below(place).each() {
			if !yield(e) {
				return
			}
		}
	}
}
