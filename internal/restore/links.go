package restore

import (
	"context"
	"errors"
	"strings"
	"syscall"

	"github.com/tarn-backup/tarn"
)

// linkKey is what the names of one file have in common.
type linkKey struct {
	source      string
	inode, size uint64
	ctime       tarn.Timespec
}

func keyOf(e *tarn.Entry) linkKey {
	source, _, _ := strings.Cut(e.Path, "/")
	return linkKey{source, e.Inode, uint64(e.Size), e.CTime}
}

// leader is the name of a file with several that the others are linked to. If
// it can't be written, the next name takes its place.
type leader struct {
	path  string
	state leaderState
	wait  bool  // its content is planned, but not there yet
	err   error // why the content can't be read, if lost
}

type leaderState int

const (
	vacant leaderState = iota // the next name leads
	placed                    // or about to be
	lost                      // the content can't be read: no name helps
)

// leaderOf returns the leader of an entry's names, nil if it has only one.
func (r *run) leaderOf(e *tarn.Entry) *leader {
	if e.Inode == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.links[keyOf(e)]
	if l == nil {
		l = new(leader)
		r.links[keyOf(e)] = l
	}
	return l
}

// follows reports whether e needs no content of its own: it waits for its
// leader, or shares its fate. Otherwise it leads.
func (r *run) follows(ctx context.Context, e *tarn.Entry) (bool, error) {
	l := r.leaderOf(e)
	if l == nil {
		return false, nil
	}
	r.mu.Lock()
	state, err := l.state, l.err
	if state == vacant {
		l.path, l.state = e.Path, placed
	}
	r.mu.Unlock()
	switch state {
	case placed:
		r.window.names = append(r.window.names, e)
		return true, nil
	case lost:
		return true, r.unreadable(ctx, e.Path, err)
	}
	return false, nil
}

// placed returns where a leader is, if there is one and it is placed.
func (r *run) placed(l *leader) (path string, ok bool) {
	if l == nil {
		return "", false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return l.path, l.state == placed
}

// expect says of a leader whether its content is still to come.
func (r *run) expect(e *tarn.Entry, coming bool) {
	// Another name may lead by now, and still be to come.
	if l := r.leaderOf(e); l != nil && l.path == e.Path {
		l.wait = coming
	}
}

// abdicate makes another name the leader, if e was.
func (r *run) abdicate(e *tarn.Entry) {
	if l := r.leaderOf(e); l != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		if l.path == e.Path && l.state == placed {
			l.state = vacant
		}
	}
}

// unwritten takes the error of an entry that could not be written: another name
// of its file may be.
func (r *run) unwritten(ctx context.Context, e *tarn.Entry, err error) error {
	r.abdicate(e)
	return r.refuse(ctx, e.Path, err)
}

// unread takes the error of an entry whose content could not be read, wherever
// it lies.
func (r *run) unread(ctx context.Context, e *tarn.Entry, err error) error {
	if l := r.leaderOf(e); l != nil {
		r.mu.Lock()
		l.state, l.err = lost, err
		r.mu.Unlock()
	}
	return r.unreadable(ctx, e.Path, err)
}

// link makes e another name of its leader, or a leader if there is none left.
func (r *run) link(ctx context.Context, e *tarn.Entry) error {
	l := r.leaderOf(e)
	if l.state != placed || l.wait {
		return r.file(ctx, e)
	}
	if r.Overwrite == Never {
		if state, err := r.target.State(e); err != nil || state != Missing {
			r.result.Kept++
			return r.settle(ctx, e.Path, err)
		}
	}
	err := r.target.Link(l.path, e)
	if cannotLink(err) {
		l.state = vacant
		return r.file(ctx, e)
	}
	if err == nil {
		r.Progress.done(e.Size)
	}
	return r.refuse(ctx, e.Path, err)
}

// cannotLink reports whether a name could stand there, but not as another name
// of that file: the names lie on two file systems, or on one that has no links.
func cannotLink(err error) bool {
	for _, e := range []error{syscall.EXDEV, syscall.EMLINK, syscall.EPERM, errors.ErrUnsupported} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
