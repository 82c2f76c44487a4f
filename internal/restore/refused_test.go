package restore

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/tarn-backup/tarn"
)

// One line is enough for a folder that may not be written to, and one error
// for a target.
func TestRefusals(t *testing.T) {
	var lines []string
	r := &run{Config: Config{Progress: new(Progress), Problem: func(path string, _ error) { lines = append(lines, path) }}}
	denied := fmt.Errorf("creating: %w", syscall.EACCES)
	for _, path := range []string{"s/a/1", "s/a/2", "s/a/d/3", "s/b/1", "s/a/4", "s/ab/1"} {
		must(t, r.refuse(t.Context(), path, denied))
	}
	for _, path := range []string{"s/a/5", "s/a/6"} { // of this file alone
		must(t, r.refuse(t.Context(), path, fmt.Errorf("renaming: %w", syscall.EPERM)))
	}
	must(t, r.refuse(t.Context(), "s/a/7", nil))
	r.refused.report(r.Problem)
	if want := []string{"s/a/1", "s/b/1", "s/ab/1", "s/a/5", "s/a/6", "s/a"}; !slices.Equal(lines, want) || r.result.Problems != 8 {
		t.Errorf("reported %q, %d problems, want %q, 8", lines, r.result.Problems, want)
	}
	for path, want := range map[string]bool{"s/a/new": true, "s/c/1": false, "s/b": false} {
		if r.refused.covers(path) != want {
			t.Errorf("%q is covered: %v", path, !want)
		}
	}
	if err := r.refuse(t.Context(), "s", denied); !errors.Is(err, syscall.EACCES) {
		t.Errorf("a target that takes no source: %v, want an end", err)
	}
}

func TestWarningOfOwners(t *testing.T) {
	w := Warning{What: "owner", Path: "s", Count: 3, Err: syscall.EPERM}
	if got := w.error(false).Error(); got != "the owner of this, and of 2 more could not be set: what was restored belongs to you; run tarn as root to give it to whom it belonged (operation not permitted)" {
		t.Error(got)
	}
	if err := w.error(true); !errors.Is(err, syscall.EPERM) {
		t.Error(err)
	}
}

// The hint of a folder in the way tells it from a file there.
func TestInTheWay(t *testing.T) {
	dir := t.TempDir()
	target := open(t, dir, TargetOptions{Replace: true})
	must(t, write(target, fileEntry("d/x", "x"), "x"))
	must(t, target.Mkdir(entry("empty", tarn.TypeDir, 0o755)))
	if err := write(target, fileEntry("d", "x"), "x"); !errors.Is(err, ErrFilled) {
		t.Errorf("%v, want ErrFilled", err)
	}
	must(t, write(target, fileEntry("empty", "x"), "x"))
	target = open(t, dir, TargetOptions{})
	if err := write(target, fileEntry("empty", "y"), "y"); err == nil || errors.Is(err, ErrFilled) {
		t.Errorf("a file there: %v", err)
	}
}
