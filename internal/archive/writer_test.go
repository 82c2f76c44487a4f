package archive_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/minio/crc64nvme"
	"pgregory.net/rapid"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
)

// TestFrameEdges puts contents whose ends lie around the edges of tar blocks,
// zstd blocks, age chunks and frames.
func TestFrameEdges(t *testing.T) {
	var sizes []int
	for _, edge := range []int{512, 64 << 10, 128 << 10, 1 << 20, archive.FrameSize - 512, archive.FrameSize, 2 * archive.FrameSize} {
		sizes = append(sizes, edge-1, edge, edge+1)
	}
	each(t, func(t *testing.T, encrypted bool) {
		for _, make := range []func(uint64, int) []byte{noise, words} {
			for i, first := range sizes {
				items := []item{file("first", make(1, first)), file("second", make(2, sizes[i*5%len(sizes)]))}
				items[0].stream = i%2 == 0
				items[1].stream = i%3 == 0
				verify(t, write(t, encrypted, archive.WriterConfig{Level: archive.Fastest}, items), items)
			}
		}
	})
}

// TestCut: a frame ends early if the next member does not fit and would into a
// frame of its own, but not before it holds 1 MiB.
func TestCut(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		sizes []int
		want  []uint32
	}{
		{[]int{mib - 512, 4*mib - 512}, []uint32{mib, 4 * mib, 1024}},
		{[]int{mib - 1024, 4*mib - 512}, []uint32{4 * mib, mib - 512 + 1024}},
		{[]int{mib, 4*mib - 511}, []uint32{4 * mib, mib + 2048}},
		{[]int{2 * mib, 2*mib - 1024}, []uint32{4 * mib, 1024}},
		{[]int{2 * mib, 2*mib - 1023}, []uint32{2*mib + 512, 2*mib + 1024}},
		{nil, []uint32{1024}},
	} {
		var items []item
		for i, n := range c.sizes {
			items = append(items, file(fmt.Sprint(i), make([]byte, n)))
		}
		var got []uint32
		for _, f := range write(t, false, archive.WriterConfig{}, items).layout.Frames {
			got = append(got, f.Uncompressed)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: frames %v, want %v", c.sizes, got, c.want)
		}
	}
}

func TestChecksum(t *testing.T) {
	each(t, func(t *testing.T, encrypted bool) {
		o := write(t, encrypted, archive.WriterConfig{}, []item{file("a", noise(3, 5<<20)), file("b", words(3, 5<<20))})
		if want := crc64nvme.Checksum(o.bytes); o.layout.CRC64NVME != want {
			t.Errorf("checksum %x, want %x", o.layout.CRC64NVME, want)
		}
		if !bytes.HasPrefix(o.bytes, o.layout.Header) || encrypted != (o.layout.Header != nil) {
			t.Errorf("header %q", o.layout.Header)
		}
	})
}

// TestShort: content that ends early or fails is completed with zeros, and the
// writer goes on.
func TestShort(t *testing.T) {
	boom := errors.New("boom")
	for _, size := range []int{10, 5000, archive.FrameSize, 9 << 20} {
		for _, have := range []int{0, 1, size / 2, size - 1} {
			for _, bad := range []error{nil, boom} {
				content := noise(1, have)
				var src io.Reader = bytes.NewReader(content)
				want := io.ErrUnexpectedEOF
				if bad != nil {
					src, want = io.MultiReader(src, iotest.ErrReader(bad)), bad
				}
				var buf bytes.Buffer
				w, err := archive.NewWriter(&buf, archive.WriterConfig{})
				if err != nil {
					t.Fatal(err)
				}
				e := tarn.Entry{Path: "short", Type: tarn.TypeFile, Size: int64(size)}
				offset, err := w.Add(&e, src)
				var short *archive.ShortError
				if !errors.As(err, &short) || short.Read != int64(have) || !errors.Is(err, want) {
					t.Fatalf("%d of %d: %v, want %v", have, size, err, want)
				}
				after := file("after", words(1, 100))
				next, err := add(w, after)
				if err != nil {
					t.Fatal(err)
				}
				o := &object{offsets: []int64{offset, next}}
				if o.layout, err = w.Close(); err != nil {
					t.Fatal(err)
				}
				o.bytes = buf.Bytes()
				verify(t, o, []item{entryOf(e, append(content, make([]byte, size-have)...)), after})
			}
		}
	}
}

func entryOf(e tarn.Entry, content []byte) item { return item{entry: e, content: content} }

// TestAddReadsNoMore: a file that has grown is read to the size that it had.
func TestAddReadsNoMore(t *testing.T) {
	w, err := archive.NewWriter(io.Discard, archive.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	src := bytes.NewReader(make([]byte, 5<<20))
	e := tarn.Entry{Path: "a", Type: tarn.TypeFile, Size: 5<<20 - 7}
	if _, err := w.Add(&e, iotest.HalfReader(src)); err != nil || src.Len() != 7 {
		t.Errorf("%d bytes left, %v", src.Len(), err)
	}
}

func TestRefused(t *testing.T) {
	w, err := archive.NewWriter(io.Discard, archive.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []tarn.Entry{
		{Path: "", Type: tarn.TypeFile}, {Path: "a/../b", Type: tarn.TypeFile}, {Path: "/a", Type: tarn.TypeFile}, {Path: "a\x00", Type: tarn.TypeFile},
		{Path: "s", Type: tarn.TypeSocket}, {Path: "s", Type: "?"}, {Path: "a", Type: tarn.TypeFile, Size: -1}, {Path: "a", Type: tarn.TypeDir, Mode: 1 << 13},
		{Path: "a", Type: tarn.TypeFile, Size: 1}, {Path: "a", Type: tarn.TypeSymlink, Target: "\x00"}, {Path: "a", Type: tarn.TypeDir, User: "\x00"},
	} {
		if _, err := w.AddBytes(&e, nil); err == nil {
			t.Errorf("added %+v", e)
		}
	}
	if n := w.Size(); n != 0 {
		t.Errorf("refused members took %d bytes", n)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err == nil {
		t.Error("closed twice")
	}
	if _, err := w.AddBytes(&tarn.Entry{Path: "a", Type: tarn.TypeDir}, nil); err == nil {
		t.Error("added after Close")
	}
	if _, err := archive.NewWriter(io.Discard, archive.WriterConfig{Level: 17}); err == nil {
		t.Error("took a level that there is not")
	}
}

// failing fails after some bytes.
type failing struct{ left int }

var errFull = errors.New("disk is full")

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// TestSinkFails: wherever the writer below fails, Close says so, and nothing is
// left behind (a goroutine that is would be a deadlock in the bubble).
func TestSinkFails(t *testing.T) {
	each(t, func(t *testing.T, encrypted bool) {
		items := []item{file("a", noise(1, 6<<20)), file("b", words(1, 6<<20)), file("c", noise(2, 6<<20))}
		size := len(write(t, encrypted, archive.WriterConfig{}, items).bytes)
		for _, left := range []int{0, 1, 100, 1 << 20, 7 << 20, size - 300, size - 1} {
			synctest.Test(t, func(t *testing.T) {
				cfg := archive.WriterConfig{Workers: archive.NewWorkers(2)}
				if encrypted {
					cfg.Recipients = append(cfg.Recipients, identity.Recipient())
				}
				w, err := archive.NewWriter(&failing{left}, cfg)
				if err != nil {
					t.Fatal(err)
				}
				for _, it := range items {
					if _, err := add(w, it); err != nil && !errors.Is(err, errFull) {
						t.Fatal(err)
					}
				}
				if _, err := w.Close(); !errors.Is(err, errFull) {
					t.Errorf("after %d bytes of %d: %v", left, size, err)
				}
			})
		}
	})
}

func TestAbort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var buf bytes.Buffer
		w, err := archive.NewWriter(&buf, archive.WriterConfig{Workers: archive.NewWorkers(1)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := add(w, file("a", noise(1, 30<<20))); err != nil {
			t.Fatal(err)
		}
		w.Abort()
		w.Abort()
		if _, err := w.Close(); err == nil {
			t.Error("an archive that was given up closes well")
		}
	})
}

// TestWritersShare: several writers at once share workers, and each makes the
// bytes that it makes alone.
func TestWritersShare(t *testing.T) {
	workers := archive.NewWorkers(2)
	defer workers.Close()
	var wg sync.WaitGroup
	for n := range 5 {
		items := []item{file("a", words(uint64(n), 9<<20)), file("b", noise(uint64(n), 5<<20)), file("c", words(uint64(n), 10))}
		want := write(t, false, archive.WriterConfig{Level: archive.Fastest}, items)
		wg.Go(func() {
			for range 2 {
				got := write(t, false, archive.WriterConfig{Level: archive.Fastest, Workers: workers}, items)
				if !bytes.Equal(got.bytes, want.bytes) {
					t.Errorf("archive %d differs", n)
				}
			}
		})
	}
	wg.Wait()
}

func TestLevels(t *testing.T) {
	for _, l := range []archive.Level{archive.Default, archive.Fastest, archive.Better, archive.Best, archive.Auto} {
		if got, err := archive.ParseLevel(l.String()); got != l || err != nil {
			t.Errorf("%v: %v, %v", l, got, err)
		}
	}
	if _, err := archive.ParseLevel("quick"); err == nil {
		t.Error("parsed an unknown level")
	}
	if s := archive.Level(99).String(); s != "level 99" {
		t.Error(s)
	}
}

// drawItem makes a member of anything that a file system can hold.
func drawItem(t *rapid.T) item {
	text := func(name string, n int) string {
		return string(rapid.SliceOfN(rapid.ByteRange(1, 255), 0, n).Draw(t, name))
	}
	path := rapid.Custom(func(t *rapid.T) string {
		p := ""
		for i := range rapid.IntRange(1, 30).Draw(t, "depth") {
			c := rapid.OneOf(rapid.StringMatching(`[a-z]{1,20}`), rapid.StringMatching(`[^/\x00]{1,60}`), rapid.Map(rapid.SliceOfN(rapid.ByteRange('0', 255), 1, 255), func(b []byte) string { return string(b) })).Draw(t, "name")
			if i > 0 {
				p += "/"
			}
			p += c
		}
		return p
	}).Filter(tarn.ValidPath)
	when := func(name string) tarn.Timespec {
		return tarn.Timespec{
			Sec:  rapid.OneOf(rapid.Int64(), rapid.Int64Range(-10, 1<<34), rapid.SampledFrom([]int64{0, -1, 1<<33 - 1, 1 << 33})).Draw(t, name),
			Nsec: rapid.OneOf(rapid.Just(int32(0)), rapid.Int32Range(0, 999_999_999)).Draw(t, name),
		}
	}
	id := rapid.OneOf(rapid.Uint32Range(0, 2000), rapid.Uint32())
	e := tarn.Entry{
		Path:  path.Draw(t, "path"),
		Type:  rapid.SampledFrom([]tarn.Type{tarn.TypeFile, tarn.TypeFile, tarn.TypeDir, tarn.TypeSymlink, tarn.TypeFIFO, tarn.TypeChar, tarn.TypeBlock}).Draw(t, "type"),
		Mode:  rapid.Uint32Range(0, 0o7777).Draw(t, "mode"),
		UID:   id.Draw(t, "uid"),
		GID:   id.Draw(t, "gid"),
		User:  text("user", 40),
		Group: text("group", 40),
		MTime: when("mtime"),
		CTime: when("ctime"),
	}
	names := rapid.SliceOfNDistinct(rapid.StringMatching(`user\.[a-z=%]{1,9}`), 0, 3, rapid.ID[string]).Draw(t, "xattrs")
	slices.Sort(names)
	for _, n := range names {
		e.Xattrs = append(e.Xattrs, tarn.Xattr{Name: n, Value: rapid.SliceOfN(rapid.Byte(), 0, 600).Draw(t, "value")})
	}
	it := item{stream: rapid.Bool().Draw(t, "stream")}
	switch e.Type {
	case tarn.TypeSymlink:
		e.Target = text("target", 300) + "x"
	case tarn.TypeChar, tarn.TypeBlock:
		e.Major, e.Minor = rapid.Uint32().Draw(t, "major"), rapid.Uint32().Draw(t, "minor")
	case tarn.TypeFile:
		n := rapid.OneOf(rapid.IntRange(0, 2000), rapid.IntRange(0, 200_000), rapid.SampledFrom([]int{0, 1 << 20, archive.FrameSize, 5 << 20})).Draw(t, "size")
		it.content = rapid.SampledFrom([]func(uint64, int) []byte{noise, words}).Draw(t, "kind")(uint64(n), n)
		e.Size = int64(n)
	}
	it.entry = e
	return it
}

// TestRandom: whatever is written is what Members and Stretch give back.
func TestRandom(t *testing.T) {
	workers := archive.NewWorkers(2)
	rapid.Check(t, func(r *rapid.T) {
		var items []item
		for range rapid.IntRange(0, 8).Draw(r, "members") {
			items = append(items, drawItem(r))
		}
		if len(items) > 0 && rapid.Bool().Draw(r, "link") {
			items = append(items, item{entry: tarn.Entry{Path: "hard", Type: tarn.TypeFile}, link: items[0].entry.Path})
		}
		verify(t, write(t, rapid.Bool().Draw(r, "encrypted"), archive.WriterConfig{Level: archive.Fastest, Workers: workers}, items), items)
	})
}
