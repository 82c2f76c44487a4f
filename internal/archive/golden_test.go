package archive_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
)

var update = flag.Bool("update", false, "write the golden archives of our own writer")

func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "golden", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func goldenIdentity(t testing.TB) age.Identity {
	t.Helper()
	ids, err := age.ParseIdentities(bytes.NewReader(golden(t, "identity.txt")))
	if err != nil {
		t.Fatal(err)
	}
	return ids[0]
}

// foreign is what testdata/golden/make.sh puts into its archives.
var foreign = func() []item {
	at := tarn.Timespec{Sec: 1350244992, Nsec: 23960108}
	entry := func(path string, typ tarn.Type, mode uint32, content string) item {
		return item{content: []byte(content), entry: tarn.Entry{
			Path: path, Type: typ, Mode: mode, UID: 1000, GID: 2000, User: "ann", Group: "people", MTime: at, Size: int64(len(content)),
		}}
	}
	list := []item{
		entry("Pictures", tarn.TypeDir, 0o755, ""),
		entry("Pictures/2010", tarn.TypeDir, 0o755, ""),
		entry("Pictures/2010/a.txt", tarn.TypeFile, 0o644, "hello, tarn\n"),
		entry("Pictures/2010/numbers", tarn.TypeFile, 0o644, numbers(2000)),
		entry("Pictures/café \xff new\nline", tarn.TypeFile, 0o644, "x"),
		entry("Pictures/empty", tarn.TypeFile, 0o4755, ""),
		entry("Pictures/fifo", tarn.TypeFIFO, 0o644, ""),
		entry("Pictures/hard", tarn.TypeFile, 0o644, ""),
		entry("Pictures/"+strings.Repeat("n", 200), tarn.TypeFile, 0o644, "y"),
		entry("Pictures/soft", tarn.TypeSymlink, 0o777, ""),
	}
	list[1].entry.MTime = tarn.Timespec{Sec: 15032385535} // the last that ext4 has
	list[5].entry.MTime = tarn.Timespec{Sec: -6, Nsec: 5e8}
	list[7].link = "Pictures/2010/a.txt"
	list[9].entry.Target = "2010/a.txt"
	return list
}()

// TestForeign reads archives that tar, zstd and age have made, in frames that
// cut headers and contents, and without a seek table.
func TestForeign(t *testing.T) {
	for _, name := range []string{"foreign.tar.zst", "foreign.tar.zst.age"} {
		b := golden(t, name)
		compareMembers(t, b, []age.Identity{goldenIdentity(t)}, foreign)
		if _, err := archive.ReadLayout(context.Background(), int64(len(b)), rangeOf(b), []age.Identity{goldenIdentity(t)}); !isDamaged(err) {
			t.Errorf("%s has no seek table, but ReadLayout says %v", name, err)
		}
	}
}

// ours is a tiny archive with a member of each type and each pax record.
var ours = []item{
	{entry: tarn.Entry{Path: "Pictures", Type: tarn.TypeDir, Mode: 0o755, MTime: tarn.Timespec{Sec: 1350244992}}},
	{content: []byte("hello, tarn\n"), entry: tarn.Entry{
		Path: "Pictures/a.txt", Type: tarn.TypeFile, Mode: 0o640, Size: 12, UID: 1000, GID: 3_000_000, User: "ann", Group: "große Leute",
		MTime: tarn.Timespec{Sec: 1350244992, Nsec: 23960108}, CTime: tarn.Timespec{Sec: -1, Nsec: 5e8},
		Xattrs: []tarn.Xattr{{Name: "user.a=b%", Value: []byte("1\x002\n")}, {Name: "user.empty", Value: []byte{}}},
	}},
	{content: []byte("x"), entry: tarn.Entry{Path: "Pictures/caf\xe9 \n", Type: tarn.TypeFile, Mode: 0o4755, Size: 1, UID: 1<<32 - 2, MTime: tarn.Timespec{Sec: 1 << 40}}},
	{entry: tarn.Entry{Path: "Pictures/" + strings.Repeat("d", 120) + "/" + strings.Repeat("n", 90), Type: tarn.TypeFile, Mode: 0o600}},
	{link: "Pictures/a.txt", entry: tarn.Entry{Path: "Pictures/hard", Type: tarn.TypeFile, Mode: 0o640, Size: 12}},
	{entry: tarn.Entry{Path: "Pictures/soft", Type: tarn.TypeSymlink, Mode: 0o777, Target: "../ü"}},
	{entry: tarn.Entry{Path: "Pictures/fifo", Type: tarn.TypeFIFO, Mode: 0o644}},
	{entry: tarn.Entry{Path: "Pictures/null", Type: tarn.TypeChar, Mode: 0o666, Major: 1, Minor: 3}},
	{entry: tarn.Entry{Path: "Pictures/disk", Type: tarn.TypeBlock, Mode: 0o660, Major: 259, Minor: 9_000_000}},
	file("Pictures/words", words(1, 5000)),
	file("Pictures/noise", noise(1, 70_000)),
}

// TestGolden holds the writer to the bytes that it wrote before, plain ones
// (age's can't be repeated), and the readers to archives of before.
func TestGolden(t *testing.T) {
	path := filepath.Join("testdata", "golden", "ours.tar.zst")
	o := write(t, false, archive.WriterConfig{}, ours)
	if *update {
		sealed := write(t, true, archive.WriterConfig{Recipients: []age.Recipient{goldenIdentity(t).(*age.X25519Identity).Recipient()}}, ours)
		for name, b := range map[string][]byte{path: o.bytes, path + ".age": sealed.bytes} {
			if err := os.WriteFile(name, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !bytes.Equal(o.bytes, golden(t, "ours.tar.zst")) {
		t.Error("the bytes of an archive have changed: if format.md still describes them, run go test -update")
	}
	for _, name := range []string{"ours.tar.zst", "ours.tar.zst.age"} {
		kept := &object{bytes: golden(t, name), offsets: o.offsets}
		kept.ids = []age.Identity{goldenIdentity(t)}
		var err error
		kept.layout, err = archive.ReadLayout(context.Background(), int64(len(kept.bytes)), kept.ranger(), kept.ids)
		if err != nil {
			t.Fatal(err)
		}
		verify(t, kept, ours)
	}
}

func compareMembers(t testing.TB, b []byte, ids []age.Identity, want []item) {
	t.Helper()
	o := &object{bytes: b, ids: ids}
	if n := o.members(t, want); n != len(want) {
		t.Fatalf("%d members of %d", n, len(want))
	}
}
