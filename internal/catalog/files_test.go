package catalog

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
)

func keep(t *testing.T, f *Files, name, content string) {
	t.Helper()
	w, err := f.Create()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Keep(name); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, f *Files, name string) string {
	t.Helper()
	r, err := f.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "cache")
	f, err := OpenFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Open("trees/x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	keep(t, f, "trees/x", strings.Repeat("long ", 50_000))
	keep(t, f, "trees/empty", "")
	if got := read(t, f, "trees/x"); got != strings.Repeat("long ", 50_000) {
		t.Errorf("read %d bytes", len(got))
	}
	if got := read(t, f, "trees/empty"); got != "" {
		t.Errorf("read %q", got)
	}
	keep(t, f, "trees/x", "newer")
	if f, err = OpenFiles(dir); err != nil {
		t.Fatal(err)
	}
	if got := read(t, f, "trees/x"); got != "newer" {
		t.Errorf("read %q", got)
	}
	w, err := f.Create()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Discard(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := f.Forget("trees/x"); err != nil {
			t.Error(err)
		}
	}
	if _, err := f.Open("trees/x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("forgotten: %v", err)
	}
	left, err := os.ReadDir(filepath.Join(dir, "tmp"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in tmp: %v, %v", left, err)
	}
}

// TestFilesStay: no name leads out of the folder.
func TestFilesStay(t *testing.T) {
	parent := t.TempDir()
	f, err := OpenFiles(filepath.Join(parent, "cache"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(parent, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../secret", "trees/../../secret", "/../secret", "trees/..//../secret"} {
		if r, err := f.Open(name); err == nil {
			t.Errorf("%s opens %v", name, r)
		}
		if err := f.Forget(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Logf("%s: %v", name, err)
		}
		if w, err := f.Create(); err != nil {
			t.Fatal(err)
		} else if err := w.Keep(name); err == nil {
			if err := f.Forget(name); err != nil {
				t.Error(err)
			}
		}
	}
	if data, err := os.ReadFile(filepath.Join(parent, "secret")); err != nil || string(data) != "secret" {
		t.Errorf("%q, %v", data, err)
	}
}

// TestFilesSweep: what a killed run left goes after a day, not before.
func TestFilesSweep(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenFiles(dir); err != nil {
		t.Fatal(err)
	}
	for name, age := range map[string]time.Duration{"new-old": 25 * time.Hour, "new-fresh": time.Hour} {
		path := filepath.Join(dir, "tmp", name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Now().Add(-age), time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := OpenFiles(dir); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(dir, "tmp"))
	if err != nil || len(left) != 1 || left[0].Name() != "new-fresh" {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestFilesTogether(t *testing.T) {
	f, err := OpenFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 20 {
				keep(t, f, "trees/same", strings.Repeat("x", 1000))
				if got := read(t, f, "trees/same"); got != strings.Repeat("x", 1000) {
					t.Errorf("%d read %d bytes", i, len(got))
				}
			}
		})
	}
	wg.Wait()
}

// FuzzRun: a run file that is damaged in any way is refused, or gives records;
// it never panics, and takes memory by its size.
func FuzzRun(f *testing.F) {
	dir := f.TempDir()
	n := uint64(0)
	path := filepath.Join(dir, "seed.run")
	err := writeRun(path, 100, func() (record, bool, error) {
		n++
		h := tarn.ContentHash{byte(n), 1}
		return record{hash: h, archive: uint32(n), offset: int64(n), size: LargeSize - 50 + int64(n)}, n <= 100, nil
	})
	if err != nil {
		f.Fatal(err)
	}
	seed, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add(seed[:runHeader])
	f.Add([]byte(runMagic + "\x00\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x10\x01\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte(runMagic + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	// One file for all inputs: an ext4 without a journal goes around inodes that were just freed, ever slower.
	path = filepath.Join(dir, "x.run")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := openRun(path)
		if err != nil {
			return
		}
		defer r.file.Close()
		for i := range 5 {
			h := tarn.ContentHash{byte(i * 20), 1}
			if rec, ok, err := r.lookup(&h); ok && (err != nil || rec.hash != h) {
				t.Errorf("looked %v up and found %v, %v", h, rec, err)
			}
		}
		r.hasLarge(LargeSize)
		count := int64(0)
		for next := merge([]*run{r, r}); ; count++ {
			if _, ok, err := next(); err != nil || !ok {
				break
			}
		}
		if count != 2*r.count {
			t.Errorf("%d records of two runs of %d", count, r.count)
		}
	})
}
