package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/catalog"
)

// Access says how near an archive is.
type Access struct {
	Readable bool // now
	// Rank orders the archives that have the same content: the lowest is read.
	Rank int
	// Until is when it ends to be readable; the zero time means never.
	Until time.Time
	// Err says why nothing of it can ever be read: what needs it is a problem then.
	Err error
}

// errFrozen is the error of a content that lies in no archive that can be read now.
var errFrozen = fmt.Errorf("its archive is not readable yet: %w", tarn.ErrCold)

// locate finds the nearest place of a content. Of several that are as near it
// takes one that is wanted anyway, so that as few as can be are thawed.
func (a *archives) locate(c *catalog.Contents, h tarn.ContentHash) (best tarn.Location, ok bool, err error) {
	if a.access == nil {
		return c.Lookup(h)
	}
	places, err := c.Locations(h)
	if err != nil || len(places) == 0 {
		return best, false, err
	}
	best = slices.MinFunc(places, func(x, y tarn.Location) int {
		return cmp.Or(cmp.Compare(a.access(x.Archive).Rank, a.access(y.Archive).Rank), a.unwanted(x.Archive)-a.unwanted(y.Archive))
	})
	return best, true, nil
}

// unwanted is 0 for an archive that is wanted already, else 1.
func (a *archives) unwanted(id tarn.ArchiveID) int {
	if a.wanted[id] != nil {
		return 0
	}
	return 1
}

// sooner compares archives by when they end to be readable.
func (a *archives) sooner(x, y tarn.ArchiveID) int {
	if a.access == nil || x == y {
		return 0
	}
	s, t := a.access(x).Until, a.access(y).Until
	if s.IsZero() || t.IsZero() {
		return cmp.Compare(btoi(s.IsZero()), btoi(t.IsZero()))
	}
	return s.Compare(t)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// frozen returns an error if the content of a job can't be read now. A plan
// does not ask.
func (r *run) frozen(j job) error {
	if r.Access == nil || r.needs != nil {
		return nil
	}
	if len(j.entry.Extents) == 0 {
		return r.Access(j.at.Archive).readable()
	}
	for _, x := range j.entry.Extents {
		at, ok, err := r.archives.locate(r.Contents, x.Content)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := r.Access(at.Archive).readable(); err != nil {
			return err
		}
	}
	return nil
}

// readable returns an error if the archive can't be read now.
func (a Access) readable() error {
	switch {
	case a.Err != nil:
		return a.Err
	case !a.Readable:
		return errFrozen
	}
	return nil
}

// readable returns an error if an archive can't be read now.
func (a *archives) readable(id tarn.ArchiveID) error {
	if a.access == nil {
		return nil
	}
	return a.access(id).readable()
}

// Waits reports whether a content is whole, as far as anybody knows, and only can't be
// read now.
func Waits(err error) bool {
	return (errors.Is(err, tarn.ErrCold) || errors.Is(err, tarn.ErrThawing)) && !errors.Is(err, tarn.ErrDamaged)
}

// unreadable is settle for a content that could not be read: if it only is not
// readable yet, or not any more, that is no problem of the file's.
func (r *run) unreadable(ctx context.Context, path string, err error) error {
	if r.Access == nil || !Waits(err) || fatal(ctx, err) {
		return r.settle(ctx, path, err)
	}
	r.mu.Lock()
	r.result.Frozen++
	r.mu.Unlock()
	if r.Frozen != nil {
		r.Frozen(path, err)
	}
	return nil
}

// Need is what a restore reads of one archive.
type Need struct {
	Archive       tarn.ArchiveID
	Gets, Fetched int64 // requests, and bytes of the object
	Files, Bytes  int64 // that have content in it
}

// Needs returns what Run would read, by archive, and changes nothing. What is
// in the target already and right needs nothing. The archives are those that
// Config.Access ranks lowest, whether they can be read now or not.
func Needs(ctx context.Context, cfg Config) ([]Need, *Result, error) {
	began := time.Now()
	if _, err := cfg.Repo.Identities(); err != nil {
		return nil, nil, err // before anything is spent on what could not be read
	}
	cfg.DryRun, cfg.Delete, cfg.Verify = true, false, false
	cfg.Progress = nil
	r := newRun(cfg)
	r.needs = map[tarn.ArchiveID]*Need{}
	r.archives.wanted = r.needs
	if err := r.open(ctx); err != nil {
		return nil, nil, err
	}
	res, err := r.finish(began, r.all(ctx))
	if err != nil {
		return nil, nil, err
	}
	var list []Need
	for _, id := range slices.Sorted(maps.Keys(r.needs)) {
		if n := r.needs[id]; n.Gets > 0 {
			list = append(list, *n)
		}
	}
	return list, res, nil
}

// need counts what fetching jobs would read. What can't be opened is no need,
// but a problem of the run that fetches.
func (r *run) need(ctx context.Context, jobs []job) error {
	if r.needs == nil {
		return nil
	}
	whole, extents := partition(jobs)
	for _, s := range r.archives.plan(ctx, whole) {
		start := s.jobs[0].at.Offset
		r.needOf(ctx, s.archive, start, s.end-start)
	}
	for _, j := range extents {
		for _, x := range j.entry.Extents {
			at, ok, err := r.archives.locate(r.Contents, x.Content)
			if err != nil {
				return err
			}
			if ok {
				n := r.wants(at.Archive)
				n.Files, n.Bytes = n.Files+1, n.Bytes+x.Length
				r.needOf(ctx, at.Archive, at.Offset+x.Offset, x.Length)
			}
		}
	}
	return ctx.Err()
}

// needOf counts one request for a stretch of an archive.
func (r *run) needOf(ctx context.Context, id tarn.ArchiveID, offset, length int64) {
	n := r.wants(id)
	a, err := r.archives.get(ctx, id)
	if err != nil {
		r.Log.Info("planning without an archive that can't be opened", "archive", id, "error", err)
		return
	}
	_, bytes := a.Cost(offset, length)
	n.Gets++
	n.Fetched += bytes
}

// wants returns the need of an archive.
func (r *run) wants(id tarn.ArchiveID) *Need {
	n := r.needs[id]
	if n == nil {
		n = &Need{Archive: id}
		r.needs[id] = n
	}
	return n
}

// RunByExpiry is Run for archives whose copies end at several times. It fetches
// what ends first from all of the snapshot before it begins with the rest.
func RunByExpiry(ctx context.Context, cfg Config, ends []time.Time) (*Result, error) {
	var early Result
	for _, end := range ends[:max(len(ends)-1, 0)] {
		pass := cfg
		pass.Delete, pass.Verify, pass.Sync, pass.Problem, pass.Frozen = false, false, false, nil, nil
		pass.Access = func(id tarn.ArchiveID) Access {
			a := cfg.Access(id)
			a.Readable = a.Readable && !a.Until.IsZero() && !a.Until.After(end)
			return a
		}
		res, err := Run(ctx, pass)
		if err != nil {
			return nil, err
		}
		early.add(res)
		if cfg.Progress != nil {
			cfg.Progress.reset()
		}
	}
	res, err := Run(ctx, cfg)
	if err != nil {
		return nil, err
	}
	res.Same -= early.Written // which this run has found in their places
	res.add(&early)
	return res, nil
}

// add adds what another pass has done.
func (r *Result) add(o *Result) {
	r.Written += o.Written
	r.Bytes += o.Bytes
	r.Fetched += o.Fetched
	r.Requests += o.Requests
	r.Duration += o.Duration
	if r.Reads == nil {
		r.Reads = map[string]Read{}
	}
	for key, n := range o.Reads {
		n.Requests += r.Reads[key].Requests
		n.Bytes += r.Reads[key].Bytes
		r.Reads[key] = n
	}
}
