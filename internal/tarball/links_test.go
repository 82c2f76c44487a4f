package tarball_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/restore"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
	"github.com/tarn-backup/tarn/internal/tarball"
)

// linked is an archive x of the script with files of several names.
func linked(t *testing.T) (*storagetest.Memory, *tarball.Tarball, map[string]string) {
	src := folder(t, map[string]string{"a": "one", "sub/c": "two"})
	for _, name := range []string{"b", "sub/d", "sub/e"} {
		if err := os.Link(filepath.Join(src, "a"), filepath.Join(src, name)); err != nil {
			t.Fatal(err)
		}
	}
	s := storagetest.NewMemory()
	script(t, src, 0).put(t, s, "disk/x"+tarball.Suffix)
	_, a := look(t, s)
	return s, a, map[string]string{"x/a": "one", "x/b": "one", "x/sub/c": "two", "x/sub/d": "one", "x/sub/e": "one"}
}

func sameFile(t *testing.T, dir, a, b string) bool {
	t.Helper()
	one, err := os.Stat(filepath.Join(dir, a))
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.Stat(filepath.Join(dir, b))
	if err != nil {
		t.Fatal(err)
	}
	return os.SameFile(one, other)
}

// Hard links come back as such, and count as files of the hash; once more, nothing is
// written, and what is missing is linked to what stands.
func TestHardLinks(t *testing.T) {
	s, a, want := linked(t)
	dir := t.TempDir()
	again := func(int) error { t.Error("the archive was read once more"); return nil }
	for _, wrote := range []int64{5, 0, 1} {
		res, problems, err := restored(t, tarball.Restoring{Storage: s, Tarball: a, Overwrite: tarball.Changed, Again: again}, dir)
		if err != nil || len(problems) > 0 || !res.Proved || res.Files != 5 || res.Written != wrote {
			t.Fatalf("%+v, %v, %v", res, problems, err)
		}
		if got := files(t, dir); !maps.Equal(got, want) || !sameFile(t, dir, "x/a", "x/b") || !sameFile(t, dir, "x/a", "x/sub/d") {
			t.Errorf("came back: %v", got)
		}
		if wrote == 0 {
			if err := os.Remove(filepath.Join(dir, "x/b")); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A further name of a file that is not asked for, or left to what stands there, has
// the content of the archive all the same.
func TestHardLinksAlone(t *testing.T) {
	for name, c := range map[string]struct {
		paths     []string
		stands    map[string]string
		overwrite tarball.Overwrite
		quick     bool
		again     int
		want      map[string]string
		left      int64
	}{
		"one name":           {[]string{"b"}, nil, tarball.Changed, false, 1, map[string]string{"x/b": "one"}, 0},
		"one name, quick":    {[]string{"b"}, nil, tarball.Changed, true, 1, map[string]string{"x/b": "one"}, 0},
		"a folder":           {[]string{"sub"}, nil, tarball.Changed, false, 2, map[string]string{"x/sub/c": "two", "x/sub/d": "one", "x/sub/e": "one"}, 0},
		"the first is right": {[]string{"b"}, map[string]string{"a": "one"}, tarball.Changed, false, 0, map[string]string{"x/a": "one", "x/b": "one"}, 0},
		"the first is somebody else's": {
			nil, map[string]string{"a": "USERDATA"}, tarball.Never, false, 3,
			map[string]string{"x/a": "USERDATA", "x/b": "one", "x/sub/c": "two", "x/sub/d": "one", "x/sub/e": "one"}, 1,
		},
		"the first looks the same": {
			nil, map[string]string{"a": "ONE"}, tarball.Changed, false, 3,
			map[string]string{"x/a": "ONE", "x/b": "one", "x/sub/c": "two", "x/sub/d": "one", "x/sub/e": "one"}, 0,
		},
		"both stand": {[]string{"a", "b"}, map[string]string{"a": "USERDATA", "b": "MINE"}, tarball.Never, false, 0, map[string]string{"x/a": "USERDATA", "x/b": "MINE"}, 2},
		"always":     {[]string{"a", "b"}, map[string]string{"a": "USERDATA", "b": "MINE"}, tarball.Always, false, 0, map[string]string{"x/a": "one", "x/b": "one"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, a, _ := linked(t)
			dir := t.TempDir()
			for name, text := range c.stands {
				path := filepath.Join(dir, "x", name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				if at := mtimeOf(t, s, "a"); c.overwrite == tarball.Changed {
					if err := os.Chtimes(path, at, at); err != nil {
						t.Fatal(err)
					}
				}
			}
			again := 0
			res, problems, err := restored(t, tarball.Restoring{
				Storage: s, Tarball: a, Paths: c.paths, Overwrite: c.overwrite, Quick: c.quick, Again: func(n int) error { again = n; return nil },
			}, dir)
			if err != nil || len(problems) > 0 || again != c.again || res.Left != c.left {
				t.Errorf("%+v, %v, %v; again for %d", res, problems, err, again)
			}
			if got := files(t, dir); !maps.Equal(got, c.want) {
				t.Errorf("came back: %v, want %v", got, c.want)
			}
			if name == "a folder" && !sameFile(t, dir, "x/sub/d", "x/sub/e") {
				t.Error("two further names are two files")
			}
		})
	}
}

// mtimeOf is the time of a member of the archive x.
func mtimeOf(t *testing.T, s *storagetest.Memory, name string) time.Time {
	t.Helper()
	dir := t.TempDir()
	_, a := look(t, s)
	if _, _, err := restored(t, tarball.Restoring{Storage: s, Tarball: a, Paths: []string{name}, Overwrite: tarball.Changed}, dir); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(filepath.Join(dir, "x", name))
	if err != nil {
		t.Fatal(err)
	}
	return st.ModTime()
}

// A list without the first name of a file says nothing against the further ones.
func TestHardLinksUnlisted(t *testing.T) {
	s, _, want := linked(t)
	s.Plant("disk/x.tar.gz.txt", []byte("b\nsub/c\nsub/d\nsub/e\n"))
	_, a := look(t, s)
	dir := t.TempDir()
	res, problems, err := restored(t, tarball.Restoring{Storage: s, Tarball: a, Overwrite: tarball.Changed}, dir)
	if err != nil || res.Proved || len(problems) != 1 || !errors.Is(problems["x/a"], tarball.ErrSurplus) {
		t.Errorf("%+v, %v, %v", res.Findings, problems, err)
	}
	if got := files(t, dir); !maps.Equal(got, want) {
		t.Errorf("came back: %v", got)
	}
}

// fullTarget has no room for more than some files.
type fullTarget struct {
	tarball.Target
	room, asked int
}

func (f *fullTarget) Create(e *tarn.Entry) (tarball.TargetFile, error) {
	if f.asked++; f.asked > f.room {
		return nil, fmt.Errorf("writing %q: %w", e.Path, syscall.ENOSPC)
	}
	return f.Target.Create(e)
}

// Where the target is full the archive is read no further.
func TestTargetFull(t *testing.T) {
	s := storagetest.NewMemory()
	script(t, folder(t, many(1000)), 0).put(t, s, "disk/x"+tarball.Suffix)
	_, a := look(t, s)
	to, err := restore.OpenTarget(t.TempDir(), restore.TargetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	full := &fullTarget{Target: target{to}, room: 3}
	_, err = tarball.Restoring{
		Storage: s, Tarball: a, Target: full, Overwrite: tarball.Changed, Now: func() time.Time { return now },
		Problem: func(path string, err error) { t.Errorf("%s: %v", path, err) },
	}.Restore(t.Context())
	if !errors.Is(err, syscall.ENOSPC) || full.asked != 4 {
		t.Errorf("%d files were begun: %v", full.asked, err)
	}
}
