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
	tarball *Tarball  // nil while a run has only looked at keys
}

// newer reports whether an archive says more of the files that both cover. Of the
// same time, which storages tell in whole seconds, it is the more specific one.
func (a *shelved) newer(b *shelved) bool {
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
	return shelved{key: t.Key, folder: t.Key.folder(), since: t.since(), tarball: t}
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
			for i := range among {
				if e := &among[i]; e.key != k && is(e) && !yield(e) {
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

// covering yields the archives that say what is at a place, which is a folder or is
// not: also those by whose list a file stands where a folder above it was.
func (s shelf) covering(place string, dir bool, lists map[*Tarball]*places) iter.Seq[*shelved] {
	return func(yield func(*shelved) bool) {
		for at := place; ; at = above(at) {
			here := s.at(at)
			for i := range here {
				e := &here[i]
				if (!e.key.OwnFiles || at == place || at == above(place) && !dir) && !yield(e) {
					return
				}
			}
			if at == "" {
				return
			}
			for i, of := range s.at(above(at)) {
				if of.key.OwnFiles && at != place && lists[of.tarball].has(at) && !yield(&s.at(above(at))[i]) {
					return
				}
			}
		}
	}
}
