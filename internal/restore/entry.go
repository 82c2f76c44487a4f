package restore

import (
	"context"
	"fmt"
	"strings"

	"github.com/tarn-backup/tarn"
)

// windowJobs and windowBytes bound what is planned at once: enough to put the
// contents of many files in the order in which archives hold them.
const (
	windowJobs  = 1 << 14
	windowBytes = 4 << 30
)

// job is a file whose content has to be fetched.
type job struct {
	entry *tarn.Entry
	at    tarn.Location
}

// entry places one entry, or plans its content.
func (r *run) entry(ctx context.Context, e *tarn.Entry) error {
	r.Progress.current.Store(&e.Path)
	switch e.Type {
	case tarn.TypeDir:
		r.result.Dirs++
		if r.DryRun {
			return nil
		}
		return r.settle(ctx, e.Path, r.target.Mkdir(e))
	case tarn.TypeFile:
		r.result.Files++
		return r.file(ctx, e)
	}
	r.result.Others++
	return r.settle(ctx, e.Path, r.other(e))
}

// other places a link, device, FIFO or socket.
func (r *run) other(e *tarn.Entry) error {
	if r.target == nil || r.DryRun {
		return nil
	}
	state, err := r.target.State(e)
	if err != nil {
		return err
	}
	if state != Missing && r.Overwrite == Never {
		r.result.Kept++
		return nil
	}
	if e.Inode != 0 {
		if first, ok := r.links[keyOf(e)]; ok {
			return r.target.Link(first, e)
		}
		r.links[keyOf(e)] = e.Path
	}
	if e.Type == tarn.TypeSymlink {
		if state == Same {
			return r.target.SetMetadata(e)
		}
		return r.target.Symlink(e)
	}
	return r.target.Special(e)
}

func keyOf(e *tarn.Entry) linkKey {
	source, _, _ := strings.Cut(e.Path, "/")
	return linkKey{source, e.Inode, uint64(e.Size), e.CTime}
}

// file decides what a regular file needs.
func (r *run) file(ctx context.Context, e *tarn.Entry) error {
	if e.Inode != 0 {
		if first, ok := r.links[keyOf(e)]; ok {
			r.waiting = append(r.waiting, link{first, e})
			return nil
		}
		r.links[keyOf(e)] = e.Path
	}
	done, err := r.there(ctx, e)
	if err != nil || done {
		return r.settle(ctx, e.Path, err)
	}
	if e.Size == 0 {
		return r.settle(ctx, e.Path, r.empty(e))
	}
	j := job{entry: e}
	if len(e.Extents) == 0 {
		at, ok, err := r.Contents.Lookup(e.Content)
		if err != nil {
			return err
		}
		if !ok || at.Size != e.Size {
			return r.settle(ctx, e.Path, fmt.Errorf("its content %s is in no index: %w", e.Content, tarn.ErrDamaged))
		}
		j.at = at
	}
	r.window = append(r.window, j)
	r.planned += e.Size
	if len(r.window) >= windowJobs || r.planned >= windowBytes {
		return r.flush(ctx)
	}
	return nil
}

func (r *run) empty(e *tarn.Entry) error {
	r.count(e)
	if r.DryRun {
		return nil
	}
	f, err := r.target.Create(e)
	if err != nil {
		return err
	}
	return f.Commit()
}

// there reports whether the target needs nothing for e: it is right already,
// or not to be touched.
func (r *run) there(ctx context.Context, e *tarn.Entry) (bool, error) {
	if r.target == nil {
		return false, nil
	}
	state, err := r.target.State(e)
	if err != nil || state == Missing {
		return false, err
	}
	if r.Overwrite == Never {
		if state == Same {
			r.same(e)
		} else {
			r.result.Kept++
		}
		return true, nil
	}
	if state == Differs || r.Overwrite == Always {
		// Reading what is there costs less than fetching it again.
		h, size, err := r.target.HashFile(ctx, e.Path, e.Size)
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if err != nil || size != e.Size || h != e.Content && e.Size > 0 {
			return false, nil // it is replaced, whatever it is
		}
	}
	r.same(e)
	if r.DryRun {
		return true, nil
	}
	return true, r.target.SetMetadata(e)
}

func (r *run) same(e *tarn.Entry) {
	r.result.Same++
	r.Progress.done(e.Size)
}

func (r *run) count(e *tarn.Entry) {
	r.mu.Lock()
	r.result.Written++
	r.result.Bytes += e.Size
	r.mu.Unlock()
	r.Progress.done(e.Size)
}
