package restore

import (
	"context"
	"fmt"
	"strings"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/repo"
)

// verify reads every file of the snapshot in the target.
func (r *run) verify(ctx context.Context) error {
	for e, err := range r.Repo.Entries(ctx, r.Snapshot, r.Paths) {
		if err != nil {
			continue // all has reported it
		}
		if e.Type != tarn.TypeFile {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		h, size, err := r.target.HashFile(ctx, e.Path, e.Size)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil && (size != e.Size || size > 0 && h != e.Content) {
			err = fmt.Errorf("its content is not that of the snapshot: %w", tarn.ErrDamaged)
		}
		if err != nil {
			r.problem(e.Path, err)
			continue
		}
		r.result.Verified++
	}
	return nil
}

// deleteExtra removes what the snapshot does not have from the directories
// that were restored. It walks the snapshot once more, and keeps the names of
// the directories on the way to the current entry.
func (r *run) deleteExtra(ctx context.Context) error {
	if r.target == nil {
		return nil
	}
	for _, sp := range r.Snapshot.Splits {
		if err := r.deleteInSplit(ctx, sp); err != nil {
			return err
		}
	}
	return nil
}

// openDir is a directory whose names are being collected.
type openDir struct {
	path  string
	names map[string]bool
}

func (r *run) deleteInSplit(ctx context.Context, sp repo.Split) error {
	one := *r.Snapshot
	one.Splits = []repo.Split{sp}
	var stack []openDir
	pop := func(path string) error {
		for n := len(stack); n > 0 && (path == "" || !tarn.Within(path, stack[n-1].path)); n = len(stack) {
			if err := r.deleteIn(ctx, stack[n-1]); err != nil {
				return err
			}
			stack = stack[:n-1]
		}
		return nil
	}
	for e, err := range r.Repo.Entries(ctx, &one, r.Paths) {
		if err != nil {
			return nil // a tree that can't be read is no reason to delete
		}
		if err := pop(e.Path); err != nil {
			return err
		}
		if n := len(stack); n > 0 {
			stack[n-1].names[e.Path[len(stack[n-1].path)+1:]] = true
		}
		if e.Type == tarn.TypeDir {
			stack = append(stack, openDir{e.Path, r.childSplits(e.Path)})
		}
	}
	return pop("")
}

// childSplits names the directories directly in dir that are splits of their own.
func (r *run) childSplits(dir string) map[string]bool {
	names := map[string]bool{}
	for _, sp := range r.Snapshot.Splits {
		if i := strings.LastIndexByte(sp.Path, '/'); i >= 0 && sp.Path[:i] == dir {
			names[sp.Path[i+1:]] = true
		}
	}
	return names
}

// unread reports whether the backup could not read the path, or something that
// leads to it: that the snapshot does not have it then says nothing.
func (r *run) unread(path string) bool {
	for _, e := range r.Snapshot.Errors {
		if tarn.Within(path, e.Path) || tarn.Within(e.Path, path) {
			return true
		}
	}
	return r.Snapshot.ErrorCount > len(r.Snapshot.Errors)
}

func (r *run) deleteIn(ctx context.Context, d openDir) error {
	for name, err := range r.target.Extra(d.path) {
		if err == nil && d.names[name] {
			continue
		}
		path := d.path + "/" + name
		if err == nil && r.unread(path) {
			continue
		}
		if err == nil {
			r.result.Deleted++
			if !r.DryRun {
				err = r.target.Remove(path)
			}
		}
		if err := r.settle(ctx, path, err); err != nil {
			return err
		}
	}
	return nil
}
