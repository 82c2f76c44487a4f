package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tarn-backup/tarn/internal/e2e"
)

// added is what a run added to a repository.
type added struct {
	archives, indexes, trees, snapshots, others int
	// content is the sum of the sizes of the contents in its archives.
	content int64
}

// summary is the last line of `tarn --json backup`.
type summary struct {
	New       int64 `json:"files_new"`
	Changed   int64 `json:"files_changed"`
	Unchanged int64 `json:"files_unchanged"`
	Bytes     int64 `json:"new_bytes"`
	Archives  int   `json:"archives"`
}

// incremental is a person with a folder and an unencrypted repository of it,
// whose indexes the test reads by other means.
type incremental struct {
	*person
	known map[string]bool // objects of the repository
}

// run backs the folder up and tells what that added.
func (i *incremental) run(args ...string) (added, summary) {
	i.t.Helper()
	out := i.must(append([]string{"--json", "backup", "-r", i.path("repo"), i.path("src")}, args...)...)
	var s summary
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &s); err != nil {
		i.t.Fatal(err)
	}
	return i.added(), s
}

func (i *incremental) added() (a added) {
	i.t.Helper()
	err := filepath.WalkDir(i.path("repo"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || i.known[path] {
			return err
		}
		i.known[path] = true
		rel := strings.TrimPrefix(path, i.path("repo")+string(filepath.Separator))
		kind, _, _ := strings.Cut(filepath.ToSlash(rel), "/")
		switch kind {
		case "archives":
			a.archives++
		case "indexes":
			a.indexes++
			a.content += contentSizes(i.t, path)
		case "trees":
			a.trees++
		case "snapshots":
			a.snapshots++
		default:
			a.others++
		}
		return nil
	})
	if err != nil {
		i.t.Fatal(err)
	}
	return a
}

// contentSizes adds up the sizes of the contents that an index names.
func contentSizes(t *testing.T, path string) (total int64) {
	t.Helper()
	for line := range bytes.Lines(decompress(t, path)) {
		var l struct {
			Type string
			Size int64
		}
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal(err)
		}
		if l.Type == "content" {
			total += l.Size
		}
	}
	return total
}

// The folder that TestIncremental changes: sizes tell the files apart.
var incrementalFiles = map[string]int{
	"top": 100, "a/one": 1000, "a/two": 2000, "a/deep/three": 3000, "b/four": 4000, "b/large": 9 << 20, "c/only": 5000, "d/x/y/z": 6000,
}

// TestIncremental changes one thing at a time, and counts what the next run
// adds: never content that the repository has.
func TestIncremental(t *testing.T) {
	old := time.Now().Add(-24 * time.Hour)
	for _, c := range []struct {
		name   string
		change func(b *folder)
		want   added // and a snapshot
	}{
		{"nothing", func(*folder) {}, added{}},
		{"move", func(b *folder) { b.rename("a/one", "b/uno") }, added{trees: 2}},
		{"rename", func(b *folder) { b.rename("b/large", "b/huge") }, added{trees: 1}},
		{"move from the top", func(b *folder) { b.rename("top", "a/top") }, added{trees: 2}},
		{"copy", func(b *folder) { b.write("c/copy", newContent(1, 1000)) }, added{trees: 1}},
		{"copy a large one", func(b *folder) { b.write("c/copy", newContent(6, 9<<20)) }, added{trees: 1}},
		{"move a folder", func(b *folder) { b.rename("a", "z") }, added{trees: 2}}, // those of the top and of z
		{"move a folder deeper", func(b *folder) { b.rename("d", "c/d") }, added{trees: 2}},
		{"chmod", func(b *folder) { b.check(os.Chmod(b.path("a/one"), 0o600)) }, added{trees: 1}},
		{"chmod of a large one", func(b *folder) { b.check(os.Chmod(b.path("b/large"), 0o600)) }, added{trees: 1}},
		{"chmod of a folder", func(b *folder) { b.check(os.Chmod(b.path("a/deep"), 0o700)) }, added{trees: 1}},
		{"touch", func(b *folder) { b.check(os.Chtimes(b.path("b/large"), old, old)) }, added{trees: 1}},
		{"one byte", func(b *folder) { b.overwrite("a/two", 7) }, added{archives: 1, indexes: 1, trees: 1, content: 2000}},
		{"one byte of a large one", func(b *folder) { b.overwrite("b/large", 5<<20) }, added{archives: 1, indexes: 1, trees: 1, content: 9 << 20}},
		{"growth", func(b *folder) { b.write("c/only", newContent(9, 5001)) }, added{archives: 1, indexes: 1, trees: 1, content: 5001}},
		{"new file", func(b *folder) { b.write("a/new", newContent(10, 123)) }, added{archives: 1, indexes: 1, trees: 1, content: 123}},
		{"new file at the top", func(b *folder) { b.write("new", newContent(10, 123)) }, added{archives: 1, indexes: 1, trees: 1, content: 123}},
		{"new file twice", func(b *folder) { b.write("a/new", newContent(10, 123)); b.write("a/new too", newContent(10, 123)) },
			added{archives: 1, indexes: 1, trees: 1, content: 123}},
		{"new empty file", func(b *folder) { b.write("a/new", nil) }, added{archives: 1, indexes: 1, trees: 1}},
		{"new folder", func(b *folder) { b.check(os.Mkdir(b.path("a/new"), 0o755)) }, added{trees: 1}},
		{"new folder at the top", func(b *folder) { b.check(os.Mkdir(b.path("new"), 0o755)) }, added{trees: 2}},
		{"cut to nothing", func(b *folder) { b.write("a/two", nil) }, added{archives: 1, indexes: 1, trees: 1}},
		{"the last file of a folder gone", func(b *folder) { b.remove("c/only") }, added{trees: 1}},
		{"a folder gone", func(b *folder) { b.remove("c") }, added{trees: 1}},
		{"a folder in it gone", func(b *folder) { b.remove("a/deep") }, added{trees: 1}},
		{"file to folder", func(b *folder) { b.remove("a/one"); b.write("a/one/in it", newContent(11, 77)) },
			added{archives: 1, indexes: 1, trees: 1, content: 77}},
		{"folder to file", func(b *folder) { b.remove("a/deep"); b.write("a/deep", newContent(11, 77)) },
			added{archives: 1, indexes: 1, trees: 1, content: 77}},
		{"file to split", func(b *folder) { b.remove("top"); b.write("top/in it", newContent(11, 77)) },
			added{archives: 1, indexes: 1, trees: 2, content: 77}},
		{"split to file", func(b *folder) { b.remove("c"); b.write("c", newContent(11, 77)) },
			added{archives: 1, indexes: 1, trees: 1, content: 77}},
		{"two swapped", func(b *folder) { b.rename("a/one", "a/swap"); b.rename("a/two", "a/one"); b.rename("a/swap", "a/two") },
			added{trees: 1}},
		{"hard link", func(b *folder) { b.check(os.Link(b.path("a/one"), b.path("a/link"))) }, added{trees: 1}},
		{"hard link across splits", func(b *folder) { b.check(os.Link(b.path("a/one"), b.path("b/link"))) }, added{trees: 2}},
		{"symlink", func(b *folder) { b.check(os.Symlink("one", b.path("a/link"))) }, added{archives: 1, indexes: 1, trees: 1}},
		{"everything gone", func(b *folder) {
			for name := range incrementalFiles {
				b.remove(strings.Split(name, "/")[0])
			}
		}, added{trees: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			i := &incremental{newPerson(t), map[string]bool{}}
			b := &folder{t, i.path("src")}
			seed := byte(0)
			for _, name := range []string{"a/one", "a/two", "a/deep/three", "b/four", "c/only", "b/large", "d/x/y/z", "top"} {
				seed++
				b.write(name, newContent(seed, incrementalFiles[name]))
			}
			i.must("init", "-q", "-r", i.path("repo"), "--no-encryption")
			if got, _ := i.run(); got.archives == 0 || got.content != 9<<20+21100 || got.trees != 5 || got.snapshots != 1 {
				t.Fatalf("the first run added %+v", got)
			}
			c.change(b)
			c.want.snapshots = 1
			if got, s := i.run(); got != c.want || s.Bytes != c.want.content {
				t.Errorf("added %+v, want %+v (%+v)", got, c.want, s)
			}
			if got, s := i.run(); got != (added{snapshots: 1}) || s.New+s.Changed > 0 {
				t.Errorf("the run after it, without a change, added %+v (%+v)", got, s)
			}
			i.must("restore", "-r", i.path("repo"), "latest", "--target", i.path("back"))
			if diff := e2e.Diff(e2e.ReadTree(t, b.dir), e2e.ReadTree(t, i.path("back", "src"))); len(diff) > 0 {
				t.Errorf("what comes back is another folder:\n%s", strings.Join(diff, "\n"))
			}
		})
	}
}

// TestIncrementalForce reads all files again and stores none.
func TestIncrementalForce(t *testing.T) {
	i := &incremental{newPerson(t), map[string]bool{}}
	b := &folder{t, i.path("src")}
	b.write("a/one", newContent(1, 1000))
	b.write("a/large", newContent(1, 9<<20))
	i.must("init", "-q", "-r", i.path("repo"), "--no-encryption")
	i.run()
	// A change that no stat tells: same size, same time. Where there is a ctime,
	// that tells it; --force does without.
	if got, _ := i.run("--force"); got != (added{snapshots: 1}) {
		t.Errorf("--force without a change added %+v", got)
	}
	// Another machine's snapshots and an empty cache cost no content either.
	if err := os.RemoveAll(i.path("home", "cache")); err != nil {
		t.Fatal(err)
	}
	if got, _ := i.run(); got != (added{snapshots: 1}) {
		t.Errorf("with an empty cache, a run added %+v", got)
	}
	if got, _ := i.run("--host", "another"); got != (added{snapshots: 1}) {
		t.Errorf("another host with the same folder added %+v", got)
	}
	if got, s := i.run("--dry-run"); got != (added{}) || s.Unchanged != 2 {
		t.Errorf("a dry run added %+v (%+v)", got, s)
	}
	b.write("a/two", newContent(2, 1234))
	if got, s := i.run("--dry-run"); got != (added{}) || s.Bytes != 1234 || s.New != 1 {
		t.Errorf("a dry run added %+v (%+v)", got, s)
	}
}

// folder is one that a test changes.
type folder struct {
	t   *testing.T
	dir string
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

func (f *folder) check(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *folder) write(name string, data []byte) {
	f.t.Helper()
	f.check(os.MkdirAll(filepath.Dir(f.path(name)), 0o755))
	f.check(os.WriteFile(f.path(name), data, 0o644))
}

func (f *folder) rename(from, to string) {
	f.t.Helper()
	f.check(os.Rename(f.path(from), f.path(to)))
}

func (f *folder) remove(name string) {
	f.t.Helper()
	f.check(os.RemoveAll(f.path(name)))
}

// overwrite changes one byte.
func (f *folder) overwrite(name string, at int64) {
	f.t.Helper()
	file, err := os.OpenFile(f.path(name), os.O_RDWR, 0)
	f.check(err)
	var b [1]byte
	_, err = file.ReadAt(b[:], at)
	f.check(err)
	b[0] ^= 1
	_, err = file.WriteAt(b[:], at)
	f.check(err)
	f.check(file.Close())
}
