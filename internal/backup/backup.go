package backup

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/scan"
)

// Config says what is backed up, and how.
type Config struct {
	Repo     *repo.Repo
	Contents *catalog.Contents // in step with the repository's indexes
	Sources  []scan.Config
	// Origins are, by the names of sources, what the snapshot says as their paths
	// where that is not where they are read.
	Origins map[string]string
	Parent  *repo.Snapshot // nil compares with nothing
	// Newest is the repository's newest snapshot (repo.Newest), empty if there
	// is none: the run's is to sort after it, whether or not that is the parent.
	Newest tarn.SnapshotID
	// Lost are archives that Contents knows and that are missing or not what
	// their index says: what is in them alone is stored again.
	Lost []tarn.ArchiveID

	Host, User, Program string
	Tags                []string
	Options             map[string]string // for people, kept in the snapshot

	ArchiveSize int64 // bytes of tar at which an archive is cut
	Level       archive.Level
	Class       tarn.Class
	// ClassOf, if not nil, is the class for an archive that ends at a size of at
	// most 1 MiB, in the place of Class: it may be too small to pay off there.
	ClassOf func(size int64) tarn.Class
	Force   bool // read every file, whatever its times say
	DryRun  bool // read and compare, store nothing
	// Plan is a dry run that reads no file either: all that a stat calls new or
	// changed counts as new content.
	Plan bool

	Progress *Progress
	// Count has the sources walked once more, so that the progress knows how
	// much there is.
	Count bool
	// Problem is called with each file that could not be read or did not hold
	// still; from several goroutines.
	Problem func(path string, err error)
	Log     *slog.Logger
	Now     func() time.Time
}

// Result is what a run did.
type Result struct {
	Snapshot  tarn.SnapshotID // empty after a dry run
	Parent    tarn.SnapshotID
	Total     repo.Counts
	New       int64 // files that the parent does not have
	Changed   int64 // files whose content or metadata differs
	Unchanged int64
	Again     int64 // files that were read since their content was in a lost archive
	StillLost int64 // contents of lost archives that this run did not come upon
	NewBytes  int64 // of content that the repository did not hold
	Stored    int64 // bytes of archives
	Archives  int
	Trees     int // new ones
	// Made are the archives; in a dry run those that would be made, as large as
	// they are uncompressed, and Members what is in them.
	Made    []Made
	Members int64
	// Noted are the entries that new trees name.
	Noted    int64
	Problems int
	Duration time.Duration
}

// Made is an archive that was stored, or that a dry run would store.
type Made struct {
	Class tarn.Class
	Size  int64 // in bytes
}

const (
	splitsAtOnce = 2
	readers      = 4
	smallFile    = catalog.LargeSize
	maxMembers   = 1 << 16
)

// Run makes one snapshot. The error is nil also if files, or some of the
// sources, could not be read: Result.Problems counts them.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	cfg.DryRun = cfg.DryRun || cfg.Plan
	r := newRun(cfg)
	if r.stamp.UTC().Year() > 9999 { // would sort before all others
		return nil, fmt.Errorf("making an id of the time %s: want one up to the year 9999 (look at the clock of this machine, and at the newest snapshot)", r.stamp.UTC().Format(time.DateTime))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sources, err := r.openSources()
	defer func() {
		for _, s := range sources {
			s.Close()
		}
	}()
	if err != nil {
		return nil, err
	}
	if err := r.known.lose(ctx, r.Repo, cfg.Lost); err != nil {
		return nil, err
	}
	if cfg.Count {
		go r.countAhead(ctx, sources)
	}
	if cfg.DryRun {
		err = r.sources(ctx, sources)
	} else {
		err = r.commit(ctx, sources)
	}
	if err != nil {
		return nil, err
	}
	r.result.Total = repo.Counts{}
	for _, sp := range r.splits {
		r.result.Total = r.result.Total.Plus(sp.Counts)
	}
	r.result.Problems = r.problemCount
	r.result.StillLost = r.known.stillLost()
	r.result.Duration = r.now().Sub(r.began)
	return &r.result, nil
}

// run is one run in progress.
type run struct {
	Config
	now      func() time.Time
	log      *slog.Logger
	began    time.Time
	stamp    time.Time // of the ids of this run
	known    *dedup
	links    *linkCache
	budget   *budget
	workers  *archive.Workers
	jobs     chan *item
	archives chan *repo.Archive
	parents  map[string]repo.Split

	mu           sync.Mutex
	splits       []repo.Split
	trees        []tarn.TreeID // new ones
	problems     []repo.EntryError
	problemCount int
	first        error    // of the problems
	hidden       []string // sources and directories above the split depth that could not be read
	seen         bool     // something of a source could be read
	result       Result
}

func newRun(cfg Config) *run {
	r := &run{Config: cfg, now: cfg.Now, log: cfg.Log, links: newLinkCache(), budget: newBudget()}
	if r.now == nil {
		r.now = time.Now
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.Progress == nil {
		r.Progress = new(Progress)
	}
	r.began = r.now()
	r.stamp = r.began
	r.known = newDedup(cfg.Contents)
	r.parents = map[string]repo.Split{}
	// Ids of a run sort after all that came before it, so that archives
	// extracted by hand in order end at the newest content.
	after := cfg.Contents.Latest().Time()
	if t := cfg.Newest.Time(); t.After(after) {
		after = t
	}
	if p := cfg.Parent; p != nil {
		r.result.Parent = p.ID
		if t := p.ID.Time(); t.After(after) {
			after = t
		}
		for _, sp := range p.Splits {
			r.parents[sp.Path] = sp
		}
	}
	if least := after.Add(time.Second); r.stamp.Before(least) {
		r.stamp = least
	}
	return r
}

func (r *run) newID() string {
	var random [8]byte
	rand.Read(random[:])
	return tarn.FormatID(r.stamp, random)
}

// commit runs the sources and the repository's Commit side by side.
func (r *run) commit(ctx context.Context, sources []*scan.Source) error {
	r.archives = make(chan *repo.Archive)
	packed := make(chan error, 1)
	go func() {
		defer close(r.archives)
		packed <- r.sources(ctx, sources)
	}()
	var failed error
	err := r.Repo.Commit(ctx, repo.Run{
		Archives: r.archives,
		Trees: func() ([]tarn.TreeID, error) {
			failed = <-packed
			return r.trees, failed
		},
		Snapshot:     r.snapshot,
		Acknowledged: r.Progress.acknowledged,
	})
	// Whichever side failed first made the other fail, by a cancelled context
	// at worst: that one is not the reason.
	if err != nil && failed == nil {
		for range r.archives { // Commit has returned early only if the context ended
		}
		select {
		case failed = <-packed:
		default:
		}
	}
	if errors.Is(err, context.Canceled) && failed != nil {
		return failed
	}
	return err
}

// sources walks all sources, a few splits at a time.
func (r *run) sources(ctx context.Context, sources []*scan.Source) error {
	r.workers = archive.NewWorkers(0)
	defer r.workers.Close()
	r.jobs = make(chan *item, readers)
	pool := r.startReaders()
	defer pool.Wait()
	defer close(r.jobs)
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(splitsAtOnce)
	var walk error
	for _, s := range sources {
		for sp, err := range s.Splits(gctx) {
			if err != nil && gctx.Err() == nil {
				r.problem(sp.Path, err)
				continue
			} else if err != nil {
				walk = err
				break
			}
			group.Go(func() error { return r.split(gctx, s, sp) })
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := errors.Join(walk, ctx.Err()); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.problemCount > 0 && !r.seen {
		return fmt.Errorf("nothing of the sources could be read, so there is no snapshot: %w", r.first)
	}
	r.keepSplits()
	return nil
}

// problem records a file that could not be backed up as it is.
func (r *run) problem(path string, err error) {
	r.mu.Lock()
	if r.problemCount++; r.problemCount == 1 {
		r.first = fmt.Errorf("%q: %w", path, err)
	}
	if len(r.problems) < 10000 {
		r.problems = append(r.problems, repo.EntryError{Path: path, Error: err.Error()})
	}
	r.mu.Unlock()
	r.Progress.problem()
	if r.Problem != nil {
		r.Problem(path, err)
	}
}

// snapshot describes the run when all its archives and trees are stored.
func (r *run) snapshot() (*repo.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortFunc(r.splits, func(a, b repo.Split) int { return tarn.ComparePaths(a.Path, b.Path) })
	slices.SortFunc(r.problems, func(a, b repo.EntryError) int { return tarn.ComparePaths(a.Path, b.Path) })
	r.result.Snapshot = tarn.SnapshotID(r.newID())
	s := &repo.Snapshot{
		ID: r.result.Snapshot, Time: r.began.UTC(), Ended: r.now().UTC(),
		Host: r.Host, User: r.User, Program: r.Program, Tags: r.Tags,
		Splits: r.splits, Parent: r.result.Parent, Errors: r.problems, ErrorCount: r.problemCount, Options: r.Options,
	}
	for _, c := range r.Sources {
		s.Sources = append(s.Sources, repo.SourceInfo{Name: c.Name, Path: r.pathOf(c), SplitDepth: c.SplitDepth})
	}
	return s, nil
}
