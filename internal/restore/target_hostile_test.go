//go:build linux || darwin

package restore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn"
)

// outside makes a target beside a directory that nothing may happen to, which
// a check at the end of the test sees to.
func outside(t *testing.T) (dir, out string) {
	t.Helper()
	base := t.TempDir()
	dir, out = filepath.Join(base, "target"), filepath.Join(base, "outside")
	must(t, os.MkdirAll(filepath.Join(out, "d"), 0o755))
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(out, "passwd"), []byte("root"), 0o640))
	old := someTime.Time()
	for _, p := range []string{"passwd", "d", "."} {
		must(t, os.Chtimes(filepath.Join(out, p), old, old))
	}
	t.Cleanup(func() {
		wantNames(t, out, "d", "passwd")
		wantContent(t, filepath.Join(out, "passwd"), "root")
		for p, mode := range map[string]fs.FileMode{"passwd": 0o640, "d": 0o755 | fs.ModeDir, ".": 0o755 | fs.ModeDir} {
			fi, err := os.Lstat(filepath.Join(out, p))
			if err != nil || fi.Mode() != mode || !fi.ModTime().Equal(old) {
				t.Errorf("outside, %s was touched: %v, %v", p, fi, err)
			}
			if p == "passwd" && err == nil && hardLinks(fi) != 1 {
				t.Errorf("outside, %s was linked", p)
			}
		}
	})
	return dir, out
}

// everything tries each way of writing at and below path.
func everything(target *Target, path string) []error {
	dir := entry(path, tarn.TypeDir, 0o700)
	below := entry(path+"/d", tarn.TypeDir, 0o700)
	errs := []error{
		write(target, fileEntry(path+"/passwd", "evil"), "evil"),
		write(target, fileEntry(path+"/new", "evil"), "evil"),
		target.Symlink(symlink(path+"/passwd", "evil")),
		target.Special(entry(path+"/passwd", tarn.TypeFIFO, 0o600)),
		target.Link("inside", fileEntry(path+"/passwd", "")),
		target.SetMetadata(fileEntry(path, "")),
		target.SetMetadata(dir),
		target.SetMetadata(below),
		target.Mkdir(below),
		target.Mkdir(dir),
		removeAll(target, path+"/passwd"),
		removeAll(target, path+"/d"),
	}
	if data, _ := target.ReadFile(path+"/passwd", 100); string(data) == "root" {
		panic("it read what lies outside")
	}
	return errs
}

func TestTargetNeverFollows(t *testing.T) {
	for _, replace := range []bool{false, true} {
		for _, how := range []string{"an entry", "there before"} {
			for _, to := range []string{"absolute", "../outside", "self", "dangling"} {
				t.Run(how+" "+to, func(t *testing.T) {
					dir, out := outside(t)
					to := strings.Replace(to, "absolute", out, 1)
					to = strings.Replace(to, "self", "a", 1)
					target := open(t, dir, TargetOptions{Replace: replace})
					must(t, write(target, fileEntry("inside", ""), ""))
					if how == "an entry" {
						must(t, target.Symlink(symlink("a", to)))
					} else {
						must(t, os.Symlink(to, filepath.Join(dir, "a")))
					}
					err := everything(target, "a")[0]
					if replace && err != nil {
						t.Errorf("the link was not replaced: %v", err)
					}
					if !replace && (!errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "a symlink stands there")) {
						t.Errorf("the link is in the way: %v, want ErrExist that says so", err)
					}
					target.FinishDirs(t.Context()) // of the replaced link, or of nothing
					fi, err := os.Lstat(filepath.Join(dir, "a"))
					if err != nil || fi.IsDir() != replace {
						t.Errorf("at the link: %v, %v", fi, err)
					}
				})
			}
		}
	}
}

// A directory that becomes a link between two calls is not followed, whether
// its handle is in the cache or not.
func TestTargetSwappedDirectory(t *testing.T) {
	for _, how := range []string{"removed", "moved", "moved, cold", "parent removed"} {
		t.Run(how, func(t *testing.T) {
			dir, out := outside(t)
			target := open(t, dir, TargetOptions{Replace: true})
			must(t, write(target, fileEntry("inside", ""), ""))
			must(t, target.Mkdir(entry("p", tarn.TypeDir, 0o755)))
			must(t, target.Mkdir(entry("p/a", tarn.TypeDir, 0o755)))
			must(t, write(target, fileEntry("p/a/warm", "x"), "x"))
			swap, at := filepath.Join(dir, "p/a"), "p/a"
			switch how {
			case "removed":
				must(t, os.RemoveAll(swap))
			case "parent removed":
				swap, at = filepath.Join(dir, "p"), "p"
				must(t, os.RemoveAll(swap))
			default:
				must(t, os.Rename(swap, filepath.Join(dir, "moved")))
			}
			if how == "moved, cold" {
				target.dropAll()
			}
			must(t, os.Symlink(out, swap))
			for _, err := range everything(target, at)[:2] {
				if err != nil {
					t.Error(err)
				}
			}
			target.FinishDirs(t.Context())
		})
	}
}

// A directory that vanishes under its handle is made again, whatever comes next.
func TestTargetVanishedDirectory(t *testing.T) {
	for what, next := range map[string]func(*Target) error{
		"Create":  func(target *Target) error { return write(target, fileEntry("p/a/x", "x"), "x") },
		"Mkdir":   func(target *Target) error { return target.Mkdir(entry("p/a/x", tarn.TypeDir, 0o755)) },
		"Symlink": func(target *Target) error { return target.Symlink(symlink("p/a/x", "x")) },
		"Link":    func(target *Target) error { return target.Link("inside", fileEntry("p/a/x", "")) },
	} {
		dir := t.TempDir()
		target := open(t, dir, TargetOptions{})
		must(t, write(target, fileEntry("inside", ""), ""))
		must(t, write(target, fileEntry("p/a/warm", ""), ""))
		must(t, os.RemoveAll(filepath.Join(dir, "p")))
		if err := next(target); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		wantNames(t, dir, "inside", "p", "p/a", "p/a/x")
	}
}

func TestTargetSwappedWhileWriting(t *testing.T) {
	dir, out := outside(t)
	target := open(t, dir, TargetOptions{Replace: true})
	f, err := target.Create(fileEntry("a/passwd", "evil"))
	must(t, err)
	_, err = f.Write([]byte("evil"))
	must(t, err)
	must(t, os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "b")))
	must(t, os.Symlink(out, filepath.Join(dir, "a")))
	must(t, f.Commit())
	wantContent(t, filepath.Join(dir, "b/passwd"), "evil")
}

func TestTargetHardLinksStayInside(t *testing.T) {
	dir, out := outside(t)
	target := open(t, dir, TargetOptions{Replace: true})
	must(t, target.Symlink(symlink("dir", out)))
	must(t, target.Symlink(symlink("file", filepath.Join(out, "passwd"))))
	for _, from := range []string{"dir/passwd", "file", "../outside/passwd", filepath.Join(out, "passwd"), "nothing"} {
		if err := target.Link(from, fileEntry("l", "root")); err == nil {
			t.Errorf("hard link to %s: no error", from)
		}
	}
	// A second name of a link is a link, and nothing is written through it.
	second := symlink("second", "whatever")
	must(t, target.Link("file", second))
	must(t, target.SetMetadata(second))
	must(t, write(target, fileEntry("second", "evil"), "evil"))
	wantNames(t, dir, "dir", "file", "second")
}

func TestTargetRemoveFollowsNothing(t *testing.T) {
	dir, out := outside(t)
	target := open(t, dir, TargetOptions{Replace: true, ReplaceTrees: removeAll})
	must(t, target.Symlink(symlink("d/link", out)))
	must(t, target.Symlink(symlink("d/e/link", "../../../outside/d")))
	must(t, write(target, fileEntry("d/e/f", "x"), "x"))
	if err := removeAll(target, "d/link/passwd"); err == nil {
		t.Error("removing through a link: no error")
	}
	must(t, write(target, fileEntry("d", "x"), "x"))
	wantNames(t, dir, "d")
}
