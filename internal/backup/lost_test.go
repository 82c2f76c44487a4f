package backup_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/backup"
	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/local"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// harmable is a storage whose objects a test can damage.
type harmable struct {
	storage.Storage
	drop func(key string)
	set  func(key string, data []byte)
}

func homes(t *testing.T) map[string]func() harmable {
	return map[string]func() harmable{
		"memory": func() harmable {
			m := storagetest.NewMemory()
			return harmable{m, m.Drop, m.Plant}
		},
		"local": func() harmable {
			dir := t.TempDir()
			s, err := local.Create(dir)
			if err != nil {
				t.Fatal(err)
			}
			must := func(err error) {
				if err != nil {
					t.Fatal(err)
				}
			}
			return harmable{s, func(key string) { must(os.Remove(filepath.Join(dir, key))) },
				func(key string, data []byte) {
					p := filepath.Join(dir, key)
					must(os.Chmod(p, 0o600))
					must(os.WriteFile(p, data, 0o600))
				}}
		},
	}
}

// archives returns the archives of a repository with their sizes, by key.
func archives(t *testing.T, s storage.Storage) map[string]int64 {
	t.Helper()
	list := map[string]int64{}
	for o, err := range s.List(t.Context(), "archives/") {
		if err != nil {
			t.Fatal(err)
		}
		list[o.Key] = o.Size
	}
	return list
}

// givesBack fails unless the newest snapshot gives the folder back.
func givesBack(t *testing.T, b *e2e.Bench, s storage.Storage, dir string) {
	t.Helper()
	target := t.TempDir()
	if res, err := b.Restore(t.Context(), s, "", target, nil); err != nil || res.Problems > 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	equal(t, dir, filepath.Join(target, "src"))
}

// equal fails unless the files of dir are in the folder restored.
func equal(t *testing.T, dir, restored string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		want, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		got, err := os.ReadFile(filepath.Join(restored, rel))
		if err == nil && string(got) != string(want) {
			t.Errorf("%s is not what it was", rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestLostArchives: whatever becomes of archives, the next plain backup stores
// again what is still in the sources, and no more; then the repository is whole.
func TestLostArchives(t *testing.T) {
	harms := map[string]func(h harmable, key string, size int64){
		"deleted":   func(h harmable, key string, _ int64) { h.drop(key) },
		"truncated": func(h harmable, key string, size int64) { h.set(key, make([]byte, size/2)) },
		"grown":     func(h harmable, key string, size int64) { h.set(key, make([]byte, size+1)) },
	}
	for home, open := range homes(t) {
		for how, harm := range harms {
			for _, encrypt := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/encrypt=%v", home, how, encrypt), func(t *testing.T) {
					h := open()
					b := e2e.New(t, encrypt)
					if err := b.Create(t.Context(), h); err != nil {
						t.Fatal(err)
					}
					dir := t.TempDir()
					for i, name := range []string{"top", "a/one", "a/two", "a/deep/three", "b/four", "b/again", "c/large"} {
						e2e.Write(t, filepath.Join(dir, name), e2e.Content(uint64(min(i, 4)), 1000+9<<20*(i/6)))
					}
					backedUp(t, b, h, dir, 0, 0)
					lost := archives(t, h)
					healthy := slices.Sorted(maps.Keys(lost))[0]
					delete(lost, healthy)
					for key, size := range lost {
						harm(h, key, size)
					}
					heal(t, b, h, dir, healthy)
				})
			}
		}
	}
}

func backedUp(t *testing.T, b *e2e.Bench, s storage.Storage, dir string, again, still int64) *backup.Result {
	t.Helper()
	res, err := b.Backup(t.Context(), s, dir, nil)
	if err != nil || res.Problems > 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	if res.Again != again || res.StillLost != still {
		t.Errorf("%d files stored again, %d contents still lost; want %d and %d", res.Again, res.StillLost, again, still)
	}
	return res
}

func heal(t *testing.T, b *e2e.Bench, h harmable, dir, healthy string) {
	t.Helper()
	want := int64(0)
	kept := contents(t, b, h, archiveOf(healthy))
	for _, at := range b.Stored(t.Context(), h) {
		if !slices.Contains(at, archiveOf(healthy)) {
			want++
		}
	}
	res, err := b.Backup(t.Context(), h, dir, nil)
	if err != nil || res.Problems > 0 || res.New+res.Changed > 0 || res.Again < want || res.StillLost > 0 || res.Trees > 0 {
		t.Fatalf("%d contents were lost: %+v, %v", want, res, err)
	}
	givesBack(t, b, h, dir)
	givesBack(t, b.Amnesiac(), h, dir)
	found := b.Check(t.Context(), h, 100)
	if !strings.Contains(strings.Join(found.Notes, "\n"), "no snapshot needs") {
		t.Errorf("the dead archives are not noted: %q", found.Notes)
	}
	for c, at := range b.Stored(t.Context(), h) {
		if kept[c] && len(at) > 1 {
			t.Errorf("%s was not lost and is stored again", c)
		}
	}
	backedUp(t, b, h, dir, 0, 0)
	backedUp(t, b.Amnesiac(), h, dir, 0, 0)
}

func archiveOf(key string) tarn.ArchiveID {
	id, _, _ := strings.Cut(key[strings.LastIndexByte(key, '/')+1:], ".")
	return tarn.ArchiveID(id)
}

func contents(t *testing.T, b *e2e.Bench, s storage.Storage, id tarn.ArchiveID) map[tarn.ContentHash]bool {
	t.Helper()
	list := map[tarn.ContentHash]bool{}
	for c, at := range b.Stored(t.Context(), s) {
		list[c] = slices.Contains(at, id)
	}
	return list
}

// TestLostBeyondTheSources: what is in no source any more stays lost, is said,
// and the rest is stored again also after a change of the file.
func TestLostBeyondTheSources(t *testing.T) {
	m := storagetest.NewMemory()
	b := e2e.New(t, true)
	if err := b.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for i, name := range []string{"gone", "changed", "stays", "touched"} {
		e2e.Write(t, filepath.Join(dir, "a", name), e2e.Content(uint64(i), 1000))
	}
	backedUp(t, b, m, dir, 0, 0)
	for key := range archives(t, m) {
		m.Drop(key)
	}
	if err := os.Remove(filepath.Join(dir, "a/gone")); err != nil {
		t.Fatal(err)
	}
	e2e.Write(t, filepath.Join(dir, "a/changed"), e2e.Content(9, 1000))
	if err := os.Chmod(filepath.Join(dir, "a/touched"), 0o600); err != nil {
		t.Fatal(err)
	}
	res := backedUp(t, b, m, dir, 1, 2) // touched is read for its changed inode anyway
	if res.Changed != 2 || res.Unchanged != 1 {
		t.Errorf("%+v", res)
	}
	givesBack(t, b, m, dir)
	backedUp(t, b, m, dir, 0, 2)
	e2e.Write(t, filepath.Join(dir, "a/back"), e2e.Content(0, 1000))
	backedUp(t, b, m, dir, 0, 1)
}

// TestLostThenDryRun: a dry run counts and stores nothing.
func TestLostThenDryRun(t *testing.T) {
	m := storagetest.NewMemory()
	b := e2e.New(t, false)
	if err := b.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	e2e.Write(t, filepath.Join(dir, "a/one"), e2e.Content(1, 1000))
	backedUp(t, b, m, dir, 0, 0)
	for key := range archives(t, m) {
		m.Drop(key)
	}
	keys := m.Keys()
	res, err := b.Backup(t.Context(), m, dir, func(c *backup.Config) { c.DryRun = true })
	if err != nil || res.Again != 1 || res.NewBytes != 1000 || !slices.Equal(keys, m.Keys()) {
		t.Errorf("%+v, %v", res, err)
	}
}
