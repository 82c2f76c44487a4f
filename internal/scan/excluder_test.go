package scan

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tarn-backup/tarn"
)

// seen lists what an Excluder leaves in a folder on disk, by a walk of its own.
func seen(tb testing.TB, top string, cfg Config) (list []string) {
	tb.Helper()
	x := NewExcluder(cfg)
	var visit func(rel string)
	visit = func(rel string) {
		err := x.Enter(rel, func(name string, limit int64) ([]byte, error) {
			info, err := os.Lstat(filepath.Join(top, rel, name))
			if err == nil && limit > 0 && !info.Mode().IsRegular() {
				err = fs.ErrNotExist
			}
			if err != nil || limit == 0 {
				return nil, err
			}
			b, err := os.ReadFile(filepath.Join(top, rel, name))
			return b[:min(int64(len(b)), limit)], err
		})
		if err != nil {
			tb.Fatal(err)
		}
		names, err := os.ReadDir(filepath.Join(top, rel))
		if err != nil {
			tb.Fatal(err)
		}
		for _, n := range names {
			path := join(rel, n.Name())
			if x.Excluded(path, n.IsDir()) {
				continue
			}
			list = append(list, path)
			if n.IsDir() {
				visit(path)
			}
		}
	}
	visit("")
	slices.SortFunc(list, tarn.ComparePaths)
	return list
}

// TestExcluderIsTheWalk compares an Excluder with the walk on random trees with
// random ignore files and excludes. A tag that the walk keeps is left out by an
// Excluder, which is asked for what is beside the snapshot only.
func TestExcluderIsTheWalk(t *testing.T) {
	names := []string{"a", "b", "a.o", "x", ".Trash-1000", "#", "CACHEDIR.TAG", "tag"}
	patterns := []string{"a", "/a", "*.o", "!a.o", "a/b", "b/", "!b", "**/x", "a/**", "/*", "!/a/x", "#"}
	rapid.Check(t, func(rt *rapid.T) {
		top, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		text := rapid.SliceOfN(rapid.SampledFrom(patterns), 0, 3)
		for range rapid.IntRange(1, 12).Draw(rt, "files") {
			parts := rapid.SliceOfN(rapid.SampledFrom(names), 1, 4).Draw(rt, "path")
			path := filepath.Join(top, filepath.Join(parts...))
			if os.MkdirAll(filepath.Dir(path), 0o755) != nil {
				continue // a file stands there
			}
			content := rapid.SampledFrom([]string{"", validTag}).Draw(rt, "content")
			if rapid.Bool().Draw(rt, "ignores") {
				path = filepath.Join(filepath.Dir(path), ".tarnignore")
				content = strings.Join(text.Draw(rt, "lines"), "\n")
			}
			os.WriteFile(path, []byte(content), 0o644) // where a directory stands, none
		}
		cfg := Config{
			Path: top, Name: "s", IgnoreFile: ".tarnignore", Excludes: text.Draw(rt, "excludes"),
			ExcludeCaches: rapid.Bool().Draw(rt, "caches"),
		}
		if rapid.Bool().Draw(rt, "tags") {
			cfg.ExcludeIfPresent = []string{"tag"}
		}
		s, err := Open(cfg)
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		var want []string
		for e, err := range s.Entries(t.Context(), Split{Path: "s", Recursive: true}) {
			if err != nil {
				rt.Fatal(err)
			}
			if base := filepath.Base(e.Path); e.Path != "s" && base != cacheTag && base != "tag" {
				want = append(want, strings.TrimPrefix(e.Path, "s/"))
			}
		}
		got := slices.DeleteFunc(seen(t, top, cfg), func(p string) bool {
			return filepath.Base(p) == cacheTag || filepath.Base(p) == "tag"
		})
		want = slices.DeleteFunc(want, func(p string) bool {
			return strings.Contains("/"+p+"/", "/"+cacheTag+"/") || strings.Contains("/"+p+"/", "/tag/")
		})
		got = slices.DeleteFunc(got, func(p string) bool {
			return strings.Contains("/"+p+"/", "/"+cacheTag+"/") || strings.Contains("/"+p+"/", "/tag/")
		})
		if !slices.Equal(got, want) {
			rt.Fatalf("excluder sees %q, the walk %q", got, want)
		}
	})
}

func TestExcluderUsed(t *testing.T) {
	x := NewExcluder(Config{IgnoreFile: ".tarnignore"})
	file := func(text string) func(string, int64) ([]byte, error) {
		return func(name string, _ int64) ([]byte, error) {
			if name != ".tarnignore" {
				t.Errorf("reads %q", name)
			}
			return []byte(text), nil
		}
	}
	if err := errors.Join(x.Enter("", file("*.o\n!k.o")), x.Enter("d", file("x"))); err != nil {
		t.Fatal(err)
	}
	if x.Excluded("d/k.o", false) || x.Excluded("y", false) || x.Used("") || x.Used("d") {
		t.Error("used before anything was left out")
	}
	if !x.Excluded("d/a.o", false) || !x.Used("") || x.Used("d") {
		t.Error("the rule above was used, not that of d")
	}
	if !x.Excluded("d/x", true) || !x.Used("d") {
		t.Error("the rule of d was not used")
	}
	bad := func(string, int64) ([]byte, error) { return nil, fs.ErrPermission }
	if err := x.Enter("e", bad); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("an ignore file that can't be read: %v", err)
	}
}

func TestPatternExcluder(t *testing.T) {
	x := PatternExcluder([]string{"/own"})
	if !x.Excluded("own", true) || x.Excluded("a/own", true) || x.Excluded(".Trash-1000", true) {
		t.Error("want /own and nothing else")
	}
	x = NewExcluder(Config{ExcludeCaches: true, ExcludeIfPresent: []string{"tag"}})
	if !x.Excluded(".Trash-1000", true) || x.Excluded(".Trash-1000", false) || !slices.Equal(x.Names(), []string{"", cacheTag, "tag"}) {
		t.Errorf("names %q", x.Names())
	}
}
