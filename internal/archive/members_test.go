package archive_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"github.com/tarn-backup/tarn/internal/archive"
)

// compress makes frames of n bytes of a tar.
func compress(t testing.TB, b []byte, n int) (out []byte) {
	t.Helper()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		k := min(n, len(b))
		out = enc.EncodeAll(b[:k], out)
		b = b[k:]
	}
	return out
}

// tarOf makes a tar by the standard library.
func tarOf(t testing.TB, list ...tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range list {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, h.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestHostileMembers: what no archive of tarn's holds is refused.
func TestHostileMembers(t *testing.T) {
	good := tar.Header{Typeflag: tar.TypeReg, Name: "a/b", Size: 5}
	for name, b := range map[string][]byte{
		"absolute":       tarOf(t, good, tar.Header{Typeflag: tar.TypeReg, Name: "/etc/passwd"}),
		"above":          tarOf(t, good, tar.Header{Typeflag: tar.TypeReg, Name: "a/../../b"}),
		"dot":            tarOf(t, good, tar.Header{Typeflag: tar.TypeDir, Name: "./"}),
		"empty name":     tarOf(t, good, tar.Header{Typeflag: tar.TypeReg, Name: ""}),
		"link above":     tarOf(t, good, tar.Header{Typeflag: tar.TypeLink, Name: "l", Linkname: "../x"}),
		"unknown type":   tarOf(t, good, tar.Header{Typeflag: 'Q', Name: "q"}),
		"huge uid":       tarOf(t, good, tar.Header{Typeflag: tar.TypeReg, Name: "u", Uid: 1 << 40}),
		"sparse":         sparseTar(t, good),
		"no end":         tarOf(t, good)[:1024],
		"half an end":    tarOf(t, good)[:1536],
		"cut content":    tarOf(t, good)[:514],
		"behind the end": append(tarOf(t, good), tarOf(t, good)...),
		"nothing":        {},
		"noise":          noise(1, 2000),
	} {
		n := 0
		err := readMembers(compress(t, b, 700), nil, func(*archive.Member, []byte) { n++ })
		if !isDamaged(err) {
			t.Errorf("%s: %v after %d members", name, err, n)
		}
	}
	for name, b := range map[string][]byte{"empty object": nil, "no zstd": tarOf(t, good), "half age": []byte("age-encryption.org/v1\n-> X25519 ")} {
		if err := readMembers(b, nil, nil); !isDamaged(err) && name != "half age" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sparseTar has a member with a map of holes, in GNU's pax records, which the
// standard library reads but does not write.
func sparseTar(t *testing.T, before tar.Header) []byte {
	b := tarOf(t, before, tar.Header{Typeflag: tar.TypeReg, Name: "s", PAXRecords: map[string]string{
		"XNU.sparse.major": "0", "XNU.sparse.minor": "1", "XNU.sparse.numblocks": "1", "XNU.sparse.map": "0,0", "XNU.sparse.size": "99999999999",
	}})
	return bytes.ReplaceAll(b, []byte("XNU.sparse"), []byte("GNU.sparse"))
}

// TestBomb: a member of 64 GiB of zeros in a few MiB is read in bounded memory,
// and a frame that wants more memory than archives do is refused.
func TestBomb(t *testing.T) {
	enc, err := zstd.NewWriter(nil, zstd.WithSingleSegment(true))
	if err != nil {
		t.Fatal(err)
	}
	if err := readMembers(enc.EncodeAll(make([]byte, 64<<20), nil), nil, nil); !isDamaged(err) {
		t.Errorf("a window of 64 MiB: %v", err)
	}
	zeros := enc.EncodeAll(make([]byte, 4<<20), nil)
	head := tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "bomb", Format: tar.FormatPAX})[:512]
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "bomb", Size: 64 << 30, Format: tar.FormatPAX}); err != nil {
		t.Fatal(err)
	}
	if buf.Len() > len(head) {
		head = buf.Bytes()
	}
	object := append(enc.EncodeAll(head, nil), bytes.Repeat(zeros, 100)...)
	n := int64(0)
	for m, err := range archive.Members(context.Background(), bytes.NewReader(object), nil) {
		if err != nil {
			if !isDamaged(err) || n != 400<<20 {
				t.Errorf("%v after %d bytes", err, n)
			}
			break
		}
		n, err = io.Copy(io.Discard, m.Content)
		if !isDamaged(err) {
			t.Errorf("content of %d bytes: %v", n, err)
		}
	}
}

// TestMembersSource: an error of the source is not damage, and neither is the
// end of the context; a caller may stop early.
func TestMembersSource(t *testing.T) {
	each(t, func(t *testing.T, encrypted bool) {
		o := write(t, encrypted, archive.WriterConfig{}, []item{file("a", words(1, 100)), file("b", noise(1, 300_000))})
		boom := errors.New("boom")
		for _, n := range []int{0, 10, 200, 1000, len(o.bytes) - 10} {
			var last error
			for m, err := range archive.Members(context.Background(), io.MultiReader(bytes.NewReader(o.bytes[:n]), iotest.ErrReader(boom)), o.ids) {
				if last = err; err == nil {
					io.Copy(io.Discard, m.Content)
				}
			}
			if !errors.Is(last, boom) || isDamaged(last) {
				t.Errorf("after %d bytes: %v", n, last)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for _, err := range archive.Members(ctx, bytes.NewReader(o.bytes), o.ids) {
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		for m, err := range archive.Members(context.Background(), bytes.NewReader(o.bytes), o.ids) {
			if err != nil || m.Entry.Path != "a" {
				t.Error(m, err)
			}
			break
		}
		for _, wrap := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.DataErrReader} {
			n := 0
			for _, err := range archive.Members(context.Background(), wrap(bytes.NewReader(o.bytes)), o.ids) {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			if n != 2 {
				t.Errorf("%d members", n)
			}
		}
	})
}
