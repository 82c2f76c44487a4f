package catalog

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tarn-backup/tarn"
)

func hashOf(n uint64) tarn.ContentHash {
	return sha256.Sum256(binary.LittleEndian.AppendUint64(nil, n))
}

func archiveOf(n int) tarn.ArchiveID {
	id := tarn.FormatID(time.Unix(1e9+int64(n), 0), [8]byte{byte(n)})
	return tarn.ArchiveID(id)
}

// TestContentsModel holds the look-up against a map, over flushes, merges and
// reopenings.
func TestContentsModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		c, err := OpenContents(dir)
		if err != nil {
			rt.Fatal(err)
		}
		model := map[tarn.ContentHash][]tarn.Location{}
		for n := range rapid.IntRange(1, 12).Draw(rt, "archives") {
			a := c.Add(archiveOf(n))
			for i, v := range rapid.SliceOfN(rapid.Uint64Range(0, 300), 0, 200).Draw(rt, "contents") {
				h := hashOf(v)
				size := int64(1 + v)
				if v%50 == 0 {
					size += LargeSize
				}
				a.Content(h, int64(i), size)
				model[h] = append(model[h], tarn.Location{Archive: archiveOf(n), Offset: int64(i), Size: size})
			}
			if err := a.Done(); err != nil {
				rt.Fatal(err)
			}
			if rapid.Bool().Draw(rt, "reopen") {
				if err := c.Close(); err != nil {
					rt.Fatal(err)
				}
				if c, err = OpenContents(dir); err != nil {
					rt.Fatal(err)
				}
			}
			if !c.Has(archiveOf(n)) || c.Latest() != archiveOf(n) {
				rt.Fatalf("archive %d is not known after Done", n)
			}
		}
		for v := range uint64(320) {
			loc, ok, err := c.Lookup(hashOf(v))
			if err != nil {
				rt.Fatal(err)
			}
			want := model[hashOf(v)]
			if ok != (len(want) > 0) {
				rt.Fatalf("content %d: found %v, want %v", v, ok, !ok)
			}
			found := !ok
			for _, w := range want {
				found = found || w == loc
			}
			if !found {
				rt.Fatalf("content %d at %v, want one of %v", v, loc, want)
			}
			if err := sameArchives(c, hashOf(v), loc, want); err != nil {
				rt.Fatalf("content %d: %v", v, err)
			}
			if v%50 == 0 && c.HasSize(int64(1+v)+LargeSize) != ok {
				rt.Fatalf("HasSize of content %d: want %v", v, ok)
			}
		}
		if err := c.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}

// sameArchives compares what Locations returns with the places that were added.
func sameArchives(c *Contents, h tarn.ContentHash, first tarn.Location, want []tarn.Location) error {
	got, err := c.Locations(h)
	if err != nil {
		return err
	}
	added := map[tarn.ArchiveID][]tarn.Location{}
	for _, w := range want {
		added[w.Archive] = append(added[w.Archive], w)
	}
	if len(got) != len(added) || len(got) > 0 && !slices.Contains(got, first) {
		return fmt.Errorf("locations %v, want one in each of %v, and %v", got, added, first)
	}
	for i, g := range got {
		if !slices.Contains(added[g.Archive], g) || i > 0 && got[i-1].Archive >= g.Archive {
			return fmt.Errorf("locations %v, want one in each of %v", got, added)
		}
	}
	return nil
}

// TestContentsManyPlaces has more places of one content than a read of a run
// usually brings.
func TestContentsManyPlaces(t *testing.T) {
	c, err := OpenContents(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const archives = 5 * stride
	for n := range archives {
		a := c.Add(archiveOf(n))
		a.Content(hashOf(1), int64(n), 7)
		a.Content(hashOf(uint64(100+n)), 0, 1)
		if err := a.Done(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		list, err := c.Locations(hashOf(1))
		if err != nil || len(list) != archives || list[archives-1].Offset != archives-1 {
			t.Errorf("%d locations, want %d: %v", len(list), archives, err)
		}
		if loc, ok, err := c.Lookup(hashOf(1)); err != nil || !ok || loc != list[0] {
			t.Errorf("%v, %v, %v, want %v", loc, ok, err, list[0])
		}
		c.mu.Lock()
		err = c.flush()
		c.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestContentsMany crosses the flush and the merge thresholds.
func TestContentsMany(t *testing.T) {
	c, err := OpenContents(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const each, archives = flushAt, maxRuns + 2
	for n := range archives {
		a := c.Add(archiveOf(n))
		for i := range each {
			a.Content(hashOf(uint64(n*each+i)), int64(i), 1)
		}
		if err := a.Done(); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.runs) > maxRuns {
		t.Errorf("%d runs, want at most %d", len(c.runs), maxRuns)
	}
	for n := uint64(0); n < each*archives; n += 997 {
		loc, ok, err := c.Lookup(hashOf(n))
		if err != nil || !ok || loc.Offset != int64(n%each) || loc.Archive != archiveOf(int(n/each)) {
			t.Fatalf("content %d: %v, %v, %v", n, loc, ok, err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestContentsDamaged: a look-up that is damaged begins anew instead of lying.
func TestContentsDamaged(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"cut":     func(p string) error { return os.Truncate(p, 100) },
		"garbage": func(p string) error { return os.WriteFile(p, []byte("not a run"), 0o600) },
		"gone":    os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c, err := OpenContents(dir)
			if err != nil {
				t.Fatal(err)
			}
			a := c.Add(archiveOf(1))
			a.Content(hashOf(1), 0, 1)
			if err := a.Done(); err != nil {
				t.Fatal(err)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			runs, err := filepath.Glob(filepath.Join(dir, "*.run"))
			if err != nil || len(runs) != 1 {
				t.Fatal(runs, err)
			}
			if err := damage(runs[0]); err != nil {
				t.Fatal(err)
			}
			if c, err = OpenContents(dir); err != nil {
				t.Fatal(err)
			}
			if c.Has(archiveOf(1)) {
				t.Error("a damaged look-up still claims to know the archive")
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func BenchmarkLookup(b *testing.B) {
	c, err := OpenContents(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	const n = 1 << 20
	a := c.Add(archiveOf(1))
	for i := range uint64(n) {
		a.Content(hashOf(i), int64(i), 1)
	}
	if err := a.Done(); err != nil {
		b.Fatal(err)
	}
	for _, miss := range []uint64{0, n} {
		b.Run(fmt.Sprintf("miss=%v", miss > 0), func(b *testing.B) {
			for i := range uint64(b.N) {
				if _, _, err := c.Lookup(hashOf(i%n + miss)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
