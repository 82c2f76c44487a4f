package tarball

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/e2e"
)

// unreadable shuts paths for the rest of the test, until open is called.
func unreadable(t *testing.T, top string, paths ...string) (open func()) {
	t.Helper()
	var modes []os.FileMode
	for _, path := range paths {
		info, err := os.Stat(filepath.Join(top, path))
		if err == nil {
			modes = append(modes, info.Mode())
			err = os.Chmod(filepath.Join(top, path), 0)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	open = func() {
		for i, path := range paths {
			os.Chmod(filepath.Join(top, path), modes[i])
		}
	}
	t.Cleanup(open)
	return open
}

// TestBecomesUnreadable: an archive that has what can't be read any more stays, is
// named, and goes only if the user says so. The other archives go on.
func TestBecomesUnreadable(t *testing.T) {
	e2e.AsNobody(t)
	for name, c := range map[string]struct {
		shut    []string
		prepare func(b *bench, top string)
		kept    string // what is said of the archive, "" if it is made again
		lost    int    // files that can't be read
	}{
		"a file":   {shut: []string{"a/secret"}, kept: "has what can't be read now (files: 1)", lost: 1},
		"a folder": {shut: []string{"a/shut"}, kept: "has what can't be read now (files: 2)", lost: 1},
		"a new file": {shut: []string{"a/new"}, lost: 1, prepare: func(b *bench, top string) {
			write(b.T, filepath.Join(top, "a/new"), "not in the archive")
		}},
		"no list": {shut: []string{"a/secret"}, kept: "no list says", lost: 1, prepare: func(b *bench, _ string) {
			b.store.Drop("disk/a.tar.gz.txt")
		}},
		"no hash": {shut: []string{"a/secret"}, kept: "has what can't be read now (files: 1)", lost: 1, prepare: func(b *bench, _ string) {
			b.store.Drop("disk/a.tar.gz.md5")
		}},
		"a name that no list has": {shut: []string{"a/new\nline"}, kept: "has what can't be read now (files: 1)", lost: 1},
	} {
		t.Run(name, func(t *testing.T) {
			top := tree(t, map[string]string{"a/x": "1", "a/shut/y": "2", "a/shut/deep/z": "3", "a/secret": "4", "a/new\nline": "5", "b/z": "6"})
			b := newBench(t, top)
			b.must()
			if c.prepare != nil {
				c.prepare(b, top)
			}
			open := unreadable(t, top, c.shut...)
			write(t, filepath.Join(top, "a/x"), "changed")
			write(t, filepath.Join(top, "b/z"), "changed")
			before := string(b.store.Bytes("disk/a.tar.gz"))
			if c.kept == "" {
				b.made(b.must(), "disk/a.tar.gz", "disk/b.tar.gz")
				return
			}
			b.cfg.DryRun = true
			b.made(b.must(), "disk/b.tar.gz")
			b.cfg.DryRun = false
			res := b.must()
			b.made(res, "disk/b.tar.gz")
			all := strings.Join(b.problems, "\n")
			if res.Failed != 1 || res.Problems != c.lost+1 || !strings.Contains(all, c.shut[0]+": can't be read") || !strings.Contains(all, c.kept) || !strings.Contains(all, "--without-unreadable") {
				t.Errorf("%+v: %s", res, all)
			}
			if string(b.store.Bytes("disk/a.tar.gz")) != before {
				t.Error("an archive with less has taken the place of the whole one")
			}
			b.cfg.WithoutUnreadable = true
			res = b.must()
			b.made(res, "disk/a.tar.gz")
			if res.Problems != c.lost {
				t.Errorf("%q", b.problems)
			}
			open()
			b.cfg.WithoutUnreadable = false
			b.made(b.must(), "disk/a.tar.gz")
			b.made(b.must())
		})
	}
}

// TestBecomesUnreadableWhilePacked: what could be hashed and then not be read again
// keeps the archive, too.
func TestBecomesUnreadableWhilePacked(t *testing.T) {
	e2e.AsNobody(t)
	top := tree(t, map[string]string{"a/x": "1", "a/y": "2"})
	b := newBench(t, top)
	b.must()
	write(t, filepath.Join(top, "a/x"), "3")
	event := b.cfg.Event
	b.cfg.Event = func(e Event) {
		if event(e); e.Kind == Uploading {
			unreadable(t, top, "a/y")
		}
	}
	res := b.must()
	b.made(res)
	if all := strings.Join(b.problems, "\n"); res.Failed != 1 || !strings.Contains(all, "left as it is in the bucket") {
		t.Errorf("%+v: %s", res, all)
	}
	if err := consistent(b.store); err != nil {
		t.Error(err)
	}
}

// TestListWithoutUnreadable: a list that is made anew has the files of the archive,
// not those that never came into it.
func TestListWithoutUnreadable(t *testing.T) {
	e2e.AsNobody(t)
	top := tree(t, map[string]string{"a/secret": "1", "a/x": "2"})
	unreadable(t, top, "a/secret")
	b := newBench(t, top)
	b.must()
	b.store.Drop("disk/a.tar.gz.txt")
	if res := b.must(); res.Mended != 1 || len(res.Made) > 0 {
		t.Errorf("%+v", res)
	}
	if got := string(b.store.Bytes("disk/a.tar.gz.txt")); got != "x\n" {
		t.Errorf("the list has %q", got)
	}
	if err := errors.Join(consistent(b.store)); err != nil {
		t.Error(err)
	}
}
