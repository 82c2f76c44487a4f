package restore

import (
	"context"
	"fmt"

	"github.com/tarn-backup/tarn"
)

// job is a file whose content has to be fetched.
type job struct {
	entry *tarn.Entry
	at    tarn.Location
	tried []tarn.Location // before at, in vain
	err   error           // of those
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
		return r.refuse(ctx, e.Path, r.target.Mkdir(e))
	case tarn.TypeFile:
		r.result.Files++
		if err := r.file(ctx, e); err != nil {
			return err
		}
		if r.full() {
			return r.advance(ctx)
		}
		return nil
	}
	r.result.Others++
	return r.refuse(ctx, e.Path, r.other(e))
}

// other places a link, device, FIFO or socket.
func (r *run) other(e *tarn.Entry) error {
	if r.target == nil || r.DryRun {
		return nil
	}
	state, err := r.state(e)
	if err != nil {
		return err
	}
	if state != Missing && r.Overwrite == Never {
		r.result.Kept++
		return nil
	}
	l := r.leaderOf(e)
	if path, ok := r.placed(l); ok {
		if err := r.target.Link(path, e); !cannotLink(err) {
			return err
		}
	}
	switch {
	case e.Type == tarn.TypeSymlink && state == Same:
		err = r.target.SetMetadata(e)
	case e.Type == tarn.TypeSymlink:
		err = r.target.Symlink(e)
	default:
		err = r.target.Special(e)
	}
	if l != nil && err == nil {
		r.mu.Lock()
		l.path, l.state = e.Path, placed
		r.mu.Unlock()
	}
	return err
}

// file decides what a regular file needs.
func (r *run) file(ctx context.Context, e *tarn.Entry) error {
	if waits, err := r.follows(ctx, e); waits || err != nil {
		return err
	}
	done, err := r.there(ctx, e)
	if err == nil && !done {
		err = r.inTheWay(e)
	}
	switch {
	case err != nil:
		return r.unwritten(ctx, e, err)
	case done:
		return nil
	case r.refused.covers(e.Path):
		return r.unwritten(ctx, e, errRefused)
	case e.Size > 0:
		return r.want(ctx, e)
	}
	if err := r.empty(e); err != nil {
		return r.unwritten(ctx, e, err)
	}
	return nil
}

// want plans to fetch the content of a file.
func (r *run) want(ctx context.Context, e *tarn.Entry) error {
	j := job{entry: e}
	if len(e.Extents) == 0 {
		at, ok, err := r.archives.locate(r.Contents, e.Content)
		if err != nil {
			return err
		}
		if !ok {
			return r.unread(ctx, e, errNowhere(e.Content))
		}
		if j.at = at; at.Size != e.Size {
			return r.elsewhere(ctx, j, fmt.Errorf("archive %s has %d bytes of content %s, %d were recorded: %w", at.Archive, at.Size, e.Content, e.Size, tarn.ErrDamaged))
		}
	}
	if err := r.frozen(j); err != nil {
		return r.unread(ctx, e, err)
	}
	if r.needs != nil && len(e.Extents) == 0 {
		n := r.wants(j.at.Archive)
		n.Files, n.Bytes = n.Files+1, n.Bytes+e.Size
	}
	r.expect(e, true)
	r.window.jobs = append(r.window.jobs, j)
	r.window.bytes += e.Size
	return nil
}

// inTheWay tells a dry run of a folder that would be in the way of a file.
func (r *run) inTheWay(e *tarn.Entry) error {
	if !r.DryRun || r.target == nil {
		return nil
	}
	filled, err := r.target.Filled(e.Path)
	switch {
	case err != nil || !filled:
		return err
	case r.del == nil || r.Overwrite != Always:
		return ErrFilled
	}
	return r.del.clear(e.Path)
}

func (r *run) empty(e *tarn.Entry) error {
	r.count(e)
	if r.DryRun {
		return nil
	}
	return r.target.WriteFile(e, nil)
}

// there reports whether the target needs nothing for e: it is right already,
// or not to be touched.
func (r *run) there(ctx context.Context, e *tarn.Entry) (bool, error) {
	if r.target == nil {
		return false, nil
	}
	state, err := r.state(e)
	if err != nil || state == Missing {
		return false, err
	}
	if r.Overwrite == Never {
		if state == Same {
			r.same(e)
		} else {
			r.result.Kept++
			r.abdicate(e) // other names of the file must not become those of this one
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

// state looks at what stands at e's path, unless that can be nothing; if it
// may be replaced, what someone put there in the meantime is, unseen.
func (r *run) state(e *tarn.Entry) (State, error) {
	if r.Overwrite != Never && r.target.Fresh(e.Path) {
		return Missing, nil
	}
	return r.target.State(e)
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
