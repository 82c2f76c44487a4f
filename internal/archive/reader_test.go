package archive_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
)

// counted counts what is asked of a Ranger, and what is left open.
type counted struct {
	of             archive.Ranger
	calls, open    atomic.Int64
	offset, length int64 // of the last call
}

func (c *counted) ranger(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
	c.calls.Add(1)
	c.open.Add(1)
	c.offset, c.length = offset, length
	body, err := c.of(ctx, offset, length)
	return &countedBody{body, c}, err
}

type countedBody struct {
	io.ReadCloser
	c *counted
}

func (b *countedBody) Close() error {
	b.c.open.Add(-1)
	return b.ReadCloser.Close()
}

// TestStretches reads stretches around all edges, each with one range, the one
// that Cost names.
func TestStretches(t *testing.T) {
	each(t, func(t *testing.T, encrypted bool) {
		items := []item{file("a", words(1, 3<<20)), file("b", noise(1, 5<<20)), file("c", words(2, 1<<20)), file("d", words(3, 5<<20))}
		o := write(t, encrypted, archive.WriterConfig{}, items)
		var whole []byte
		c := &counted{of: o.ranger()}
		r, err := archive.NewReader(o.layout, c.ranger, o.ids)
		if err != nil || c.calls.Load() != 0 {
			t.Fatal(c.calls.Load(), err)
		}
		whole = stretch(t, r, 0, o.layout.Size)
		var edges []int64
		end := int64(0)
		for _, f := range append([]archive.Frame{{}}, o.layout.Frames...) {
			end += int64(f.Uncompressed)
			edges = append(edges, end-1, end, end+1)
		}
		for i, from := range edges {
			for j, to := range edges {
				if from < 0 || to > o.layout.Size || from > to || j-i > 6 && j < len(edges)-3 {
					continue
				}
				before := c.calls.Load()
				if got := stretch(t, r, from, to-from); !bytes.Equal(got, whole[from:to]) {
					t.Fatalf("stretch %d to %d differs", from, to)
				}
				offset, length := r.Cost(from, to-from)
				if calls := c.calls.Load() - before; from < to && (calls != 1 || c.offset != offset || c.length != length) || from == to && calls+length != 0 {
					t.Fatalf("stretch %d to %d: %d calls, %d bytes from %d; cost %d from %d", from, to, calls, c.length, c.offset, length, offset)
				}
				if offset+length > o.layout.Stored {
					t.Fatalf("cost of %d to %d lies outside of the object", from, to)
				}
			}
		}
		if n := c.open.Load(); n != 0 {
			t.Errorf("%d ranges are open", n)
		}
	})
}

func TestStretchOutside(t *testing.T) {
	o := write(t, false, archive.WriterConfig{}, []item{file("a", noise(1, 1000))})
	r, err := archive.NewReader(o.layout, o.ranger(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range [][2]int64{{-1, 1}, {0, -1}, {0, o.layout.Size + 1}, {o.layout.Size, 1}, {math.MaxInt64, 1}, {1, math.MaxInt64}, {math.MinInt64, math.MaxInt64}} {
		if _, err := r.Stretch(context.Background(), s[0], s[1]); !isDamaged(err) {
			t.Errorf("%v: %v", s, err)
		}
		if at, n := r.Cost(s[0], s[1]); at != 0 || n != 0 {
			t.Errorf("%v costs %d bytes from %d", s, n, at)
		}
	}
}

// TestStretchIsReader holds a stretch to io.Reader's contract, over sources
// that give a byte at a time, halves, and the end with the data.
func TestStretchIsReader(t *testing.T) {
	each(t, func(t *testing.T, encrypted bool) {
		o := write(t, encrypted, archive.WriterConfig{}, []item{file("a", noise(1, 100_000)), file("b", words(1, 9<<20))})
		for _, wrap := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
			r, err := archive.NewReader(o.layout, func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
				body, err := o.ranger()(ctx, offset, length)
				return io.NopCloser(wrap(body)), err
			}, o.ids)
			if err != nil {
				t.Fatal(err)
			}
			s, err := r.Stretch(context.Background(), o.offsets[0], 100_000)
			if err != nil {
				t.Fatal(err)
			}
			if err := iotest.TestReader(s, noise(1, 100_000)); err != nil {
				t.Error(err)
			}
			s.Close()
			if got := stretch(t, r, o.offsets[1], 9<<20); !bytes.Equal(got, words(1, 9<<20)) {
				t.Error("a long stretch differs")
			}
		}
	})
}

// TestStretchGivenUp: closing early, a cancelled context and a failing source
// end a long stretch, leave nothing open, and are told from damage.
func TestStretchGivenUp(t *testing.T) {
	o := write(t, true, archive.WriterConfig{}, []item{file("a", noise(1, 30<<20))})
	boom := errors.New("boom")
	c := &counted{of: o.ranger()}
	r, err := archive.NewReader(o.layout, c.ranger, o.ids)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s, err := r.Stretch(ctx, 0, o.layout.Size)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(s, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, s); !errors.Is(err, context.Canceled) || isDamaged(err) {
		t.Error(err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if s, err = r.Stretch(context.Background(), 0, o.layout.Size); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil || c.open.Load() != 0 {
		t.Errorf("%d open, %v", c.open.Load(), err)
	}
	if _, err := s.Read(make([]byte, 1)); err == nil {
		t.Error("read after Close")
	}
	c.of = func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(o.bytes[offset:offset+5<<20]), iotest.ErrReader(boom))), nil
	}
	if s, err = r.Stretch(context.Background(), 0, o.layout.Size); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, s); !errors.Is(err, boom) || isDamaged(err) {
		t.Error(err)
	}
	s.Close()
	c.of = func(ctx context.Context, offset, length int64) (io.ReadCloser, error) { return nil, tarn.ErrCold }
	if _, err = r.Stretch(context.Background(), 0, 1); !errors.Is(err, tarn.ErrCold) {
		t.Error(err)
	}
}

func TestIdentities(t *testing.T) {
	o := write(t, true, archive.WriterConfig{}, []item{file("a", words(1, 1000))})
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, ids := range [][]age.Identity{nil, {other}} {
		if _, err := archive.NewReader(o.layout, o.ranger(), ids); !errors.Is(err, tarn.ErrNoIdentity) {
			t.Error(err)
		}
		if _, err := archive.ReadLayout(context.Background(), o.layout.Stored, o.ranger(), ids); !errors.Is(err, tarn.ErrNoIdentity) {
			t.Error(err)
		}
		if err := readMembers(o.bytes, ids, nil); !errors.Is(err, tarn.ErrNoIdentity) {
			t.Error(err)
		}
	}
	o.ids = []age.Identity{other, identity}
	verify(t, o, []item{file("a", words(1, 1000))})
}

// TestManyRecipients has a header that ReadLayout's first range does not hold.
func TestManyRecipients(t *testing.T) {
	var cfg archive.WriterConfig
	for range 200 {
		cfg.Recipients = append(cfg.Recipients, identity.Recipient())
	}
	items := []item{file("a", words(1, 1000))}
	verify(t, write(t, true, cfg, items), items)
}

// TestHostileLayouts: a layout may come from a forged index.
func TestHostileLayouts(t *testing.T) {
	each(t, func(t *testing.T, encrypted bool) {
		o := write(t, encrypted, archive.WriterConfig{}, []item{file("a", words(1, 6<<20))})
		for i, change := range []func(*archive.Layout){
			func(l *archive.Layout) { l.Size++ },
			func(l *archive.Layout) { l.Stored-- },
			func(l *archive.Layout) { l.Size, l.Stored = math.MinInt64, math.MaxInt64 },
			func(l *archive.Layout) { l.Frames = nil },
			func(l *archive.Layout) {
				l.Frames[0].Uncompressed = 0
				l.Size -= int64(o.layout.Frames[0].Uncompressed)
			},
			func(l *archive.Layout) {
				l.Frames[0] = archive.Frame{Compressed: math.MaxUint32, Uncompressed: math.MaxUint32}
			},
			func(l *archive.Layout) {
				l.Frames = append(l.Frames, archive.Frame{Compressed: 5 << 20, Uncompressed: 1})
			},
			func(l *archive.Layout) { l.Frames = make([]archive.Frame, 1<<23+1) },
			func(l *archive.Layout) { l.Header = []byte{} },
			func(l *archive.Layout) { l.Header = make([]byte, 2<<20) },
		} {
			l := o.layout
			l.Frames = slices.Clone(l.Frames)
			change(&l)
			if _, err := archive.NewReader(l, o.ranger(), o.ids); !isDamaged(err) {
				t.Errorf("change %d: %v", i, err)
			}
		}
		// Sizes that agree with each other and not with the frames.
		l := o.layout
		l.Frames = slices.Clone(l.Frames)
		l.Frames[0].Uncompressed--
		l.Frames[1].Uncompressed++
		r, err := archive.NewReader(l, o.ranger(), o.ids)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []int64{0, l.Size - 1} {
			s, err := r.Stretch(context.Background(), at, 1)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(s); !isDamaged(err) {
				t.Errorf("at %d: %v", at, err)
			}
			s.Close()
		}
	})
}

// readMembers reads all members and their content, which it hands to f.
func readMembers(b []byte, ids []age.Identity, f func(*archive.Member, []byte)) error {
	for m, err := range archive.Members(context.Background(), bytes.NewReader(b), ids) {
		if err != nil {
			return err
		}
		content, err := io.ReadAll(m.Content)
		if err != nil {
			return err
		}
		if f != nil {
			f(m, content)
		}
	}
	return nil
}

// damageCase is an archive small enough to be damaged at each byte, and what
// describe says of it.
func damageCase(t *testing.T, encrypted bool) (*object, string) {
	items := []item{file("a", words(1, damageSize)), file("b", noise(1, 200)), {entry: tarn.Entry{Path: "c", Type: tarn.TypeDir}}}
	o := write(t, encrypted, archive.WriterConfig{}, items)
	return o, describe(t, o)
}

const damageSize = 1000

func describe(t *testing.T, o *object) (s string) {
	if err := readMembers(o.bytes, o.ids, func(m *archive.Member, b []byte) { s += fmt.Sprintf("%+v %s %d %x\n", m.Entry, m.Link, m.Offset, b) }); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestCutAnywhere: an archive that ends early is damaged, whoever reads it.
func TestCutAnywhere(t *testing.T) {
	each(t, func(t *testing.T, encrypted bool) {
		o, _ := damageCase(t, encrypted)
		noTable := len(o.bytes) - 17 - 8*len(o.layout.Frames) // a whole tar.zst but for the seek table
		for n := range o.bytes {
			cut := o.bytes[:n:n]
			if err := readMembers(cut, o.ids, nil); !isDamaged(err) && (encrypted || n != noTable) {
				t.Fatalf("members of %d bytes of %d: %v", n, len(o.bytes), err)
			}
			if _, err := archive.ReadLayout(context.Background(), int64(n), rangeOf(cut), o.ids); err == nil {
				t.Fatalf("layout of %d bytes of %d", n, len(o.bytes))
			}
			if _, err := archive.ReadLayout(context.Background(), int64(len(o.bytes)), rangeOf(cut), o.ids); err == nil {
				t.Fatalf("layout of %d bytes of %d, said to be whole", n, len(o.bytes))
			}
			r, err := archive.NewReader(o.layout, rangeOf(cut), o.ids)
			if err != nil {
				t.Fatal(err)
			}
			s, err := r.Stretch(context.Background(), 0, o.layout.Size)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, s); !isDamaged(err) && (encrypted || n < noTable) {
				t.Fatalf("stretch of %d bytes of %d: %v", n, len(o.bytes), err)
			}
			s.Close()
		}
	})
}

// TestFlips: a flipped bit is an error, or (in the few bytes of zstd that mean
// nothing) changes nothing; inside of age it is always an error.
func TestFlips(t *testing.T) {
	each(t, func(t *testing.T, encrypted bool) {
		o, want := damageCase(t, encrypted)
		content := words(1, damageSize)
		for at := range o.bytes {
			bad := slices.Clone(o.bytes)
			bad[at] ^= 1 << (at % 8)
			got := ""
			err := readMembers(bad, o.ids, func(m *archive.Member, b []byte) { got += fmt.Sprintf("%+v %s %d %x\n", m.Entry, m.Link, m.Offset, b) })
			if err == nil && (encrypted || got != want) {
				t.Fatalf("members, byte %d of %d flipped:\n%s\nwant\n%s", at, len(bad), got, want)
			}
			l, err := archive.ReadLayout(context.Background(), int64(len(bad)), rangeOf(bad), o.ids)
			if err == nil && encrypted && at < len(o.layout.Header) {
				t.Fatalf("layout, byte %d of %d flipped", at, len(bad))
			}
			if err != nil {
				l = o.layout
			}
			r, err := archive.NewReader(l, rangeOf(bad), o.ids)
			if err != nil {
				continue
			}
			s, err := r.Stretch(context.Background(), o.offsets[0], damageSize)
			if err != nil {
				continue
			}
			b, err := io.ReadAll(s)
			s.Close()
			if err == nil && (!bytes.Equal(b, content) || encrypted && at >= len(o.layout.Header)) {
				t.Fatalf("stretch, byte %d of %d flipped: read %d bytes", at, len(bad), len(b))
			}
		}
	})
}

// TestSwapped: encrypted chunks at another place, and frames of another order,
// are not taken for what they replace.
func TestSwapped(t *testing.T) {
	o := write(t, true, archive.WriterConfig{}, []item{file("a", noise(1, 6<<20))})
	const chunk = 64<<10 + 16
	bad := slices.Clone(o.bytes)
	head := len(o.layout.Header)
	copy(bad[head+chunk:], o.bytes[head:head+chunk])
	r, err := archive.NewReader(o.layout, rangeOf(bad), o.ids)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 5 {
		s, err := r.Stretch(context.Background(), rnd.Int64N(1<<20), 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(s); !isDamaged(err) {
			t.Error(err)
		}
		s.Close()
	}
}

// TestLargeTable reads a layout whose seek table is longer than ReadLayout's
// first look at the end, encrypted and not, from an object that is nothing but it.
func TestLargeTable(t *testing.T) {
	const frames = 20_000 // of one byte, as no writer of ours makes them
	enc, err := zstd.NewWriter(nil, zstd.WithSingleSegment(true))
	if err != nil {
		t.Fatal(err)
	}
	one := enc.EncodeAll([]byte{0}, nil)
	plain := bytes.Repeat(one, frames)
	plain = binary.LittleEndian.AppendUint32(plain, 0x184D2A5E)
	plain = binary.LittleEndian.AppendUint32(plain, frames*8+9)
	for range frames {
		plain = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(plain, uint32(len(one))), 1)
	}
	plain = append(binary.LittleEndian.AppendUint32(plain, frames), 0, 0xB1, 0xEA, 0x92, 0x8F)
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, identity.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	w.Write(plain)
	w.Close()
	for _, b := range [][]byte{plain, sealed.Bytes()} {
		l, err := archive.ReadLayout(context.Background(), int64(len(b)), rangeOf(b), []age.Identity{identity})
		if err != nil || len(l.Frames) != frames || l.Size != frames {
			t.Fatalf("%d frames, size %d, %v", len(l.Frames), l.Size, err)
		}
		r, err := archive.NewReader(l, rangeOf(b), []age.Identity{identity})
		if err != nil {
			t.Fatal(err)
		}
		if got := stretch(t, r, 100, 500); !bytes.Equal(got, make([]byte, 500)) {
			t.Errorf("stretch: %x", got)
		}
	}
}
