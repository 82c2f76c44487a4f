package tarball

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"slices"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// listed is what a list says of an archive, and what was found of it: 33 bytes
// for each file, and no names.
type listed struct {
	seed  maphash.Seed
	names []listedName // sorted by hash
	sums  []MD5        // by place in the list
	seen  []bool
}

type listedName struct {
	hash  uint64
	place int
}

// readListed reads a list.
func readListed(names iter.Seq2[string, error]) (*listed, error) {
	l := &listed{seed: maphash.MakeSeed()}
	for name, err := range names {
		if err != nil {
			return nil, err
		}
		l.names = append(l.names, listedName{maphash.String(l.seed, name), len(l.names)})
	}
	l.sums, l.seen = make([]MD5, len(l.names)), make([]bool, len(l.names))
	slices.SortFunc(l.names, func(a, b listedName) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.place, b.place)) })
	return l, nil
}

// place finds a name in the list.
func (l *listed) place(name string) (int, bool) {
	i, ok := slices.BinarySearchFunc(l.names, maphash.String(l.seed, name), func(n listedName, h uint64) int { return cmp.Compare(n.hash, h) })
	if !ok {
		return 0, false
	}
	return l.names[i].place, true
}

// found notes the content of a file, and reports whether the list has it. Of
// several members of one name the last counts, as for tar.
func (l *listed) found(name string, sum MD5) bool {
	i, ok := l.place(name)
	if ok {
		l.sums[i], l.seen[i] = sum, true
	}
	return ok
}

// sumOf is the content of a file that was found already.
func (l *listed) sumOf(name string) (MD5, bool) {
	i, ok := l.place(name)
	if !ok || !l.seen[i] {
		return MD5{}, false
	}
	return l.sums[i], true
}

// compare goes through the list once more, tells of the files that were not
// found, and returns the hash over those that were.
func (l *listed) compare(names iter.Seq2[string, error], missing func(name string)) (*Hasher, error) {
	h := NewHasher()
	n := 0
	for name, err := range names {
		if err != nil {
			return nil, err
		}
		if n == len(l.seen) {
			return nil, errListChanged
		}
		if l.seen[n] {
			h.Add(name, l.sums[n])
		} else {
			missing(name)
		}
		n++
	}
	if n != len(l.seen) {
		return nil, errListChanged
	}
	return h, nil
}

var errListChanged = fmt.Errorf("the list of files has changed while the archive was read: somebody backs up; try again")

// Asked counts the files that the list of an archive has at and below paths, and
// says of each path whether there is one.
func (a *Tarball) Asked(ctx context.Context, s storage.Storage, paths []string) (files int64, found []bool, err error) {
	found = make([]bool, len(paths))
	for name, err := range a.Names(ctx, s) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return files, found, err
		}
		hit := false
		for i, p := range paths {
			if tarn.Within(name, p) {
				hit, found[i] = true, true
			}
		}
		if hit {
			files++
		}
	}
	return files, found, nil
}

// countNames counts the files in a list.
func countNames(ctx context.Context, names iter.Seq2[string, error]) (n int64, err error) {
	for _, err := range names {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
