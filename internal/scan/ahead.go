package scan

import (
	"container/heap"
	"context"
	"math"
	"runtime"
	"sync"

	"github.com/tarn-backup/tarn"
)

const (
	// aheadUnits bounds what is read ahead and not yet reached, in names and
	// entries, which take about 300 bytes together.
	aheadUnits = 32 << 10
	// taskUnits is what a task weighs beside them.
	taskUnits = 8
	// aheadNames is how many names of one directory are read ahead; a larger
	// directory waits until the walk has come to it.
	aheadNames = 32 << 10
)

// ahead reads directories before the walks of a source come to them: always the one that
// comes first in order, which is the one that will be needed first. There are
// no workers when there is nothing to read.
type ahead struct {
	mu      sync.Mutex
	waiting tasks
	workers int
	held    int // units
	closed  bool
	running sync.WaitGroup

	maxUnits, maxNames int // aheadUnits and aheadNames, but in tests

	pools
}

func newAhead() *ahead { return &ahead{maxUnits: aheadUnits, maxNames: aheadNames} }

// maxWorkers is more than there are processors, so that a cold disk or a
// network has several requests at a time.
func maxWorkers() int { return max(4, runtime.GOMAXPROCS(0)) }

// task is one thing to read: a directory with its first chunk, or a further chunk.
type task struct {
	w     *walk
	at    string // entry path where its result begins
	rel   string // directory
	above *rules
	root  bool     // of the walk: look at the directory itself, too
	in    *listing // that the directory is in; nil if root
	of    *listing // of a further chunk, else nil
	first int      // of a further chunk: its first name

	self  item // if root
	l     *listing
	c     *chunk
	large bool // refused: has more names than are read ahead

	// Under ahead.mu:
	index int // in waiting, or -1
	begun bool
	units int // held for the result
	done  chan struct{}
}

// tasks is a heap, first in order on top.
type tasks []*task

func (ts tasks) Len() int           { return len(ts) }
func (ts tasks) Less(i, j int) bool { return tarn.ComparePaths(ts[i].at, ts[j].at) < 0 }
func (ts tasks) Swap(i, j int) {
	ts[i], ts[j] = ts[j], ts[i]
	ts[i].index, ts[j].index = i, j
}

// Push implements heap.Interface.
func (ts *tasks) Push(x any) {
	t := x.(*task)
	t.index = len(*ts)
	*ts = append(*ts, t)
}

// Pop implements heap.Interface.
func (ts *tasks) Pop() any {
	last := len(*ts) - 1
	t := (*ts)[last]
	(*ts)[last] = nil
	*ts = (*ts)[:last]
	t.index = -1
	return t
}

// close waits for what is being read; nothing is begun any more.
func (a *ahead) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.running.Wait()
}

// enter puts a task in line. All of the following up to work are called under a.mu.
func (a *ahead) enter(t *task) {
	if !t.w.stopped && !t.begun && t.index < 0 {
		heap.Push(&a.waiting, t)
	}
}

// noLimit is for directories that the walk has come to.
const noLimit = math.MaxInt

// begin takes a task out of line and puts its successor in: one task of
// each kind per listing is in line at a time, or a directory of a million
// directories would fill the memory with tasks.
func (a *ahead) begin(t *task) {
	if t.index >= 0 {
		heap.Remove(&a.waiting, t.index)
	}
	t.begun = true
	switch {
	case t.of != nil:
		a.enterChunk(t.w, t.of)
	case t.in != nil:
		a.enterDir(t.w, t.in)
	}
}

// enterDir makes the task of the listing's next directory.
func (a *ahead) enterDir(w *walk, l *listing) {
	if l.nextDir == len(l.dirs) {
		return
	}
	rel := join(l.rel, string(l.at(int(l.dirs[l.nextDir]))))
	t := &task{w: w, at: w.s.entryPath(rel), rel: rel, above: l.rules, in: l, index: -1}
	l.nextDir++
	l.dirTasks = append(l.dirTasks, t)
	a.enter(t)
}

// enterChunk makes the task of the listing's next chunk.
func (a *ahead) enterChunk(w *walk, l *listing) {
	if l.nextName >= len(l.refs) {
		return
	}
	at := w.s.entryPath(join(l.rel, string(l.at(l.nextName))))
	t := &task{w: w, at: at, rel: l.rel, of: l, first: l.nextName, index: -1}
	l.nextName += l.chunk
	l.chunkTasks = append(l.chunkTasks, t)
	a.enter(t)
}

// finish puts in line what the result of a task leads to.
func (a *ahead) finish(t *task) {
	if t.of == nil && t.l != nil {
		t.l.nextName = t.l.chunk
		a.enterChunk(t.w, t.l)
		a.enterDir(t.w, t.l)
	}
	a.wake()
}

// wake starts a worker if there is something for it to do.
func (a *ahead) wake() {
	if !a.closed && a.workers < maxWorkers() && len(a.waiting) > 0 && a.held < a.maxUnits {
		a.workers++
		a.running.Go(a.work)
	}
}

// work reads until nothing is in line or enough is read.
func (a *ahead) work() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for !a.closed && len(a.waiting) > 0 && a.held < a.maxUnits {
		t := a.waiting[0]
		t.done = make(chan struct{})
		a.begin(t)
		a.wake()
		a.mu.Unlock()
		t.run(a.maxNames)
		a.mu.Lock()
		if !t.w.stopped {
			t.units = t.weight()
			t.w.held += t.units
			a.held += t.units
			if !t.large {
				a.finish(t)
			}
		}
		close(t.done)
	}
	a.workers--
}

func (t *task) weight() int {
	n := taskUnits
	if t.c != nil {
		n += len(t.c.items)
	}
	if t.of == nil && t.l != nil {
		n += len(t.l.refs)
	}
	return n
}

// take returns when the task has its result: read ahead, or by the caller now.
func (a *ahead) take(ctx context.Context, t *task) error {
	a.mu.Lock()
	if t.begun {
		a.mu.Unlock()
		select {
		case <-t.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		a.mu.Lock()
		a.release(t)
		a.wake()
		if !t.large {
			a.mu.Unlock()
			return nil
		}
	} else {
		a.begin(t)
		a.wake()
	}
	a.mu.Unlock()
	t.run(noLimit)
	a.mu.Lock()
	a.finish(t)
	a.mu.Unlock()
	return nil
}

// shift takes the next task from a listing's; nil if there is none.
func (a *ahead) shift(ts *[]*task) *task {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(*ts) == 0 {
		return nil
	}
	t := (*ts)[0]
	(*ts)[0] = nil
	*ts = (*ts)[1:]
	return t
}

// release gives back the units of a task, under a.mu.
func (a *ahead) release(t *task) {
	a.held -= t.units
	t.w.held -= t.units
	t.units = 0
}

// stop forgets what was read ahead for a walk that ends.
func (a *ahead) stop(w *walk) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if w.stopped {
		return
	}
	w.stopped = true
	a.held -= w.held
	w.held = 0
	kept := a.waiting[:0]
	for _, t := range a.waiting {
		if t.w == w {
			t.index = -1
			continue
		}
		t.index = len(kept)
		kept = append(kept, t)
	}
	clear(a.waiting[len(kept):])
	if len(kept) < len(a.waiting) {
		a.waiting = kept
		heap.Init(&a.waiting)
	}
	a.wake()
}
