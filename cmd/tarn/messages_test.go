package main

import (
	"bytes"
	"errors"
	"fmt"
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

func TestFullCacheHint(t *testing.T) {
	e := &env{getenv: func(string) string { return "" }}
	dirs, err := machine.UserDirs(e.getenv)
	if err != nil {
		t.Skip(err)
	}
	in := fmt.Errorf("writing %s: %w", filepath.Join(dirs.Cache, "x"), syscall.ENOSPC)
	if fullCache(e, in) == "" || fullCache(e, syscall.ENOSPC) != "" || fullCache(e, errors.New(dirs.Cache)) != "" {
		t.Error("the wrong errors get the hint")
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
