package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/repo"
)

// Config says what is checked, and how thoroughly.
type Config struct {
	Repo *repo.Repo
	// Contents, if not nil, is this machine's catalog. It is only compared with
	// the indexes: the check itself trusts no copy.
	Contents *catalog.Contents
	// ReadData is the percentage of the archives that are read whole, chosen at
	// random; 0 reads none, 100 all. Cold archives are left out.
	ReadData float64
	Seed     uint64 // of the choice; 0 takes a random one
	// Reading, if not nil, is called with the archives that are chosen to be read,
	// before any is. Its error ends the check.
	Reading func([]tarn.ArchiveID) error
	// Dir is where a folder for temporary files is made: some 60 bytes per
	// content and the tree being read. "" is the system's place.
	Dir      string
	Progress *Progress
	// Report, if not nil, is called with each damage as it is in the result.
	Report func(Damage)
	Now    func() time.Time
}

// Result is what a check found.
type Result struct {
	Snapshots, Trees, Indexes, Archives int   // objects that there are
	Contents, Entries                   int64 // in healthy indexes; in distinct trees
	Checksums                           int   // archives whose checksum the storage told
	ArchivesRead                        int   // whole
	BytesRead                           int64 // of archives
	Cold                                int   // archives chosen to be read that are cold
	Seed                                uint64
	// Unverified are the keys of archives that have the right size, of which the
	// storage tells no checksum though it tells that of others as large: what tarn
	// stores has one where that is so. Nothing but reading them verifies them.
	Unverified []string
	// Damages are sorted by key. A repository with none is whole, as far as
	// was looked.
	Damages []Damage
	// Notes are for people: what is odd and costs nothing.
	Notes []string
}

const (
	atOnce     = 8       // requests
	treesOnce  = 4       // trees in work
	readsOnce  = 2       // archives that are read whole
	maxUnread  = 20      // objects that can't be read, after which the storage is to blame
	maxPerList = 20      // names in a note
	maxMembers = 1 << 16 // contents of an archive (docs/format.md, "Archives")
)

// Run checks the repository. The error is nil also if there is damage; it says
// that the check itself could not go on.
func Run(ctx context.Context, cfg Config) (_ *Result, err error) {
	dir, err := os.MkdirTemp(cfg.Dir, "tarn-check-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the check: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r, err := newRun(cfg, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.healthy.Reset(), r.salvaged.Reset(), r.suspect.Reset()) }() // Close would write what is to be removed
	// From here on, an object that no identity opens is damaged or a stranger's.
	if _, err := r.fresh.Identities(); err != nil {
		return nil, fmt.Errorf("checking %s: %w", cfg.Repo.Storage().Location(), err)
	}
	for _, step := range []func(context.Context) error{
		r.list, r.basics, r.snapshots, r.archives, r.allTrees,
	} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("checking %s: %w", cfg.Repo.Storage().Location(), err)
		}
	}
	r.conclude()
	return &r.result, nil
}

// run is one check in progress.
type run struct {
	Config
	now      func() time.Time
	fresh    *repo.Repo // reads everything from the storage
	healthy  *catalog.Contents
	salvaged *catalog.Contents // contents that are whole in a damaged archive
	suspect  *catalog.Contents // contents whose archive or index is damaged
	reads    chan struct{}     // a token per archive that is being read whole

	listed listing
	ids    []tarn.SnapshotID
	trees  map[tarn.TreeID][]*treeUse

	mu      sync.Mutex
	found   collector
	blame   map[tarn.ArchiveID]*damage // for the contents in suspect
	unknown []*damage                  // indexes whose contents are unknown
	unread  int
	bare    map[string]int64 // archives without a checksum that were not read, with their sizes
	largest int64            // archive of which the storage tells a checksum
	result  Result
}

func newRun(cfg Config, dir string) (*run, error) {
	r := &run{
		Config: cfg, now: cfg.Now, trees: map[tarn.TreeID][]*treeUse{}, blame: map[tarn.ArchiveID]*damage{},
		reads: make(chan struct{}, readsOnce), bare: map[string]int64{}, found: collector{byKey: map[string]*damage{}},
	}
	if r.now == nil {
		r.now = time.Now
	}
	if r.Progress == nil {
		r.Progress = new(Progress)
	}
	for r.Seed == 0 {
		r.Seed = rand.Uint64()
	}
	files, err := catalog.OpenFiles(filepath.Join(dir, "files"))
	if err != nil {
		return nil, err
	}
	r.fresh = cfg.Repo.Fresh(scratch{files})
	if r.healthy, err = catalog.OpenContents(filepath.Join(dir, "healthy")); err != nil {
		return nil, err
	}
	if r.salvaged, err = catalog.OpenContents(filepath.Join(dir, "salvaged")); err != nil {
		return nil, err
	}
	r.suspect, err = catalog.OpenContents(filepath.Join(dir, "suspect"))
	return r, err
}

// fault records that err is wrong with an object and returns the damage, or
// the error if the check can't go on because of it.
func (r *run) fault(ctx context.Context, key string, err error) (*damage, error) {
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, new(*localError)):
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.found.at(key)
	if errors.As(err, new(*repo.ReadError)) {
		d.Unread = true
		if r.unread++; r.unread > maxUnread {
			return nil, fmt.Errorf("%d objects could not be read, the last of them: %w", r.unread, err)
		}
	}
	d.say(problem(err))
	d.frozen = d.frozen || errors.Is(err, repo.ErrColdMetadata)
	d.gone = d.gone || errors.Is(err, fs.ErrNotExist)
	d.resized = d.resized || d.gone || errors.Is(err, errSize)
	r.Progress.damages.Store(int64(len(r.found.byKey)))
	return d, nil
}

// note adds a note.
func (r *run) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Notes = append(r.result.Notes, fmt.Sprintf(format, args...))
}

// conclude fills in the result.
func (r *run) conclude() {
	r.result.Seed = r.Seed
	r.orphans()
	r.dead()
	r.loose()
	r.stale()
	r.unverified()
	r.result.Damages = r.found.damages(r.ids)
	if r.Report == nil {
		return
	}
	for _, d := range r.result.Damages {
		r.Report(d)
	}
}
