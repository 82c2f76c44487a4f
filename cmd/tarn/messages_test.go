package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tarn-backup/tarn/internal/machine"
)

// TestComplain: several errors are several lines or parted by semicolons, but
// the newline of a name makes no line.
func TestComplain(t *testing.T) {
	a, b := errors.New("one"), errors.New("two \"x\ny\"")
	for _, test := range []struct {
		err  error
		want string
	}{
		{errors.Join(a, b), "tarn: one\ntarn: two \"x\\ny\"\n"},
		{fmt.Errorf("doing: %w", errors.Join(a, errors.Join(a, b))), "tarn: doing: one; one; two \"x\\ny\"\n"},
		{errors.Join(a, errors.Join(b, a)), "tarn: one\ntarn: two \"x\\ny\"\n"},
		{fmt.Errorf("%w: %w", a, b), "tarn: one: two \"x\\ny\"\n"},
		{hinted{a, "Do it."}, "tarn: one\n      Do it.\n"},
	} {
		var out bytes.Buffer
		complain(&env{stderr: &out, getenv: func(string) string { return "" }}, test.err)
		if out.String() != test.want {
			t.Errorf("%q\nwant %q", out.String(), test.want)
		}
	}
}

func TestCacheHint(t *testing.T) {
	e := &env{getenv: func(string) string { return "" }}
	dirs, err := machine.UserDirs(e.getenv)
	if err != nil {
		t.Skip(err)
	}
	in := func(err error) error { return fmt.Errorf("writing %s: %w", filepath.Join(dirs.Cache, "x"), err) }
	if a, b := cacheHint(e, in(syscall.ENOSPC)), cacheHint(e, in(syscall.EACCES)); a == "" || b == "" || a == b {
		t.Errorf("%q, %q", a, b)
	}
	for _, err := range []error{syscall.ENOSPC, syscall.EACCES, errors.New(dirs.Cache), in(syscall.EIO)} {
		if hint := cacheHint(e, err); hint != "" {
			t.Errorf("%v: %q", err, hint)
		}
	}
}

func TestPlainWords(t *testing.T) {
	for want, err := range map[string]error{
		"reading x: it is not there":             fmt.Errorf("reading x: %w", fs.ErrNotExist),
		"x is a repository: it is there already": fmt.Errorf("x is a repository: %w", fs.ErrExist),
		`endpoint "x": want a URL`:               fmt.Errorf(`endpoint "x": want a URL: %w`, fs.ErrInvalid),
		"mount x: invalid argument":              &fs.PathError{Op: "mount", Path: "x", Err: syscall.EINVAL},
		"open x: no such file or directory":      &fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT},
	} {
		if got := printableError(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestOnlyProblems: an error beside problems must not be lost, nor pass as
// exit code 3.
func TestOnlyProblems(t *testing.T) {
	for err, want := range map[error]bool{
		errProblems: true, errors.Join(nil, errProblems): true, errors.Join(errProblems, syscall.ENOSPC): false, syscall.ENOSPC: false,
	} {
		if onlyProblems(err) != want {
			t.Errorf("%v", err)
		}
	}
}
