package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tarn-backup/tarn/internal/e2e"
)

// newDepthsPerson has a bucket without a backup, and runs one by depths.
func newDepthsPerson(t *testing.T) (*tarballPerson, func(depth int) string) {
	_, at := coldLab(t)
	p := newEmptyPerson(t, at)
	return p, func(depth int) string {
		p.t.Helper()
		time.Sleep(1100 * time.Millisecond) // the times of objects are whole seconds
		return p.code(exitDone, "tarball", "-b", "tarn", "-n", "disk", "-p", "src", "--split-depth", fmt.Sprint(depth), "--storage-class", "STANDARD")
	}
}

// After a change of the split depth the newest files come back, whatever the order of
// keys; what is stale is named by the run, by list with its cost, and by restore.
func TestTarballSplitDepths(t *testing.T) {
	p, run := newDepthsPerson(t)
	write := func(files map[string]string) {
		for name, text := range files {
			e2e.Write(t, filepath.Join(p.path("src"), name), []byte(text))
		}
	}
	whole := func(target string, want map[string]string) {
		t.Helper()
		if got := e2e.ReadFiles(t, p.path(target)); !maps.Equal(got, want) {
			t.Errorf("%s has %v, want %v", target, got, want)
		}
	}
	write(map[string]string{"docs/f": "old", "docs/work/r": "old", "docs/work/gone": "g"})
	run(2)
	contains(t, p.tarball(exitDone, "restore", ".", "--target", "first"), "docs/work: all 2 files in it")
	write(map[string]string{"docs/f": "newest", "docs/work/r": "newest"})
	if err := os.Remove(p.path("src", "docs", "work", "gone")); err != nil {
		t.Fatal(err)
	}
	contains(t, run(1), "of another split depth disk/docs/_files.tar.gz, disk/docs/work.tar.gz have files of this folder", "a month")
	want := map[string]string{"docs/f": "newest", "docs/work/r": "newest"}
	out := p.tarball(exitDone, "restore", ".", "--target", "r1")
	contains(t, out, "docs/work: left out", "docs has; 1 of its 2 files", "docs/_files: left out")
	whole("r1", want)
	contains(t, p.tarball(exitDone, "list"), "(superseded by docs)", "2 tarballs are superseded by newer ones", "a month")
	contains(t, p.tarball(exitDone, "list", "--json"), `"superseded_by":["docs"],"left":0`)
	contains(t, p.tarball(exitDone, "restore", "docs/work", "--target", "alone"), "note: docs/work is of ", "docs has newer files")
	whole("alone", map[string]string{"docs/work/r": "old", "docs/work/gone": "g"})
	contains(t, p.tarball(exitDone, "thaw", ".", "--dry-run"), "docs/work: left out")
	if out := p.tarball(exitDone, "ls", "."); strings.Contains(out, "gone") || !strings.Contains(out, "docs/work/r") {
		t.Errorf("ls . prints\n%s", out)
	}

	// And back: what is as it was is not uploaded, and counts as newer again.
	write(map[string]string{"docs/f": "last"})
	out = run(2)
	contains(t, out, "disk/docs/_files.tar.gz uploaded", "disk/docs/work.tar.gz uploaded", "disk/docs.tar.gz has files of this folder")
	contains(t, p.tarball(exitDone, "restore", "docs/", "--target", "r2"), "docs: left out", "docs/_files, docs/work have")
	whole("r2", map[string]string{"docs/f": "last", "docs/work/r": "newest"})
	contains(t, p.tarball(exitDone, "restore", "docs", "--target", "stale"), "note: docs is of ", "with a slash at its end")
	whole("stale", want)

	contains(t, p.tarball(exitProblems, "import", "disk", "--source", "src"), "docs: not covered: the content of a file", "docs: docs/_files, docs/work have newer files")
	p.must("init", "-q", "--repo", p.path("repo"))
	out = p.code(exitDone, "tarball", "import", "disk", "-b", "tarn", "--repo", p.path("repo"), "--yes")
	contains(t, out, "docs: left out", "docs/work is in the repository")
	if strings.Contains(out, "docs is in the repository") {
		t.Errorf("what is stale was imported, too:\n%s", out)
	}
}

// A folder of tarballs comes from the newest also where that is a tarball of a folder
// above, of which nothing else is taken.
func TestTarballFolderAbove(t *testing.T) {
	p, run := newDepthsPerson(t)
	for _, depth := range []int{3, 1} {
		for _, name := range []string{"docs/f", "docs/a/d", "docs/a/b/c"} {
			e2e.Write(t, filepath.Join(p.path("src"), name), fmt.Appendf(nil, "depth%d", depth))
		}
		run(depth)
	}
	out := p.tarball(exitDone, "restore", "docs/a/", "--target", "r")
	contains(t, out, "docs/a/b: left out", "docs/a/_files: left out", "docs: a of it is taken, too")
	if got := e2e.ReadFiles(t, p.path("r")); !maps.Equal(got, map[string]string{"docs/a/d": "depth1", "docs/a/b/c": "depth1"}) {
		t.Errorf("came back: %v", got)
	}
	p.tarball(exitDone, "restore", "docs/a/b/", "--target", "one")
	if got := e2e.ReadFiles(t, p.path("one")); !maps.Equal(got, map[string]string{"docs/a/b/c": "depth1"}) {
		t.Errorf("of one tarball came back: %v", got)
	}
	if out := p.tarball(exitDone, "ls", "docs/a/"); out != "docs/a/b/c\ndocs/a/d\n" {
		t.Errorf("ls prints\n%s", out)
	}
	contains(t, p.tarball(exitDone, "thaw", "docs/a/", "--dry-run"), "docs/a/b: left out", "docs: a of it is taken, too", "2 files")

	// What is newer may say that the folder is gone.
	if err := os.RemoveAll(p.path("src", "docs", "a")); err != nil {
		t.Fatal(err)
	}
	run(1)
	contains(t, p.tarball(exitDone, "restore", "docs/a/", "--target", "none"), "docs/a/b: left out", "1 of its 1 file is not in those")
}

// What is superseded in part is imported whole, so that it need not be imported again
// when it is the newest.
func TestTarballImportPart(t *testing.T) {
	p, run := newDepthsPerson(t)
	write := func(text string) {
		e2e.Write(t, filepath.Join(p.path("src"), "docs/f"), []byte(text))
	}
	write("one")
	e2e.Write(t, filepath.Join(p.path("src"), "docs/b/gone"), []byte("gone"))
	run(1)
	write("two")
	if err := os.RemoveAll(p.path("src", "docs", "b")); err != nil {
		t.Fatal(err)
	}
	run(2)
	p.must("init", "-q", "--repo", p.path("repo"))
	take := func() string {
		return p.code(exitDone, "tarball", "import", "disk", "-b", "tarn", "--repo", p.path("repo"), "--yes")
	}
	contains(t, take(), "docs is in the repository", "docs/_files is in the repository", "2 files (7 B): 2 new")
	write("one")
	e2e.Write(t, filepath.Join(p.path("src"), "docs/b/gone"), []byte("gone"))
	run(1)
	contains(t, take(), "docs/_files: left out", "1 of 1 tarball is in the repository already")
}

// One name of a file with several comes back alone.
func TestTarballHardLink(t *testing.T) {
	p, run := newDepthsPerson(t)
	e2e.Write(t, p.path("src", "docs", "a"), []byte("one\n"))
	if err := os.Link(p.path("src", "docs", "a"), p.path("src", "docs", "b")); err != nil {
		t.Fatal(err)
	}
	run(1)
	contains(t, p.tarball(exitDone, "restore", "docs", "b", "--target", "one"), "docs: is read once more, for 1 further name of files that were not written", "wrote 1 file")
	if got := e2e.ReadFiles(t, p.path("one")); !maps.Equal(got, map[string]string{"docs/b": "one\n"}) {
		t.Errorf("came back: %v", got)
	}
	if err := os.RemoveAll(p.path("src", "docs")); err != nil {
		t.Fatal(err)
	}
	contains(t, run(1), "disk/docs.tar.gz has no files in this folder any more")
}

// A second reading, for a further name of a file that was not asked for, is within
// --max-cost, too.
func TestTarballHardLinkCost(t *testing.T) {
	p, _ := newDepthsPerson(t)
	content := make([]byte, 6<<20)
	rand.NewChaCha8([32]byte{}).Read(content)
	e2e.Write(t, p.path("src", "docs", "a"), content)
	if err := os.Link(p.path("src", "docs", "a"), p.path("src", "docs", "b")); err != nil {
		t.Fatal(err)
	}
	p.code(exitDone, "tarball", "-b", "tarn", "-n", "disk", "-p", "src", "--split-depth", "1", "--storage-class", "GLACIER_IR")
	restore := func(code int, most string) string {
		return p.tarball(code, "restore", "docs", "b", "--target", "r", "--yes", "--max-cost", most)
	}
	contains(t, restore(exitProblems, "0.0003"), `docs/b: it is a further name of "docs/a"`, "to read the tarball a second time is too much", "more than --max-cost allows")
	contains(t, restore(exitDone, "0.0006"), "docs: is read once more", "wrote 1 file")
}
