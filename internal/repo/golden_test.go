package repo

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
)

// The golden files were made by testdata/golden/make.py from docs/format.md
// alone, without a line of this package.

func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "golden", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func hashOf(b byte) (h tarn.ContentHash) {
	for i := range h {
		h[i] = b
	}
	return h
}

// goldenEntries are the entries whose lines are in entries.jsonl.
func goldenEntries() []tarn.Entry {
	every := ""
	for i := 1; i < 128; i++ {
		if i != '/' {
			every += string(rune(i))
		}
	}
	file := func(path string) tarn.Entry {
		return tarn.Entry{Path: path, Type: tarn.TypeFile, Mode: 0o644, Size: 6, Content: hashOf(0xab)}
	}
	full := tarn.Entry{
		Path: "s/full", Type: tarn.TypeFile, Mode: 0o6755, UID: 1000, GID: 4294967295, User: "ann", Group: "Büro \"3\"",
		MTime: tarn.Timespec{Sec: 1350244992, Nsec: 23960108}, CTime: tarn.Timespec{Sec: 1350244993},
		Size: 1 << 40, Content: hashOf(0x01), Inode: 18446744073709551615, Sparse: true,
		Extents: []tarn.Extent{{Content: hashOf(0x02), Length: 1<<40 - 5}, {Content: hashOf(0x03), Offset: 7, Length: 5}},
		Xattrs:  []tarn.Xattr{{Name: "system.posix_acl_access", Value: []byte{2, 0, 0, 0}}, {Name: "user.empty"}, {Name: "user.ü\n", Value: []byte("value")}},
	}
	return []tarn.Entry{
		{Path: "s", Type: tarn.TypeDir, Mode: 0o1777},
		{Path: "s/before 1970", Type: tarn.TypeDir, MTime: tarn.Timespec{Sec: -2, Nsec: 500000000}, CTime: tarn.Timespec{Sec: -1, Nsec: 1}},
		{Path: "s/block", Type: tarn.TypeBlock, Mode: 0o660, Major: 8, Minor: 1},
		{Path: "s/char", Type: tarn.TypeChar, Mode: 0o666},
		{Path: "s/empty", Type: tarn.TypeFile, Mode: 0o600},
		{Path: "s/fifo", Type: tarn.TypeFIFO, Mode: 0o600, MTime: tarn.Timespec{Sec: 1}},
		full,
		{Path: "s/link", Type: tarn.TypeSymlink, Mode: 0o777, Target: "/näher/../x\\y"},
		{Path: "s/link raw", Type: tarn.TypeSymlink, Mode: 0o777, Target: "../\xe9'\" \\\n\x00x"[:9]},
		{Path: "s/socket", Type: tarn.TypeSocket, Mode: 0o755},
		file("t/" + every),
		file("t/\xff\xc3(\xed\xa0\x80é日"),
		file("t/\u2028\u0085\uFFFD🏔<&>"),
	}
}

// TestGoldenEntries: the writer gives the golden lines to the byte, and the
// reader the entries.
func TestGoldenEntries(t *testing.T) {
	entries := goldenEntries()
	lines := bytes.SplitAfter(golden(t, "entries.jsonl"), []byte("\n"))
	if len(lines)-1 != len(entries) {
		t.Fatalf("%d golden lines for %d entries", len(lines)-1, len(entries))
	}
	for i, e := range entries {
		if got := AppendEntry(nil, &e); !bytes.Equal(got, lines[i]) {
			t.Errorf("%q:\n got %s\nwant %s", e.Path, got, lines[i])
		}
		var back tarn.Entry
		if err := ParseEntry(lines[i], &back); err != nil || !same(back, e) {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", lines[i], back, err, e)
		}
	}
}

// goldenKey is the key of the encrypted golden repository: 0, 1, 2, … 31.
func goldenKey() (k Key) {
	for i := range k {
		k[i] = byte(i)
	}
	return k
}

// TestGoldenKey: labels, fingerprint and MACs are those that the script got.
func TestGoldenKey(t *testing.T) {
	var want map[string]string
	if err := json.Unmarshal(golden(t, "macs.json"), &want); err != nil {
		t.Fatal(err)
	}
	sealed := func(key Key, label string) string {
		b, err := seal(key, label, struct {
			A string `json:"a"`
		}{"<é&>"})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	tree := func(key Key) string {
		h := key.newTreeHash()
		h.Write([]byte("lines\n"))
		return treeSum(h).String()
	}
	got := map[string]string{
		"fingerprint": goldenKey().Fingerprint(), "tree": tree(goldenKey()), "tree plain": tree(Key{}),
		"keys": sealed(goldenKey(), labelKeys), "snapshot": sealed(goldenKey(), labelSnapshot), "snapshot plain": sealed(Key{}, labelSnapshot),
	}
	for name, g := range got {
		if g != want[name] {
			t.Errorf("%s:\n got %q\nwant %q", name, g, want[name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d golden values, %d tested", len(want), len(got))
	}
}

// TestGoldenIndex: the writer gives the golden lines of an index to the byte.
func TestGoldenIndex(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		name, key := "index-plain.jsonl", Key{}
		r := &Repo{Config: Config{Encryption: "none"}, cache: &memoryCache{}, now: func() time.Time { return time.Unix(1795488400, 5) }}
		if encrypted {
			name, key = "index-age.jsonl", goldenKey()
			r.Config.Encryption = "age"
		}
		r.key = key
		id := tarn.ArchiveID("20261124T024640Z-0102030405060708")
		w, err := r.NewIndex(id, "s/caf\xe9: 1.")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []Content{
			{Hash: hashOf(1), Offset: 512, Size: 6, Path: "s/a\nb"}, {Hash: hashOf(2), Offset: 2048, Size: 1 << 32, Path: "s/\xff"},
		} {
			if err := w.Add(c); err != nil {
				t.Fatal(err)
			}
		}
		layout := archive.Layout{Stored: 12345, CRC64NVME: 0x00ab, Frames: make([]archive.Frame, 1001)}
		for i := range layout.Frames {
			layout.Frames[i] = archive.Frame{Compressed: uint32(i + 1), Uncompressed: 4 << 20}
			layout.Size += 4 << 20
		}
		layout.Size += 4<<30 + 4<<20 // the content of 4 GiB has to fit
		for range 1025 {
			layout.Frames = append(layout.Frames, archive.Frame{Compressed: 9, Uncompressed: 4 << 20})
		}
		if encrypted {
			layout.Header = []byte("header and nonce")
		}
		if _, err := w.Finish(layout); err != nil {
			t.Fatal(err)
		}
		got := unpacked(t, r.cache, indexName(id))
		if want := golden(t, name); !bytes.Equal(got, want) {
			t.Errorf("%s:\n got %.3000s\nwant %.3000s", name, got, want)
		}
		ix, err := r.Index(t.Context(), id, nil)
		if err != nil || ix.Split != "s/caf\xe9: 1." || ix.Contents != 2 || ix.Layout.CRC64NVME != 0xab || len(ix.Layout.Frames) != 2026 {
			t.Errorf("read again: %+v, %v", ix, err)
		}
	}
}

// TestGoldenNames: escapes as the script writes them.
func TestGoldenNames(t *testing.T) {
	n := 0
	for line := range strings.Lines(string(golden(t, "splits.jsonl"))) {
		var c struct{ Split, Key string }
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		split, err := fromRaw("", c.Split)
		if err != nil {
			t.Fatal(err)
		}
		if got := escapeSplit(split); got != c.Key {
			t.Errorf("%q:\n got %s\nwant %s", split, got, c.Key)
		}
		n++
	}
	if n < 15 {
		t.Errorf("%d cases", n)
	}
}
