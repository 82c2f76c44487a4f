package e2e_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/storage/local"
)

// disk is a small file system in memory.
type disk struct {
	t    *testing.T
	path string
}

func newDisk(t *testing.T, size string) disk {
	t.Helper()
	d := disk{t, t.TempDir()}
	if err := syscall.Mount("tarn-test", d.path, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mounting needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.path, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return d
}

// remount changes the size, and whether it can be written to.
func (d disk) remount(size string, readOnly bool) {
	d.t.Helper()
	flags := uintptr(syscall.MS_REMOUNT)
	if readOnly {
		flags |= syscall.MS_RDONLY
	}
	if err := syscall.Mount("tarn-test", d.path, "tmpfs", flags, "size="+size); err != nil {
		d.t.Fatal(err)
	}
}

func bigSource(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(e2e.Scratch(t), "src")
	for i, name := range []string{"a/1", "a/2", "b/1", "b/2", "c/1", "c/2"} {
		e2e.Write(t, filepath.Join(dir, name), e2e.Content(uint64(i), 2<<20))
	}
	e2e.Write(t, filepath.Join(dir, "large"), e2e.Content(9, 9<<20))
	return dir
}

func TestFullRepository(t *testing.T) {
	t.Parallel()
	d := newDisk(t, "9m")
	dir := bigSource(t)
	p := newPerson(t)
	repository := filepath.Join(d.path, "repository")
	backup := []string{"backup", "-q", "--init", "-r", repository, "--archive-size", "1MiB", dir}
	p.fails("no space left on device", backup...)
	d.remount("100m", false)
	s, err := local.Open(repository)
	if err != nil {
		t.Fatal(err)
	}
	b := p.bench(true)
	b.Check(t.Context(), s, 100)
	p.must(backup...)
	b.Check(t.Context(), s, 100)
	for h, archives := range b.Stored(t.Context(), s) {
		if len(archives) != 1 {
			t.Errorf("content %s is in %d archives", h, len(archives))
		}
	}
	b.Restored(t.Context(), s, dir)
}

func TestFullTarget(t *testing.T) {
	t.Parallel()
	d := newDisk(t, "7m")
	dir := bigSource(t)
	p := newPerson(t)
	repository := filepath.Join(e2e.Scratch(t), "repository")
	p.must("backup", "-q", "--init", "-r", repository, dir)
	target := filepath.Join(d.path, "back")
	restore := []string{"restore", "-q", "-r", repository, "--target", target, "latest"}
	p.fails("no space left on device", restore...)
	want := e2e.ReadTree(t, dir)
	for path, is := range e2e.ReadTree(t, filepath.Join(target, "src")) {
		if is != want[path] && !strings.HasPrefix(is, "d") {
			t.Errorf("on the full disk %s is %s, want %s", path, is, want[path])
		}
	}
	d.remount("100m", false)
	p.must(restore...)
	e2e.New(t, true).Same(dir, filepath.Join(target, "src"))
}

// TestFullCache: the cache folder is no place that a person has chosen, so the
// error names it, says how to move it, and the repository is none the worse.
func TestFullCache(t *testing.T) {
	t.Parallel()
	d := newDisk(t, "64k")
	dir := filepath.Join(e2e.Scratch(t), "src")
	for i := range 2000 {
		e2e.Write(t, filepath.Join(dir, fmt.Sprint(i)), e2e.Content(uint64(i), 8))
	}
	p := newPerson(t, "XDG_CACHE_HOME="+d.path)
	repository := filepath.Join(e2e.Scratch(t), "repository")
	backup := []string{"backup", "-q", "--init", "-r", repository, dir}
	p.fails("The disk of the cache folder "+filepath.Join(d.path, "tarn")+" is full.", backup...)
	p.fails("XDG_CACHE_HOME", backup...)
	p.env = append(p.env, "XDG_CACHE_HOME="+e2e.Scratch(t))
	p.must(backup...)
	p.must("check", "-q", "-r", repository)
	p.env = append(p.env, "XDG_CACHE_HOME="+d.path)
	p.fails("XDG_CACHE_HOME", "ls", "-r", repository, "latest")
	p.fails("XDG_CACHE_HOME", "restore", "-r", repository, "latest", "--target", e2e.Scratch(t))
}

func TestReadOnlyDisks(t *testing.T) {
	t.Parallel()
	d := newDisk(t, "100m")
	dir := bigSource(t)
	p := newPerson(t)
	repository := filepath.Join(d.path, "repository")
	p.must("backup", "-q", "--init", "-r", repository, dir)
	d.remount("100m", true)
	e2e.Write(t, filepath.Join(dir, "new"), []byte("new"))
	p.fails("read-only file system", "backup", "-q", "-r", repository, dir)
	p.fails("read-only file system", "backup", "-q", "--init", "-r", filepath.Join(d.path, "other"), dir)
	p.fails("read-only file system", "restore", "-q", "-r", repository, "--target", filepath.Join(d.path, "back"), "latest")
	// Reading needs nothing of the repository but to be read.
	if err := os.Remove(filepath.Join(dir, "new")); err != nil {
		t.Fatal(err)
	}
	target := e2e.Scratch(t)
	p.must("restore", "-q", "-r", repository, "--target", target, "latest", "src/a", "src/large")
	if _, err := os.Stat(filepath.Join(target, "src", "large")); err != nil {
		t.Error(err)
	}
}

// as makes the person somebody without root's rights, to whom what they have
// belongs.
func (p *person) as(uid int, owned ...string) {
	p.t.Helper()
	if os.Getuid() != 0 {
		return // it is somebody already
	}
	path, err := binary()
	if err != nil {
		p.t.Fatal(err)
	}
	for dir := filepath.Dir(path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			p.t.Fatal(err)
		}
	}
	p.uid = uid
	for _, dir := range append(owned, p.home, p.tmp) {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(path, uid, uid))
		})
		if err != nil {
			p.t.Fatal(err)
		}
	}
}

// What may not be read is listed, keeps its older state if it has one, and
// costs nothing else.
func TestPermissionDenied(t *testing.T) {
	t.Parallel()
	place := e2e.Scratch(t)
	dir := filepath.Join(place, "src")
	for _, name := range []string{"a/open", "a/later closed", "a/closed", "b/inside", "large"} {
		e2e.Write(t, filepath.Join(dir, name), []byte("content of "+name))
	}
	mode := func(name string, mode fs.FileMode) {
		t.Helper()
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	p := newPerson(t)
	p.as(65534, place)
	mode("a/closed", 0)
	t.Cleanup(func() { mode("b", 0o755) }) // or it can't be removed by somebody
	repository := filepath.Join(place, "repository")
	backup := []string{"backup", "-q", "--init", "-r", repository, dir}
	partly := func(names ...string) {
		t.Helper()
		code, out := p.run(backup...)
		if code != 3 {
			t.Fatalf("exit code %d\n%s", code, out)
		}
		for _, name := range names {
			if !strings.Contains(out, name) || !strings.Contains(out, "permission denied") {
				t.Errorf("%s is not listed: %s", name, out)
			}
		}
	}
	partly("src/a/closed")
	// Now one more file, and a directory. The file has changed before.
	e2e.Write(t, filepath.Join(dir, "a/later closed"), []byte("newer"))
	mode("a/later closed", 0)
	mode("b", 0)
	partly("src/a/closed", "src/a/later closed", "src/b")
	target := filepath.Join(place, "back")
	p.must("restore", "-q", "-r", repository, "--target", target, "latest")
	for name, want := range map[string]string{"a/open": "content of a/open", "a/later closed": "content of a/later closed", "large": "content of large"} {
		if got, err := os.ReadFile(filepath.Join(target, "src", name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestNoSuchSource(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	place := e2e.Scratch(t)
	p.fails("no such file or directory", "backup", "-q", "--init", "-r", filepath.Join(place, "repository"), filepath.Join(place, "nothing"))
}
