package archive

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/tarn-backup/tarn"
)

func chacha(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// pieces keeps what is written and the smallest write but the last.
type pieces struct {
	bytes.Buffer
	sizes []int
}

func (p *pieces) Write(b []byte) (int, error) {
	p.sizes = append(p.sizes, len(b))
	return p.Buffer.Write(b)
}

// TestRawFrame decodes frames of raw blocks at the edges of blocks.
func TestRawFrame(t *testing.T) {
	dec, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	content := chacha(FrameSize)
	for _, n := range []int{1, 2, 3, 255, 256, 65_791, 65_792, maxBlock - 1, maxBlock, maxBlock + 1, 2*maxBlock + 3, FrameSize - 1, FrameSize} {
		buf := append(make([]byte, rawPrefix, bufferSize), content[:n]...)
		var out pieces
		if err := writeRawFrame(&out, buf, uint32(xxhash.Sum64(content[:n]))); err != nil {
			t.Fatal(err)
		}
		got, err := dec.DecodeAll(out.Bytes(), nil)
		if err != nil || !bytes.Equal(got, content[:n]) {
			t.Errorf("%d bytes: %d, %v", n, len(got), err)
		}
		if out.Len() != rawFrameSize(n) {
			t.Errorf("%d bytes take %d, not %d", n, out.Len(), rawFrameSize(n))
		}
		if _, err := decodeFrame(nil, out.Bytes(), n); err != nil {
			t.Error(err)
		}
		for _, size := range out.sizes[:len(out.sizes)-1] {
			if size < maxBlock {
				t.Errorf("%d bytes: a write of %d", n, size)
			}
		}
	}
}

// TestRawBlocks reads such frames without a decoder: what it takes is what a
// decoder takes, and a byte that changed anywhere is not taken.
func TestRawBlocks(t *testing.T) {
	content := chacha(2*maxBlock + 3)
	for _, n := range []int{1, 255, maxBlock - 1, maxBlock, maxBlock + 1, len(content)} {
		var out bytes.Buffer
		if err := writeRawFrame(&out, append(make([]byte, rawPrefix, bufferSize), content[:n]...), uint32(xxhash.Sum64(content[:n]))); err != nil {
			t.Fatal(err)
		}
		frame := out.Bytes()
		if parts, ok := rawBlocks(frame, n); !ok || !bytes.Equal(bytes.Join(parts, nil), content[:n]) {
			t.Errorf("%d bytes: %v, %d parts", n, ok, len(parts))
		}
		for _, at := range []int{0, 4, 5, 8, 9, 11, 12, len(frame) / 2, len(frame) - 5, len(frame) - 1} {
			frame[at] ^= 4
			if _, ok := rawBlocks(frame, n); ok {
				t.Errorf("%d bytes: byte %d changed, and taken", n, at)
			}
			if _, err := decode(append(takeBuffer(), frame...), n); err == nil {
				t.Errorf("%d bytes: byte %d changed, and decoded", n, at)
			}
			frame[at] ^= 4
		}
		for _, size := range []int{0, n - 1, n + 1, n + maxBlock} {
			if _, ok := rawBlocks(frame, size); ok {
				t.Errorf("%d bytes taken as %d", n, size)
			}
		}
		if _, ok := rawBlocks(frame[:len(frame)-1], n); ok {
			t.Errorf("%d bytes: taken without the end", n)
		}
	}
}

// TestFrameBound: what does not compress, and yet goes through zstd, stays
// within the size that readers accept.
func TestFrameBound(t *testing.T) {
	w := NewWorkers(1)
	for l := range Level(len(encoderLevels)) {
		if n := len(w.encoder(l).EncodeAll(chacha(FrameSize), nil)); n > maxStored {
			t.Errorf("%s: %d bytes", l, n)
		}
	}
}

func TestIncompressible(t *testing.T) {
	photo := chacha(FrameSize)
	withText := bytes.Clone(photo)
	copy(withText[1<<20:], strings.Repeat("words, words, words. ", 50_000))
	holes := bytes.Clone(photo)
	clear(holes[2<<20 : 2<<20+1<<18])
	small := bytes.Clone(photo) // small files: headers that begin alike
	for i := 0; i+block < len(small); i += 20 * block {
		copy(small[i:], "Pictures/2010/thumbnail")
	}
	skewed := bytes.Clone(photo) // 7.5 bits a byte
	for i := range skewed {
		if skewed[i] < 40 {
			skewed[i] *= 2
		}
	}
	for name, c := range map[string]struct {
		b    []byte
		want bool
	}{
		"photo":      {photo, true},
		"little":     {photo[:1000], false},
		"64 KiB":     {photo[:64<<10], true},
		"text":       {bytes.Repeat([]byte("words "), 100_000), false},
		"half text":  {withText, false},
		"zeros":      {make([]byte, FrameSize), false},
		"a hole":     {holes, false},
		"small":      {small, false},
		"twice":      {append(bytes.Clone(photo[:2<<20]), photo[:2<<20]...), false},
		"not evenly": {skewed, false},
	} {
		if got := incompressible(c.b); got != c.want {
			t.Errorf("%s: incompressible %v", name, got)
		}
	}
}

// TestUstar holds headers to archive/tar, which computes checksums its own way.
func TestUstar(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		id := rapid.Uint32Range(0, maxUstarID)
		ascii := func(name string, n int) string {
			return rapid.StringMatching(fmt.Sprintf(`[ -.0-~]{1,%d}`, n)).Draw(r, name)
		}
		u := ustar{
			name: ascii("name", 99) + "x", prefix: ascii("prefix", 155), link: ascii("link", 100), user: ascii("user", 31), group: ascii("group", 31),
			mode: rapid.Uint32Range(0, 0o7777).Draw(r, "mode"), uid: id.Draw(r, "uid"), gid: id.Draw(r, "gid"),
			major: rapid.Uint32().Draw(r, "major"), minor: rapid.Uint32().Draw(r, "minor"),
			size: 0, mtime: rapid.Int64Range(0, maxUstarSize).Draw(r, "mtime"), flag: '3',
		}
		b := u.append(nil)
		if len(b) != block {
			r.Fatal(len(b))
		}
		h, err := tar.NewReader(io.MultiReader(bytes.NewReader(b), bytes.NewReader(make([]byte, 1024)))).Next()
		if err != nil {
			r.Fatal(err)
		}
		got := ustar{
			prefix: u.prefix, name: strings.TrimPrefix(h.Name, u.prefix+"/"), link: h.Linkname, user: h.Uname, group: h.Gname, mode: uint32(h.Mode), uid: uint32(h.Uid), gid: uint32(h.Gid),
			major: uint32(h.Devmajor), minor: uint32(h.Devminor), mtime: h.ModTime.Unix(), flag: h.Typeflag,
		}
		if got != u {
			r.Fatalf("got %+v\nwant %+v", got, u)
		}
	})
}

// TestNoPax: a member that ustar can hold has no pax header, however it is
// split, and one that it can't has one.
func TestNoPax(t *testing.T) {
	long := strings.Repeat("d", 50)
	for _, c := range []struct {
		entry  tarn.Entry
		blocks int
	}{
		{tarn.Entry{Path: "a", Type: tarn.TypeDir, MTime: tarn.Timespec{Sec: 5}}, 1},
		{tarn.Entry{Path: strings.Repeat("n", 100), Type: tarn.TypeFile}, 1},
		{tarn.Entry{Path: strings.Repeat("n", 101), Type: tarn.TypeFile}, 3},
		{tarn.Entry{Path: strings.Repeat("n", 100), Type: tarn.TypeDir}, 3},
		{tarn.Entry{Path: long + "/" + long, Type: tarn.TypeFile}, 1},
		{tarn.Entry{Path: long + "/" + long + "/" + long, Type: tarn.TypeDir}, 1},
		{tarn.Entry{Path: strings.Repeat("p", 155) + "/" + strings.Repeat("n", 100), Type: tarn.TypeFile}, 1},
		{tarn.Entry{Path: strings.Repeat("p", 156) + "/" + strings.Repeat("n", 99), Type: tarn.TypeFile}, 3},
		{tarn.Entry{Path: strings.Repeat("p", 155) + "/" + strings.Repeat("n", 101), Type: tarn.TypeFile}, 3},
		{tarn.Entry{Path: "a", Type: tarn.TypeFile, Size: 1<<33 - 1}, 1},
		{tarn.Entry{Path: "a", Type: tarn.TypeFile, Size: 1 << 33}, 3},
		{tarn.Entry{Path: "a", Type: tarn.TypeFile, CTime: tarn.Timespec{Sec: 1}}, 3},
		{tarn.Entry{Path: "a", Type: tarn.TypeFile, MTime: tarn.Timespec{Sec: -1}}, 3},
		{tarn.Entry{Path: "é", Type: tarn.TypeFile}, 3},
		{tarn.Entry{Path: strings.Repeat("a/", 2000) + "a", Type: tarn.TypeFile}, 10},
	} {
		var h headers
		b, err := h.make(&c.entry, "")
		if err != nil {
			t.Fatal(err)
		}
		if len(b) != c.blocks*block {
			t.Errorf("%.30s… %s: %d blocks, want %d", c.entry.Path, c.entry.Type, len(b)/block, c.blocks)
		}
		got, err := tar.NewReader(bytes.NewReader(b)).Next()
		if err != nil || strings.TrimSuffix(got.Name, "/") != c.entry.Path || got.Size != c.entry.Size {
			t.Errorf("%.30s…: %+v, %v", c.entry.Path, got, err)
		}
	}
}

// TestXattrLimit: attributes beyond what readers of pax accept are left out, and
// the rest can be read.
func TestXattrLimit(t *testing.T) {
	e := tarn.Entry{Path: "a", Type: tarn.TypeDir}
	for i := range 30 {
		e.Xattrs = append(e.Xattrs, tarn.Xattr{Name: "user." + string(rune('a'+i)), Value: make([]byte, 64<<10)})
	}
	var h headers
	b, err := h.make(&e, "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := tar.NewReader(bytes.NewReader(b)).Next()
	if err != nil || len(got.PAXRecords) != 15 {
		t.Errorf("%d records, %v", len(got.PAXRecords), err)
	}
}

// TestHeaderGarbage: members cost no memory of their own.
func TestHeaderGarbage(t *testing.T) {
	w, err := NewWriter(io.Discard, WriterConfig{Level: Fastest, Workers: NewWorkers(1)})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	e := tarn.Entry{Path: "Pictures/2010/a.jpg", Type: tarn.TypeFile, Size: 10, User: "ann", MTime: tarn.Timespec{Sec: 1, Nsec: 2}, CTime: tarn.Timespec{Sec: 3, Nsec: 4}}
	content := make([]byte, 10)
	n := testing.AllocsPerRun(500, func() {
		if _, err := w.AddBytes(&e, content); err != nil {
			t.Fatal(err)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations for a member", n)
	}
}

func TestSealedSize(t *testing.T) {
	for _, n := range []int64{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 2 * chunkSize, 1 << 50} {
		if got, ok := openedSize(sealedSize(n)); got != n || !ok {
			t.Errorf("%d: %d, %v", n, got, ok)
		}
	}
	for _, n := range []int64{-1, 0, 15, chunkStore + 1, chunkStore + 16, 2*chunkStore + 16} {
		if got, ok := openedSize(n); ok {
			t.Errorf("%d holds %d", n, got)
		}
	}
}
