package backup_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/backup"
	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/scan"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// shut takes the rights to a folder away until the test ends.
func shut(t *testing.T, dir string, mode os.FileMode) (open func()) {
	t.Helper()
	open = func() {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Error(err)
		}
	}
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(open)
	return open
}

// TestUnreadableFolder: what lies below a folder that can't be read stays as
// the parent has it, wherever the folder is, and what is beside it is backed up.
func TestUnreadableFolder(t *testing.T) {
	e2e.AsNobody(t)
	for _, folder := range []string{"a", "a/deep", "a/deep/er", "b", "z"} {
		for _, depth := range []int{0, 1, 2} {
			t.Run(strings.ReplaceAll(folder, "/", "_")+string(rune('0'+depth)), func(t *testing.T) {
				m := storagetest.NewMemory()
				b := e2e.New(t, false)
				if err := b.Create(t.Context(), m); err != nil {
					t.Fatal(err)
				}
				dir := t.TempDir()
				for i, name := range []string{"a/1", "a/deep/2", "a/deep/er/3", "a/deep/er/x/4", "a/deep/f", "a/m", "b/5", "b.x", "top", "z/6", "z/y/7"} {
					e2e.Write(t, filepath.Join(dir, name), e2e.Content(uint64(i), 100))
				}
				change := func(c *backup.Config) { c.Sources[0].SplitDepth = depth }
				if _, err := b.Backup(t.Context(), m, dir, change); err != nil {
					t.Fatal(err)
				}
				e2e.Write(t, filepath.Join(dir, "b.x"), e2e.Content(50, 100))
				if err := os.Remove(filepath.Join(dir, "top")); err != nil {
					t.Fatal(err)
				}
				e2e.Write(t, filepath.Join(dir, "aa/new"), e2e.Content(51, 100))
				for _, mode := range []os.FileMode{0, 0o444} { // neither, or names alone
					open := shut(t, filepath.Join(dir, folder), mode)
					res, err := b.Backup(t.Context(), m, dir, change)
					open()
					if err != nil || res.Problems == 0 || res.Total.Files != 11 || mode == 0 && (res.New != 1 || res.Changed != 1 || res.Unchanged != 9) {
						t.Errorf("%o: %+v, %v", mode, res, err)
					}
				}
				b.Check(t.Context(), m, 100)
				if _, err := b.Backup(t.Context(), m, dir, func(c *backup.Config) { change(c); c.DryRun = true }); err != nil {
					t.Error(err)
				}
				target := t.TempDir()
				if res, err := b.Restore(t.Context(), m, "", target, nil); err != nil || res.Problems > 0 {
					t.Fatalf("%+v, %v", res, err)
				}
				if err := os.Chmod(filepath.Join(target, "src", folder), 0o755); err != nil {
					t.Fatal(err)
				}
				equal(t, dir, filepath.Join(target, "src"))
				if _, err := os.Stat(filepath.Join(target, "src/top")); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("what was deleted is there: %v", err)
				}
			})
		}
	}
}

// TestUnreadableName: a file that comes and can't be read, where one before it
// was deleted, leaves those after it alone.
func TestUnreadableName(t *testing.T) {
	e2e.AsNobody(t)
	m := storagetest.NewMemory()
	b := e2e.New(t, false)
	if err := b.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for i, name := range []string{"a/1", "a/2", "a/4"} {
		e2e.Write(t, filepath.Join(dir, name), e2e.Content(uint64(i), 100))
	}
	backedUp(t, b, m, dir, 0, 0)
	if err := os.Remove(filepath.Join(dir, "a/2")); err != nil {
		t.Fatal(err)
	}
	e2e.Write(t, filepath.Join(dir, "a/3"), e2e.Content(9, 100))
	if err := os.Chmod(filepath.Join(dir, "a/3"), 0); err != nil {
		t.Fatal(err)
	}
	res, err := b.Backup(t.Context(), m, dir, nil)
	if err != nil || res.Problems != 1 {
		t.Fatalf("%+v, %v", res, err)
	}
	if err := os.Remove(filepath.Join(dir, "a/3")); err != nil {
		t.Fatal(err)
	}
	givesBack(t, b, m, dir)
}

// TestNothingReadable: where nothing at all can be read there is no snapshot,
// and one source that can be is enough for one.
func TestNothingReadable(t *testing.T) {
	e2e.AsNobody(t)
	m := storagetest.NewMemory()
	b := e2e.New(t, false)
	if err := b.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	dir, other := t.TempDir(), t.TempDir()
	e2e.Write(t, filepath.Join(dir, "a/1"), e2e.Content(1, 100))
	e2e.Write(t, filepath.Join(other, "b/2"), e2e.Content(2, 100))
	empty, err := b.Backup(t.Context(), m, t.TempDir(), nil)
	if err != nil || empty.Snapshot == "" {
		t.Fatalf("an empty folder: %+v, %v", empty, err)
	}
	backedUp(t, b, m, dir, 0, 0)
	snapshots := func() (n int) {
		for _, k := range m.Keys() {
			if strings.HasPrefix(k, "snapshots/") {
				n++
			}
		}
		return n
	}
	before := snapshots()
	sources := map[string]os.FileMode{dir: 0, filepath.Join(dir, "a"): 0o444, filepath.Join(dir, "a/1"): 0}
	for source, mode := range sources {
		for _, dry := range []bool{false, true} {
			open := shut(t, source, mode)
			res, err := b.Backup(t.Context(), m, source, func(c *backup.Config) { c.DryRun = dry })
			open()
			if err == nil || snapshots() != before {
				t.Errorf("%s with mode %o: %+v, %v", source, mode, res, err)
			}
		}
	}
	file := filepath.Join(dir, "a/1")
	shut(t, file, 0)
	res, err := b.Backup(t.Context(), m, file, func(c *backup.Config) {
		c.Sources = append(c.Sources, scan.Config{Path: other, Name: "other", SplitDepth: 1})
	})
	if err != nil || res.Problems == 0 || snapshots() != before+1 || res.Total.Files != 1 {
		t.Errorf("%+v, %v", res, err)
	}
}
