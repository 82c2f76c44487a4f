package scan

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn"
)

func TestOpenErrors(t *testing.T) {
	top := makeTree(t, "f")
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Path: filepath.Join(top, "none"), Name: "s"}, "check the path"},
		{Config{Path: filepath.Join(top, "f", "x"), Name: "s"}, "not a directory"},
		{Config{Path: top}, "NAME=PATH"},
		{Config{Path: top, Name: "a/b"}, "NAME=PATH"},
		{Config{Path: top, Name: ".."}, "NAME=PATH"},
		{Config{Path: top, Name: "s", SplitDepth: -1}, "split depth"},
		{Config{Path: top, Name: "s", IgnoreFile: "a/b"}, "without a slash"},
	} {
		s, err := Open(c.cfg)
		if err == nil {
			s.Close()
			t.Errorf("%+v: opened", c.cfg)
		} else if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.cfg.Path) {
			t.Errorf("%+v: %v", c.cfg, err)
		}
	}
}

// TestSingle has sources that are no directories, and links to both.
func TestSingle(t *testing.T) {
	top := makeTree(t, "f=12", "d/x", "g")
	for name, target := range map[string]string{"to d": "d", "to f": "f", "dangling": "none"} {
		if err := os.Symlink(target, filepath.Join(top, name)); err != nil {
			t.Skipf("no symlinks here: %v", err)
		}
	}
	for name, want := range map[string]string{"f": "s:file", "to d": "s:dir s/x:file", "to f": "s:symlink", "dangling": "s:symlink"} {
		for depth := range 2 {
			s := open(t, Config{Path: filepath.Join(top, name), Name: "s", SplitDepth: depth, Excludes: []string{"f"}, OneFileSystem: true})
			defer s.Close()
			var got []string
			w := walkAll(t, s)
			for _, e := range w.entries {
				if err := s.Complete(&e); err != nil {
					t.Error(err)
				}
				if e.Type == tarn.TypeSymlink && e.Target == "" {
					t.Errorf("%s: no target", name)
				}
				got = append(got, e.Path+":"+string(e.Type))
			}
			if strings.Join(got, " ") != want || len(w.errs) > 0 {
				t.Errorf("%s: got %q, want %q; errors %v", name, got, want, w.errs)
			}
		}
	}
	s := open(t, Config{Path: filepath.Join(top, "f"), Name: "s"})
	defer s.Close()
	f, err := s.OpenFile("s")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if e, err := f.Stat(); err != nil || e.Size != 2 {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := s.OpenFile("s/x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("below a file: %v", err)
	}
}

// TestVanished deletes between the reading of names and of entries: no error,
// for nobody missed anything.
func TestVanished(t *testing.T) {
	top := makeTree(t, "gone dir/x", "gone file", "gone split/x", "stays")
	s := open(t, Config{Path: top, Name: "s", SplitDepth: 1})
	defer s.Close()
	var splits []Split
	for sp, err := range s.Splits(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		splits = append(splits, sp)
	}
	d, err := s.openDir("")
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	l, err := s.list(d, "", nil, true, noLimit)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gone dir", "gone file", "gone split"} {
		if err := os.RemoveAll(filepath.Join(top, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, it := range s.fillChunk(d, nil, l, 0).items {
		if want := strings.HasPrefix(it.entry.Path, "s/gone"); it.gone != want || it.err != nil {
			t.Errorf("%q: gone %v, error %v", it.entry.Path, it.gone, it.err)
		}
	}
	for _, it := range s.fillChunk(dir{}, fs.ErrNotExist, l, 0).items {
		if !it.gone {
			t.Errorf("%q of a deleted directory is not gone", it.entry.Path)
		}
	}
	var got []string
	for _, sp := range splits {
		for e, err := range s.Entries(t.Context(), sp) {
			if err != nil {
				t.Errorf("%q: %v", e.Path, err)
			}
			got = append(got, e.Path)
		}
	}
	if strings.Join(got, " ") != "s s/stays" {
		t.Errorf("got %q", got)
	}
}

// TestGoneInLookAhead walks a directory that was deleted while it was in the
// walk's line: the walk goes on behind it.
func TestGoneInLookAhead(t *testing.T) {
	top := makeTree(t, "a/b/c/x", "z")
	s := open(t, Config{Path: top, Name: "s"})
	defer s.Close()
	var got []string
	for e, err := range s.Entries(t.Context(), Split{Path: "s", Recursive: true}) {
		if err != nil {
			t.Errorf("%q: %v", e.Path, err)
		}
		if e.Path == "s" {
			if err := os.RemoveAll(filepath.Join(top, "a")); err != nil {
				t.Fatal(err)
			}
		}
		got = append(got, e.Path)
	}
	if len(got) < 2 || got[0] != "s" || got[len(got)-1] != "s/z" {
		t.Errorf("got %q", got)
	}
}

// TestReplaced makes a file of a directory that is a split and asks for it.
func TestReplaced(t *testing.T) {
	top := makeTree(t, "a/x", "b/x")
	s := open(t, Config{Path: top, Name: "s", SplitDepth: 1})
	defer s.Close()
	var splits []Split
	for sp, err := range s.Splits(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		splits = append(splits, sp)
	}
	if err := errors.Join(os.RemoveAll(filepath.Join(top, "a")), os.WriteFile(filepath.Join(top, "a"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	for e, err := range s.Entries(t.Context(), splits[1]) {
		if e.Path != "s/a" || !errors.Is(err, errChanged) {
			t.Errorf("%q: %v", e.Path, err)
		}
	}
	for e, err := range s.Entries(t.Context(), Split{Path: "elsewhere"}) {
		if err == nil {
			t.Errorf("an entry %q of no source", e.Path)
		}
	}
}
