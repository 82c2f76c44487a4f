package backup_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/backup"
	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// TestPlanIsWhatHappens: a dry run, and a plan that reads nothing, name the
// archives that a run then makes, of at least their size and in their class, and store nothing.
func TestPlanIsWhatHappens(t *testing.T) {
	m := storagetest.NewMemory()
	b := e2e.New(t, true)
	if err := b.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for i := range 40 {
		e2e.Write(t, filepath.Join(dir, fmt.Sprintf("%c/%02d", 'a'+i%3, i)), e2e.Content(uint64(i), 100_000+i*5000))
	}
	e2e.Write(t, filepath.Join(dir, "a/large"), e2e.Content(99, 5<<20)) // streamed, and an archive of its own
	e2e.Write(t, filepath.Join(dir, "d/small"), e2e.Content(98, 1000))
	as := func(c *backup.Config) {
		c.ArchiveSize, c.Class = 1<<20, tarn.Glacier
		c.ClassOf = func(size int64) tarn.Class {
			if size < 100<<10 {
				return tarn.Standard
			}
			return c.Class
		}
	}
	compare := func(when string) {
		t.Helper()
		keys := len(m.Keys())
		planned, err := b.Backup(t.Context(), m, dir, func(c *backup.Config) { as(c); c.Plan = true })
		if err != nil {
			t.Fatal(err)
		}
		dry, err := b.Backup(t.Context(), m, dir, func(c *backup.Config) { as(c); c.DryRun = true })
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Keys()) != keys {
			t.Fatalf("%s: something was stored", when)
		}
		res, err := b.Backup(t.Context(), m, dir, as)
		if err != nil {
			t.Fatal(err)
		}
		want, bytes := sums(res)
		for name, r := range map[string]*backup.Result{"plan": planned, "dry run": dry} {
			got, most := sums(r)
			if fmt.Sprint(got) != fmt.Sprint(want) || r.Trees != res.Trees || r.NewBytes != res.NewBytes {
				t.Errorf("%s: the %s has %v in %d trees, %d bytes; the run made %v in %d, %d bytes", when, name, got, r.Trees, r.NewBytes, want, res.Trees, res.NewBytes)
			}
			if most < bytes || most > bytes+bytes/20+int64(len(r.Made))*20<<10 {
				t.Errorf("%s: the %s has %d bytes, the run stored %d", when, name, most, bytes)
			}
		}
	}
	compare("first")
	compare("unchanged")
	e2e.Write(t, filepath.Join(dir, "b/01"), e2e.Content(100, 120_000))
	e2e.Write(t, filepath.Join(dir, "e/new"), e2e.Content(101, 3<<20))
	compare("changed")
}

// sums counts the archives of a run by class.
func sums(r *backup.Result) (classes map[tarn.Class]int, bytes int64) {
	classes = map[tarn.Class]int{}
	for _, a := range r.Made {
		classes[a.Class]++
		bytes += a.Size
	}
	return classes, bytes
}
