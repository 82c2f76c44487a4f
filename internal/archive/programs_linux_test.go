package archive_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
)

// need skips a test without its programs, unless they are required.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("TARN_REQUIRE_PROGRAMS") == "1" {
				t.Fatalf("%s is required: %v", p, err)
			}
			t.Skipf("%s is not there", p)
		}
	}
}

// run runs a shell command in dir and returns what it prints, which must not
// include anything on stderr.
func run(t *testing.T, dir, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-c", "set -e; "+script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%s: %v\n%s", script, err, stderr.String())
	}
	return string(out)
}

// save writes an archive into a folder as a.tar.zst.
func save(t *testing.T, o *object) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.tar.zst"), o.bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestTarReads has GNU tar list and extract members of all kinds without a
// warning, and compares contents, times and xattrs.
func TestTarReads(t *testing.T) {
	need(t, "zstd", "tar")
	deep := strings.Repeat(strings.Repeat("d", 200)+"/", 20) + strings.Repeat("n", 70)
	items := []item{
		file("plain", words(1, 1000)), file("new\nline", []byte("1")), file("\xff\xfe caf\xe9", []byte("2")), file("café", []byte("3")),
		file("-rf", []byte("4")), file(strings.Repeat("x", 255), []byte("5")), file(deep, []byte("6")), file("a b*?'\"\\", []byte("7")),
		file("photo", noise(1, 9<<20)), file("text", words(2, 9<<20)),
	}
	for i := range items {
		items[i].entry.MTime = tarn.Timespec{Sec: 1350244992 + int64(i), Nsec: 123456789}
		items[i].entry.CTime = tarn.Timespec{Sec: 1350244993, Nsec: 1}
		items[i].entry.UID, items[i].entry.GID = uint32(os.Getuid()), uint32(os.Getgid())
	}
	items[0].entry.Xattrs = []tarn.Xattr{{Name: "user.a=b%3D", Value: []byte("\x00\n=\xff")}}
	dir := save(t, write(t, false, archive.WriterConfig{}, items))
	run(t, dir, "zstd -q -t a.tar.zst; mkdir out; zstd -q -dc a.tar.zst | tar -x --xattrs -C out -f -")
	root, err := os.OpenRoot(filepath.Join(dir, "out")) // the deep path is too long with dir before it
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, it := range items {
		b, err := root.ReadFile(it.entry.Path)
		if err != nil || !bytes.Equal(b, it.content) {
			t.Errorf("%.40q: %d bytes, %v", it.entry.Path, len(b), err)
			continue
		}
		if info, err := root.Stat(it.entry.Path); err != nil || tarn.TimespecOf(info.ModTime()) != it.entry.MTime {
			t.Errorf("%.40q: %v, %v", it.entry.Path, info.ModTime(), err)
		}
	}
	value := make([]byte, 100)
	n, err := syscall.Getxattr(filepath.Join(dir, "out", "plain"), "user.a=b%3D", value)
	if err == syscall.ENODATA || err == nil && !bytes.Equal(value[:n], items[0].entry.Xattrs[0].Value) {
		t.Errorf("xattr %q, %v", value[:max(n, 0)], err)
	} else if err != nil {
		t.Logf("no xattrs here: %v", err)
	}
}

// TestTarLists has GNU tar list what can't be extracted everywhere.
func TestTarLists(t *testing.T) {
	need(t, "zstd", "tar")
	at := func(sec int64) tarn.Timespec { return tarn.Timespec{Sec: sec} }
	items := []item{
		{entry: tarn.Entry{Path: "uid", Type: tarn.TypeDir, Mode: 0o7755, UID: 4294967294, GID: 3000000}},
		{entry: tarn.Entry{Path: "old", Type: tarn.TypeFile, Mode: 0o644, MTime: at(-86400)}},
		{entry: tarn.Entry{Path: "new", Type: tarn.TypeFile, Mode: 0o644, MTime: at(253402300799), User: "ann"}},
		{entry: tarn.Entry{Path: "disk", Type: tarn.TypeBlock, Mode: 0o660, Major: 8, Minor: 1048575}},
		{entry: tarn.Entry{Path: "mac", Type: tarn.TypeChar, Mode: 0o660, Major: 16, Minor: 16777215}},
		{entry: tarn.Entry{Path: "pipe", Type: tarn.TypeFIFO, Mode: 0o600}},
		{entry: tarn.Entry{Path: "sym", Type: tarn.TypeSymlink, Mode: 0o777, Target: strings.Repeat("t", 300)}},
		{entry: tarn.Entry{Path: "hard", Type: tarn.TypeFile, Mode: 0o600}, link: "old"},
	}
	dir := save(t, write(t, false, archive.WriterConfig{}, items))
	got := strings.Join(strings.Fields(run(t, dir, "zstd -q -dc a.tar.zst | tar -tv --full-time --numeric-owner -f -")), " ")
	want := "drwsr-sr-t 4294967294/3000000 0 1970-01-01 00:00:00 uid/ " +
		"-rw-r--r-- 0/0 0 1969-12-31 00:00:00 old " +
		"-rw-r--r-- 0/0 0 9999-12-31 23:59:59 new " +
		"brw-rw---- 0/0 8,1048575 1970-01-01 00:00:00 disk " +
		"crw-rw---- 0/0 16,16777215 1970-01-01 00:00:00 mac " +
		"prw------- 0/0 0 1970-01-01 00:00:00 pipe " +
		"lrwxrwxrwx 0/0 0 1970-01-01 00:00:00 sym -> " + strings.Repeat("t", 300) + " " +
		"hrw------- 0/0 0 1970-01-01 00:00:00 hard link to old"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// zeros is a file of zeros.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestHugeFile: a file of more than 8 GiB, whose size ustar can't hold, is
// listed by tar; made of zeros, so that it is quick, and written to no disk.
func TestHugeFile(t *testing.T) {
	need(t, "zstd", "tar")
	if testing.Short() {
		t.Skip("a file of 9 GB")
	}
	const size = 1<<33 + 5
	cmd := exec.Command("sh", "-c", "zstd -q -dc | tar -tv --full-time -f -")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w, err := archive.NewWriter(stdin, archive.WriterConfig{Level: archive.Fastest})
	if err != nil {
		t.Fatal(err)
	}
	offset, err := w.Add(&tarn.Entry{Path: "huge", Type: tarn.TypeFile, Size: size}, zeros{})
	if err != nil || offset != 3*512 {
		t.Fatal(offset, err)
	}
	if _, err := add(w, file("next", []byte("x"))); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), fmt.Sprint(" ", size, " ")) || !strings.Contains(out.String(), "next") {
		t.Errorf("%v: %s", err, out.String())
	}
}

// TestAgeReads has age and zstd open an encrypted archive of several frames.
func TestAgeReads(t *testing.T) {
	need(t, "age", "zstd", "tar")
	items := []item{file("photo", noise(1, 5<<20)), file("text", words(1, 5<<20))}
	o := write(t, true, archive.WriterConfig{}, items)
	dir := save(t, o)
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte(identity.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "age -d -i key a.tar.zst >plain; zstd -q -t <plain; mkdir out; zstd -q -dc plain | tar -x -C out -f -")
	for _, it := range items {
		if b, err := os.ReadFile(filepath.Join(dir, "out", it.entry.Path)); err != nil || !bytes.Equal(b, it.content) {
			t.Errorf("%s: %d bytes, %v", it.entry.Path, len(b), err)
		}
	}
}
