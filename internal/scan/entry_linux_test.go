package scan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"golang.org/x/sys/unix"
)

// must fails the test on the first error.
func must(t failer, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// byPath walks a source and returns its entries, completed, by path below the root.
func byPath(t *testing.T, s *Source) map[string]tarn.Entry {
	t.Helper()
	w := walkAll(t, s)
	for path, err := range w.errs {
		t.Fatalf("%q: %v", path, err)
	}
	m := map[string]tarn.Entry{}
	for _, e := range w.entries {
		must(t, s.Complete(&e))
		m[strings.TrimPrefix(e.Path, s.cfg.Name+"/")] = e
	}
	return m
}

// TestFidelity has one of everything that a tree can hold.
func TestFidelity(t *testing.T) {
	top := t.TempDir()
	at := func(name string) string { return filepath.Join(top, name) }
	mtime := time.Unix(1350244992, 23960108)
	must(t,
		os.WriteFile(at("-rf"), []byte("12345"), 0o640),
		os.Chmod(at("-rf"), 0o751|os.ModeSetuid|os.ModeSticky),
		os.Chtimes(at("-rf"), mtime, mtime),
		os.WriteFile(at("linked"), []byte("x"), 0o600),
		os.Link(at("linked"), at("again")),
		os.Symlink("no\xffwhere", at("dangling")),
		os.Symlink(strings.Repeat("t", 4000), at("long link")),
		unix.Mkfifo(at("fifo"), 0o600),
		os.Mkdir(at("dir"), 0o700),
		os.WriteFile(at("sparse"), nil, 0o600),
		os.Truncate(at("sparse"), 1<<30),
		os.WriteFile(at("old"), nil, 0o600),
	)
	sock, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(t, err)
	defer unix.Close(sock)
	must(t, unix.Bind(sock, &unix.SockaddrUnix{Name: at("socket")}))
	before := []unix.Timespec{{Sec: -2, Nsec: 5e8}, {Sec: -2, Nsec: 5e8}}
	must(t, unix.UtimesNanoAt(unix.AT_FDCWD, at("old"), before, 0))

	s := open(t, Config{Path: top, Name: "src", SplitDepth: 1})
	defer s.Close()
	got := byPath(t, s)
	for name, want := range map[string]tarn.Type{"src": tarn.TypeDir, "-rf": tarn.TypeFile, "again": tarn.TypeFile, "dangling": tarn.TypeSymlink,
		"fifo": tarn.TypeFIFO, "dir": tarn.TypeDir, "socket": tarn.TypeSocket, "sparse": tarn.TypeFile} {
		if got[name].Type != want {
			t.Errorf("%s: type %q, want %q", name, got[name].Type, want)
		}
	}
	if e := got["-rf"]; e.Mode != 0o5751 || e.Size != 5 || e.MTime != tarn.TimespecOf(mtime) || e.CTime.IsZero() || e.Inode != 0 || e.Sparse {
		t.Errorf("-rf: %+v", e)
	}
	if e := got["-rf"]; int(e.UID) != os.Getuid() || os.Getuid() == 0 && (e.User != "root" || e.Group != "root") {
		t.Errorf("owner: %d %d %q %q", e.UID, e.GID, e.User, e.Group)
	}
	if a, b := got["linked"], got["again"]; a.Inode == 0 || a.Inode != b.Inode || a.CTime != b.CTime {
		t.Errorf("hard links: inodes %d and %d", a.Inode, b.Inode)
	}
	if got["dangling"].Target != "no\xffwhere" || len(got["long link"].Target) != 4000 || got["dangling"].Size != 0 {
		t.Errorf("symlinks: %+v, %d bytes", got["dangling"], len(got["long link"].Target))
	}
	if e := got["sparse"]; !e.Sparse || e.Size != 1<<30 {
		t.Errorf("sparse: %+v", e)
	}
	if e := got["old"]; e.MTime != (tarn.Timespec{Sec: -2, Nsec: 5e8}) {
		t.Errorf("time before 1970: %v", e.MTime)
	}
}

func TestDevices(t *testing.T) {
	top := t.TempDir()
	if err := unix.Mknod(filepath.Join(top, "null"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))); err != nil {
		t.Skipf("no permission to make devices: %v", err)
	}
	must(t, unix.Mknod(filepath.Join(top, "block"), unix.S_IFBLK|0o600, int(unix.Mkdev(259, 70000))))
	s := open(t, Config{Path: top, Name: "s"})
	defer s.Close()
	got := byPath(t, s)
	if e := got["null"]; e.Type != tarn.TypeChar || e.Major != 1 || e.Minor != 3 {
		t.Errorf("null: %+v", e)
	}
	if e := got["block"]; e.Type != tarn.TypeBlock || e.Major != 259 || e.Minor != 70000 {
		t.Errorf("block: %+v", e)
	}
}

func TestXattrs(t *testing.T) {
	top := t.TempDir()
	file := filepath.Join(top, "f")
	must(t, os.WriteFile(file, []byte("x"), 0o644))
	if err := unix.Setxattr(file, "user.b", bytes.Repeat([]byte{0, 1}, 900), 0); err != nil {
		t.Skipf("no extended attributes here: %v", err)
	}
	must(t, unix.Setxattr(file, "user.a", nil, 0), unix.Setxattr(top, "user.top", []byte("t"), 0))
	for i := range 20 {
		must(t, unix.Setxattr(file, fmt.Sprintf("user.many.%020d", i), []byte{1}, 0))
	}
	// A default ACL: version 2, then user::rwx group::r-x other::---.
	acl := []byte{2, 0, 0, 0, 1, 0, 7, 0, 0xff, 0xff, 0xff, 0xff, 4, 0, 5, 0, 0xff, 0xff, 0xff, 0xff, 0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}
	const aclName = "system.posix_acl_default"
	wantACL := unix.Setxattr(top, aclName, acl, 0) == nil

	s := open(t, Config{Path: top, Name: "s"})
	defer s.Close()
	got := byPath(t, s)
	xs := map[string]string{}
	last := ""
	for _, x := range got["f"].Xattrs {
		if strings.HasPrefix(x.Name, "user.") {
			xs[x.Name] = string(x.Value)
		}
		if x.Name <= last {
			t.Errorf("%q after %q", x.Name, last)
		}
		last = x.Name
	}
	if len(xs) != 22 || len(xs["user.b"]) != 1800 || xs["user.a"] != "" {
		t.Errorf("xattrs of the file: %d, %d bytes", len(xs), len(xs["user.b"]))
	}
	ofTop := fmt.Sprint(got["s"].Xattrs)
	if !strings.Contains(ofTop, "user.top") || wantACL && !strings.Contains(ofTop, aclName) {
		t.Errorf("xattrs of the root: %v", ofTop)
	}
	f, err := s.OpenFile("s/f")
	must(t, err)
	defer f.Close()
	e := tarn.Entry{Path: "s/f"}
	must(t, f.Complete(&e))
	if fmt.Sprint(e.Xattrs) != fmt.Sprint(got["f"].Xattrs) {
		t.Errorf("of the open file: %v", e.Xattrs)
	}

	must(t, unix.Setxattr(file, "user.\xff", []byte("v"), 0))
	e = tarn.Entry{Path: "s/f", Type: tarn.TypeFile}
	if err := s.Complete(&e); err == nil || !strings.Contains(err.Error(), "not UTF-8") || len(e.Xattrs) != len(got["f"].Xattrs) {
		t.Errorf("name that is not UTF-8: error %v and %d xattrs", err, len(e.Xattrs))
	}
}

// TestDeepPaths goes beyond what one system call takes.
func TestDeepPaths(t *testing.T) {
	top := t.TempDir()
	r, err := os.OpenRoot(top)
	must(t, err)
	defer r.Close()
	name := strings.Repeat("n", 250)
	path, deep := "s", r
	for range 40 {
		must(t, deep.Mkdir(name, 0o755))
		next, err := deep.OpenRoot(name)
		must(t, err)
		defer next.Close()
		deep, path = next, path+"/"+name
	}
	must(t, deep.WriteFile("f", []byte("deep"), 0o644), deep.Symlink("target", "l"))

	s := open(t, Config{Path: top, Name: "s", SplitDepth: 30})
	defer s.Close()
	w := walkAll(t, s)
	if n := len(w.entries); n != 43 || w.entries[41].Path != path+"/f" || len(w.errs) > 0 {
		t.Fatalf("%d entries, errors %v", n, w.errs)
	}
	link := w.entries[42]
	must(t, s.Complete(&link))
	if link.Target != "target" {
		t.Errorf("target %q", link.Target)
	}
	f, err := s.OpenFile(path + "/f")
	must(t, err)
	defer f.Close()
	if b, err := io.ReadAll(f); string(b) != "deep" || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
}

func TestOpenFile(t *testing.T) {
	top, outside := t.TempDir(), t.TempDir()
	must(t,
		os.WriteFile(filepath.Join(outside, "secret"), []byte("s"), 0o644),
		os.Symlink(outside, filepath.Join(top, "dir")),
		os.Symlink(filepath.Join(outside, "secret"), filepath.Join(top, "link")),
		unix.Mkfifo(filepath.Join(top, "fifo"), 0o600),
		os.WriteFile(filepath.Join(top, "f"), []byte("content"), 0o640),
	)
	s := open(t, Config{Path: top, Name: "s"})
	defer s.Close()
	for path, want := range map[string]error{
		"s/dir/secret": nil, "s/link": nil, "s/fifo": errNotRegular, "s": errNotRegular, "s/../x": nil, "s//f": nil, "other/f": nil, "sx": nil,
		"s/none": fs.ErrNotExist, "s/f/x": nil,
	} {
		f, err := s.OpenFile(path)
		if err == nil {
			f.Close()
			t.Errorf("%s was opened", path)
		} else if want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
	f, err := s.OpenFile("s/f")
	must(t, err)
	e, err := f.Stat()
	must(t, err)
	if want := byPath(t, s)["f"]; fmt.Sprint(e) != fmt.Sprint(want) {
		t.Errorf("Stat %+v, want %+v", e, want)
	}
	b, err := io.ReadAll(f)
	if string(b) != "content" || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
	must(t, f.Close())
}

// TestByName opens paths as on a kernel without openat2.
func TestByName(t *testing.T) {
	was := haveOpenat2
	haveOpenat2 = func() bool { return false }
	defer func() { haveOpenat2 = was }()
	t.Run("deep", TestDeepPaths)
	t.Run("open", TestOpenFile)

}
