package check_test

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/check"
	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/storage"
)

// world is a repository in memory, its source and this machine's catalog.
type world struct {
	*e2e.World
	t        testing.TB
	repo     *repo.Repo
	dir      string // of everything on disk
	contents *catalog.Contents
}

func must[T any](t testing.TB) func(v T, err error) T { return e2e.Must[T](t) }

func newWorld(t testing.TB, encrypt bool) *world {
	t.Helper()
	w := &world{World: e2e.NewWorld(t, encrypt), t: t, dir: t.TempDir()}
	w.reopen(w.Store)
	return w
}

// reopen opens the repository over a storage, as another run with the cache
// and catalog of this machine.
func (w *world) reopen(s storage.Storage) {
	w.t.Helper()
	w.repo = w.Open(s, filepath.Join(w.dir, "cache"))
	if w.contents == nil {
		w.contents = must[*catalog.Contents](w.t)(catalog.OpenContents(filepath.Join(w.dir, "contents")))
		w.t.Cleanup(func() {
			if err := w.contents.Close(); err != nil {
				w.t.Error(err)
			}
		})
	}
}

// backup makes a snapshot of the source.
func (w *world) backup() *repo.Snapshot {
	w.t.Helper()
	return w.Backup(w.repo, w.contents)
}

// standard fills the repository with two snapshots that share content.
func (w *world) standard() (first, second *repo.Snapshot) {
	w.t.Helper()
	w.Write(map[string]string{
		"top": "at the top", "a/1": "one", "a/2": "two", "a/deep/3": "three", "b/1": "b one", "b/2": "b two", "c/same": "one",
	})
	first = w.backup()
	w.Write(map[string]string{"a/2": "two, changed", "b/2": "", "b/moved": "b two", "d/new": "new"})
	return first, w.backup()
}

func (w *world) check(cfg check.Config) *check.Result {
	w.t.Helper()
	if cfg.Repo == nil {
		cfg.Repo = w.repo
	}
	if cfg.Dir == "" {
		cfg.Dir = w.t.TempDir()
	}
	cfg.Contents = w.contents
	res := must[*check.Result](w.t)(check.Run(context.Background(), cfg))
	if left := must[[]os.DirEntry](w.t)(os.ReadDir(cfg.Dir)); len(left) > 0 {
		w.t.Errorf("the check left %v", left)
	}
	return res
}

// costs says by other means which paths of which snapshots an archive holds.
func (w *world) costs(archive tarn.ArchiveID) (paths []string, snapshots []tarn.SnapshotID) {
	w.t.Helper()
	in := map[tarn.ContentHash]bool{}
	must[*repo.Index](w.t)(w.repo.Index(w.t.Context(), archive, func(c repo.Content) error {
		in[c.Hash] = true
		return nil
	}))
	set := map[string]bool{}
	for _, id := range must[[]tarn.SnapshotID](w.t)(w.repo.SnapshotIDs(w.t.Context())) {
		s := must[*repo.Snapshot](w.t)(w.repo.Snapshot(w.t.Context(), id))
		hit := false
		for e, err := range w.repo.Entries(w.t.Context(), s, nil) {
			if err != nil {
				w.t.Fatal(err)
			}
			if in[e.Content] {
				set[e.Path], hit = true, true
			}
		}
		if hit {
			snapshots = append(snapshots, id)
		}
	}
	return slices.SortedFunc(maps.Keys(set), tarn.ComparePaths), snapshots
}

// archiveOf returns the id in the key of an archive or index.
func archiveOf(key string) tarn.ArchiveID {
	base := key[strings.LastIndexByte(key, '/')+1:]
	id, _, _ := strings.Cut(base, ".")
	return tarn.ArchiveID(id)
}

var quiet = slog.New(slog.DiscardHandler)

func tarnID(s string) tarn.SnapshotID { return tarn.SnapshotID(s) }

// tryOpen opens a repository that may be damaged, on a machine that has nothing of it.
func tryOpen(w *world) (*repo.Repo, error) {
	return repo.Open(w.t.Context(), w.Store, repo.Options{Identities: w.Identities})
}

func (w *world) emptyContents(dir string) *catalog.Contents {
	return must[*catalog.Contents](w.t)(catalog.OpenContents(dir))
}
