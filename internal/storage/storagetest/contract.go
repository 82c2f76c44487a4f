package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/minio/crc64nvme"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// Run holds a storage to the contract of storage.Storage. open returns an
// empty storage each time; it may skip or fail the test.
func Run(t *testing.T, open func(t *testing.T) storage.Storage) {
	tests := []struct {
		name string
		test func(t *testing.T, s storage.Storage)
	}{
		{"put, get, stat", testPutGetStat},
		{"create only", testCreateOnly},
		{"ranges", testRanges},
		{"absent", testAbsent},
		{"bad keys", testBadKeys},
		{"odd keys", testOddKeys},
		{"list", testList},
		{"list many", testListMany},
		{"one of many wins", testOneWins},
		{"reader fails", testReaderFails},
		{"context ends", testContextEnds},
		{"large", testLarge},
		{"class", testClass},
		{"thaw of warm", testThaw},
		{"no remover", testNoRemover},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.test(t, open(t)) })
	}
}

// Content returns n bytes that do not compress, the same for the same seed.
func Content(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), 7})
	r.Read(b) // never fails, by its contract
	return b
}

func put(t *testing.T, s storage.Storage, key string, data []byte, opts storage.PutOptions) storage.Object {
	t.Helper()
	o, err := s.Put(t.Context(), key, bytes.NewReader(data), opts)
	if err != nil {
		t.Fatalf("putting %s: %v", key, err)
	}
	return o
}

// get reads a range; an error of Get and one of its reader are alike to it.
func get(t *testing.T, s storage.Storage, key string, offset, length int64) ([]byte, error) {
	t.Helper()
	r, err := s.Get(t.Context(), key, offset, length)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func wantContent(t *testing.T, s storage.Storage, key string, want []byte) {
	t.Helper()
	got, err := get(t, s, key, 0, -1)
	if err != nil {
		t.Errorf("getting %s: %v", key, err)
	} else if !bytes.Equal(got, want) {
		t.Errorf("%s holds %d bytes that are not the %d that were put", key, len(got), len(want))
	}
}

func wantAbsent(t *testing.T, s storage.Storage, key string) {
	t.Helper()
	if _, err := s.Stat(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat of %s: %v, want fs.ErrNotExist", key, err)
	}
	if keys := list(t, s, ""); len(keys) != 0 {
		t.Errorf("listed: %q, want nothing", keys)
	}
}

func testPutGetStat(t *testing.T, s storage.Storage) {
	for i, size := range []int{0, 1, 1000, 300_000} {
		key, data := fmt.Sprintf("dir/object-%d", i), Content(uint64(i), size)
		var acked atomic.Int64
		o := put(t, s, key, data, storage.PutOptions{Acknowledged: func(n int64) { acked.Add(n) }})
		if acked.Load() != int64(size) {
			t.Errorf("%d bytes acknowledged of %d", acked.Load(), size)
		}
		sum := storage.Checksum{Sum: crc64nvme.Checksum(data), Known: true}
		if o.Key != key || o.Size != int64(size) || o.Checksum != sum {
			t.Errorf("put returned %+v; want size %d and checksum %x", o, size, sum.Sum)
		}
		wantContent(t, s, key, data)
		o, err := s.Stat(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if o.Key != key || o.Size != int64(size) || o.Class != tarn.Standard || o.Modified.IsZero() {
			t.Errorf("stat returned %+v", o)
		}
		if o.Checksum.Known && o.Checksum != sum {
			t.Errorf("stat returned the checksum %x, want %x", o.Checksum.Sum, sum.Sum)
		}
	}
	if s.Location() == "" {
		t.Error("no location")
	}
}

func testCreateOnly(t *testing.T, s storage.Storage) {
	first := Content(1, 1000)
	put(t, s, "a/key", first, storage.PutOptions{})
	for _, second := range [][]byte{Content(2, 1000), first, nil} {
		if _, err := s.Put(t.Context(), "a/key", bytes.NewReader(second), storage.PutOptions{}); !errors.Is(err, fs.ErrExist) {
			t.Errorf("second put: %v, want fs.ErrExist", err)
		}
		wantContent(t, s, "a/key", first)
	}
}

func testRanges(t *testing.T, s storage.Storage) {
	const size = 100_000
	data := Content(3, size)
	put(t, s, "a", data, storage.PutOptions{})
	put(t, s, "empty", nil, storage.PutOptions{})
	tests := []struct {
		key            string
		offset, length int64
		want           []byte
		err            error
	}{
		{"a", 0, -1, data, nil},
		{"a", 0, size, data, nil},
		{"a", 0, 1, data[:1], nil},
		{"a", 17, 4096, data[17 : 17+4096], nil},
		{"a", size - 1, 1, data[size-1:], nil},
		{"a", 50_000, -1, data[50_000:], nil},
		{"a", 10, 0, nil, nil},
		{"a", size, -1, nil, nil},
		{"a", size, 0, nil, nil},
		{"a", 0, size + 1, data, io.ErrUnexpectedEOF},
		{"a", size - 10, 20, data[size-10:], io.ErrUnexpectedEOF},
		{"a", size, 1, nil, io.ErrUnexpectedEOF},
		{"a", size + 1, -1, nil, io.ErrUnexpectedEOF},
		{"a", size + 1, 5, nil, io.ErrUnexpectedEOF},
		{"a", -1, 5, nil, fs.ErrInvalid},
		{"empty", 0, -1, nil, nil},
		{"empty", 0, 0, nil, nil},
		{"empty", 0, 1, nil, io.ErrUnexpectedEOF},
		{"empty", 1, -1, nil, io.ErrUnexpectedEOF},
	}
	for _, test := range tests {
		got, err := get(t, s, test.key, test.offset, test.length)
		if !errors.Is(err, test.err) {
			t.Errorf("%s from %d, %d bytes: error %v, want %v", test.key, test.offset, test.length, err, test.err)
		}
		if !bytes.Equal(got, test.want) {
			t.Errorf("%s from %d, %d bytes: %d bytes, want %d", test.key, test.offset, test.length, len(got), len(test.want))
		}
	}
}

func testAbsent(t *testing.T, s storage.Storage) {
	put(t, s, "dir/object", []byte("x"), storage.PutOptions{})
	for _, key := range []string{"absent", "dir", "dir/absent", "dir/object/below", "absent/below"} {
		for _, length := range []int64{-1, 0, 1} {
			if _, err := get(t, s, key, 0, length); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("get of %s: %v", key, err)
			}
		}
		if _, err := s.Stat(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("stat of %s: %v", key, err)
		}
		if err := s.Thaw(t.Context(), key, storage.ThawOptions{Days: 1, Tier: storage.Bulk}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("thaw of %s: %v", key, err)
		}
	}
}

func testBadKeys(t *testing.T, s storage.Storage) {
	for _, key := range []string{"", "/", "/a", "a/", "a//b", "..", "../a", "a/../b", "./a", "a/.", "a\x00b", strings.Repeat("k/", 512) + "x"} {
		if _, err := s.Put(t.Context(), key, strings.NewReader("x"), storage.PutOptions{}); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("put of %.20q: %v, want fs.ErrInvalid", key, err)
		}
		if _, err := s.Get(t.Context(), key, 0, -1); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("get of %.20q: %v, want fs.ErrInvalid", key, err)
		}
		if _, err := s.Stat(t.Context(), key); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("stat of %.20q: %v, want fs.ErrInvalid", key, err)
		}
	}
	if keys := list(t, s, ""); len(keys) != 0 {
		t.Errorf("listed: %q", keys)
	}
}

func testOneWins(t *testing.T, s storage.Storage) {
	const writers = 8
	var wg sync.WaitGroup
	var won atomic.Int64
	winner := make(chan []byte, writers)
	for i := range writers {
		wg.Go(func() {
			data := Content(uint64(i+10), 2000+i)
			_, err := s.Put(t.Context(), "same/key", bytes.NewReader(data), storage.PutOptions{})
			if err == nil {
				won.Add(1)
				winner <- data
			} else if !errors.Is(err, fs.ErrExist) {
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d of %d writers won", won.Load(), writers)
	}
	wantContent(t, s, "same/key", <-winner)
}

func testReaderFails(t *testing.T, s storage.Storage) {
	broken := errors.New("the source is gone")
	for _, size := range []int{0, 100, 9 << 20, 20 << 20} {
		r := io.MultiReader(bytes.NewReader(Content(4, size)), iotest.ErrReader(broken))
		if _, err := s.Put(t.Context(), "broken", r, storage.PutOptions{}); !errors.Is(err, broken) {
			t.Errorf("put of a reader that fails after %d bytes: %v", size, err)
		}
		wantAbsent(t, s, "broken")
	}
}

func testContextEnds(t *testing.T, s storage.Storage) {
	put(t, s, "there", []byte("x"), storage.PutOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	r := io.MultiReader(bytes.NewReader(Content(5, 20<<20)), iotest.ErrReader(io.EOF))
	_, err := s.Put(ctx, "cancelled", &cancelAfter{r: r, left: 18 << 20, cancel: cancel}, storage.PutOptions{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	if _, err := s.Stat(t.Context(), "cancelled"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat after the cancelled put: %v", err)
	}
	if _, err := s.Get(ctx, "there", 0, -1); !errors.Is(err, context.Canceled) {
		t.Errorf("get: %v", err)
	}
	if _, err := s.Stat(ctx, "there"); !errors.Is(err, context.Canceled) {
		t.Errorf("stat: %v", err)
	}
	for _, err := range s.List(ctx, "") {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("list: %v", err)
		}
	}
}

// cancelAfter ends a context once so many bytes are read.
type cancelAfter struct {
	r      io.Reader
	left   int
	cancel func()
}

func (c *cancelAfter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.left -= n; c.left <= 0 {
		c.cancel()
	}
	return n, err
}

func testLarge(t *testing.T, s storage.Storage) {
	const size = 20<<20 + 12345
	data := Content(6, size)
	for key, opts := range map[string]storage.PutOptions{"known": {MaxSize: 21 << 20}, "unknown": {}} {
		var acked atomic.Int64
		opts.Acknowledged = func(n int64) { acked.Add(n) }
		o, err := s.Put(t.Context(), key, iotest.HalfReader(bytes.NewReader(data)), opts)
		if err != nil {
			t.Fatal(err)
		}
		if o.Size != size || o.Checksum.Sum != crc64nvme.Checksum(data) || acked.Load() != size {
			t.Errorf("put returned %+v and acknowledged %d", o, acked.Load())
		}
		wantContent(t, s, key, data)
		part, err := get(t, s, key, 16<<20-5, 10)
		if err != nil || !bytes.Equal(part, data[16<<20-5:][:10]) {
			t.Errorf("range over the edge of a part: %x, %v", part, err)
		}
		if _, err := s.Put(t.Context(), key, bytes.NewReader(data), opts); !errors.Is(err, fs.ErrExist) {
			t.Errorf("second put: %v, want fs.ErrExist", err)
		}
	}
}

func testClass(t *testing.T, s storage.Storage) {
	o := put(t, s, "cool", []byte("x"), storage.PutOptions{Class: tarn.StandardIA})
	if o.Class != tarn.StandardIA && o.Class != tarn.Standard {
		t.Errorf("put as STANDARD_IA returned %s", o.Class)
	}
	wantContent(t, s, "cool", []byte("x"))
}

func testThaw(t *testing.T, s storage.Storage) {
	put(t, s, "warm", []byte("x"), storage.PutOptions{})
	if err := s.Thaw(t.Context(), "warm", storage.ThawOptions{Days: 1, Tier: storage.Bulk}); err != nil {
		t.Errorf("thaw of a warm object: %v", err)
	}
}

// A plain storage must not be a remover by type assertion, since backup is
// given a plain storage and can't remove.
func testNoRemover(t *testing.T, s storage.Storage) {
	if _, ok := s.(storage.Remover); ok {
		t.Errorf("%T has a Remove method", s)
	}
}
