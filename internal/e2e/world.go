package e2e

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/backup"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/scan"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// World is a repository in memory with a source of a few small files, for tests
// that harm it object by object. Unlike a Bench it is kept open.
type World struct {
	Store    *storagetest.Memory
	Identity age.Identity // nil if the repository is not encrypted
	Source   string       // folder
	Last     *repo.Snapshot
	Class    tarn.Class       // of archives
	Lost     []tarn.ArchiveID // known to be, for backups

	tb testing.TB
}

// NewWorld makes the repository and an empty source.
func NewWorld(tb testing.TB, encrypt bool) *World {
	tb.Helper()
	w := &World{Store: storagetest.NewMemory(), Source: tb.TempDir(), Class: tarn.Standard, tb: tb}
	Must[*repo.Repo](tb)(repo.Create(tb.Context(), w.Store, repo.CreateOptions{
		Encrypt: encrypt, Compression: "default", StorageClass: tarn.Standard,
		SaveIdentity: func(id *age.X25519Identity, _, _ string) error { w.Identity = id; return nil },
	}))
	return w
}

// Identities gives the identity to a repository that is opened.
func (w *World) Identities() ([]age.Identity, error) {
	if w.Identity == nil {
		return nil, nil
	}
	return []age.Identity{w.Identity}, nil
}

// Open opens the repository over a storage with its cache in a folder.
func (w *World) Open(s storage.Storage, cache string) *repo.Repo {
	w.tb.Helper()
	files := Must[*catalog.Files](w.tb)(catalog.OpenFiles(cache))
	return Must[*repo.Repo](w.tb)(repo.Open(w.tb.Context(), s, repo.Options{Cache: worldCache{files}, Identities: w.Identities}))
}

type worldCache struct{ *catalog.Files }

// Create implements repo.Cache.
func (c worldCache) Create() (repo.CacheFile, error) { return c.Files.Create() }

// Write puts files into the source; empty content removes one.
func (w *World) Write(files map[string]string) {
	w.tb.Helper()
	for name, content := range files {
		p := filepath.Join(w.Source, name)
		if content != "" {
			Write(w.tb, p, []byte(content))
		} else if err := os.Remove(p); err != nil {
			w.tb.Fatal(err)
		}
	}
}

// Backup makes a snapshot of the source, compared with the last one.
func (w *World) Backup(r *repo.Repo, contents *catalog.Contents) *repo.Snapshot {
	w.tb.Helper()
	res := Must[*backup.Result](w.tb)(backup.Run(w.tb.Context(), backup.Config{
		Repo: r, Contents: contents, Sources: []scan.Config{{Path: w.Source, Name: "src", SplitDepth: 1}},
		Lost: w.Lost, Parent: w.Last, Host: "h", Program: "test", ArchiveSize: 64 << 20, Class: w.Class,
	}))
	w.Last = Must[*repo.Snapshot](w.tb)(r.Snapshot(w.tb.Context(), res.Snapshot))
	return w.Last
}

// Keys returns the keys of the repository with a prefix.
func (w *World) Keys(prefix string) (list []string) {
	for _, k := range w.Store.Keys() {
		if strings.HasPrefix(k, prefix) {
			list = append(list, k)
		}
	}
	return list
}

// Must returns the value of a call, or fails the test by its error.
func Must[T any](tb testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

// ReadFiles reads all regular files below a folder.
func ReadFiles(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		files[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return files
}

// Fewer makes a property whose every case is a whole run take fewer of them,
// unless the command line says how many.
func Fewer(t *testing.T, n string) {
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
