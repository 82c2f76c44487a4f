package rebuild

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/storage"
)

// Config says what is rebuilt.
type Config struct {
	Repo     *repo.Repo
	Contents *catalog.Contents // emptied and filled again
	// TrustArchives also takes into new trees of an encrypted repository what
	// lies in archives whose own index was lost. Nothing proves who wrote those:
	// whoever can write to the storage can have put them there.
	TrustArchives bool
	// Withhold, if not nil, says which archives are not to be read though they could
	// be, since what is read of them is billed.
	Withhold func(storage.Object) bool
	// Dir is where a folder for temporary files is made, about as large as the
	// lost trees. "" is the system's place.
	Dir      string
	Progress *Progress
	Log      *slog.Logger
	Now      func() time.Time
}

// Result is what a rebuild did.
type Result struct {
	// Stored are tarn.json and objects in keys/, as far as they were lost.
	Stored   []string
	Indexes  int   // in the catalog now
	Contents int64 // in them
	// Remade are the indexes that were lost and are there again.
	Remade []Remade
	// Trees are the trees that snapshots name and that were gone.
	Trees []Tree
	// Replaced are the snapshots that lost a tree for good, and the new ones
	// beside them that hold what could be found.
	Replaced []Replaced
	// Cold are the archives, by key, that a lost index or tree needs and that have to
	// be thawed first. A rebuild after that goes on with them.
	Cold []string
	// Withheld are the same that Config.Withhold names.
	Withheld []string
	// Unproven are the archives, by key, of which nothing was taken into a
	// partial tree, since nothing proves who wrote them.
	Unproven []string
	// Problems are objects that could not be used.
	Problems []Problem
}

// Remade is an index that was made anew.
type Remade struct {
	Archive  tarn.ArchiveID
	Key      string // of the archive
	Contents int64
	Copied   bool // from this machine's copy; else from the archive itself
}

// Outcome says what became of a lost tree.
type Outcome string

// What becomes of a lost tree: Copied and Exact put back the very tree that
// was lost, from this machine's copy or from archives. Partial is what archives
// and the snapshots beside know of it, in a tree of its own. Waiting needs archives that are cold, or
// that the storage failed to give. Of a Lost one nothing is known.
const (
	Copied  Outcome = "copied"
	Exact   Outcome = "exact"
	Partial Outcome = "partial"
	Waiting Outcome = "waiting"
	Lost    Outcome = "lost"
)

// Tree is a tree that a snapshot names and that was gone.
type Tree struct {
	Tree      tarn.TreeID
	Split     string
	Snapshots []tarn.SnapshotID // that name it
	Outcome   Outcome
	Had       repo.Counts // as the snapshots say
	Has       repo.Counts // of what was put in its place
}

// Replaced is a snapshot that lost trees, and the one that holds the rest.
type Replaced struct{ Lost, New tarn.SnapshotID }

// Problem is an object that could not be used, and what to do about it.
type Problem struct {
	Key string
	Err error
	// Advice is a sentence for a person; "" if nothing helps.
	Advice string
}

const (
	atOnce     = 8       // requests
	maxMembers = 1 << 16 // of an archive (docs/format.md, "Archives")
)

// Run rebuilds what it can. The error is nil also if something could not be
// rebuilt, which the result says.
func Run(ctx context.Context, cfg Config) (_ *Result, err error) {
	stored, err := cfg.Repo.Mend(ctx)
	if err != nil {
		return nil, fmt.Errorf("mending %s: %w", cfg.Repo.Storage().Location(), err)
	}
	dir, err := os.MkdirTemp(cfg.Dir, "tarn-rebuild-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the rebuild: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	files, err := catalog.OpenFiles(filepath.Join(dir, "files"))
	if err != nil {
		return nil, err
	}
	r := &run{Config: cfg, now: cfg.Now, log: cfg.Log, fresh: cfg.Repo.Fresh(cache{files}), result: Result{Stored: stored}}
	if r.now == nil {
		r.now = time.Now
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.Progress == nil {
		r.Progress = new(Progress)
	}
	// From here on, an object that no identity opens is damaged or a stranger's.
	if _, err := r.fresh.Identities(); err != nil {
		return nil, fmt.Errorf("rebuilding %s: %w", cfg.Repo.Storage().Location(), err)
	}
	for _, step := range []func(context.Context) error{
		r.list, r.snapshots, r.catalog, r.indexes, r.lostTrees, r.replace,
	} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("rebuilding %s: %w", cfg.Repo.Storage().Location(), err)
		}
	}
	slices.SortFunc(r.result.Problems, func(a, b Problem) int { return strings.Compare(a.Key, b.Key) })
	slices.Sort(r.result.Unproven)
	r.result.Unproven = slices.Compact(r.result.Unproven)
	for _, list := range []*[]string{&r.result.Cold, &r.result.Withheld} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return &r.result, nil
}

// cache hides the concrete type of what catalog.Files creates.
type cache struct{ *catalog.Files }

// Create implements repo.Cache.
func (c cache) Create() (repo.CacheFile, error) { return c.Files.Create() }

// run is one rebuild in progress.
type run struct {
	Config
	now   func() time.Time
	log   *slog.Logger
	fresh *repo.Repo // reads everything from the storage

	archives map[string]archiveObject // by key
	indexed  map[tarn.ArchiveID]bool  // there is an index, good or not
	trees    map[tarn.TreeID]bool     // there is a tree
	ids      []tarn.SnapshotID        // oldest first
	readable []tarn.SnapshotID        // of them
	known    map[string]bool          // paths of splits
	lost     map[tarn.TreeID]*lostTree

	mu     sync.Mutex
	splits map[string][]indexed // archives of a split, by their indexes
	gone   map[tarn.ArchiveID]lostArchive
	result Result
}

// indexed is an archive that has an index.
type indexed struct {
	id      tarn.ArchiveID
	key     string
	unknown bool // who wrote it
}

type archiveObject struct {
	storage.Object
	id tarn.ArchiveID
}

// list finds what there is.
func (r *run) list(ctx context.Context) error {
	r.Progress.begin("objects", 0)
	r.archives, r.indexed = map[string]archiveObject{}, map[tarn.ArchiveID]bool{}
	r.gone = map[tarn.ArchiveID]lostArchive{}
	r.trees, r.splits = map[tarn.TreeID]bool{}, map[string][]indexed{}
	for o, err := range r.fresh.List(ctx) {
		if err != nil {
			return err
		}
		switch o.Kind {
		case repo.KindArchive:
			r.archives[o.Key] = archiveObject{o.Object, o.Archive}
		case repo.KindIndex:
			r.indexed[o.Archive] = true
		case repo.KindTree:
			r.trees[o.Tree] = true
		case repo.KindSnapshot:
			r.ids = append(r.ids, o.Snapshot)
		}
	}
	return nil
}

// snapshots reads the snapshots for their splits and the trees that are gone.
func (r *run) snapshots(ctx context.Context) error {
	r.Progress.begin("snapshots", len(r.ids))
	slices.Sort(r.ids)
	r.known, r.lost = map[string]bool{}, map[tarn.TreeID]*lostTree{}
	seen := map[tarn.TreeID]bool{}
	for _, id := range r.ids {
		s, err := r.fresh.Snapshot(ctx, id)
		r.Progress.done.Add(1)
		if err != nil {
			if err := r.problem(ctx, r.fresh.SnapshotKey(id), err, ""); err != nil {
				return err
			}
			continue
		}
		if err := r.fresh.ForgetSnapshot(id); err != nil {
			return err
		}
		r.readable = append(r.readable, id)
		for _, sp := range s.Splits {
			r.known[sp.Path] = true
			if !r.trees[sp.Tree] {
				r.missing(id, sp)
				continue
			}
			if seen[sp.Tree] {
				continue
			}
			seen[sp.Tree] = true
			if err := r.verifyCopy(sp); err != nil {
				return err
			}
		}
	}
	return nil
}

// verifyCopy drops this machine's copy of a tree if it is damaged.
func (r *run) verifyCopy(sp repo.Split) error {
	err := r.Repo.CheckCachedTree(sp)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	r.log.Warn("this machine's copy of a tree is damaged; it is read again when it is needed", "tree", sp.Tree, "error", err)
	return r.Repo.ForgetTree(sp.Tree)
}

// problem records that an object can't be used, or returns the error if that
// is no fault of the object.
func (r *run) problem(ctx context.Context, key string, err error, advice string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, tarn.ErrDenied) {
		return err
	}
	if errors.As(err, new(*repo.ReadError)) {
		advice = "Rebuild again when the storage gives all that it holds."
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	same := func(p Problem) bool { return p.Key == key && p.Err.Error() == err.Error() }
	if !slices.ContainsFunc(r.result.Problems, same) {
		if errors.Is(err, repo.ErrColdMetadata) {
			advice = repo.AdviceCold // and not to delete what is whole
		}
		r.result.Problems = append(r.result.Problems, Problem{Key: key, Err: err, Advice: advice})
	}
	return nil
}
