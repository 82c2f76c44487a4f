package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"sync/atomic"

	"github.com/tarn-backup/tarn"
)

// walk is one passage through one split.
type walk struct {
	s         *Source
	recursive bool
	top       *task
	late      []pathError // what Splits met in the split's directory
	from      *splitter   // that made the walk, or nil
	taken     atomic.Bool // by an iteration of Entries
	stopped   bool        // under ahead.mu
	held      int         // units, under ahead.mu

	yield  func(tarn.Entry, error) bool
	frames []frame // the directories that the walk is in
	failed bool    // an error of the split's own directory was yielded
}

// frame is a directory whose entries are being yielded.
type frame struct {
	l    *listing
	c    *chunk
	next int // in c
}

// errRefused says that the caller wants no more.
var errRefused = errors.New("iteration ended by the caller")

func (s *Source) newWalk(rel string, recursive bool, above *rules) *walk {
	w := &walk{s: s, recursive: recursive}
	w.top = &task{w: w, at: s.entryPath(rel), rel: rel, above: above, root: true, index: -1}
	return w
}

// Entries yields the entries of a split sorted by tarn.ComparePaths, without
// what Complete and the content add. What can't be read is a pair of an entry
// that has only its path and an error; the walk goes on. An unreadable
// directory is yielded as an entry, then with its error. What was deleted
// after its directory was read is dropped. Only the end of ctx ends the walk
// early: then the last pair has an error that wraps that of ctx. The sequence may
// be iterated several times and reads anew each time.
//
// What Splits yields is read ahead while the splits before it are iterated, so
// a caller best keeps Splits and Entries in step.
func (s *Source) Entries(ctx context.Context, sp Split) iter.Seq2[tarn.Entry, error] {
	return func(yield func(tarn.Entry, error) bool) {
		w := sp.begun
		if w == nil || w.s != s || w.taken.Swap(true) {
			rel, err := s.rel(sp.Path)
			if err != nil {
				yield(tarn.Entry{Path: sp.Path}, err)
				return
			}
			late := w
			w = s.newWalk(rel, sp.Recursive, s.rulesAbove(rel))
			if late != nil {
				w.late = late.late
			}
		} else {
			w.from.activate()
		}
		defer s.ahead.stop(w)
		w.yield = yield
		if err := w.run(ctx); err != nil && !errors.Is(err, errRefused) {
			yield(tarn.Entry{Path: sp.Path}, fmt.Errorf("reading source %s: %w", s.cfg.Name, err))
		}
	}
}

// run yields the split's own entry and then what is below, with a stack of
// its own: directories may be nested deeper than goroutine stacks like.
func (w *walk) run(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.s.ahead.take(ctx, w.top); err != nil {
		return err
	}
	self, l := &w.top.self, w.top.l
	if self.gone || self.err != nil || l == nil {
		return w.emit(self)
	}
	if err := w.emit(self); err != nil {
		return err
	}
	if err := w.enter(l, w.top.c); err != nil {
		return err
	}
	if !w.failed {
		if err := w.emitErrors(w.late); err != nil {
			return err
		}
	}
	for len(w.frames) > 0 {
		if err := w.step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// step yields the rest of the innermost directory's chunk up to the next directory in it.
func (w *walk) step(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f := &w.frames[len(w.frames)-1]
	for f.c != nil && f.next < len(f.c.items) {
		it := &f.c.items[f.next]
		f.next++
		if it.dir {
			return w.directory(ctx, f.l, it)
		}
		if it.err == nil && !it.gone && it.entry.Type == tarn.TypeDir {
			it.err = errChanged
		}
		if err := w.emit(it); err != nil {
			return err
		}
	}
	return w.refill(ctx, f)
}

// refill takes the next chunk of the innermost directory, or leaves it.
func (w *walk) refill(ctx context.Context, f *frame) error {
	w.s.ahead.putChunk(f.c)
	f.c, f.next = nil, 0
	t := w.s.ahead.shift(&f.l.chunkTasks)
	if t == nil {
		w.frames[len(w.frames)-1] = frame{}
		w.frames = w.frames[:len(w.frames)-1]
		return nil
	}
	err := w.s.ahead.take(ctx, t)
	f.c = t.c
	return err
}

// directory yields what the walk's directory l says is a directory, and goes into it.
func (w *walk) directory(ctx context.Context, l *listing, it *item) error {
	t := w.s.ahead.shift(&l.dirTasks)
	if it.err == nil && !it.gone && it.entry.Type != tarn.TypeDir {
		it.err = errChanged
	}
	leave := it.err != nil || it.gone
	if err := w.emit(it); err != nil {
		return err
	}
	if err := w.s.ahead.take(ctx, t); err != nil || leave {
		return err
	}
	return w.enter(t.l, t.c)
}

// enter yields the errors of a directory and makes it the innermost one.
func (w *walk) enter(l *listing, c *chunk) error {
	w.frames = append(w.frames, frame{l: l, c: c})
	return w.emitErrors(l.errs)
}

func (w *walk) emit(it *item) error {
	switch {
	case it.gone:
		return nil
	case it.err != nil:
		err := fmt.Errorf("looking at %s: %w", w.s.entryOnDisk(it.entry.Path), it.err)
		if !w.yield(tarn.Entry{Path: it.entry.Path}, err) {
			return errRefused
		}
	case !w.yield(it.entry, nil):
		return errRefused
	}
	return nil
}

func (w *walk) emitErrors(errs []pathError) error {
	for _, e := range errs {
		w.failed = true
		err := fmt.Errorf("reading %s: %w", w.s.onDisk(e.rel), e.err)
		if !w.yield(tarn.Entry{Path: w.s.entryPath(e.rel)}, err) {
			return errRefused
		}
	}
	return nil
}

// run does what the task is for; a directory of more than limit names is refused.
func (t *task) run(limit int) {
	s := t.w.s
	if t.of != nil {
		d, err := s.openDir(t.rel)
		t.c = s.fillChunk(d, err, t.of, t.first)
		if err == nil {
			d.close()
		}
		return
	}
	if t.root && !t.lookAtSelf() {
		return
	}
	d, err := s.openDir(t.rel)
	if err != nil {
		t.l = &listing{rel: t.rel}
		if !errors.Is(err, fs.ErrNotExist) {
			t.l.fail(t.rel, err)
		}
		return
	}
	defer d.close()
	t.l, err = s.list(d, t.rel, t.above, t.w.recursive, limit)
	if t.large = err != nil; !t.large {
		t.c = s.fillChunk(d, nil, t.l, 0)
	}
}

// lookAtSelf makes the entry of the split itself and reports whether it is a directory.
func (t *task) lookAtSelf() bool {
	s := t.w.s
	t.self = item{entry: tarn.Entry{Path: t.at}}
	err := s.statBelow(s.below(t.rel), &t.self.entry)
	switch {
	case err != nil:
		// Only below the root is a deletion none of our business.
		t.self.gone = t.rel != "" && errors.Is(err, fs.ErrNotExist)
		t.self.err = err
		return false
	case (t.self.entry.Type == tarn.TypeDir) == (s.leaf != ""):
		t.self.err = errChanged
		return false
	}
	memo := ownerMemo{names: s.names}
	memo.name(&t.self.entry)
	return t.self.entry.Type == tarn.TypeDir
}
