package backup

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/scan"
)

// item is one entry on its way from the producer to the packer.
type item struct {
	entry  tarn.Entry
	source *scan.Source
	old    *tarn.Entry // of the parent at the same path, nil if new
	// same says that nothing about the entry changed: it is the parent's.
	same bool
	// gap says that entries of the parent before this one are gone.
	gap bool
	// read says that a reader fills in the rest; then ready is closed when it has.
	read   bool
	ready  chan struct{}
	shown  int64  // bytes that the progress has counted already
	buffer []byte // of the budget
	data   []byte // content of a small file, in buffer; its hash is in entry.Content
	err    error  // the file can't be stored as it is
}

// split backs up one split.
func (r *run) split(ctx context.Context, s *scan.Source, sp scan.Split) error {
	group, ctx := errgroup.WithContext(ctx)
	queue := make(chan *item, 512)
	group.Go(func() error {
		defer close(queue)
		return r.produce(ctx, s, sp, queue)
	})
	group.Go(func() error {
		p := r.newPacker(ctx, s, sp)
		err := p.pack(queue)
		if err != nil {
			p.abandon(err)
			r.drain(ctx, queue)
		}
		return err
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("backing up %q: %w", sp.Path, err)
	}
	return nil
}

// drain gives the budget of items back that nobody will take.
func (r *run) drain(ctx context.Context, queue <-chan *item) {
	for it := range queue {
		if it.wait(ctx) == nil { // else a reader may still use it, and the run is over
			r.budget.release(it)
		}
	}
}

// produce merges the walk of the split with the parent's tree.
func (r *run) produce(ctx context.Context, s *scan.Source, sp scan.Split, queue chan<- *item) error {
	old := r.parentTree(ctx, sp.Path)
	defer old.stop()
	for e, err := range s.Entries(ctx, sp) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.problem(e.Path, err)
			continue
		}
		it := &item{entry: e, source: s}
		if it.old, it.gap, err = old.at(e.Path); err != nil {
			return err
		}
		if err := r.compare(ctx, it); err != nil {
			return err
		}
		select {
		case queue <- it:
		case <-ctx.Done():
			r.budget.release(it)
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// compare decides what has to be read of an entry, and starts it.
func (r *run) compare(ctx context.Context, it *item) error {
	e, old := &it.entry, it.old
	if old != nil && !r.Force {
		if sameEntry(e, old) {
			it.same, it.entry = true, *old
			return nil
		}
		if sameContent(e, old) {
			e.Content, e.Extents, e.Target, e.Xattrs = old.Content, old.Extents, old.Target, old.Xattrs
			return nil
		}
	}
	it.read = true
	it.ready = make(chan struct{})
	if e.Type == tarn.TypeFile && e.Size > 0 && e.Size < smallFile {
		if err := r.budget.acquire(ctx, it); err != nil {
			return err
		}
	}
	select {
	case r.jobs <- it:
		return nil
	case <-ctx.Done():
		r.budget.release(it)
		return ctx.Err()
	}
}

// sameEntry reports whether nothing changed, as far as a stat tells. A change
// of content, xattrs or target changes the ctime where there is one.
func sameEntry(e, old *tarn.Entry) bool {
	return sameContent(e, old) && e.Mode == old.Mode && e.UID == old.UID && e.GID == old.GID &&
		e.User == old.User && e.Group == old.Group && e.Inode == old.Inode
}

func sameContent(e, old *tarn.Entry) bool {
	return e.Type == old.Type && e.Size == old.Size && e.MTime == old.MTime && e.CTime == old.CTime &&
		e.Major == old.Major && e.Minor == old.Minor
}

// oldTree steps through the parent's tree beside the walk.
type oldTree struct {
	next  func() (*tarn.Entry, error, bool)
	stop  func()
	entry *tarn.Entry
	ended bool
}

// parentTree opens the parent's tree of a split; it has no entries if there is
// none, or if it cannot be read here.
func (r *run) parentTree(ctx context.Context, path string) *oldTree {
	sp, ok := r.parents[path]
	if ok {
		if err := r.Repo.FetchTree(ctx, sp); err != nil {
			if !errors.Is(err, context.Canceled) {
				r.log.Warn("can't read the parent's tree, comparing with nothing", "split", path, "error", err)
			}
			ok = false
		}
	}
	if !ok {
		return &oldTree{ended: true, stop: func() {}}
	}
	t := new(oldTree)
	t.next, t.stop = iter.Pull2(r.Repo.Tree(ctx, sp))
	return t
}

// at returns the parent's entry at path, or nil, and whether entries of the
// parent that lie before it were passed over. Paths come in order.
func (t *oldTree) at(path string) (e *tarn.Entry, gap bool, err error) {
	for !t.ended {
		if t.entry != nil {
			c := tarn.ComparePaths(t.entry.Path, path)
			if c > 0 {
				return nil, gap, nil
			}
			if c == 0 {
				found := *t.entry
				t.entry = nil
				return &found, gap, nil
			}
			gap = true
		}
		next, err, ok := t.next()
		if err != nil {
			return nil, gap, err
		}
		t.entry, t.ended = next, !ok
	}
	return nil, gap, nil
}
