package backup

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/repo"
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
	// planned says that a reader would fill in the rest, were this not a plan.
	planned bool
	// gap says that entries of the parent before this one are gone.
	gap bool
	// rest is what this item and all behind it in the split take in a tar at most,
	// in bytes, 0 if that is not known.
	rest int64
	// read says that a reader fills in the rest; then ready is closed when it has.
	read   bool
	ready  chan struct{}
	shown  int64  // bytes that the progress has counted already
	buffer []byte // of the budget
	share  *share // that the buffer belongs to
	data   []byte // content of a small file, in buffer; its hash is in entry.Content
	err    error  // the file can't be stored as it is

	passed passed // if it has entries, the item stands for all of them and nothing else
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

// produce merges the walk of the split with the parent's tree: with its marks
// as long as all is the same, then with the tree itself.
func (r *run) produce(ctx context.Context, s *scan.Source, sp scan.Split, queue chan<- *item) error {
	p := &producer{
		run: r, ctx: ctx, source: s, split: sp, queue: queue, share: &share{b: r.budget},
		ahead: ahead{limit: r.grown() - r.ArchiveSize},
	}
	if old, ok := r.parents[sp.Path]; ok && !r.Force && r.known.lost == nil && r.Repo.HasTree(old.Tree) {
		p.marks = r.Repo.Marks(old)
	}
	defer p.stop()
	for e, err := range s.Entries(ctx, sp) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := p.entry(e, err); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return p.end()
}

// producer makes the items of one split.
type producer struct {
	*run
	ctx    context.Context // of the split; a producer lives no longer
	source *scan.Source
	split  scan.Split
	queue  chan<- *item
	share  *share
	marks  *repo.Marks // nil from the first difference on
	same   int64       // entries that passed by their marks
	passed passed      // the last of them
	old    *oldTree    // nil before that
	gap    bool
	ahead  ahead
}

// passed counts entries that are the parent's, by their marks.
type passed struct {
	entries int64
	counts  repo.Counts
}

// passedAtOnce is how many entries go to the packer as one item.
const passedAtOnce = 1024

// entry takes what the walk yields.
func (p *producer) entry(e tarn.Entry, err error) error {
	if p.marks != nil {
		if err == nil && p.marks.Next(&e) {
			p.same++
			p.passed.entries++
			p.passed.counts.Add(&e)
			if p.passed.entries == passedAtOnce {
				return p.flush()
			}
			return nil
		}
		if err := p.differs(); err != nil {
			return err
		}
	}
	if p.old == nil {
		p.open()
	}
	if err != nil {
		p.problem(e.Path, err)
		return p.keepBelow(p.split, p.old, e.Path)
	}
	it := &item{entry: e, source: p.source}
	if it.old, err = p.old.at(e.Path); err != nil {
		return err
	}
	if err := p.compare(it); err != nil {
		return err
	}
	return p.send(it)
}

// differs goes on with the parent's tree behind the entries that have passed.
func (p *producer) differs() error {
	p.marks.Close()
	p.marks = nil
	if err := p.flush(); err != nil {
		return err
	}
	p.open()
	return p.old.skip(p.same)
}

func (p *producer) open() {
	p.old = p.parentTree(p.ctx, p.split.Path)
	p.old.pass = func(e tarn.Entry, kept bool) error {
		if !kept {
			p.gap = true
			return nil
		}
		return p.send(&item{entry: e, source: p.source, old: &e, same: true, kept: true})
	}
}

// flush tells the packer what has passed.
func (p *producer) flush() error {
	if p.passed.entries == 0 {
		return nil
	}
	it := &item{passed: p.passed}
	p.passed = passed{}
	return p.send(it)
}

// send passes an item on, behind those that are held back.
func (p *producer) send(it *item) error {
	it.gap, p.gap = p.gap, false
	p.ahead.put(it)
	return p.handOn(false)
}

// handOn gives the packer what is no longer held back, in the end of the split
// everything, and the readers what they have to read of it.
func (p *producer) handOn(end bool) error {
	for it := p.ahead.next(end); it != nil; it = p.ahead.next(end) {
		if it.read {
			if err := p.start(p.ctx, it, p.share); err != nil {
				return err
			}
		}
		select {
		case p.queue <- it:
		case <-p.ctx.Done():
			p.budget.release(it)
			return p.ctx.Err()
		}
	}
	return nil
}

// end goes through what is left of the parent's tree, and passes all on.
func (p *producer) end() error {
	if err := p.restOfOld(); err != nil {
		return err
	}
	return p.handOn(true)
}

func (p *producer) restOfOld() error {
	if p.marks != nil {
		if p.marks.Ended() {
			return p.flush()
		}
		if err := p.differs(); err != nil {
			return err
		}
	}
	if p.old == nil {
		return nil
	}
	return p.old.rest()
}

func (p *producer) stop() {
	if p.marks != nil {
		p.marks.Close()
	}
	if p.old != nil {
		p.old.stop()
	}
}

// compare decides what has to be read of an entry.
func (r *run) compare(it *item) error {
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
	it.planned, it.read = r.Plan, !r.Plan
	return nil
}

// start has an entry read.
func (r *run) start(ctx context.Context, it *item, mine *share) error {
	e := &it.entry
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
