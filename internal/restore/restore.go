package restore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/repo"
)

// Overwrite says what becomes of files that are in the target already.
type Overwrite string

// What becomes of them: Never leaves each as it is; Changed replaces those
// whose size or time differ; Always also reads those whose do not.
const (
	Never   Overwrite = "never"
	Changed Overwrite = "changed"
	Always  Overwrite = "always"
)

// ParseOverwrite reads the name of a policy.
func ParseOverwrite(s string) (Overwrite, error) {
	switch o := Overwrite(s); o {
	case Never, Changed, Always:
		return o, nil
	}
	return "", fmt.Errorf("overwrite %q: want never, changed or always", s)
}

// Config says what is restored, and where to.
type Config struct {
	Repo      *repo.Repo
	Contents  *catalog.Contents // in step with the repository's indexes
	Snapshot  *repo.Snapshot
	Paths     []string // entries and all below them; none means everything
	Target    string
	Overwrite Overwrite
	Delete    bool // remove what the snapshot does not have from its directories
	DryRun    bool
	Verify    bool // read every file again in the end

	Progress *Progress
	// Problem is called with each entry that could not be restored as it was;
	// from several goroutines.
	Problem func(path string, err error)
	Log     *slog.Logger
}

// Result is what a restore did.
type Result struct {
	Files, Dirs, Others int64 // that the snapshot has
	Written             int64 // files that were fetched and written
	Bytes               int64 // of them
	Same                int64 // files that were right already
	Kept                int64 // files that differ and were not to be overwritten
	Deleted             int64
	Verified            int64
	Fetched             int64 // bytes read from archives
	Requests            int64 // that they took
	Problems            int64
	Duration            time.Duration
}

// Run restores. The error is nil also if entries could not be restored:
// Result.Problems counts them.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	began := time.Now()
	r := &run{Config: cfg, links: map[linkKey]string{}, archives: newArchives(cfg.Repo)}
	if r.Progress == nil {
		r.Progress = new(Progress)
	}
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	if err := r.open(); err != nil {
		return nil, err
	}
	err := r.all(ctx)
	if r.target != nil {
		err = errors.Join(err, r.target.Close())
	}
	if err != nil {
		return nil, err
	}
	r.result.Duration = time.Since(began)
	r.result.Fetched, r.result.Requests = r.archives.bytes.Load(), r.archives.requests.Load()
	return &r.result, nil
}

// run is one restore in progress.
type run struct {
	Config
	target   *Target // nil in a dry run into a folder that is not there
	archives *archives
	links    map[linkKey]string // the first name of files with several
	waiting  []link             // further names, until the first is written
	window   []job
	planned  int64 // bytes of the window

	mu     sync.Mutex
	result Result
}

// linkKey is what the names of one file have in common.
type linkKey struct {
	source      string
	inode, size uint64
	ctime       tarn.Timespec
}

type link struct {
	first string
	entry *tarn.Entry
}

func (r *run) open() error {
	if r.DryRun {
		if _, err := os.Stat(r.Target); errors.Is(err, os.ErrNotExist) {
			return nil
		}
	}
	var err error
	r.target, err = OpenTarget(r.Target, TargetOptions{Replace: r.Overwrite != Never, ReplaceTrees: r.Overwrite == Always, Logger: r.Log})
	return err
}

// all places every entry, then what has to wait for the rest: directories get
// their times when nothing is written into them any more.
func (r *run) all(ctx context.Context) error {
	for e, err := range r.Repo.EntriesAndParents(ctx, r.Snapshot, r.Paths) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.problem(r.treeOf(err), err)
			continue
		}
		c := *e
		if err := r.entry(ctx, &c); err != nil {
			return err
		}
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	if r.Delete {
		if err := r.deleteExtra(ctx); err != nil {
			return err
		}
	}
	if r.DryRun {
		return nil
	}
	if err := r.target.FinishDirs(ctx); err != nil {
		return err
	}
	for _, w := range r.target.Warnings() {
		r.problem(w.Path, fmt.Errorf("%s, here and at %d more: %w", w.What, w.Count-1, w.Err))
	}
	if r.Verify {
		if err := r.verify(ctx); err != nil {
			return err
		}
	}
	return r.target.Sync()
}

// treeOf names what an error of a tree concerns: the error says it itself.
func (r *run) treeOf(error) string { return r.Snapshot.ID.Short() }

// problem records an entry that is not restored as it was.
func (r *run) problem(path string, err error) {
	r.mu.Lock()
	r.result.Problems++
	r.mu.Unlock()
	r.Progress.problems.Add(1)
	if r.Problem != nil {
		r.Problem(path, err)
	}
}

// fatal reports whether going on after err makes no sense: the target is full
// or read-only, or the run was ended.
func fatal(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EROFS) || errors.Is(err, tarn.ErrNoIdentity) || errors.Is(err, tarn.ErrDenied)
}

// settle takes the outcome of one entry: a fatal error ends the run, another
// is this entry's problem.
func (r *run) settle(ctx context.Context, path string, err error) error {
	if err == nil || fatal(ctx, err) {
		return err
	}
	r.problem(path, err)
	return nil
}
