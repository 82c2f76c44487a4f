package restore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/tarn-backup/tarn"
)

// errRefused is the error of an entry in a directory that refuses all.
var errRefused = fmt.Errorf("its folder may not be written: %w", syscall.EACCES)

// refusals are the directories that the user may not write to, so that one
// line is enough for each. Safe for use by several goroutines.
type refusals struct {
	mu   sync.Mutex
	more map[string]int64 // by directory, what was refused there after the first
}

// covers reports whether the directory of path has refused an entry already.
func (r *refusals) covers(path string) bool {
	up, _ := split(path)
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.more[up]
	return ok
}

// again takes note of an entry that was refused, and reports whether one was
// before, in its directory or in one that this lies in.
func (r *refusals) again(path string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	up, _ := split(path)
	for dir := up; dir != ""; dir, _ = split(dir) {
		if _, ok := r.more[dir]; ok {
			r.more[dir]++
			return true
		}
	}
	if r.more == nil {
		r.more = map[string]int64{}
	}
	r.more[up] = 0
	return false
}

// report says how many entries were not named.
func (r *refusals) report(problem func(path string, err error)) {
	if problem == nil {
		return
	}
	for _, dir := range slices.SortedFunc(maps.Keys(r.more), tarn.ComparePaths) {
		if n := r.more[dir]; n > 0 {
			problem(dir, fmt.Errorf("%d more in this folder could not be written for the same reason", n))
		}
	}
}

// refuse is settle for what was to be written. If not even a source may be
// made in the target, all else would fail, too.
func (r *run) refuse(ctx context.Context, path string, err error) error {
	if !errors.Is(err, syscall.EACCES) || fatal(ctx, err) {
		return r.settle(ctx, path, err)
	}
	if !strings.Contains(path, "/") {
		return err
	}
	if r.refused.again(path) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.result.Problems++
		r.Progress.problems.Add(1)
		return nil
	}
	return r.settle(ctx, path, err)
}
