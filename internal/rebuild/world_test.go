package rebuild_test

import (
	"bytes"
	"flag"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/backup"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/check"
	"github.com/tarn-backup/tarn/internal/rebuild"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/restore"
	"github.com/tarn-backup/tarn/internal/scan"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// world is a repository in memory and its source.
type world struct {
	t        testing.TB
	store    *storagetest.Memory
	identity age.Identity
	source   string
	last     *repo.Snapshot
	class    tarn.Class
	machine  *machine
	lost     []tarn.ArchiveID // known to be, for backups
}

var quiet = slog.New(slog.DiscardHandler)

// machine is what one machine has of the repository.
type machine struct {
	repo     *repo.Repo
	dir      string // of the cache
	contents *catalog.Contents
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
	w := &world{t: t, store: storagetest.NewMemory(), source: t.TempDir(), class: tarn.Standard}
	must[*repo.Repo](t)(repo.Create(t.Context(), w.store, repo.CreateOptions{
		Encrypt: encrypt, Compression: "default", StorageClass: tarn.Standard,
		SaveIdentity: func(id *age.X25519Identity, _, _ string) error { w.identity = id; return nil },
	}))
	w.machine = w.open()
	return w
}

type filesCache struct{ *catalog.Files }

func (c filesCache) Create() (repo.CacheFile, error) { return c.Files.Create() }

// open opens the repository on a machine that has nothing of it.
func (w *world) open() *machine {
	w.t.Helper()
	dir, err := os.MkdirTemp(w.t.TempDir(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	m := &machine{dir: dir}
	files := must[*catalog.Files](w.t)(catalog.OpenFiles(dir))
	m.repo = must[*repo.Repo](w.t)(repo.Open(w.t.Context(), w.store, repo.Options{
		Cache: filesCache{files},
		Identities: func() ([]age.Identity, error) {
			if w.identity == nil {
				return nil, nil
			}
			return []age.Identity{w.identity}, nil
		},
	}))
	m.contents = must[*catalog.Contents](w.t)(catalog.OpenContents(filepath.Join(dir, "contents")))
	w.t.Cleanup(func() {
		if err := m.contents.Reset(); err != nil {
			w.t.Error(err)
		}
	})
	return m
}

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

func (w *world) backup() *repo.Snapshot {
	w.t.Helper()
	m := w.machine
	res := must[*backup.Result](w.t)(backup.Run(w.t.Context(), backup.Config{
		Repo: m.repo, Contents: m.contents, Sources: []scan.Config{{Path: w.source, Name: "src", SplitDepth: 1}},
		Lost: w.lost, Parent: w.last, Host: "h", Program: "test", ArchiveSize: 64 << 20, Class: w.class,
	}))
	w.last = must[*repo.Snapshot](w.t)(m.repo.Snapshot(w.t.Context(), res.Snapshot))
	return w.last
}

// rebuild rebuilds on a machine, and makes sure that nothing that was there
// was touched.
func (w *world) rebuild(m *machine) *rebuild.Result {
	w.t.Helper()
	before := w.store.Clone()
	dir := w.t.TempDir()
	res := must[*rebuild.Result](w.t)(rebuild.Run(w.t.Context(), rebuild.Config{Repo: m.repo, Contents: m.contents, Dir: dir}))
	for _, k := range before.Keys() {
		if !bytes.Equal(before.Bytes(k), w.store.Bytes(k)) {
			w.t.Errorf("%s was changed", k)
		}
	}
	if left := must[[]os.DirEntry](w.t)(os.ReadDir(dir)); len(left) > 0 {
		w.t.Errorf("the rebuild left %v", left)
	}
	return res
}

// clean checks the repository.
func (w *world) clean() {
	w.t.Helper()
	res := must[*check.Result](w.t)(check.Run(w.t.Context(), check.Config{Repo: w.open().repo, ReadData: 100, Dir: w.t.TempDir()}))
	if len(res.Damages) > 0 || len(res.Notes) > 0 {
		w.t.Errorf("after the rebuild: %+v, %v", res.Damages, res.Notes)
	}
}

// restored returns the files of a snapshot as a restore on that machine writes them.
func (w *world) restored(m *machine, id tarn.SnapshotID) map[string]string {
	w.t.Helper()
	target := filepath.Join(w.t.TempDir(), "out")
	s := must[*repo.Snapshot](w.t)(m.repo.Snapshot(w.t.Context(), id))
	res := must[*restore.Result](w.t)(restore.Run(w.t.Context(), restore.Config{
		Repo: m.repo, Contents: m.contents, Snapshot: s, Target: target, Overwrite: restore.Changed,
		Problem: func(path string, err error) { w.t.Errorf("%s: %v", path, err) },
	}))
	if res.Problems > 0 {
		w.t.Errorf("%d problems", res.Problems)
	}
	return readTree(w.t, filepath.Join(target, "src"))
}

// readTree reads all files below a folder.
func readTree(t testing.TB, dir string) map[string]string {
	t.Helper()
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
		t.Fatal(err)
	}
	return files
}

func (w *world) keys(prefix string) (list []string) {
	for _, k := range w.store.Keys() {
		if strings.HasPrefix(k, prefix) {
			list = append(list, k)
		}
	}
	return list
}

// drop loses all objects with a prefix.
func (w *world) drop(prefix string) int {
	w.t.Helper()
	keys := w.keys(prefix)
	if len(keys) == 0 {
		w.t.Fatalf("there is nothing under %s", prefix)
	}
	for _, k := range keys {
		w.store.Drop(k)
	}
	return len(keys)
}

// gets counts the reads of objects with a prefix.
func (w *world) gets(prefix string) (n int) {
	for _, q := range w.store.Requests() {
		if q.Op == storagetest.OpGet && strings.HasPrefix(q.Key, prefix) {
			n++
		}
	}
	return n
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
