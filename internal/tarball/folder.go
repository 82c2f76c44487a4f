package tarball

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/scan"
	"github.com/tarn-backup/tarn/internal/storage"
)

// sideBySide is how many archives are worked on at a time. Small ones mostly
// wait for the storage; what is read and compressed is shared out anyway.
const sideBySide = 3

// sourceName is the first component of all paths of the walk: the real name
// might be none that a source can have, such as that of the root directory.
const sourceName = "source"

// run is one Run.
type run struct {
	Config
	over   storage.Overwriter
	path   string // absolute
	base   string // the last name of the path as it was given
	source *scan.Source
	there  map[string]storage.Object // the objects of the backup, when it began
	shelf  shelf                     // the archives of those
	work   chan *item                // what readers are to read
	opened atomic.Int64              // files that were read

	listing sync.Mutex // guards lists
	lists   map[*Tarball]*places

	forgotten sync.Once // it was said that hashes are not remembered

	mu    sync.Mutex // guards what follows
	res   Result
	empty map[Key]bool // archives that would have no file
}

// folder backs a folder up.
func (r *run) folder(ctx context.Context) (err error) {
	cfg := scan.Config{Path: r.path, Name: sourceName, SplitDepth: r.SplitDepth, KeepSystem: true, ByteOrder: true}
	if r.source, err = scan.Open(cfg); err != nil {
		return err
	}
	defer r.source.Close()
	if r.there, err = r.list(ctx); err != nil {
		return err
	}
	r.shelf = r.archivesThere()
	defer r.startReaders()()
	ctx, cancel := context.WithCancel(ctx)
	var counting sync.WaitGroup
	if r.Count {
		counting.Go(func() { r.count(ctx) })
	}
	err = r.archives(ctx)
	cancel()
	counting.Wait()
	return err
}

// list finds what is there of the backup.
func (r *run) list(ctx context.Context) (map[string]storage.Object, error) {
	there := map[string]storage.Object{}
	for o, err := range r.Storage.List(ctx, r.Name+"/") {
		if err != nil {
			return nil, fmt.Errorf("looking for what is there of %s: %w", r.Name, err)
		}
		there[o.Key] = o
	}
	return there, nil
}

// startReaders starts those who read files, and returns what ends them.
func (r *run) startReaders() (stop func()) {
	r.work = make(chan *item)
	var pool sync.WaitGroup
	for range max(2, runtime.GOMAXPROCS(0)) {
		pool.Go(func() {
			buf := make([]byte, readBuffer)
			for it := range r.work {
				r.read(it, buf)
				it.ready <- struct{}{}
			}
		})
	}
	return func() {
		close(r.work)
		pool.Wait()
	}
}

// archives works through the folders that get an archive each.
func (r *run) archives(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(sideBySide)
	skipped := ""
	var made []shelved
	for sp, err := range r.source.Splits(gctx) {
		if err != nil {
			break // that of gctx: the group says why, or ctx does
		}
		rel := relative(sp.Path)
		if dir := systemFolder(rel); dir != "" {
			if dir != skipped {
				r.Event(Event{Kind: Skipped, Path: r.onDisk(dir)})
			}
			skipped = dir
			continue
		}
		j := r.newJob(sp, rel)
		made = append(made, shelved{key: j.key, folder: j.key.folder()})
		g.Go(func() error { return j.do(gctx) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	r.leftOver(newShelf(made))
	return ctx.Err()
}

func relative(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, sourceName), "/")
}

// systemFolder returns the folder on the way to rel that the script passes
// over: by the end of its name, and not within an archive.
func systemFolder(rel string) string {
	at := 0
	for name := range strings.SplitSeq(rel, "/") {
		at += len(name)
		for _, end := range []string{"$RECYCLE.BIN", ".Trash-1000", "System Volume Information"} {
			if strings.HasSuffix(name, end) {
				return rel[:at]
			}
		}
		at++
	}
	return ""
}

// count walks all once more, beside the run, so that the progress knows how
// much there is.
func (r *run) count(ctx context.Context) {
	for sp, err := range r.source.Splits(ctx) {
		if err != nil {
			return
		}
		if systemFolder(relative(sp.Path)) != "" {
			continue
		}
		for e, err := range r.source.Entries(ctx, sp) {
			if err == nil && e.Type == tarn.TypeFile {
				r.Progress.totalFiles.Add(1)
				r.Progress.totalBytes.Add(e.Size)
			}
		}
	}
	if ctx.Err() == nil {
		r.Progress.counted.Store(true)
	}
}

// problem reports what can't be backed up as it is.
func (r *run) problem(path string, err error) {
	r.mu.Lock()
	r.res.Problems++
	r.mu.Unlock()
	if r.Problem != nil {
		r.Problem(path, err)
	}
}
