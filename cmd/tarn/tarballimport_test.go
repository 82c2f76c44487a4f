package main

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/tarball"
)

// An import counts: a snapshot with fewer files than were unpacked is no success.
func TestImportCounts(t *testing.T) {
	p := newPerson(t)
	p.must("init", "-q", "--repo", p.path("repo"))
	e2e.Write(t, filepath.Join(p.path("unpacked"), "docs/a"), []byte("one\n"))
	e2e.Write(t, filepath.Join(p.path("unpacked"), "docs/b"), []byte("two\n"))
	vars := map[string]string{}
	for _, v := range p.env {
		name, value, _ := strings.Cut(v, "=")
		vars[name] = value
		t.Setenv(name, value) // which the standard library finds a user's folders by
	}
	for unpacked, want := range map[int64]error{2: nil, 3: errProblems} {
		var errs bytes.Buffer
		e := &env{stdin: os.Stdin, stdout: io.Discard, stderr: &errs, getenv: func(name string) string { return vars[name] }, now: time.Now}
		g := &globals{env: e, repo: p.path("repo"), quiet: true, log: slog.New(slog.DiscardHandler)}
		err := g.with(t.Context(), func(o *opened) error {
			im := &importing{globals: g, o: o, view: &tarballView{at: &tarballPlace{bucket: "b", name: "disk"}}}
			c := chosen{Object: &tarball.Object{Object: cold.Object{Key: "disk/docs.tar.gz"}}}
			return im.store(t.Context(), c, p.path("unpacked"), unpacked)
		})
		if !errors.Is(err, want) || want != nil && !strings.Contains(errs.String(), "disk/docs.tar.gz: 2 files are in the repository of the 3 that were unpacked") {
			t.Errorf("of %d: %v: %s", unpacked, err, errs.String())
		}
	}
}

// What a killed import has left is removed, and nothing of one that lives or of others.
func TestImportSweeps(t *testing.T) {
	in := t.TempDir()
	live, err := newImportTemp(in)
	if err != nil {
		t.Fatal(err)
	}
	dead, err := newImportTemp(in)
	if err != nil {
		t.Fatal(err)
	}
	e2e.Write(t, filepath.Join(dead.files, "sub", "file"), []byte("x"))
	if err := dead.lock.Unlock(); err != nil { // as the system does with a process that ends
		t.Fatal(err)
	}
	other := filepath.Join(in, importTempPrefix+"of-somebody", "file")
	e2e.Write(t, other, []byte("x"))
	sweepImports(in)
	for path, want := range map[string]bool{live.files: true, dead.dir: false, other: true} {
		if _, err := os.Lstat(path); (err == nil) != want {
			t.Errorf("%s: is there: %v, want %v", path, err == nil, want)
		}
	}
	if err := live.remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(live.dir); err == nil {
		t.Error("the folder stays")
	}
}
