package local_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/local"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

func create(t *testing.T) *local.Storage {
	t.Helper()
	s, err := local.Create(filepath.Join(t.TempDir(), "deep", "repository"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestContract(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Storage { return create(t) })
}

func put(t *testing.T, s *local.Storage, key, content string) {
	t.Helper()
	if _, err := s.Put(t.Context(), key, strings.NewReader(content), storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

func keys(t testing.TB, s *local.Storage, prefix string) []string {
	t.Helper()
	var out []string
	for o, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, o.Key)
	}
	return out
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	if _, err := local.Open(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open of what is not there: %v", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := local.Open(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("open of a file: %v", err)
	}
	if _, err := local.Create(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("create over a file: %v", err)
	}
}

func TestTemporaryFilesAreHidden(t *testing.T) {
	s := create(t)
	put(t, s, "a/b", "x")
	stale := filepath.Join(s.Location(), "a", ".tmp-0011223344556677")
	if err := os.WriteFile(stale, []byte("half of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := keys(t, s, ""); !slices.Equal(got, []string{"a/b"}) {
		t.Errorf("listed %q", got)
	}
	for _, key := range []string{".tmp-x", "a/.tmp-0011223344556677", ".tmp-x/y"} {
		if _, err := s.Stat(t.Context(), key); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("stat of %s: %v", key, err)
		}
	}
}

// TestLeftoversAreSwept: where a file in the making needs a name, a killed run
// leaves one, as large as an archive. The next run takes it away, but not one that
// another process writes at this moment.
func TestLeftoversAreSwept(t *testing.T) {
	dir := t.TempDir()
	s, err := local.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	put := func(key string) {
		t.Helper()
		if _, err := s.Put(t.Context(), key, strings.NewReader("x"), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	put("a/first") // makes the folder; the next process finds the leftovers there
	old := time.Now().Add(-25 * time.Hour)
	for name, gone := range map[string]bool{".tmp-0123456789abcdef": true, "a/.tmp-0123456789abcdef": true, "a/.tmp-fresh": false, "a/first": false, "a/.other": false} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(name, "fresh") {
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
		}
		defer func() {
			if _, err := os.Lstat(path); (err != nil) != gone {
				t.Errorf("%s: %v, want it gone: %t", name, err, gone)
			}
		}()
	}
	if s, err = local.Open(dir); err != nil {
		t.Fatal(err)
	}
	put("b")
	put("a/second")
}

func TestOthersFilesAreIgnored(t *testing.T) {
	s := create(t)
	put(t, s, "a/b", "x")
	if err := os.Symlink("/etc", filepath.Join(s.Location(), "link")); err != nil {
		t.Skip(err)
	}
	if got := keys(t, s, ""); !slices.Equal(got, []string{"a/b"}) {
		t.Errorf("listed %q", got)
	}
}

func TestPermissions(t *testing.T) {
	s := create(t)
	put(t, s, "a/b", "x")
	for path, want := range map[string]fs.FileMode{"": 0o700, "a": 0o700, "a/b": 0o600} {
		info, err := os.Stat(filepath.Join(s.Location(), path))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%q has mode %v, want %v", path, info.Mode().Perm(), want)
		}
	}
}

// A folder that was deleted by hand while the storage is open comes back.
func TestFolderGoesAway(t *testing.T) {
	s := create(t)
	put(t, s, "a/b/c", "x")
	if err := os.RemoveAll(filepath.Join(s.Location(), "a")); err != nil {
		t.Fatal(err)
	}
	put(t, s, "a/b/d", "x")
	if got := keys(t, s, ""); !slices.Equal(got, []string{"a/b/d"}) {
		t.Errorf("listed %q", got)
	}
}

func TestRemover(t *testing.T) {
	s := create(t)
	put(t, s, "a/b", "x")
	r := s.Remover()
	if err := r.Remove(t.Context(), "a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("remove of a folder: %v", err)
	}
	if err := r.Remove(t.Context(), "a/b"); err != nil {
		t.Error(err)
	}
	for _, key := range []string{"a/b", "x", "a/b/c"} {
		if err := r.Remove(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("remove of %s, which is not there: %v", key, err)
		}
	}
	if err := r.Remove(t.Context(), "../x"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("remove outside: %v", err)
	}
}

// List agrees with a sorted list of strings on any set of keys.
func TestListIsSortedAsBytes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, err := local.Create(t.TempDir())
		if err != nil {
			rt.Fatal(err)
		}
		name := rapid.StringMatching(`[a./0-]{1,6}`)
		var want []string
		for _, key := range rapid.SliceOfN(name, 0, 12).Draw(rt, "keys") {
			_, err := s.Put(t.Context(), key, strings.NewReader(""), storage.PutOptions{})
			if err == nil {
				want = append(want, key)
			}
		}
		slices.Sort(want)
		prefix := rapid.SampledFrom(append([]string{"", "a", "a/"}, want...)).Draw(rt, "prefix")
		want = slices.DeleteFunc(want, func(k string) bool { return !strings.HasPrefix(k, prefix) })
		if got := keys(t, s, prefix); !slices.Equal(got, want) {
			rt.Errorf("list of %q: %q, want %q", prefix, got, want)
		}
	})
}
