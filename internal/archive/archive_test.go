package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"filippo.io/age"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
)

// identity is one for all tests: making it is not what they test.
var identity = func() *age.X25519Identity {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		panic(err)
	}
	return id
}()

// item is a member that a test writes.
type item struct {
	entry   tarn.Entry
	content []byte
	link    string // not "": a hard link to it
	stream  bool   // by Add, not by AddBytes
}

func file(path string, content []byte) item {
	return item{entry: tarn.Entry{Path: path, Type: tarn.TypeFile, Mode: 0o644, Size: int64(len(content))}, content: content}
}

// noise returns n bytes that do not compress.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)}).Read(b)
	return b
}

// words returns n bytes that do compress.
func words(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, 0, n+16)
	for len(b) < n {
		b = append(strconv.AppendInt(append(b, "tarn "...), int64(r.IntN(1000)), 10), ' ')
	}
	return b[:n]
}

// object is an archive that was written.
type object struct {
	bytes   []byte
	layout  archive.Layout
	offsets []int64
	ids     []age.Identity
}

func (o *object) ranger() archive.Ranger { return rangeOf(o.bytes) }

// rangeOf returns ranges of b as a storage does: one that goes beyond the end
// is cut short.
func rangeOf(b []byte) archive.Ranger {
	return func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
		if offset < 0 || length < 0 {
			return nil, fmt.Errorf("range of %d bytes from %d", length, offset)
		}
		offset = min(offset, int64(len(b)))
		return io.NopCloser(bytes.NewReader(b[offset:min(offset+length, int64(len(b)))])), nil
	}
}

// write makes an archive of items.
func write(t testing.TB, encrypted bool, cfg archive.WriterConfig, items []item) *object {
	t.Helper()
	o := &object{}
	if encrypted {
		if cfg.Recipients == nil {
			cfg.Recipients = []age.Recipient{identity.Recipient()}
		}
		o.ids = []age.Identity{identity}
	}
	var buf bytes.Buffer
	w, err := archive.NewWriter(&buf, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		offset, err := add(w, it)
		if err != nil {
			t.Fatal(err)
		}
		o.offsets = append(o.offsets, offset)
	}
	size := w.Size()
	if o.layout, err = w.Close(); err != nil {
		t.Fatal(err)
	}
	o.bytes = buf.Bytes()
	if o.layout.Size != size+1024 || o.layout.Stored != int64(buf.Len()) {
		t.Fatalf("layout says %d, %d; want %d, %d", o.layout.Size, o.layout.Stored, size+1024, buf.Len())
	}
	return o
}

func add(w *archive.Writer, it item) (int64, error) {
	switch {
	case it.link != "":
		return w.Size(), w.AddLink(&it.entry, it.link)
	case it.stream:
		return w.Add(&it.entry, bytes.NewReader(it.content))
	}
	return w.AddBytes(&it.entry, it.content)
}

// verify reads o by Members, by stretches and by its layout, and compares.
func verify(t testing.TB, o *object, items []item) {
	t.Helper()
	if n := o.members(t, items); n != len(items) {
		t.Fatalf("%d members of %d", n, len(items))
	}
	r, err := archive.NewReader(o.layout, o.ranger(), o.ids)
	if err != nil {
		t.Fatal(err)
	}
	for i, it := range items {
		if got := stretch(t, r, o.offsets[i], int64(len(it.content))); !bytes.Equal(got, it.content) {
			t.Fatalf("stretch of %q differs", it.entry.Path)
		}
	}
	got, err := archive.ReadLayout(context.Background(), int64(len(o.bytes)), o.ranger(), o.ids)
	want := o.layout
	want.CRC64NVME = 0
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("ReadLayout: %+v, %v; want %+v", got, err, want)
	}
}

// members compares what Members yields with items, and offsets if o knows them.
func (o *object) members(t testing.TB, items []item) int {
	t.Helper()
	i := 0
	for m, err := range archive.Members(context.Background(), bytes.NewReader(o.bytes), o.ids) {
		if err != nil {
			t.Fatalf("after %d members: %v", i, err)
		}
		if i == len(items) {
			t.Fatalf("more than %d members", i)
		}
		it := items[i]
		want := it.entry
		if it.link != "" {
			want.Size, want.Target = 0, ""
		}
		if !same(m.Entry, want) || m.Link != it.link {
			t.Fatalf("member %d:\n got %+v link %q\nwant %+v link %q", i, m.Entry, m.Link, want, it.link)
		}
		content, err := io.ReadAll(m.Content)
		if err != nil || !bytes.Equal(content, it.content) {
			t.Fatalf("content of %q: %d bytes, %v; want %d", want.Path, len(content), err, len(it.content))
		}
		if o.offsets != nil && len(content) > 0 && m.Offset != o.offsets[i] {
			t.Fatalf("content of %q at %d; Add said %d", want.Path, m.Offset, o.offsets[i])
		}
		i++
	}
	return i
}

func isDamaged(err error) bool { return errors.Is(err, tarn.ErrDamaged) }

// numbers is what seq 1 n prints.
func numbers(n int) string {
	var b []byte
	for i := range n {
		b = fmt.Appendln(b, i+1)
	}
	return string(b)
}

func stretch(t testing.TB, r *archive.Reader, offset, length int64) []byte {
	t.Helper()
	s, err := r.Stretch(context.Background(), offset, length)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return b
}

// same compares what a tar keeps of entries.
func same(a, b tarn.Entry) bool {
	for _, e := range []*tarn.Entry{&a, &b} {
		e.Content, e.Extents, e.Inode, e.Sparse = tarn.ContentHash{}, nil, 0, false
		e.Xattrs = slices.Clone(e.Xattrs)
		for i, x := range e.Xattrs {
			e.Xattrs[i].Value = append([]byte{}, x.Value...)
		}
		if len(e.Xattrs) == 0 {
			e.Xattrs = nil
		}
	}
	return reflect.DeepEqual(a, b)
}

func each(t *testing.T, f func(t *testing.T, encrypted bool)) {
	t.Run("plain", func(t *testing.T) { f(t, false) })
	t.Run("encrypted", func(t *testing.T) { f(t, true) })
}

func TestRoundTrip(t *testing.T) {
	items := []item{
		{entry: tarn.Entry{Path: "a", Type: tarn.TypeDir, Mode: 0o755, MTime: tarn.Timespec{Sec: 5, Nsec: 7}, CTime: tarn.Timespec{Sec: -3, Nsec: 1}}},
		file("a/empty", nil),
		file("a/text", words(1, 100_000)),
		file("a/photo", noise(1, 6<<20)),
		{entry: tarn.Entry{Path: "a/link", Type: tarn.TypeFile, Mode: 0o600, Size: 5}, link: "a/text"},
		{entry: tarn.Entry{Path: "a/sym", Type: tarn.TypeSymlink, Mode: 0o777, Target: "no\xffwhere"}},
		file("a/photo 2", noise(2, 2<<20)),
		file("a/last", words(1, 5<<20)),
	}
	items[3].stream = true
	items[7].stream = true
	each(t, func(t *testing.T, encrypted bool) {
		for _, level := range []archive.Level{archive.Fastest, archive.Default, archive.Better, archive.Best, archive.Auto} {
			verify(t, write(t, encrypted, archive.WriterConfig{Level: level}, items), items)
		}
	})
}
