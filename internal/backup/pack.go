package backup

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/scan"
)

// packer takes a split's items in order, and makes its tree and its archives.
type packer struct {
	r      *run
	ctx    context.Context // of the split; a packer lives no longer
	source *scan.Source
	split  scan.Split
	parent repo.Split // of the split; zero if none
	hasOld bool

	tree   *repo.TreeWriter // nil as long as nothing differs from the parent
	same   int64            // entries so far, while tree is nil
	marks  *repo.MarkWriter // of these, if the parent's tree has none
	counts repo.Counts
	dirs   []newDir
	out    *output // nil if no archive is open
	asked  members // of the archive that was asked for last
	rest   int64   // of the item that is stored, as that says

	planned planned // archive of a dry run
	differs bool    // a dry run has found a difference from the parent
}

// newDir is a directory that the parent does not have, and whether it is in
// the open archive.
type newDir struct {
	entry   tarn.Entry
	written bool
}

func (r *run) newPacker(ctx context.Context, s *scan.Source, sp scan.Split) *packer {
	p := &packer{r: r, ctx: ctx, source: s, split: sp}
	p.parent, p.hasOld = r.parents[sp.Path]
	if p.hasOld && !r.Repo.HasTree(p.parent.Tree) {
		p.hasOld = false
	}
	return p
}

// pack takes all items, ends the open archive and the tree.
func (p *packer) pack(queue <-chan *item) error {
	for it := range queue {
		if err := it.wait(p.ctx); err != nil {
			return err
		}
		err := p.item(it)
		p.r.budget.release(it)
		if err != nil {
			return err
		}
	}
	if err := p.ctx.Err(); err != nil {
		return err
	}
	if err := p.cut(); err != nil {
		return err
	}
	return p.finish()
}

// item stores what is new of an entry, and adds the entry to the tree.
func (p *packer) item(it *item) error {
	if it.passed.entries > 0 {
		p.pass(&it.passed)
		return nil
	}
	e := &it.entry
	p.rest = it.rest
	p.r.Progress.current.Store(&e.Path)
	err := it.err
	if err == nil && !it.same {
		err = p.store(it)
	}
	var gone *lostError
	switch {
	case errors.As(err, &gone):
		return gone.err
	case err != nil:
		p.r.problem(e.Path, err)
		return p.keepOld(it)
	}
	p.r.count(it)
	if e.Type != tarn.TypeDir {
		p.r.Progress.done(e.Size - it.shown)
	}
	return p.add(e, it.same && !it.gap)
}

// pass takes entries over that are the parent's, and come before any that is not.
func (p *packer) pass(list *passed) {
	p.same += list.entries
	p.counts = p.counts.Plus(list.counts)
	p.r.mu.Lock()
	// A source's own directory is there before anything of it can be read.
	p.r.seen = p.r.seen || list.entries > 1 || strings.Contains(p.split.Path, "/")
	p.r.result.Unchanged += list.counts.Files + list.counts.Others
	p.r.mu.Unlock()
	p.r.Progress.passed(list.counts)
}

// lostError ends the run: the archive, the repository or the machine failed,
// not a file of the source.
type lostError struct{ err error }

func (l *lostError) Error() string { return l.err.Error() }

func lost(err error) error {
	if err == nil {
		return nil
	}
	return &lostError{err}
}

// keepOld goes on with the parent's version of a file that could not be read
// now, if there is one: an older state of it is better than none, and the
// snapshot names the problem.
func (p *packer) keepOld(it *item) error {
	if it.old == nil {
		if it.gap && p.tree == nil && p.hasOld && !p.r.DryRun {
			return p.beginTree() // which an item after a gap begins, also if nothing is left of it
		}
		return nil
	}
	p.r.mu.Lock()
	p.r.result.Unchanged++
	p.r.mu.Unlock()
	return p.add(it.old, !it.gap)
}

// count counts an entry for the result.
func (r *run) count(it *item) {
	if it.entry.Type == tarn.TypeDir && !strings.Contains(it.entry.Path, "/") {
		return // a source is there before anything of it can be read
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = r.seen || !it.kept
	if it.entry.Type == tarn.TypeDir {
		return
	}
	if it.again {
		r.result.Again++
	}
	switch {
	case it.same, it.again && it.entry.Content == it.old.Content:
		r.result.Unchanged++
	case it.old == nil:
		r.result.New++
	default:
		r.result.Changed++
	}
}

// add appends an entry to the split's tree. As long as every entry is the
// parent's, no tree is written: in the end it may be the same one.
func (p *packer) add(e *tarn.Entry, same bool) error {
	p.counts.Add(e)
	if p.r.DryRun {
		p.differs = p.differs || !p.hasOld || !same
		return nil
	}
	if p.tree == nil && p.hasOld && same {
		return p.mark(e)
	}
	if p.tree == nil {
		if err := p.beginTree(); err != nil {
			return err
		}
	}
	return p.tree.Add(e)
}

// mark takes over an entry that is the parent's by comparison with its tree,
// whose marks this machine does not have then: it makes them.
func (p *packer) mark(e *tarn.Entry) (err error) {
	if p.same == 0 {
		if p.marks, err = p.r.Repo.NewMarks(); err != nil {
			return err
		}
	}
	p.same++
	if p.marks != nil {
		p.marks.Add(e)
	}
	return nil
}

// keepMarks keeps those of the parent's tree, or gives up what is begun.
func (p *packer) keepMarks(whole bool) error {
	m := p.marks
	p.marks = nil
	switch {
	case m == nil:
		return nil
	case whole:
		return m.Keep(p.parent.Tree)
	}
	return m.Discard()
}

// beginTree begins a tree with the entries that were the parent's so far: its
// first p.same ones, since an item after a gap in them begins the tree.
func (p *packer) beginTree() (err error) {
	if err := p.keepMarks(false); err != nil {
		return err
	}
	if p.tree, err = p.r.Repo.NewTree(); err != nil || !p.hasOld {
		return err
	}
	left := p.same
	for e, err := range p.r.Repo.Tree(p.ctx, p.parent) {
		if err != nil {
			return err
		}
		if left == 0 {
			break
		}
		left--
		if err := p.tree.Add(e); err != nil {
			return err
		}
	}
	return nil
}

// finish ends the tree and names the split in the snapshot.
func (p *packer) finish() error {
	sp := repo.Split{Path: p.split.Path, Counts: p.counts}
	isNew := false
	switch {
	case p.r.DryRun:
		isNew = p.differs || !p.hasOld || p.counts != p.parent.Counts
	case p.tree == nil && p.hasOld && p.counts == p.parent.Counts:
		sp.Tree, sp.Size = p.parent.Tree, p.parent.Size
		if err := p.keepMarks(true); err != nil {
			return err
		}
	default:
		if p.tree == nil {
			if err := p.beginTree(); err != nil {
				return err
			}
		}
		t, err := p.tree.Finish()
		if err != nil {
			return err
		}
		sp.Tree, sp.Size = t.ID, t.Size
		isNew = !p.hasOld || t.ID != p.parent.Tree
	}
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	p.r.splits = append(p.r.splits, sp)
	if isNew {
		p.r.trees = append(p.r.trees, sp.Tree)
		p.r.result.Trees++
		p.r.result.Noted += sp.Files + sp.Dirs + sp.Others
	}
	return nil
}

// abandon gives up what is open when the run fails.
func (p *packer) abandon(err error) {
	if p.tree != nil {
		p.tree.Discard()
	}
	p.keepMarks(false)
	if p.out != nil {
		p.out.fail(fmt.Errorf("giving up archive %s: %w", p.out.id, err))
		p.out = nil
	}
}
