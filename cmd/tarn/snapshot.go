package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/browse"
	"github.com/tarn-backup/tarn/internal/repo"
)

// withSnapshot opens the repository for a command whose arguments are a
// snapshot and paths in it, each of which must be there.
func (g *globals) withSnapshot(ctx context.Context, f *browse.Filter, args []string, do func(o *opened, s *repo.Snapshot, paths []string) error) error {
	return g.with(ctx, func(o *opened) error {
		s, err := g.chosen(ctx, o, args[0], *f)
		if err != nil {
			return err
		}
		paths, err := browse.CleanPaths(args[1:])
		if err != nil {
			return err
		}
		for _, p := range paths {
			if _, err := browse.Entry(ctx, o.Repo, s, p); err != nil {
				return err
			}
		}
		return do(o, s, paths)
	})
}

// chosen returns the snapshot that name means. The latest is the latest that is
// authentic: what somebody else has put beside it is named in a warning, and
// passed over. One that only another identity can tell to be authentic is an error.
func (g *globals) chosen(ctx context.Context, o *opened, name string, f browse.Filter) (*repo.Snapshot, error) {
	var first tarn.SnapshotID
	var why error
	n := 0
	s, err := browse.FindReadable(ctx, o.Repo, name, f, func(id tarn.SnapshotID, err error) error {
		cold := errors.Is(err, tarn.ErrCold) || errors.Is(err, tarn.ErrThawing) // where no machine of ours puts one
		if (repo.Worthless(err) || cold) && !ofAll(err) {
			if n++; n == 1 {
				first, why = id, err
			}
			return nil
		}
		return fmt.Errorf("%w (it may be the one that %q means; name an older one by its id)", err, name)
	})
	if err != nil && errors.Is(why, repo.ErrColdMetadata) {
		return nil, hinted{fmt.Errorf("%w; %s: %w", err, first, why), hintFor(why)}
	}
	if n > 0 {
		g.log.Warn("passing over what is no authentic snapshot (see `tarn check`)", "object", o.SnapshotKey(first), "and_more", n-1, "error", why)
	}
	if err != nil && errors.Is(why, repo.ErrColdMetadata) {
		err = fmt.Errorf("%w: %w", err, why)
	}
	return s, err
}

// problems returns what shows a file's problem when it comes, above the bar
// that *bar is by then. It may be called from several goroutines.
func (g *globals) problems(bar **progress) func(path string, err error) {
	var mu sync.Mutex
	return func(path string, err error) {
		if errors.Is(err, context.Canceled) {
			return // the run was ended: that is nothing of this file's
		}
		mu.Lock()
		defer mu.Unlock()
		if g.json {
			g.printJSON(map[string]string{"type": "problem", "path": path, "error": err.Error()})
			return
		}
		(*bar).print(g, fmt.Sprintf("tarn: %s: %s", printable(path), printableError(err)))
	}
}
