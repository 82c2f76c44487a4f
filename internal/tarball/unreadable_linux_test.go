package tarball

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tarn-backup/tarn/internal/e2e"
)

// TestUnreadable: what may not be read is left out and named in each run, and
// its coming back is a change.
func TestUnreadable(t *testing.T) {
	e2e.AsNobody(t)
	top := tree(t, map[string]string{"a/x": "1", "a/shut/y": "2", "a/secret": "3", "b/z": "4"})
	for path, mode := range map[string]os.FileMode{"a/shut": 0, "a/secret": 0} {
		path := filepath.Join(top, path)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(path, 0o755) })
	}
	b := newBench(t, top)
	for _, want := range [][]string{{"disk/a.tar.gz", "disk/b.tar.gz"}, nil} {
		res := b.must()
		b.made(res, want...)
		if all := strings.Join(b.problems, "\n"); res.Problems != 2 || !strings.Contains(all, "a/shut: left out") || !strings.Contains(all, "a/secret: left out") {
			t.Errorf("%d problems: %s", res.Problems, all)
		}
		if res.Files != 2 {
			t.Errorf("%d files", res.Files)
		}
		if err := consistent(b.store); err != nil {
			t.Error(err)
		}
	}
	if err := errors.Join(os.Chmod(filepath.Join(top, "a/shut"), 0o755), os.Chmod(filepath.Join(top, "a/secret"), 0o644)); err != nil {
		t.Fatal(err)
	}
	b.made(b.must(), "disk/a.tar.gz")
}

// TestStays: an archive of what a failing disk still gives must not take the
// place of a whole one.
func TestStays(t *testing.T) {
	for err, want := range map[error]bool{
		&os.PathError{Op: "open", Path: "x", Err: syscall.EACCES}: true,
		&os.PathError{Op: "open", Path: "x", Err: syscall.EPERM}:  true,
		&os.PathError{Op: "read", Path: "x", Err: syscall.EIO}:    false,
		syscall.ENXIO:  false,
		errors.New(""): false,
	} {
		if stays(err) != want {
			t.Errorf("%v: %v, want %v", err, stays(err), want)
		}
	}
	j := &job{run: &run{path: "/disk"}}
	p := j.newPass(true)
	it := &item{pass: p}
	it.entry.Path = "source/x"
	if err := p.leftOut(it, syscall.EIO); !errors.Is(err, syscall.EIO) {
		t.Errorf("a disk that fails is no reason to stop: %v", err)
	}
	if err := p.leftOut(it, errGone); err != nil || len(j.problems) > 0 {
		t.Errorf("a file that was deleted is a problem: %v", err)
	}
}
