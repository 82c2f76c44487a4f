package restore

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn"
)

var someTime = tarn.Timespec{Sec: 1350244992, Nsec: 23960108}

func open(t *testing.T, dir string, opts TargetOptions) *Target {
	t.Helper()
	target, err := OpenTarget(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := target.Close(); err != nil {
			t.Error(err)
		}
	})
	return target
}

// fileEntry returns the entry of a file that belongs to the user of the test.
func fileEntry(path, content string) *tarn.Entry {
	e := &tarn.Entry{
		Path: path, Type: tarn.TypeFile, Mode: 0o644, Size: int64(len(content)), MTime: someTime,
		UID: uint32(max(os.Getuid(), 0)), GID: uint32(max(os.Getgid(), 0)),
	}
	if content != "" {
		e.Content = sha256.Sum256([]byte(content))
	}
	return e
}

func entry(path string, typ tarn.Type, mode uint32) *tarn.Entry {
	e := fileEntry(path, "")
	e.Type, e.Mode = typ, mode
	return e
}

func symlink(path, to string) *tarn.Entry {
	e := entry(path, tarn.TypeSymlink, 0o777)
	e.Target = to
	return e
}

// write writes content in two pieces and commits.
func write(t *Target, e *tarn.Entry, content string) error {
	f, err := t.Create(e)
	if err != nil {
		return err
	}
	half := len(content) / 2
	for _, s := range []string{content[:half], content[half:]} {
		if _, err := f.Write([]byte(s)); err != nil {
			f.Abort()
			return err
		}
	}
	return f.Commit()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// names lists everything below dir, sorted.
func names(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	must(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if p != dir {
			rel, _ := filepath.Rel(dir, p)
			all = append(all, filepath.ToSlash(rel))
		}
		return err
	}))
	return all
}

func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("in %s: %q, want %q", filepath.Base(dir), got, want)
	}
}

func wantContent(t *testing.T, path, want string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || string(b) != want {
		t.Errorf("%s holds %.80q (%v), want %.80q", path, b, err, want)
	}
}

func TestTargetWritesFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there")
	target := open(t, dir, TargetOptions{})
	must(t, write(target, fileEntry("a/b/c", "hello"), "hello"))
	must(t, write(target, fileEntry("a/empty", ""), ""))
	wantNames(t, dir, "a", "a/b", "a/b/c", "a/empty")
	wantContent(t, filepath.Join(dir, "a/b/c"), "hello")
	fi, err := os.Stat(filepath.Join(dir, "a/b/c"))
	must(t, err)
	if got := tarn.TimespecOf(fi.ModTime()); got.Sec != someTime.Sec {
		t.Errorf("mtime %v, want %v", got, someTime)
	}
	if err := target.Sync(); err != nil {
		t.Error(err)
	}
}

func TestTargetRefusesWrongContent(t *testing.T) {
	for _, tc := range []struct{ name, recorded, written string }{
		{"other bytes", "right", "wrong"},
		{"fewer bytes", "right", "righ"},
		{"more bytes", "right", "right!"},
		{"nothing", "right", ""},
		{"something", "", "x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			target := open(t, dir, TargetOptions{Replace: true})
			must(t, write(target, fileEntry("f", "old"), "old"))
			err := write(target, fileEntry("f", tc.recorded), tc.written)
			if !errors.Is(err, tarn.ErrDamaged) || !strings.Contains(err.Error(), `"f"`) {
				t.Errorf("error %v, want ErrDamaged that names the file", err)
			}
			wantNames(t, dir, "f")
			wantContent(t, filepath.Join(dir, "f"), "old")
		})
	}
}

func TestTargetAbort(t *testing.T) {
	dir := t.TempDir()
	target := open(t, dir, TargetOptions{})
	f, err := target.Create(fileEntry("f", "12345"))
	must(t, err)
	_, err = f.Write([]byte("123"))
	must(t, err)
	if got := names(t, dir); len(got) > 1 || len(got) == 1 && !isTemp(got[0]) {
		t.Errorf("while writing: %q, want one temporary name at most", got)
	}
	f.Abort()
	f.Abort()
	wantNames(t, dir)
}

// removeAll spares nothing.
func removeAll(t *Target, path string) error {
	_, err := t.Remove(path, Removal{})
	return err
}

func TestTargetInvalidPaths(t *testing.T) {
	outer := t.TempDir()
	dir := filepath.Join(outer, "target")
	target := open(t, dir, TargetOptions{Replace: true, ReplaceTrees: removeAll})
	must(t, write(target, fileEntry("ok", "x"), "x"))
	for _, p := range []string{"", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/..", ".", "./x", "a//b", "a/", "a\x00b"} {
		for what, err := range map[string]error{
			"Create":      write(target, fileEntry(p, "x"), "x"),
			"Mkdir":       target.Mkdir(entry(p, tarn.TypeDir, 0o755)),
			"Symlink":     target.Symlink(symlink(p, "ok")),
			"Special":     target.Special(entry(p, tarn.TypeFIFO, 0o644)),
			"Link":        target.Link("ok", fileEntry(p, "x")),
			"Link from":   target.Link(p, fileEntry("new", "x")),
			"Remove":      removeAll(target, p),
			"SetMetadata": target.SetMetadata(fileEntry(p, "x")),
		} {
			if err == nil {
				t.Errorf("%s of %q: no error", what, p)
			}
		}
		if _, err := target.State(fileEntry(p, "x")); err == nil {
			t.Errorf("State of %q: no error", p)
		}
		if _, _, err := target.HashFile(t.Context(), p, -1); err == nil {
			t.Errorf("HashFile of %q: no error", p)
		}
		if _, err := target.Names(p); p != "" && err == nil {
			t.Errorf("Names of %q: no error", p)
		}
		if _, err := target.ReadFile(p, 1); err == nil {
			t.Errorf("ReadFile of %q: no error", p)
		}
		if _, err := target.Mounted(p); err == nil {
			t.Errorf("Mounted of %q: no error", p)
		}
	}
	wantNames(t, outer, "target", "target/ok")
}

func TestTargetKeepsWhatStands(t *testing.T) {
	dir := t.TempDir()
	target := open(t, dir, TargetOptions{})
	must(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "f"), []byte("mine"), 0o600))
	for _, p := range []string{"d", "f"} {
		if err := write(target, fileEntry(p, "x"), "x"); !errors.Is(err, fs.ErrExist) {
			t.Errorf("file at %s: %v, want ErrExist", p, err)
		}
		if err := target.Symlink(symlink(p, "x")); !errors.Is(err, fs.ErrExist) {
			t.Errorf("symlink at %s: %v, want ErrExist", p, err)
		}
	}
	must(t, target.Mkdir(entry("d", tarn.TypeDir, 0o755)))
	if err := target.Mkdir(entry("f", tarn.TypeDir, 0o755)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("directory at f: %v, want ErrExist", err)
	}
	if err := write(target, fileEntry("f/x", "x"), "x"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("file below f: %v, want ErrExist", err)
	}
	wantNames(t, dir, "d", "f")
	wantContent(t, filepath.Join(dir, "f"), "mine")
}

func TestTargetReplaces(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "full/of"), 0o755))
	must(t, os.MkdirAll(filepath.Join(dir, "empty"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "f"), []byte("mine"), 0o600))
	target := open(t, dir, TargetOptions{Replace: true})
	must(t, write(target, fileEntry("empty", "x"), "x"))
	must(t, write(target, fileEntry("f/below", "x"), "x"))
	if err := write(target, fileEntry("full", "x"), "x"); err == nil {
		t.Error("a directory with something in it was replaced")
	}
	wantNames(t, dir, "empty", "f", "f/below", "full", "full/of")
	target = open(t, dir, TargetOptions{Replace: true, ReplaceTrees: removeAll})
	must(t, write(target, fileEntry("full/of/x", "x"), "x")) // so that it is in the cache
	must(t, write(target, fileEntry("full", "x"), "x"))
	must(t, target.Mkdir(entry("full", tarn.TypeDir, 0o755)))
	must(t, write(target, fileEntry("full/again", "x"), "x"))
	wantNames(t, dir, "empty", "f", "f/below", "full", "full/again")
}

func TestTargetState(t *testing.T) {
	dir := t.TempDir()
	target := open(t, dir, TargetOptions{})
	file, link := fileEntry("d/f", "hello"), symlink("d/l", "f")
	must(t, write(target, file, "hello"))
	must(t, target.Symlink(link))
	change := func(e *tarn.Entry, f func(*tarn.Entry)) *tarn.Entry {
		c := *e
		f(&c)
		return &c
	}
	for i, tc := range []struct {
		e    *tarn.Entry
		want State
	}{
		{file, Same},
		{change(file, func(e *tarn.Entry) { e.Size++ }), Differs},
		{change(file, func(e *tarn.Entry) { e.MTime.Sec++ }), Differs},
		{change(file, func(e *tarn.Entry) { e.Type = tarn.TypeDir }), Differs},
		{link, Same},
		{change(link, func(e *tarn.Entry) { e.Target = "g" }), Differs},
		{entry("d", tarn.TypeDir, 0o755), Same},
		{fileEntry("d/nothing", ""), Missing},
		{fileEntry("nothing/d/f", ""), Missing},
		{fileEntry("d/f/below", ""), Missing},
		{fileEntry("d/l/below", ""), Missing},
	} {
		if got, err := target.State(tc.e); err != nil || got != tc.want {
			t.Errorf("%d: %s: %v, %v, want %v", i, tc.e.Path, got, err, tc.want)
		}
	}
	sum, size, err := target.HashFile(t.Context(), "d/f", -1)
	if err != nil || size != 5 || sum != file.Content {
		t.Errorf("HashFile: %v, %d, %v", sum, size, err)
	}
	if _, _, err := target.HashFile(t.Context(), "d/l", -1); err == nil {
		t.Error("HashFile followed a link")
	}
	if _, _, err := target.HashFile(t.Context(), "d/nothing", -1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("HashFile of nothing: %v", err)
	}
}

func TestTargetSweepsLeftovers(t *testing.T) {
	dir := t.TempDir()
	d := filepath.Join(dir, "d")
	must(t, os.MkdirAll(filepath.Join(d, ".tarn-00000000000000dd"), 0o755))
	for _, n := range []string{".tarn-0123456789abcdef", ".tarn-0123456789ABCDEF", ".tarn-0123", ".tarnished", ".tarn-0123456789abcdef0", "f"} {
		must(t, os.WriteFile(filepath.Join(d, n), []byte("x"), 0o600))
	}
	must(t, os.Symlink("nowhere", filepath.Join(d, ".tarn-1111111111111111")))
	target := open(t, dir, TargetOptions{Replace: true})
	if s, err := target.State(fileEntry("d/g", "")); s != Missing || err != nil {
		t.Errorf("State: %v, %v", s, err)
	}
	if _, err := os.Lstat(filepath.Join(d, ".tarn-0123456789abcdef")); err != nil {
		t.Errorf("looking removed something: %v", err)
	}
	// An entry that is itself called so is written, and stays when the
	// directory is opened anew.
	must(t, write(target, fileEntry("d/.tarn-2222222222222222", "x"), "x"))
	target.dropAll()
	must(t, write(target, fileEntry("d/g", "x"), "x"))
	wantNames(t, d, ".tarn-00000000000000dd", ".tarn-0123", ".tarn-0123456789ABCDEF",
		".tarn-0123456789abcdef0", ".tarn-2222222222222222", ".tarnished", "f", "g")
}

// An entry that is called like a temporary file and is right already stays.
func TestTargetKeepsEntriesLikeLeftovers(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "d"), 0o755))
	odd := fileEntry("d/.tarn-2222222222222222", "x")
	for round, want := range []State{Missing, Same} {
		target := open(t, dir, TargetOptions{Replace: true})
		if s, err := target.State(odd); s != want || err != nil {
			t.Errorf("round %d: %v, %v, want %v", round, s, err, want)
		} else if s == Missing {
			must(t, write(target, odd, "x"))
		}
		must(t, write(target, fileEntry("d/g", "x"), "x"))
		wantNames(t, dir, "d", odd.Path, "d/g")
	}
}

func TestTargetNamesAndRemove(t *testing.T) {
	dir := t.TempDir()
	target := open(t, dir, TargetOptions{})
	for _, p := range []string{"d/a", "d/b/c", "d/b/e/f", "keep"} {
		must(t, write(target, fileEntry(p, "x"), "x"))
	}
	inFlight, err := target.Create(fileEntry("d/new", "x"))
	must(t, err)
	list := func(p string) (all []string) {
		all, err := target.Names(p)
		must(t, err)
		return all
	}
	if got := list("d"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("Names(d) = %q", got)
	}
	if got := list(""); !slices.Equal(got, []string{"d", "keep"}) {
		t.Errorf("Names() = %q", got)
	}
	if got := list("nothing"); got != nil {
		t.Errorf("Names(nothing) = %q", got)
	}
	inFlight.Abort()
	must(t, removeAll(target, "d/b"))
	must(t, removeAll(target, "d/b"))
	must(t, removeAll(target, "no/such/thing"))
	wantNames(t, dir, "d", "d/a", "keep")
	must(t, removeAll(target, "d"))
	wantNames(t, dir, "keep")
}

func TestJournalRoundTrip(t *testing.T) {
	e := entry("a/\xff\n/b", tarn.TypeDir, 0o2755)
	e.UID, e.GID, e.MTime = 1<<32-1, 7, tarn.Timespec{Sec: -1 << 40, Nsec: 999999999}
	e.Xattrs = []tarn.Xattr{{Name: "user.a", Value: []byte{0, 1}}, {Name: "user.b", Value: []byte{}}}
	b := appendDir(nil, e)
	got, err := parseDir(b)
	must(t, err)
	if got.Path != e.Path || got.Mode != e.Mode || got.UID != e.UID || got.GID != e.GID || got.MTime != e.MTime ||
		!slices.EqualFunc(got.Xattrs, e.Xattrs, func(a, b tarn.Xattr) bool {
			return a.Name == b.Name && string(a.Value) == string(b.Value)
		}) {
		t.Errorf("%+v, want %+v", got, e)
	}
	for i := range b {
		if _, err := parseDir(b[:i]); err == nil {
			t.Errorf("cut at %d: no error", i)
		}
	}
}
