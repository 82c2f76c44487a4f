package restore

import (
	"context"

	"github.com/tarn-backup/tarn"
)

// windowJobs and windowBytes bound what is planned at once: enough to put the
// contents of many files in the order in which archives hold them.
const windowBytes = 4 << 30

var windowJobs = 1 << 14 // only tests change it

// earlyJobs and earlyBytes are of the first window, if nothing is being fetched
// by then. Each further one that begins early, because the fetching has caught up with the
// planning, is twice as large, so that there are few of them.
const (
	earlyJobs  = 1 << 9
	earlyBytes = 32 << 20
)

// full reports whether what is planned is to be fetched now.
func (r *run) full() bool {
	w := &r.window
	if len(w.jobs) >= windowJobs || w.bytes >= windowBytes {
		return true
	}
	idle := r.flight == nil || len(r.flight.done) > 0
	if !idle || len(w.jobs) < earlyJobs<<r.early && w.bytes < earlyBytes<<r.early {
		return false
	}
	r.early++
	return true
}

// window is what is planned while the one before is fetched.
type window struct {
	jobs  []job
	bytes int64
	names []*tarn.Entry // further ones of files, until the leader is written
}

// flight is a window that is being fetched.
type flight struct {
	window
	done chan error
}

// flush ends what was planned. Names whose leader could not be written fill
// the window again.
func (r *run) flush(ctx context.Context) error {
	for r.flight != nil || len(r.window.jobs) > 0 || len(r.window.names) > 0 || len(r.again) > 0 {
		if err := r.advance(ctx); err != nil {
			return err
		}
	}
	return nil
}

// advance ends the window that is being fetched, and begins to fetch the next,
// while the caller goes on planning.
func (r *run) advance(ctx context.Context) error {
	if err := r.land(ctx); err != nil {
		return err
	}
	w := r.window
	r.window = window{}
	if r.DryRun {
		if err := r.need(ctx, w.jobs); err != nil {
			return err
		}
		for _, j := range w.jobs {
			r.count(j.entry)
		}
		return nil
	}
	if len(w.jobs) == 0 && len(w.names) == 0 {
		return nil
	}
	f := &flight{w, make(chan error, 1)}
	r.flight = f
	go func() { f.done <- r.fetchAll(ctx, f.jobs) }()
	return nil
}

// land waits for the window that is being fetched, reads from other archives
// what has to be, then makes the further names of files that are there now.
func (r *run) land(ctx context.Context) error {
	var w window
	var err error
	if r.flight != nil {
		w, err = r.flight.window, <-r.flight.done
		r.flight = nil
	}
	for err == nil {
		left := r.retries()
		if len(left) == 0 {
			break
		}
		err = r.fetchAll(ctx, left)
	}
	if err != nil {
		return err
	}
	for _, j := range w.jobs {
		r.expect(j.entry, false)
	}
	for _, e := range w.names {
		if err := r.link(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// abandon waits for what is being fetched, with a context that has ended, so
// that nothing is written any more.
func (r *run) abandon() {
	if r.flight != nil {
		<-r.flight.done
		r.flight = nil
	}
}
