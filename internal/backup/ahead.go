package backup

import "github.com/tarn-backup/tarn"

// ahead holds the next items of a split back, by their stat alone, until it is
// known whether what comes after them is much. So the last archive of a folder
// takes its rest as well, where that is little: a rest of a tenth would be an
// object of its own, with its overhead and its requests, for every folder.
type ahead struct {
	limit int64 // of bytes of tar that are held back
	list  []*item
	bytes int64 // of tar that the list may become
}

// aheadItems is how many items are held back at most. So many small ones are
// a small rest anyway.
const aheadItems = 1024

// memberSlack is more than what a member takes in a tar beside its content,
// unless it has attributes of many kilobytes.
const memberSlack = 4096

// grown is the size of tar in bytes at which an archive is cut though it holds
// all of a split but a rest: a quarter above the size for others.
func (r *run) grown() int64 { return r.ArchiveSize + r.ArchiveSize/4 }

// put appends an item.
func (a *ahead) put(it *item) {
	a.list = append(a.list, it)
	a.bytes += it.tar()
}

// next takes the first item if there is more behind it than is held back, or,
// in the end of a split, if there is one. Then the items know what comes.
func (a *ahead) next(end bool) *item {
	if len(a.list) == 0 {
		a.list = nil
		return nil
	}
	it := a.list[0]
	switch {
	case end:
		it.rest = a.bytes
	case a.bytes > a.limit, len(a.list) > aheadItems:
	case a.bytes > 0:
		return nil
	}
	a.list[0] = nil
	a.list = a.list[1:]
	a.bytes -= it.tar()
	return it
}

// tar is what the item takes in a tar at most, as far as a stat tells.
func (it *item) tar() int64 {
	switch {
	case !it.read && !it.planned:
		return 0
	case it.entry.Type == tarn.TypeFile:
		return it.entry.Size + memberSlack
	}
	return memberSlack
}
