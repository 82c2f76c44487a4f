package scan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// makeTree makes files, and directories where a path ends in a slash; what follows "=" is the content.
func makeTree(t *testing.T, paths ...string) string {
	t.Helper()
	top := t.TempDir()
	for _, p := range paths {
		p, content, _ := strings.Cut(p, "=")
		path := filepath.Join(top, p)
		dir := filepath.Dir(path)
		if strings.HasSuffix(p, "/") {
			dir = path
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if dir == path {
			continue
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return top
}

const validTag = cacheTagSignature + "\n# made by a test"

func TestLeftOut(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		tree []string
		want string
	}{
		{"bins", Config{}, []string{"$RECYCLE.BIN/x", "d/.Trash-1000/x", "System Volume Information/", ".Trash-1001/x", "f/.Trash-1000x"},
			".Trash-1001 .Trash-1001/x d f f/.Trash-1000x"},
		{"a file named as a bin", Config{}, []string{"$RECYCLE.BIN"}, "$RECYCLE.BIN"},
		{"caches", Config{ExcludeCaches: true},
			[]string{"c/CACHEDIR.TAG=" + validTag, "c/d/x", "c/y", "n/CACHEDIR.TAG=Signature: other", "n/x", "m/CACHEDIR.TAG/", "m/x"},
			"c c/CACHEDIR.TAG m m/CACHEDIR.TAG m/x n n/CACHEDIR.TAG n/x"},
		{"caches kept", Config{}, []string{"c/CACHEDIR.TAG=" + validTag, "c/x"}, "c c/CACHEDIR.TAG c/x"},
		{"if present", Config{ExcludeIfPresent: []string{".nobackup", ".git"}}, []string{"a/.nobackup", "a/x", "a/d/y", "b/.git/", "b/x", "c/x"},
			"a a/.nobackup b c c/x"},
		{"excludes", Config{Excludes: []string{"*.tmp", "/top/only", "!keep.tmp", "d/"}},
			[]string{"x.tmp", "keep.tmp", "top/only", "sub/top/only", "d/keep.tmp", "sub/d"}, "keep.tmp sub sub/d sub/top sub/top/only top"},
		{"excludes are no comments", Config{Excludes: []string{"#recycle"}}, []string{"#recycle/x", "y"}, "y"},
		{"ignore files", Config{IgnoreFile: ".tarnignore"},
			[]string{".tarnignore=*.o\n# no\n/b\n", "a.o", "b", "s/b", "s/.tarnignore=!a.o\nx\n", "s/a.o", "s/c.o", "s/x", "s/t/x", "s/t/a.o"},
			".tarnignore s s/.tarnignore s/a.o s/b s/t s/t/a.o"},
		{"excludes outrank ignore files", Config{IgnoreFile: ".tarnignore", Excludes: []string{"x", "!y"}},
			[]string{".tarnignore=!x\ny\n", "x", "y"}, ".tarnignore y"},
		{"no way back into an excluded directory", Config{IgnoreFile: ".tarnignore"},
			[]string{".tarnignore=d\n!d/x\ne/*\n!e/x", "d/x", "e/x", "e/y"}, ".tarnignore e e/x"},
		{"an ignore file does not work above", Config{IgnoreFile: ".tarnignore"}, []string{"a/.tarnignore=/x\n", "a/x", "b/x", "x"},
			"a a/.tarnignore b b/x x"},
		{"bytes that are not UTF-8", Config{Excludes: []string{"a\xff*", "[\xfe]"}}, []string{"a\xffb", "\xfe", "\xfd"}, "\xfd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.Path, c.cfg.Name = makeTree(t, c.tree...), "s"
			for c.cfg.SplitDepth = range 4 {
				if got := strings.Join(walkNames(t, c.cfg), " "); sortWords(got) != c.want {
					t.Errorf("depth %d: got %q, want %q", c.cfg.SplitDepth, sortWords(got), c.want)
				}
			}
		})
	}
}

// sortWords brings what splits put in another order into that of paths.
func sortWords(s string) string {
	words := strings.Fields(s)
	firstDifference(words, nil)
	return strings.Join(words, " ")
}

// TestSplitOfExcluded checks that an excluded directory is no split, and that a
// split asked for by its path alone heeds the ignore files above it.
func TestSplitOfExcluded(t *testing.T) {
	top := makeTree(t, ".tarnignore=out\n*.o\n", "out/x", "in/x", "in/a.o", "in/sub/b.o", "in/out/y")
	s := open(t, Config{Path: top, Name: "s", SplitDepth: 2, IgnoreFile: ".tarnignore"})
	defer s.Close()
	var splits []string
	for _, sp := range walkAll(t, s).splits {
		splits = append(splits, sp.Path)
	}
	if got := strings.Join(splits, " "); got != "s s/in s/in/sub" {
		t.Errorf("splits %q", got)
	}
	for e, err := range s.Entries(t.Context(), Split{Path: "s/in/sub", Recursive: true}) {
		if err != nil || e.Path != "s/in/sub" {
			t.Errorf("%q, %v", e.Path, err)
		}
	}
}

func TestIgnoreFileTooLarge(t *testing.T) {
	top := makeTree(t, "d/.tarnignore="+strings.Repeat("#", maxIgnoreFile+1), "d/x")
	s := open(t, Config{Path: top, Name: "s", IgnoreFile: ".tarnignore"})
	defer s.Close()
	w := walkAll(t, s)
	if len(w.entries) != 4 || w.errs["s/d/.tarnignore"] == nil {
		t.Errorf("%d entries, errors %v", len(w.entries), w.errs)
	}
}
