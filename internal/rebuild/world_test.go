package rebuild_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/check"
	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/rebuild"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/restore"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// world is a repository in memory and its source.
type world struct {
	*e2e.World
	t       testing.TB
	machine *machine
}

var quiet = slog.New(slog.DiscardHandler)

// machine is what one machine has of the repository.
type machine struct {
	repo     *repo.Repo
	dir      string // of the cache
	contents *catalog.Contents
}

func must[T any](t testing.TB) func(v T, err error) T { return e2e.Must[T](t) }

func newWorld(t testing.TB, encrypt bool) *world {
	t.Helper()
	w := &world{World: e2e.NewWorld(t, encrypt), t: t}
	w.machine = w.open()
	return w
}

// open opens the repository on a machine that has nothing of it.
func (w *world) open() *machine {
	w.t.Helper()
	dir, err := os.MkdirTemp(w.t.TempDir(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	m := &machine{repo: w.Open(w.Store, dir), dir: dir}
	m.contents = must[*catalog.Contents](w.t)(catalog.OpenContents(filepath.Join(dir, "contents")))
	w.t.Cleanup(func() {
		if err := m.contents.Reset(); err != nil {
			w.t.Error(err)
		}
	})
	return m
}

func (w *world) backup() *repo.Snapshot {
	w.t.Helper()
	return w.Backup(w.machine.repo, w.machine.contents)
}

// rebuild rebuilds on a machine, and makes sure that nothing that was there
// was touched.
func (w *world) rebuild(m *machine) *rebuild.Result {
	w.t.Helper()
	before := w.Store.Clone()
	dir := w.t.TempDir()
	res := must[*rebuild.Result](w.t)(rebuild.Run(w.t.Context(), rebuild.Config{Repo: m.repo, Contents: m.contents, Dir: dir}))
	for _, k := range before.Keys() {
		if !bytes.Equal(before.Bytes(k), w.Store.Bytes(k)) {
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
	return e2e.ReadFiles(w.t, filepath.Join(target, "src"))
}

// drop loses all objects with a prefix.
func (w *world) drop(prefix string) int {
	w.t.Helper()
	keys := w.Keys(prefix)
	if len(keys) == 0 {
		w.t.Fatalf("there is nothing under %s", prefix)
	}
	for _, k := range keys {
		w.Store.Drop(k)
	}
	return len(keys)
}

// gets counts the reads of objects with a prefix.
func (w *world) gets(prefix string) (n int) {
	for _, q := range w.Store.Requests() {
		if q.Op == storagetest.OpGet && strings.HasPrefix(q.Key, prefix) {
			n++
		}
	}
	return n
}
