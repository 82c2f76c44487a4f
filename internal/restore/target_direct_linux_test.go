package restore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tarn-backup/tarn"
)

// fill writes n files into a directory that the target makes, and returns the names.
func fill(t *testing.T, target *Target, n int) (list []string) {
	t.Helper()
	must(t, target.Mkdir(dirEntry("d")))
	for i := range n {
		name := fmt.Sprintf("file%02d", i)
		e := fileEntry("d/"+name, name)
		e.Mode = 0o4751 // no umask may take from it, and no chown
		must(t, target.WriteFile(e, []byte(name)))
		list = append(list, name)
	}
	return list
}

func dirEntry(path string) *tarn.Entry {
	return &tarn.Entry{Path: path, Type: tarn.TypeDir, Mode: 0o755, UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), MTime: tarn.Timespec{Sec: 1e9}}
}

// marksIn returns the names of marks in a directory.
func marksIn(t *testing.T, dir string) (list []string) {
	for _, n := range names(t, dir) {
		if isMark(n) {
			list = append(list, n)
		}
	}
	return list
}

// Files made under their own names are as those made otherwise, and nothing is
// left of the mark, in the directory's time neither.
func TestTargetDirect(t *testing.T) {
	dir := t.TempDir()
	target := open(t, dir, TargetOptions{})
	list := fill(t, target, 3*directAfter)
	if n := len(marksIn(t, filepath.Join(dir, "d"))); n != 1 {
		t.Fatalf("%d marks: nothing was made under its own name", n)
	}
	must(t, target.FinishDirs(t.Context()))
	wantNames(t, filepath.Join(dir, "d"), list...)
	must(t, compare(filepath.Join(dir, "d"), dirEntry("d")))
	for _, name := range list {
		e := fileEntry("d/"+name, name)
		e.Mode = 0o4751
		must(t, compare(filepath.Join(dir, "d", name), e))
		wantContent(t, filepath.Join(dir, "d", name), name)
	}
	for _, w := range target.Warnings() {
		t.Errorf("warning %+v", w)
	}
}

// What somebody puts there in the meantime is treated as ever.
func TestTargetDirectTaken(t *testing.T) {
	for _, replace := range []bool{false, true} {
		dir := t.TempDir()
		target := open(t, dir, TargetOptions{Replace: replace})
		list := fill(t, target, 2*directAfter)
		must(t, os.WriteFile(filepath.Join(dir, "d", "taken"), []byte("mine"), 0o600))
		err := target.WriteFile(fileEntry("d/taken", "ours"), []byte("ours"))
		want := "ours"
		if !replace {
			want = "mine"
			if !errors.Is(err, fs.ErrExist) {
				t.Errorf("error %v, want fs.ErrExist", err)
			}
		} else {
			must(t, err)
		}
		wantContent(t, filepath.Join(dir, "d", "taken"), want)
		must(t, target.FinishDirs(t.Context()))
		wantNames(t, filepath.Join(dir, "d"), append(list, "taken")...)
	}
}

// Content that is not the entry's gets no name.
func TestTargetDirectDamaged(t *testing.T) {
	dir := t.TempDir()
	target := open(t, dir, TargetOptions{})
	list := fill(t, target, 2*directAfter)
	for _, content := range []string{"no", "wrong", "longer than that"} {
		if err := target.WriteFile(fileEntry("d/f", "right"), []byte(content)); !errors.Is(err, tarn.ErrDamaged) {
			t.Errorf("%q: error %v, want tarn.ErrDamaged", content, err)
		}
	}
	must(t, target.FinishDirs(t.Context()))
	wantNames(t, filepath.Join(dir, "d"), list...)
}

// A run sweeps away what a killed one was writing, and nothing else; and nothing
// where another run is still at work.
func TestTargetDirectSweep(t *testing.T) {
	for _, c := range []struct {
		name  string
		alive bool
		want  []string
	}{
		{"killed", false, []string{"a", "mine", "whole"}},
		{"alive", true, []string{".tarn-0123456700000000", "a", "half", "mine", "whole"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			sub := filepath.Join(dir, "d")
			must(t, os.Mkdir(sub, 0o700))
			must(t, os.WriteFile(filepath.Join(sub, "mine"), []byte("mine"), 0o600))
			d, err := openTop(sub)
			must(t, err)
			m, err := d.mark(".tarn-0123456700000000")
			must(t, err)
			quiet := func(string, error) { t.Error("a warning") }
			must(t, d.direct(m, 1, "whole", fileEntry("d/whole", "whole"), []byte("whole"), quiet))
			must(t, d.direct(m, 0, "half", fileEntry("d/half", "half"), []byte("half"), quiet))
			if _, err := unix.Pwrite(m.fd, []byte("half"), 0); err != nil { // as before the end of that call
				t.Fatal(err)
			}
			if !c.alive {
				must(t, unix.Close(m.fd))
			}
			target := open(t, dir, TargetOptions{})
			must(t, target.WriteFile(fileEntry("d/a", "a"), []byte("a")))
			wantNames(t, sub, c.want...)
		})
	}
}

// What stands in a mark is taken for names only if it can be some.
func TestBegun(t *testing.T) {
	slot := func(s string) string { return s + strings.Repeat("\x00", slotSize-len(s)) }
	got := begun([]byte(slot("a") + slot("") + slot(".") + slot("..") + slot("../x") + slot("/etc/passwd") + slot(strings.Repeat("n", 255)) + "cut"))
	if want := []string{"a", strings.Repeat("n", 255), "cut"}; !slices.Equal(got, want) {
		t.Errorf("names %q", got)
	}
}

// A file that merely looks like a mark is no reason to sweep.
func TestTargetDirectFalseMark(t *testing.T) {
	dir := t.TempDir()
	sub := filepath.Join(dir, "d")
	must(t, os.Mkdir(sub, 0o700))
	must(t, os.WriteFile(filepath.Join(sub, ".tarn-0123456700000000"), bytes.Repeat([]byte("mine\x00"), 1000), 0o600))
	must(t, os.WriteFile(filepath.Join(sub, "mine"), []byte("mine"), 0o600))
	target := open(t, dir, TargetOptions{})
	must(t, target.WriteFile(fileEntry("d/a", "a"), []byte("a")))
	if got := names(t, sub); !slices.Contains(got, "mine") {
		t.Errorf("only %s is left", strings.Join(got, ", "))
	}
}

// The mark of a killed run goes also from a directory into which nothing is written.
func TestTargetDirectSweepUnwritten(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "d"), 0o700))
	d, err := openTop(filepath.Join(dir, "d"))
	must(t, err)
	m, err := d.mark(".tarn-0123456700000000")
	must(t, err)
	must(t, unix.Close(m.fd))
	target := open(t, dir, TargetOptions{})
	must(t, target.Mkdir(dirEntry("d")))
	wantNames(t, filepath.Join(dir, "d"))
}
