package restore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
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
	// Excluders say, by the names of sources, what Delete spares since the
	// backup left it out; nothing of a source that has none.
	Excluders map[string]Excluder
	DryRun    bool
	Verify    bool // read every file again in the end
	Sync      bool // return when all is on the disk, and not only in the system's memory
	// Access says which archives can be read now; nil means all of them.
	Access func(tarn.ArchiveID) Access

	Progress *Progress
	// Problem is called with each entry that could not be restored as it was;
	// from several goroutines.
	Problem func(path string, err error)
	// Frozen is called with each file whose archive can't be read now; from
	// several goroutines.
	Frozen func(path string, err error)
	// Removed is called with each path that Delete removes, or would in a dry
	// run, and Left with each that it leaves alone; also from several goroutines.
	Removed func(path string, dir bool)
	Left    func(path string, why Reason)
	Log     *slog.Logger
}

// Result is what a restore did.
type Result struct {
	Files, Dirs, Others int64 // that the snapshot has
	Written             int64 // files that were fetched and written
	Bytes               int64 // of them
	Same                int64 // files that were right already
	Kept                int64 // files that differ and were not to be overwritten
	Deleted             int64 // files, directories and others
	Left                int64 // that Delete left alone, not counting what is in them
	Verified            int64
	Frozen              int64           // files whose archives can't be read now, by Config.Access or the storage
	Fetched             int64           // bytes read from archives
	Requests            int64           // that they took
	Reads               map[string]Read // the same, by the keys of the archives
	Problems            int64
	Duration            time.Duration
}

// Read is what was read of one archive.
type Read struct{ Requests, Bytes int64 }

// Run restores. The error is nil also if entries could not be restored:
// Result.Problems counts them.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	began := time.Now()
	r := newRun(cfg)
	if err := r.open(ctx); err != nil {
		return nil, err
	}
	return r.finish(began, r.all(ctx))
}

func newRun(cfg Config) *run {
	r := &run{Config: cfg, links: map[linkKey]*leader{}, archives: newArchives(cfg.Repo)}
	r.archives.access = cfg.Access
	if r.Progress == nil {
		r.Progress = new(Progress)
	}
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	return r
}

// finish ends a run that began at a time.
func (r *run) finish(began time.Time, err error) (*Result, error) {
	if r.target != nil {
		err = errors.Join(err, r.target.Close())
	}
	if err != nil {
		return nil, err
	}
	r.result.Duration = time.Since(began)
	r.result.Fetched, r.result.Requests = r.archives.bytes.Load(), r.archives.requests.Load()
	r.result.Reads = r.archives.reads()
	return &r.result, nil
}

// run is one restore in progress.
type run struct {
	Config
	target   *Target // nil in a dry run into a folder that is not there
	archives *archives
	links    map[linkKey]*leader
	window   window
	early    int     // windows that began early
	flight   *flight // nil while nothing is being fetched
	again    []job   // to be read from another archive
	matched  bool    // there is something at the paths
	refused  refusals
	del      *deleter                 // nil without Delete
	needs    map[tarn.ArchiveID]*Need // nil unless that is all that is asked

	mu     sync.Mutex
	result Result
}

// open opens the target, and first of all what is needed to read the archives:
// without it, nothing must be made.
func (r *run) open(ctx context.Context) error {
	if r.DryRun {
		if _, err := os.Stat(r.Target); errors.Is(err, os.ErrNotExist) {
			return nil
		}
	} else if _, err := r.Repo.Identities(); err != nil {
		return err
	}
	opts := TargetOptions{Replace: r.Overwrite != Never, Logger: r.Log}
	if r.Delete {
		var err error
		if r.del, err = r.newDeleter(ctx); err != nil {
			return err
		}
		if r.Overwrite == Always {
			opts.ReplaceTrees = func(_ *Target, path string) error { return r.del.clear(path) }
		}
	}
	var err error
	r.target, err = OpenTarget(r.Target, opts)
	return err
}

// all places every entry, then what has to wait for the rest: directories get
// their times when nothing is written into them any more.
func (r *run) all(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer r.abandon()
	defer cancel() // first
	for _, sp := range r.Snapshot.Splits {
		if err := r.split(ctx, sp); err != nil {
			return err
		}
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	if !r.matched && r.result.Problems == 0 {
		return r.nothing()
	}
	if r.del != nil {
		if err := r.del.all(); err != nil {
			return err
		}
	}
	r.refused.report(r.Problem)
	if r.DryRun {
		return nil
	}
	if err := r.target.FinishDirs(ctx); err != nil {
		return err
	}
	for _, w := range r.target.Warnings() {
		r.problem(w.Path, w.error(r.target.root))
	}
	if r.Verify && r.result.Frozen == 0 { // when all is back
		if err := r.verify(ctx); err != nil {
			return err
		}
	}
	if r.Sync {
		return r.target.Sync()
	}
	return nil
}

// split places the entries of one split.
func (r *run) split(ctx context.Context, sp repo.Split) error {
	one := *r.Snapshot
	one.Splits = []repo.Split{sp}
	for e, err := range r.Repo.EntriesAndParents(ctx, &one, r.Paths) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.problem(sp.Path, treeError(sp, err))
			continue
		}
		r.matched = r.matched || len(r.Paths) == 0 || slices.ContainsFunc(r.Paths, func(p string) bool { return tarn.Within(e.Path, p) })
		c := *e
		if err := r.entry(ctx, &c); err != nil {
			return err
		}
	}
	return nil
}

// nothing says that there was nothing to restore.
func (r *run) nothing() error {
	if len(r.Paths) > 0 {
		return fmt.Errorf("snapshot %s has nothing at %q", r.Snapshot.ID.Short(), r.Paths)
	}
	return fmt.Errorf("snapshot %s is empty: there is nothing to restore", r.Snapshot.ID.Short())
}

// removed counts what Delete has removed.
func (r *run) removed(path string, dir bool) {
	r.mu.Lock()
	r.result.Deleted++
	r.mu.Unlock()
	if r.Removed != nil {
		r.Removed(path, dir)
	}
}

// left counts what Delete has left alone.
func (r *run) left(path string, why Reason) {
	r.mu.Lock()
	r.result.Left++
	r.mu.Unlock()
	if r.Left != nil {
		r.Left(path, why)
	}
}

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
