package backup_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/backup"
	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/scan"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// TestAbsentSource: a disk that is not mounted costs the other sources nothing,
// what the parent has of it stays, and it is compared with that when it is back.
func TestAbsentSource(t *testing.T) {
	m := storagetest.NewMemory()
	b := e2e.New(t, false)
	if err := b.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	dir, disk := t.TempDir(), filepath.Join(t.TempDir(), "disk")
	e2e.Write(t, filepath.Join(dir, "a/1"), e2e.Content(1, 100))
	e2e.Write(t, filepath.Join(disk, "top"), e2e.Content(2, 100))
	e2e.Write(t, filepath.Join(disk, "b/2"), e2e.Content(3, 100))
	var reported []string
	run := func(disk string, dry bool) (*backup.Result, error) {
		t.Helper()
		reported = nil
		return b.Backup(t.Context(), m, dir, func(c *backup.Config) {
			c.Sources = append(c.Sources, scan.Config{Path: disk, Name: "disk", SplitDepth: 1})
			c.DryRun, c.Count = dry, true
			c.Problem = func(path string, err error) { reported = append(reported, path+": "+err.Error()) }
		})
	}
	if res, err := run(disk, false); err != nil || res.Problems > 0 || res.Total.Files != 3 {
		t.Fatalf("%+v, %v", res, err)
	}
	if err := os.Rename(disk, disk+" away"); err != nil {
		t.Fatal(err)
	}
	e2e.Write(t, filepath.Join(dir, "a/new"), e2e.Content(4, 100))
	for _, dry := range []bool{true, false} {
		res, err := run(disk, dry)
		if err != nil || res.Problems != 1 || res.New != 1 || res.Unchanged != 3 || res.Total.Files != 4 {
			t.Errorf("dry run %t: %+v, %v", dry, res, err)
		}
		if len(reported) != 1 || !strings.HasPrefix(reported[0], "disk: opening source "+disk) || !strings.Contains(reported[0], "mount") {
			t.Errorf("reported %q", reported)
		}
	}
	b.Check(t.Context(), m, 100)
	target := t.TempDir()
	if res, err := b.Restore(t.Context(), m, "", target, nil); err != nil || res.Problems > 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	equal(t, dir, filepath.Join(target, "src"))
	equal(t, disk+" away", filepath.Join(target, "disk"))

	// Another folder of its name is another source: nothing is kept for it.
	if res, err := run(disk+" of another", true); err != nil || res.Problems != 1 || res.Total.Files != 2 {
		t.Errorf("%+v, %v", res, err)
	}
	// Back again: nothing of its content is stored.
	if err := os.Rename(disk+" away", disk); err != nil {
		t.Fatal(err)
	}
	if res, err := run(disk, false); err != nil || res.Problems != 0 || res.Unchanged != 4 || res.Archives != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	// Without any there is no snapshot.
	before := m.Keys()
	for _, dry := range []bool{true, false} {
		_, err := b.Backup(t.Context(), m, dir+" away", func(c *backup.Config) {
			c.Sources = append(c.Sources, scan.Config{Path: disk + " away", Name: "disk", SplitDepth: 1})
			c.DryRun = dry
		})
		if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), dir+" away") || !strings.Contains(err.Error(), disk+" away") {
			t.Errorf("%v", err)
		}
	}
	if !slices.Equal(m.Keys(), before) {
		t.Error("a run without sources has stored something")
	}
}
