package warm_test

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
	"github.com/tarn-backup/tarn/internal/warm"
)

// TestForeignIndexes: a machine without an identity says in one line that it
// can't read the indexes of others, and names them to who asks.
func TestForeignIndexes(t *testing.T) {
	m := storagetest.NewMemory()
	b := e2e.New(t, true)
	if err := b.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for i, split := range []string{"a", "b", "c"} {
		e2e.Write(t, filepath.Join(dir, split, "file"), e2e.Content(uint64(i), 100))
	}
	if _, err := b.Backup(t.Context(), m, dir, nil); err != nil {
		t.Fatal(err)
	}
	other := b.Amnesiac()
	other.Adopt(nil)
	o, err := other.Open(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Contents.Close()
	var out bytes.Buffer
	res, err := warm.SyncArchives(t.Context(), o.Repo, o.Contents, slog.New(slog.NewTextHandler(&out, nil)))
	if err != nil || res.Indexes != 3 || len(res.Unreadable) != 3 || res.Added != 0 || len(res.Lost) > 0 {
		t.Errorf("%+v, %v", res, err)
	}
	if warned := strings.Count(out.String(), "level=WARN"); warned != 1 || strings.Count(out.String(), "level=INFO") != 3 || !strings.Contains(out.String(), "indexes=3") {
		t.Errorf("%d warnings:\n%s", warned, out.String())
	}
}

// TestRequests: where nothing is lost, the archives cost one listing and no
// request for any of them.
func TestRequests(t *testing.T) {
	m := storagetest.NewMemory()
	b := e2e.New(t, false)
	if err := b.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	e2e.Write(t, filepath.Join(dir, "a/file"), e2e.Content(1, 100))
	if _, err := b.Backup(t.Context(), m, dir, nil); err != nil {
		t.Fatal(err)
	}
	o, err := b.Open(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Contents.Close()
	m.ResetRequests()
	if res, err := warm.SyncArchives(t.Context(), o.Repo, o.Contents, slog.New(slog.DiscardHandler)); err != nil || len(res.Lost) > 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	for _, q := range m.Requests() {
		if q.Op != storagetest.OpList {
			t.Errorf("%+v", q)
		}
	}
	if n := m.Count(); n != 2 {
		t.Errorf("%d requests", n)
	}
}
