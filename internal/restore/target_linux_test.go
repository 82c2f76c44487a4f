package restore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tarn-backup/tarn"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: owners and devices can't be made otherwise")
	}
}

// acl returns the xattr of a POSIX ACL that gives user 1234 the permissions
// perm besides those of mode.
func acl(mode, perm uint16) []byte {
	b := []byte{2, 0, 0, 0}
	for _, e := range []struct {
		tag, perm uint16
		id        uint32
	}{
		{1, mode >> 6 & 7, 1<<32 - 1}, {2, perm, 1234}, {4, 5, 1<<32 - 1},
		{16, mode >> 3 & 7, 1<<32 - 1}, {32, mode & 7, 1<<32 - 1},
	} {
		b = binary.LittleEndian.AppendUint16(b, e.tag)
		b = binary.LittleEndian.AppendUint16(b, e.perm)
		b = binary.LittleEndian.AppendUint32(b, e.id)
	}
	return b
}

// capNetRaw is a security.capability of version 2: cap_net_raw=ep.
var capNetRaw = []byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

// compare says how what stands at path differs from e.
func compare(path string, e *tarn.Entry) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return err
	}
	kinds := map[tarn.Type]uint32{
		tarn.TypeFile: unix.S_IFREG, tarn.TypeDir: unix.S_IFDIR, tarn.TypeSymlink: unix.S_IFLNK, tarn.TypeFIFO: unix.S_IFIFO,
		tarn.TypeSocket: unix.S_IFSOCK, tarn.TypeChar: unix.S_IFCHR, tarn.TypeBlock: unix.S_IFBLK,
	}
	if want := kinds[e.Type] | e.Mode; st.Mode != want {
		return fmt.Errorf("mode %o, want %o", st.Mode, want)
	}
	if st.Uid != e.UID || st.Gid != e.GID {
		return fmt.Errorf("owners %d:%d, want %d:%d", st.Uid, st.Gid, e.UID, e.GID)
	}
	if st.Mtim.Sec != e.MTime.Sec || st.Mtim.Nsec != int64(e.MTime.Nsec) {
		return fmt.Errorf("mtime %v, want %v", st.Mtim, e.MTime)
	}
	if e.Type == tarn.TypeSymlink {
		if to, err := os.Readlink(path); err != nil || to != e.Target {
			return fmt.Errorf("link to %q (%v), want %q", to, err, e.Target)
		}
	}
	if e.Type == tarn.TypeChar || e.Type == tarn.TypeBlock {
		if st.Rdev != unix.Mkdev(e.Major, e.Minor) {
			return fmt.Errorf("device %x, want %d:%d", st.Rdev, e.Major, e.Minor)
		}
	}
	return compareXattrs(path, e)
}

func compareXattrs(path string, e *tarn.Entry) error {
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, buf)
	if err != nil {
		return err
	}
	var have []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00") {
		if name != "" && name != "security.selinux" {
			have = append(have, name)
		}
	}
	if len(have) != len(e.Xattrs) {
		return fmt.Errorf("xattrs %q, want %d", have, len(e.Xattrs))
	}
	for _, x := range e.Xattrs {
		n, err := unix.Lgetxattr(path, x.Name, buf)
		if err != nil || !bytes.Equal(buf[:n], x.Value) {
			return fmt.Errorf("xattr %s is %x (%v), want %x", x.Name, buf[:max(n, 0)], err, x.Value)
		}
	}
	return nil
}

// fidelity returns one entry of each kind, with all that it can have.
func fidelity() (dirs, others []*tarn.Entry) {
	owned := func(e *tarn.Entry, xattrs ...tarn.Xattr) *tarn.Entry {
		e.UID, e.GID, e.Xattrs = 1001, 2002, xattrs
		return e
	}
	user := tarn.Xattr{Name: "user.note", Value: []byte{0, 1, 0xff}}
	dirs = []*tarn.Entry{
		owned(entry("r", tarn.TypeDir, 0o755)),
		owned(entry("r/closed", tarn.TypeDir, 0), user),
		owned(entry("r/sticky", tarn.TypeDir, 0o3777),
			tarn.Xattr{Name: "system.posix_acl_access", Value: acl(0o777, 5)},
			tarn.Xattr{Name: "system.posix_acl_default", Value: acl(0o750, 7)}, user),
	}
	special := func(path string, typ tarn.Type) *tarn.Entry {
		e := owned(entry(path, typ, 0o640))
		if typ == tarn.TypeChar || typ == tarn.TypeBlock {
			e.Major, e.Minor = 300, 70000
		}
		return e
	}
	before1970 := owned(fileEntry("r/old", ""))
	before1970.MTime = tarn.Timespec{Sec: -2, Nsec: 500000000}
	setuid := owned(fileEntry("r/closed/setuid", ""), tarn.Xattr{Name: "security.capability", Value: capNetRaw})
	setuid.Mode = 0o6755
	withACL := owned(fileEntry("r/sticky/acl", ""), tarn.Xattr{Name: "system.posix_acl_access", Value: acl(0o640, 6)}, user)
	withACL.Mode = 0o640
	return dirs, []*tarn.Entry{
		before1970, setuid, withACL,
		owned(fileEntry("r/sticky/plain", "")),
		owned(symlink("r/dangling", "../no/\n/where"), tarn.Xattr{Name: "trusted.note", Value: []byte("x")}),
		special("r/fifo", tarn.TypeFIFO), special("r/socket", tarn.TypeSocket),
		special("r/char", tarn.TypeChar), special("r/block", tarn.TypeBlock),
	}
}

func TestTargetFidelity(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	dirs, others := fidelity()
	// Twice: into nothing, and over what the first round left, read-only
	// directories and default ACLs included, with other metadata.
	for round := range 2 {
		target := open(t, dir, TargetOptions{Replace: true})
		for _, e := range dirs {
			must(t, target.Mkdir(e))
		}
		for _, e := range others {
			switch e.Type {
			case tarn.TypeFile:
				must(t, write(target, e, ""))
			case tarn.TypeSymlink:
				must(t, target.Symlink(e))
			default:
				must(t, target.Special(e))
			}
		}
		must(t, target.Link("r/sticky/plain", fileEntry("r/closed/hard", "")))
		must(t, target.Link("r/sticky/plain", fileEntry("r/closed/hard", "")))
		must(t, target.FinishDirs(t.Context()))
		for _, e := range append(dirs, others...) {
			if err := compare(filepath.Join(dir, e.Path), e); err != nil {
				t.Errorf("round %d: %s: %v", round, e.Path, err)
			}
			if s, err := target.State(e); err != nil || s != Same {
				t.Errorf("round %d: %s: state %v, %v", round, e.Path, s, err)
			}
		}
		a, _ := os.Stat(filepath.Join(dir, "r/sticky/plain"))
		b, err := os.Stat(filepath.Join(dir, "r/closed/hard"))
		if err != nil || !os.SameFile(a, b) {
			t.Errorf("round %d: not hard links (%v)", round, err)
		}
		if w := target.Warnings(); w != nil {
			t.Errorf("round %d: warnings %+v", round, w)
		}
		if n := len(names(t, dir)); n != len(dirs)+len(others)+1 {
			t.Errorf("round %d: holds %q", round, names(t, dir))
		}
	}
}

func TestTargetSetMetadata(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	target := open(t, dir, TargetOptions{})
	e := fileEntry("f", "hello")
	must(t, write(target, e, "hello"))
	path := filepath.Join(dir, "f")
	ctime := func() (st unix.Stat_t) {
		must(t, unix.Lstat(path, &st))
		return st
	}
	before := ctime()
	must(t, target.SetMetadata(e))
	if after := ctime(); after.Ctim != before.Ctim {
		t.Error("right metadata was set again: ctime changed")
	}
	must(t, unix.Setxattr(path, "user.extra", []byte("x"), 0))
	e.Mode, e.UID, e.GID, e.MTime.Nsec = 0o4711, 5, 6, 7
	e.Xattrs = []tarn.Xattr{{Name: "user.a", Value: bytes.Repeat([]byte("a"), 1000)}}
	must(t, target.SetMetadata(e))
	if err := compare(path, e); err != nil {
		t.Error(err)
	}
	e.Type = tarn.TypeFIFO
	if err := target.SetMetadata(e); err == nil {
		t.Error("metadata of a FIFO set on a file")
	}
}

func TestTargetSparse(t *testing.T) {
	block := strings.Repeat("x", 4096)
	hole := strings.Repeat("\x00", 1<<20)
	content := hole + block + hole + "tail" + hole
	for _, size := range []int{1000, 4096, 5000, 256 << 10, len(content)} {
		e := fileEntry("f", content)
		e.Sparse = true
		dir := t.TempDir()
		target := open(t, dir, TargetOptions{})
		f, err := target.Create(e)
		must(t, err)
		for rest := []byte(content); len(rest) > 0; {
			n := min(size, len(rest))
			if _, err := f.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		must(t, f.Commit())
		path := filepath.Join(dir, "f")
		b, err := os.ReadFile(path)
		if err != nil || string(b) != content {
			t.Errorf("pieces of %d: other content (%v)", size, err)
		}
		r, err := os.Open(path)
		must(t, err)
		defer r.Close()
		if at, err := r.Seek(0, unix.SEEK_DATA); err != nil || at != 1<<20 {
			t.Errorf("pieces of %d: data begins at %d (%v), want %d", size, at, err, 1<<20)
		}
		if at, err := r.Seek(1<<20, unix.SEEK_HOLE); err != nil || at != 1<<20+4096 {
			t.Errorf("pieces of %d: hole begins at %d (%v)", size, at, err)
		}
		var st unix.Stat_t
		if must(t, unix.Stat(path, &st)); st.Blocks*512 > 64<<10 {
			t.Errorf("pieces of %d: occupies %d bytes", size, st.Blocks*512)
		}
	}
}

func TestTargetLongAndOddNames(t *testing.T) {
	// A target deeper than a path may be long, with paths of 4095 bytes below.
	dir := t.TempDir()
	target := open(t, dir, TargetOptions{Replace: true})
	component := strings.Repeat("n", 255)
	long := strings.Repeat(component+"/", 15)
	long += strings.Repeat("m", 4095-len(long))
	var wide []byte
	for b := 1; b < 256; b++ {
		if b != '/' {
			wide = append(wide, byte(b))
		}
	}
	for _, p := range []string{long, strings.Repeat("d/", 2040) + "f", "-rf", " ", "a\nb", "\xff\xfe", "*", string(wide), "..."} {
		e := fileEntry("o/"+p, "x")
		must(t, write(target, e, "x"))
		must(t, write(target, e, "x"))
		if s, err := target.State(e); err != nil || s != Same {
			t.Errorf("%.20q: %v, %v", p, s, err)
		}
		if sum, _, err := target.HashFile(t.Context(), e.Path, -1); err != nil || sum != e.Content {
			t.Errorf("%.20q: %v, %v", p, sum, err)
		}
	}
	must(t, target.Mkdir(entry("o/"+long[:4000], tarn.TypeDir, 0o700)))
	must(t, target.FinishDirs(t.Context()))
	if n := len(target.handles.byPath); n > maxHandles {
		t.Errorf("%d directories are open, limit %d", n, maxHandles)
	}
	must(t, removeAll(target, "o"))
	wantNames(t, dir)
}

// asNobody runs the rest of the test with the file permissions of a user who
// owns nothing. The thread ends with the test.
func asNobody(t *testing.T, target *Target) {
	needRoot(t)
	runtime.LockOSThread() // never unlocked: the thread is thrown away
	must(t, unix.Setfsgid(65534))
	must(t, unix.Setfsuid(65534))
	target.root = false
}

func TestTargetNotRoot(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	must(t, os.Chown(dir, 65534, 65534))
	for p := dir; p != "/" && p != os.TempDir(); p = filepath.Dir(p) {
		must(t, os.Chmod(p, 0o755))
	}
	target := open(t, dir, TargetOptions{Replace: true})
	done := make(chan struct{})
	go func() {
		defer close(done)
		asNobody(t, target)
		for range 2 { // the second time into directories that are read-only now
			notRootRound(t, target, dir)
		}
	}()
	<-done
	for p, mode := range map[string]os.FileMode{"d/closed": 0, "d/closed/sub": 0o750} {
		fi, err := os.Stat(filepath.Join(dir, p))
		if err != nil || fi.Mode() != os.ModeDir|mode || !fi.ModTime().Equal(someTime.Time()) {
			t.Errorf("%s: %v, %v, want mode %v", p, fi, err, mode)
		}
	}
	w := target.Warnings()
	if len(w) == 0 || w[0].What != "owner" || w[0].Count != 4 || w[0].Path != "d/setuid" {
		t.Errorf("warnings %+v, want one for owners, of d/setuid first", w)
	}
	must(t, removeAll(target, "d"))
}

func notRootRound(t *testing.T, target *Target, dir string) {
	readOnly := entry("d", tarn.TypeDir, 0o500)
	readOnly.UID, readOnly.GID = 65534, 65534
	check := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	check(target.Mkdir(readOnly))
	closed, sub := *readOnly, *readOnly
	closed.Path, closed.Mode = "d/closed", 0
	sub.Path, sub.Mode = "d/closed/sub", 0o750
	check(target.Mkdir(&closed))
	check(target.Mkdir(&sub))
	setuid := fileEntry("d/setuid", "x")
	setuid.Mode, setuid.UID, setuid.GID = 0o6755, 0, 0
	check(write(target, setuid, "x"))
	dev := entry("d/null", tarn.TypeChar, 0o666)
	dev.Major, dev.Minor = 1, 3
	if err := target.Special(dev); !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), `"d/null"`) {
		t.Errorf("device: %v, want ErrPermission that names it", err)
	}
	check(target.Special(entry("d/fifo", tarn.TypeFIFO, 0o600)))
	noted := fileEntry("d/noted", "x")
	noted.UID, noted.GID, noted.Mode = 65534, 65534, 0o400
	check(write(target, noted, "x"))
	noted.Xattrs = []tarn.Xattr{{Name: "user.late", Value: []byte("y")}}
	check(target.SetMetadata(noted))
	check(target.FinishDirs(t.Context()))
	check(compare(filepath.Join(dir, "d/noted"), noted))
	check(compare(filepath.Join(dir, "d"), readOnly))
	setuid.Mode, setuid.UID, setuid.GID = 0o755, 65534, 65534
	check(compare(filepath.Join(dir, "d/setuid"), setuid))
}
