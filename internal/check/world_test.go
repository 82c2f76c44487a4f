package check_test

import (
	"context"
	"flag"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/backup"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/check"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/scan"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// world is a repository in memory, its source and this machine's catalog.
type world struct {
	t        testing.TB
	store    *storagetest.Memory
	repo     *repo.Repo
	identity age.Identity
	dir      string // of everything on disk
	source   string
	contents *catalog.Contents
	last     *repo.Snapshot
	class    tarn.Class
	lost     []tarn.ArchiveID // known to be, for backups
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newWorld(t testing.TB, encrypt bool) *world {
	t.Helper()
	w := &world{t: t, store: storagetest.NewMemory(), dir: t.TempDir(), class: tarn.Standard}
	w.source = filepath.Join(w.dir, "src")
	if err := os.Mkdir(w.source, 0o755); err != nil {
		t.Fatal(err)
	}
	w.repo = must[*repo.Repo](t)(repo.Create(t.Context(), w.store, repo.CreateOptions{
		Encrypt: encrypt, Compression: "default", StorageClass: tarn.Standard,
		SaveIdentity: func(id *age.X25519Identity, _, _ string) error { w.identity = id; return nil },
	}))
	w.reopen(w.store)
	return w
}

// reopen opens the repository over a storage, as another run with the cache
// and catalog of this machine.
func (w *world) reopen(s storage.Storage) {
	w.t.Helper()
	files := must[*catalog.Files](w.t)(catalog.OpenFiles(filepath.Join(w.dir, "cache")))
	w.repo = w.open(s, filesCache{files})
	if w.contents == nil {
		w.contents = must[*catalog.Contents](w.t)(catalog.OpenContents(filepath.Join(w.dir, "contents")))
		w.t.Cleanup(func() {
			if err := w.contents.Close(); err != nil {
				w.t.Error(err)
			}
		})
	}
}

func (w *world) open(s storage.Storage, c repo.Cache) *repo.Repo {
	w.t.Helper()
	return must[*repo.Repo](w.t)(repo.Open(w.t.Context(), s, repo.Options{
		Identities: func() ([]age.Identity, error) {
			if w.identity == nil {
				return nil, nil
			}
			return []age.Identity{w.identity}, nil
		},
		Cache: c,
	}))
}

type filesCache struct{ *catalog.Files }

func (c filesCache) Create() (repo.CacheFile, error) { return c.Files.Create() }

// write puts files into the source; empty content removes one.
func (w *world) write(files map[string]string) {
	w.t.Helper()
	for name, content := range files {
		p := filepath.Join(w.source, name)
		if content == "" {
			if err := os.Remove(p); err != nil {
				w.t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
}

// backup makes a snapshot of the source.
func (w *world) backup() *repo.Snapshot {
	w.t.Helper()
	res := must[*backup.Result](w.t)(backup.Run(w.t.Context(), backup.Config{
		Repo: w.repo, Contents: w.contents, Sources: []scan.Config{{Path: w.source, Name: "src", SplitDepth: 1}},
		Lost: w.lost, Parent: w.last, Host: "h", Program: "test", ArchiveSize: 64 << 20, Class: w.class,
	}))
	w.last = must[*repo.Snapshot](w.t)(w.repo.Snapshot(w.t.Context(), res.Snapshot))
	return w.last
}

// standard fills the repository with two snapshots that share content.
func (w *world) standard() (first, second *repo.Snapshot) {
	w.t.Helper()
	w.write(map[string]string{
		"top": "at the top", "a/1": "one", "a/2": "two", "a/deep/3": "three", "b/1": "b one", "b/2": "b two", "c/same": "one",
	})
	first = w.backup()
	w.write(map[string]string{"a/2": "two, changed", "b/2": "", "b/moved": "b two", "d/new": "new"})
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

// keys returns the keys with a prefix.
func (w *world) keys(prefix string) (list []string) {
	for _, k := range w.store.Keys() {
		if strings.HasPrefix(k, prefix) {
			list = append(list, k)
		}
	}
	return list
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
	return repo.Open(w.t.Context(), w.store, repo.Options{Identities: func() ([]age.Identity, error) {
		if w.identity == nil {
			return nil, nil
		}
		return []age.Identity{w.identity}, nil
	}})
}

func (w *world) emptyContents(dir string) *catalog.Contents {
	return must[*catalog.Contents](w.t)(catalog.OpenContents(dir))
}

// fewer makes a property whose every case is a whole run take fewer of them,
// unless the command line says how many.
func fewer(t *testing.T, n string) {
	f := flag.Lookup("rapid.checks")
	if f == nil || f.Value.String() != f.DefValue {
		return
	}
	if err := f.Value.Set(n); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Value.Set(f.DefValue); err != nil {
			t.Error(err)
		}
	})
}
