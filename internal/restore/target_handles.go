package restore

import (
	"container/list"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"strings"
	"sync"

	"github.com/tarn-backup/tarn"
)

// maxHandles is how many open directories are kept for the next entry. Entries
// come mostly in the order of a walk, so that a few would do.
const maxHandles = 256

// handle is an open directory of the target. Whatever happens to its path, it
// stays the directory that was reached without following a link.
type handle struct {
	path  string // below the target; "" is the target itself
	dir   *dir
	refs  int
	gone  bool // not in the cache any more: the last release closes it
	elem  *list.Element
	sweep sync.Once
	bare  bool  // what is made in it inherits no ACL; set by sweep
	files int64 // that were to be made in it under their own names
	mark  *mark // nil while none are
}

// handles is a bounded cache of open directories, least recently used last.
type handles struct {
	top    *handle
	byPath map[string]*handle
	recent list.List
}

func (c *handles) init(top *dir) {
	c.top = &handle{dir: top}
	c.byPath = map[string]*handle{}
}

// nearest returns the deepest open directory on the way to path, and the rest
// of the way.
func (c *handles) nearest(path string) (h *handle, rest string) {
	for end := len(path); end > 0; end = strings.LastIndexByte(path[:end], '/') {
		if h := c.byPath[path[:end]]; h != nil {
			c.recent.MoveToFront(h.elem)
			return h, strings.TrimPrefix(path[end:], "/")
		}
	}
	return c.top, path
}

func (c *handles) add(h *handle) {
	h.elem = c.recent.PushFront(h)
	c.byPath[h.path] = h
	for el := c.recent.Back(); el != nil && len(c.byPath) > maxHandles; {
		old := el.Value.(*handle)
		el = el.Prev()
		if old.refs == 0 {
			c.forget(old)
		}
	}
}

func (c *handles) forget(h *handle) {
	c.recent.Remove(h.elem)
	delete(c.byPath, h.path)
	h.gone = true
	if h.refs == 0 {
		h.close()
	}
}

func (h *handle) close() {
	if h.mark != nil {
		h.dir.unmark(h.mark) // one that stays is swept away by the next run
	}
	h.dir.close()
}

func (c *handles) dropAll() {
	for _, h := range c.byPath {
		c.forget(h)
	}
}

// acquire opens the directory at path, one component at a time, none of them a
// link. With mk it makes what is missing and clears the directory of what a
// killed run left there. The caller releases it.
func (t *Target) acquire(path string, mk bool) (*handle, error) {
	t.mu.Lock()
	h, rest := t.handles.nearest(path)
	h.refs++
	for rest != "" {
		name, more, _ := strings.Cut(rest, "/")
		next, err := t.step(h, name, mk)
		h.refs--
		if err != nil {
			t.mu.Unlock()
			return nil, err
		}
		h, rest = next, more
	}
	t.mu.Unlock()
	if mk {
		h.sweep.Do(func() {
			h.bare = !h.dir.inherits()
			t.sweepOnce(h)
		})
	}
	return h, nil
}

// step opens the directory name of h, and holds it.
func (t *Target) step(h *handle, name string, mk bool) (*handle, error) {
	path := name
	if h.path != "" {
		path = h.path + "/" + name
	}
	d, err := h.dir.open(name)
	if mk && errors.Is(err, errNotDir) {
		var st info
		if st, err = h.dir.stat(name); err == nil {
			err = t.clearForDir(h.dir, name, st.typ)
		}
		if err == nil {
			d, err = t.make(h.dir, name, path)
		}
	} else if mk && errors.Is(err, fs.ErrNotExist) {
		d, err = t.make(h.dir, name, path)
	}
	if err != nil {
		return nil, fmt.Errorf("opening directory %q: %w", path, err)
	}
	next := &handle{path: path, dir: d, refs: 1}
	t.handles.add(next)
	return next, nil
}

func (t *Target) make(d *dir, name, path string) (*dir, error) {
	switch err := d.mkdir(name); {
	case err == nil:
		t.made[t.hash(path)] = struct{}{}
	case !errors.Is(err, fs.ErrExist): // else another process made it just now
		return nil, err
	}
	return d.open(name)
}

func (t *Target) release(h *handle) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.refs--; h.refs == 0 && h.gone {
		h.close()
	}
}

// drop forgets the open directories at and below path, which is to stand for
// something else.
func (t *Target) drop(path string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for p, h := range t.handles.byPath {
		if tarn.Within(p, path) {
			t.handles.forget(h)
		}
	}
}

func (t *Target) dropAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.handles.dropAll()
}

func (t *Target) hash(path string) uint64 { return maphash.String(t.seed, path) }

func (t *Target) markMade(path string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.made[t.hash(path)] = struct{}{}
}

// Fresh reports whether the Target itself has made the directory that path
// lies in, so that nothing needs to be looked for there.
func (t *Target) Fresh(path string) bool {
	up, _ := split(path)
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.made[t.hash(up)]
	return ok && up != ""
}
