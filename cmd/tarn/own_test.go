package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestPatternBelow(t *testing.T) {
	dir := resolved(t.TempDir())
	link := filepath.Join(dir, "link")
	if err := os.MkdirAll(filepath.Join(dir, "home/.local/repository"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "home"), link); err != nil {
		t.Skip(err)
	}
	for _, c := range []struct{ source, folder, want string }{
		{filepath.Join(dir, "home"), filepath.Join(dir, "home/.local/repository"), "/.local/repository"},
		{link, filepath.Join(dir, "home/.local/repository"), "/.local/repository"},
		{filepath.Join(dir, "home"), filepath.Join(link, ".local/repository"), "/.local/repository"},
		{filepath.Join(dir, "home"), filepath.Join(dir, "home/a [b]* \\c"), `/a\ \[b\]\*\ \\c`},
		{filepath.Join(dir, "home"), filepath.Join(dir, "other"), ""},
		{filepath.Join(dir, "home"), dir, ""},
		{filepath.Join(dir, "home"), filepath.Join(dir, "home"), ""},
		{filepath.Join(dir, "home"), filepath.Join(dir, "home2/x"), ""},
	} {
		if got := patternBelow(c.source, c.folder); got != c.want {
			t.Errorf("patternBelow(%q, %q) = %q, want %q", c.source, c.folder, got, c.want)
		}
	}
}
