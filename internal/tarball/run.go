package tarball

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/scan"
	"github.com/tarn-backup/tarn/internal/storage"
)

// Config says what is backed up, and to where.
type Config struct {
	// Storage is the whole bucket, and an Overwriter.
	Storage storage.Storage
	Name    string // of the backup
	Path    string // a folder or a file
	// SplitDepth is how many levels below Path the folders lie that get an
	// archive each; with 0 all is one archive.
	SplitDepth int
	Class      tarn.Class // of archives
	// MaxSize refuses archives that become larger, in bytes; 0 means what S3 takes.
	MaxSize int64
	// TrustMTime takes the hash of a file that has the size and times that it
	// had when it was last read as the one that it had then.
	TrustMTime bool
	// WithoutUnreadable lets an archive without the files that may not be read take
	// the place of one that has them.
	WithoutUnreadable bool
	DryRun            bool
	// Memory is the folder where hashes are remembered; "" means that none are.
	Memory string
	// Event is told what happens, and Problem what can't be backed up as it is.
	// Both may be called from several goroutines, and may be nil.
	Event    func(Event)
	Problem  func(path string, err error)
	Progress *Progress // nil, or what to count in
	Count    bool      // let Progress know how much there is, by a walk of its own
	Log      *slog.Logger
	Now      func() time.Time
}

// Made is an archive, or a single file, that was uploaded or would be.
type Made struct {
	Key   string
	Class tarn.Class
	Size  int64 // in a dry run the most that it can have
}

// Result is what a run has done.
type Result struct {
	Files, Bytes int64  // of the backed up path, without what could not be read
	Made         []Made // uploaded; in a dry run to be uploaded
	Unchanged    int    // archives that were there already
	Empty        int    // folders without a file
	Failed       int    // archives that could not be made; what is there of them stays
	Problems     int    // files and archives that were reported
	Mended       int    // archives beside which something was missing, or cold, that is there now
	// Stale are archives of the same files that runs at other split depths have left.
	Stale []Stale
	// Vanished are archives for which the run came to no file: their folders are empty,
	// or gone, or they are of another path.
	Vanished []Stale
	// Superseded are such of which a restore of all takes nothing, since newer archives
	// say what is in the place of their files.
	Superseded []Stale
	Duration   time.Duration
}

// Stored is the sum of the sizes of Made.
func (r *Result) Stored() (n int64) {
	for _, m := range r.Made {
		n += m.Size
	}
	return n
}

// Run brings a backup up to date.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	began := cfg.Now()
	r, err := newRun(ctx, cfg)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(r.path)
	if err != nil {
		return nil, &scan.OpenError{Path: cfg.Path, Err: bare(err)}
	}
	r.sweep()
	switch {
	case info.IsDir():
		err = r.folder(ctx)
	case info.Mode().IsRegular():
		err = r.single(ctx)
	default:
		err = fmt.Errorf("%s is neither a folder nor a file: name one of them", cfg.Path)
	}
	if err != nil {
		return nil, err
	}
	r.res.Duration = cfg.Now().Sub(began)
	return &r.res, nil
}

func newRun(ctx context.Context, cfg Config) (*run, error) {
	over, ok := cfg.Storage.(storage.Overwriter)
	if !ok {
		return nil, fmt.Errorf("%s can't keep such a backup: it has to be a bucket", cfg.Storage.Location())
	}
	if err := CheckName(cfg.Name); err != nil {
		return nil, err
	}
	if cfg.SplitDepth < 0 {
		return nil, fmt.Errorf("split depth %d: want 0 or more", cfg.SplitDepth)
	}
	path, err := absolute(cfg.Path)
	if err != nil {
		return nil, err
	}
	if cfg.Event == nil {
		cfg.Event = func(Event) {}
	}
	if cfg.Progress == nil {
		cfg.Progress = new(Progress)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &run{Config: cfg, over: over, path: path, base: filepath.Base(cfg.Path), empty: map[Key]bool{}, lists: map[*Tarball]*places{}}, ctx.Err()
}

// absolute is the path as the script makes it: what leads to the last name is
// free of symlinks, the last name stays.
func absolute(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("path %s: %w", path, err)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return "", &scan.OpenError{Path: path, Err: bare(err)}
	}
	return filepath.Join(dir, filepath.Base(abs)), nil
}

// bare strips what os puts around a system error, since ours name the path.
func bare(err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err
	}
	return err
}
