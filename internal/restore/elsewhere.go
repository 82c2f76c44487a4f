package restore

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"
)

// errNotOpen says that an archive could not be opened: no file in it can be read.
var errNotOpen = errors.New("opening")

// fetchAll fetches jobs; what has to be read from another archive goes to again.
func (r *run) fetchAll(ctx context.Context, jobs []job) error {
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(fetches)
	whole, extents := partition(jobs)
	for _, s := range r.archives.plan(ctx, whole) {
		group.Go(func() error { return r.fetch(gctx, s) })
	}
	for _, j := range extents {
		group.Go(func() error { return r.assemble(gctx, j.entry) })
	}
	return group.Wait()
}

// elsewhere takes the error of a content that could not be read where it lies,
// and plans to read it from the next archive that has it.
func (r *run) elsewhere(ctx context.Context, j job, err error) error {
	if fatal(ctx, err) {
		return err
	}
	if j.tried = append(slices.Clone(j.tried), j.at); j.err == nil {
		j.err = err
	} else {
		j.err = bothFailed(j.err, err)
	}
	places, err := r.Contents.Locations(j.entry.Content)
	if err != nil {
		return err
	}
	for _, at := range places {
		if at.Size == j.entry.Size && !slices.Contains(j.tried, at) {
			r.Log.Info("reading a content from another archive", "path", j.entry.Path, "archive", at.Archive, "error", j.err)
			j.at = at
			r.mu.Lock()
			r.again = append(r.again, j)
			r.mu.Unlock()
			return nil
		}
	}
	return r.unread(ctx, j.entry, j.err)
}

// retries takes the jobs that have to be read from another archive.
func (r *run) retries() []job {
	r.mu.Lock()
	defer r.mu.Unlock()
	jobs := r.again
	r.again = nil
	return jobs
}
