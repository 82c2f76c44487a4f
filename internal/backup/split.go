package backup

import (
	"context"
	"errors"
	"fmt"

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
	// again says that nothing about the entry changed, but that its content is
	// lost.
	again bool
	// kept says that the entry is the parent's because it could not be looked at.
	kept bool
	// gap says that entries of the parent before this one are gone.
	gap bool
	// read says that a reader fills in the rest; then ready is closed when it has.
	read   bool
	ready  chan struct{}
	shown  int64  // bytes that the progress has counted already
	buffer []byte // of the budget
	share  *share // that the buffer belongs to
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
	gap := false
	send := func(it *item) error {
		it.gap, gap = gap, false
		select {
		case queue <- it:
			return nil
		case <-ctx.Done():
			r.budget.release(it)
			return ctx.Err()
		}
	}
	old.pass = func(e tarn.Entry, kept bool) error {
		if !kept {
			gap = true
			return nil
		}
		return send(&item{entry: e, source: s, old: &e, same: true, kept: true})
	}
	mine := &share{b: r.budget}
	for e, err := range s.Entries(ctx, sp) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.problem(e.Path, err)
			if err := r.keepBelow(sp, old, e.Path); err != nil {
				return err
			}
			continue
		}
		it := &item{entry: e, source: s}
		if it.old, err = old.at(e.Path); err != nil {
			return err
		}
		if err := r.compare(ctx, it, mine); err != nil {
			return err
		}
		if err := send(it); err != nil {
			return err
		}
	}
	return errors.Join(ctx.Err(), old.rest())
}

// compare decides what has to be read of an entry, and starts it.
func (r *run) compare(ctx context.Context, it *item, mine *share) error {
	e, old := &it.entry, it.old
	if old != nil && r.known.lost != nil && sameContent(e, old) {
		var err error
		if it.again, err = r.known.gone(old); err != nil {
			return err
		}
	}
	if old != nil && !r.Force && !it.again {
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
		if err := mine.acquire(ctx, it); err != nil {
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
