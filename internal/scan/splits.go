package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
)

// Split names a split of a source: the unit that archives and trees are kept by.
type Split struct {
	// Path is the entry path of the split's directory.
	Path string
	// Recursive says that the split is the directory with all that is below;
	// else it is the directory's own entry and what in it is no directory.
	Recursive bool

	begun *walk // of Splits, for the first Entries
}

// Splits yields the splits of the source in the order of tarn.ComparePaths.
// Directories at the split depth are recursive splits; each directory above it is a split
// of its own. Each entry of the source is in exactly one split. Only the end
// of ctx is an error here, and ends the sequence: what can't be read is told by Entries.
func (s *Source) Splits(ctx context.Context) iter.Seq2[Split, error] {
	return func(yield func(Split, error) bool) {
		p := &splitter{s: s}
		p.add("", nil, 0)
		defer p.close()
		for {
			if err := ctx.Err(); err != nil {
				yield(Split{}, fmt.Errorf("reading source %s: %w", s.cfg.Name, err))
				return
			}
			w := p.next()
			if w == nil {
				return
			}
			if !yield(Split{Path: w.top.at, Recursive: w.recursive, begun: w}, nil) {
				return
			}
		}
	}
}

// splitsAhead is how many splits beyond the current one may be read ahead.
const splitsAhead = 64

// splitter finds the splits of one iteration, some more than were yielded,
// and has those read ahead once a caller turned out to want their entries.
type splitter struct {
	s      *Source
	stack  []splitFrame
	window []*walk
	active bool // under ahead.mu, as is window when active is read
}

// splitFrame is a directory above the split depth.
type splitFrame struct {
	l    *listing
	next int // in l.dirs
}

// activate begins to read ahead.
func (p *splitter) activate() {
	a := p.s.ahead
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.active {
		return
	}
	p.active = true
	for _, w := range p.window {
		a.enter(w.top)
	}
	a.wake()
}

// next returns the next walk, or nil after the last.
func (p *splitter) next() *walk {
	for len(p.window) <= splitsAhead && p.advance() {
	}
	if len(p.window) == 0 {
		return nil
	}
	a := p.s.ahead
	a.mu.Lock()
	defer a.mu.Unlock()
	w := p.window[0]
	p.window[0] = nil
	p.window = p.window[1:]
	return w
}

// advance finds one more split and reports whether there may be another.
func (p *splitter) advance() bool {
	for len(p.stack) > 0 {
		f := &p.stack[len(p.stack)-1]
		if f.next == len(f.l.dirs) {
			p.stack[len(p.stack)-1] = splitFrame{}
			p.stack = p.stack[:len(p.stack)-1]
			continue
		}
		rel := join(f.l.rel, string(f.l.at(int(f.l.dirs[f.next]))))
		f.next++
		p.add(rel, f.l.rules, len(p.stack))
		return true
	}
	return false
}

// add puts the split of a directory into the window and, if it lies above the
// split depth, goes into it.
func (p *splitter) add(rel string, above *rules, depth int) {
	w := p.s.newWalk(rel, depth == p.s.cfg.SplitDepth || p.s.leaf != "", above)
	w.from = p
	if !w.recursive {
		l, err := p.list(rel, above)
		if err == nil {
			w.late = l.errs
			p.stack = append(p.stack, splitFrame{l: l})
		} else if !errors.Is(err, fs.ErrNotExist) {
			w.late = []pathError{{rel, err}}
		}
	}
	a := p.s.ahead
	a.mu.Lock()
	defer a.mu.Unlock()
	p.window = append(p.window, w)
	if p.active {
		a.enter(w.top)
		a.wake()
	}
}

func (p *splitter) list(rel string, above *rules) (*listing, error) {
	d, err := p.s.openDir(rel)
	if err != nil {
		return nil, err
	}
	defer d.close()
	return p.s.list(d, rel, above, true, noLimit)
}

// close forgets the splits that were not yielded.
func (p *splitter) close() {
	for _, w := range p.window {
		p.s.ahead.stop(w)
	}
}

// rulesAbove reads the ignore files above a directory. What is wrong with one is told
// where its own directory is walked.
func (s *Source) rulesAbove(rel string) *rules {
	if s.cfg.IgnoreFile == "" || rel == "" {
		return nil
	}
	parent, _ := cut(rel)
	above := s.rulesAbove(parent)
	d, err := s.openDir(parent)
	if err != nil {
		return above
	}
	defer d.close()
	above, _ = s.readRules(d, parent, above)
	return above
}
