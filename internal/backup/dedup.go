package backup

import (
	"sync"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/catalog"
)

// dedup decides for each content whether this run has to store it.
type dedup struct {
	contents *catalog.Contents
	mu       sync.Mutex
	pending  map[tarn.ContentHash]struct{} // claimed, not in an index yet
	large    map[int64]struct{}            // sizes of large files of this run
	left     leftovers
	lost     *lostArchives // nil if there are none
}

func newDedup(c *catalog.Contents) *dedup {
	return &dedup{contents: c, pending: map[tarn.ContentHash]struct{}{}, large: map[int64]struct{}{}}
}

// find looks a content up that the repository may hold already.
func (d *dedup) find(h tarn.ContentHash) (loc tarn.Location, known bool, err error) {
	d.mu.Lock()
	_, known = d.pending[h]
	d.mu.Unlock()
	if known {
		return loc, true, nil
	}
	return d.lookup(h)
}

// claim reports whether the caller has to store the content; then nobody else has.
func (d *dedup) claim(h tarn.ContentHash) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.pending[h]; ok {
		return false, nil
	}
	_, ok, err := d.lookup(h)
	if err != nil || ok {
		return false, err
	}
	d.pending[h] = struct{}{}
	d.claimed(h)
	return true, nil
}

// stored moves contents whose index is in the repository to the catalog.
func (d *dedup) stored(id tarn.ArchiveID, list []stretch) error {
	a := d.contents.Add(id)
	for _, s := range list {
		a.Content(s.hash, s.offset, s.size)
	}
	if err := a.Done(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range list {
		delete(d.pending, s.hash)
	}
	return nil
}

// maybeKnown reports whether a large file of that size may be a copy, so that
// hashing it before it is stored is worth a second read. The size is noted.
func (d *dedup) maybeKnown(size int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.large[size]
	d.large[size] = struct{}{}
	return ok || d.contents.HasSize(size)
}

// linkKey tells the names of one file apart from other files.
type linkKey struct {
	inode        uint64
	ctime, mtime tarn.Timespec
	size         int64
}

func linkKeyOf(e *tarn.Entry) linkKey { return linkKey{e.Inode, e.CTime, e.MTime, e.Size} }

// linkCache remembers the content of files with several names, so that each is
// read once. It is bounded: when it is full it starts again.
type linkCache struct {
	mu sync.Mutex
	m  map[linkKey]tarn.ContentHash
}

const maxLinks = 1 << 17

func newLinkCache() *linkCache { return &linkCache{m: map[linkKey]tarn.ContentHash{}} }

func (c *linkCache) get(e *tarn.Entry) (tarn.ContentHash, bool) {
	if e.Inode == 0 {
		return tarn.ContentHash{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	h, ok := c.m[linkKeyOf(e)]
	return h, ok
}

func (c *linkCache) put(e *tarn.Entry) {
	if e.Inode == 0 || e.Content.IsZero() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.m) >= maxLinks {
		clear(c.m)
	}
	c.m[linkKeyOf(e)] = e.Content
}
