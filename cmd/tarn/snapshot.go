package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tarn-backup/tarn/internal/browse"
	"github.com/tarn-backup/tarn/internal/repo"
)

// withSnapshot opens the repository for a command whose arguments are a
// snapshot and paths in it, each of which must be there.
func (g *globals) withSnapshot(ctx context.Context, f *browse.Filter, args []string, do func(o *opened, s *repo.Snapshot, paths []string) error) error {
	return g.with(ctx, func(o *opened) error {
		s, err := browse.Find(ctx, o.Repo, args[0], *f)
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
