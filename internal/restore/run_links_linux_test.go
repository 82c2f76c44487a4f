package restore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/restore"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// linked is a repository with a file of four names, in two splits.
func linked(t *testing.T) (*storagetest.Memory, *e2e.Bench, []byte) {
	t.Helper()
	dir := filepath.Join(e2e.Scratch(t), "src")
	content := e2e.Content(7, 50_000)
	e2e.Write(t, filepath.Join(dir, "a/one"), content)
	e2e.Write(t, filepath.Join(dir, "c/other"), e2e.Content(8, 100))
	for _, name := range []string{"a/two", "b/three", "b/four"} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		must(t, os.Link(filepath.Join(dir, "a/one"), filepath.Join(dir, name)))
	}
	m := storagetest.NewMemory()
	return m, prepared(t, m, false, dir), content
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// inode returns which file a path is, after a look at its content.
func inode(t *testing.T, path string, content []byte) uint64 {
	t.Helper()
	got, err := os.ReadFile(path)
	must(t, err)
	if !slices.Equal(got, content) {
		t.Errorf("%s has another content", path)
	}
	var st unix.Stat_t
	must(t, unix.Stat(path, &st))
	return st.Ino
}

// restored restores into target and returns what was reported.
func restored(t *testing.T, b *e2e.Bench, m *storagetest.Memory, target string, change func(*restore.Config)) (res *restore.Result, reported []string) {
	t.Helper()
	res, err := b.Restore(t.Context(), m, "", target, func(cfg *restore.Config) {
		var mu sync.Mutex
		cfg.Problem = func(path string, err error) {
			mu.Lock()
			defer mu.Unlock()
			reported = append(reported, path)
		}
		if change != nil {
			change(cfg)
		}
	})
	must(t, err)
	slices.Sort(reported)
	return res, reported
}

// Whichever names can't be written, the others are one file with the content:
// also where they fall into windows of their own, one planned while the one
// before is fetched.
func TestHardLinksWithoutTheirFirstNames(t *testing.T) {
	for _, jobs := range []int{1, 2, 3, 1 << 14} {
		t.Run(fmt.Sprintf("windows of %d", jobs), func(t *testing.T) {
			restore.SetWindow(t, jobs)
			withoutFirstNames(t)
		})
	}
}

func withoutFirstNames(t *testing.T) {
	m, b, content := linked(t)
	names := []string{"src/a/one", "src/a/two", "src/b/three", "src/b/four"}
	for blocked := range 1 << len(names) {
		target := e2e.Scratch(t)
		var want, free []string
		for i, name := range names {
			if blocked>>i&1 == 1 {
				e2e.Write(t, filepath.Join(target, name, "mine"), []byte("mine"))
				want = append(want, name)
			} else {
				free = append(free, name)
			}
		}
		_, reported := restored(t, b, m, target, nil)
		slices.Sort(want)
		if !slices.Equal(reported, want) {
			t.Errorf("reported %q, want %q", reported, want)
		}
		for _, name := range free {
			if inode(t, filepath.Join(target, name), content) != inode(t, filepath.Join(target, free[0]), content) {
				t.Errorf("blocked %q: %s and %s are two files", want, name, free[0])
			}
		}
	}
}

func TestHardLinksOfPaths(t *testing.T) {
	m, b, content := linked(t)
	target := e2e.Scratch(t)
	res, reported := restored(t, b, m, target, func(cfg *restore.Config) { cfg.Paths = []string{"src/a/two", "src/b"} })
	if len(reported) > 0 || res.Written != 1 {
		t.Errorf("%+v, reported %q", res, reported)
	}
	first := inode(t, filepath.Join(target, "src/a/two"), content)
	if first != inode(t, filepath.Join(target, "src/b/three"), content) || first != inode(t, filepath.Join(target, "src/b/four"), content) {
		t.Error("the names are not one file")
	}
	if _, err := os.Lstat(filepath.Join(target, "src/a/one")); err == nil {
		t.Error("a name that was not asked for is there")
	}
}

// A file that is kept as it is, and not that of the snapshot, gets no other names.
func TestHardLinksBesideAKeptFile(t *testing.T) {
	m, b, content := linked(t)
	target := e2e.Scratch(t)
	e2e.Write(t, filepath.Join(target, "src/a/one"), []byte("mine"))
	res, reported := restored(t, b, m, target, func(cfg *restore.Config) { cfg.Overwrite = restore.Never })
	if len(reported) > 0 || res.Kept != 1 {
		t.Errorf("%+v, reported %q", res, reported)
	}
	inode(t, filepath.Join(target, "src/a/one"), []byte("mine"))
	if inode(t, filepath.Join(target, "src/a/two"), content) != inode(t, filepath.Join(target, "src/b/four"), content) {
		t.Error("the names are not one file")
	}
}

// Content that can't be read is tried once, not once for each name.
func TestHardLinksOfLostContent(t *testing.T) {
	m, b, _ := linked(t)
	for _, key := range archivesOf(m) {
		m.Drop(key)
	}
	m.ResetRequests()
	res, reported := restored(t, b, m, e2e.Scratch(t), nil)
	if len(reported) != 5 || res.Problems != 5 {
		t.Errorf("reported %q, %d problems", reported, res.Problems)
	}
	if n := int(res.Requests); n > 4 {
		t.Errorf("%d requests to archives that are gone", n)
	}
}

// mounted mounts an empty file system on a folder of the target, or the folder
// from, and unmounts it after the test.
func mounted(t *testing.T, on, from string) {
	t.Helper()
	must(t, os.MkdirAll(on, 0o755))
	var err error
	if from == "" {
		err = unix.Mount("none", on, "tmpfs", 0, "")
	} else {
		err = unix.Mount(from, on, "", unix.MS_BIND, "")
	}
	if err != nil {
		t.Skipf("needs the right to mount: %v", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(on, unix.MNT_DETACH)) })
}

func TestDeleteStaysOnItsFileSystem(t *testing.T) {
	m, b, _ := linked(t)
	for _, bind := range []bool{false, true} {
		target, from := e2e.Scratch(t), ""
		if bind {
			from = e2e.Scratch(t)
		}
		e2e.Write(t, filepath.Join(target, "src/extra/file"), nil)
		mounted(t, filepath.Join(target, "src/extra/mount"), from)
		e2e.Write(t, filepath.Join(target, "src/extra/mount/mine"), nil)
		mounted(t, filepath.Join(target, "src/c"), "") // which the snapshot has, too
		e2e.Write(t, filepath.Join(target, "src/c/mine"), nil)
		e2e.Write(t, filepath.Join(target, "src/c/mine2"), nil)
		e2e.Write(t, filepath.Join(target, "src/a/one/mine"), nil) // in the way of a file
		mounted(t, filepath.Join(target, "src/a/one/mount"), "")
		var removed, left []string
		res, reported := restored(t, b, m, target, func(cfg *restore.Config) {
			cfg.Delete, cfg.Overwrite = true, restore.Always
			cfg.Removed = func(path string, _ bool) { removed = append(removed, path) }
			cfg.Left = func(path string, why restore.Reason) {
				if why == restore.Mounted {
					left = append(left, path)
				}
			}
		})
		slices.Sort(left)
		if !slices.Equal(removed, []string{"src/a/one/mine", "src/extra/file"}) || res.Deleted != 2 ||
			!slices.Equal(left, []string{"src/a/one/mount", "src/c", "src/extra/mount"}) || !slices.Equal(reported, []string{"src/a/one"}) {
			t.Errorf("removed %q, left %q, reported %q", removed, left, reported)
		}
		for _, path := range []string{"src/extra/mount/mine", "src/c/mine", "src/c/other"} {
			if _, err := os.Lstat(filepath.Join(target, path)); err != nil {
				t.Error(err)
			}
		}
	}
}
