package storagetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

func list(t *testing.T, s storage.Storage, prefix string) []string {
	t.Helper()
	var keys []string
	for o, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("listing %q: %v", prefix, err)
		}
		keys = append(keys, o.Key)
	}
	return keys
}

func testList(t *testing.T, s storage.Storage) {
	keys := []string{
		"a.b", "a/b", "a/b.c", "a/c/d", "a0", "a-", "ab", "b/1", "b/10", "b/2", "b.1/x", "b0/x",
		"snapshots/20260101T000000Z-00.json", "snapshots/20260102T000000Z-00.json", "tarn.json", "trees/x",
	}
	for i, key := range keys {
		put(t, s, key, Content(uint64(i), i), storage.PutOptions{})
	}
	size := func(key string) int64 { return int64(slices.Index(keys, key)) }
	for _, prefix := range []string{"", "a", "a/", "a/b", "a/b.", "b", "b/", "b/1", "snapshots/", "snapshots/20260102", "tarn.json", "absent", "a/absent/", "tarn.json/"} {
		var want []string
		for _, key := range keys {
			if strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		slices.Sort(want)
		if got := list(t, s, prefix); !slices.Equal(got, want) {
			t.Errorf("list of %q:\n got %q\nwant %q", prefix, got, want)
		}
	}
	for o, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if o.Size != size(o.Key) || o.Modified.IsZero() || o.Class != tarn.Standard {
			t.Errorf("listed %+v, want size %d", o, size(o.Key))
		}
	}
	for range s.List(t.Context(), "") {
		break // a caller that has enough
	}
}

// More objects than S3 puts on one page of a listing.
func testListMany(t *testing.T, s storage.Storage) {
	const n, workers = 1050, 8
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				key := fmt.Sprintf("many/%d/%d", i%7, i)
				if _, err := s.Put(t.Context(), key, strings.NewReader(key), storage.PutOptions{}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	keys := list(t, s, "many/")
	if len(keys) != n || !slices.IsSorted(keys) {
		t.Errorf("%d keys listed, sorted: %t; want %d", len(keys), slices.IsSorted(keys), n)
	}
	if len(slices.Compact(keys)) != n {
		t.Error("a key was listed twice")
	}
}

func testOddKeys(t *testing.T, s storage.Storage) {
	keys := []string{
		"archives/Bilder/Österreich/Grüße.txt", "archives/日本/写真.tar.zst", "archives/emoji 🏔/x",
		"archives/with space/x y  z", "archives/100%/x", "archives/100%25/x", "archives/a+b/c&d=e",
		"archives/-rf/--/x", "archives/!#$&'(),;=@[]^_`{}~/x", "archives/...x/.hidden",
		"archives/%0A/%C3%28", "archives/" + strings.Repeat("n", 200) + "/x",
		// As long as leaves room for the repository's prefix below S3's 1,024 bytes.
		"archives/" + strings.Repeat(strings.Repeat("d", 99)+"/", 8) + "end",
	}
	for _, key := range keys {
		put(t, s, key, []byte(key), storage.PutOptions{})
	}
	for _, key := range keys {
		wantContent(t, s, key, []byte(key))
		if o, err := s.Stat(t.Context(), key); err != nil || o.Key != key {
			t.Errorf("stat of %s: %+v, %v", key, o, err)
		}
		if got := list(t, s, key); len(got) != 1 || got[0] != key {
			t.Errorf("list of %s: %q", key, got)
		}
	}
	slices.Sort(keys)
	if got := list(t, s, "archives/"); !slices.Equal(got, keys) {
		t.Errorf("listed:\n got %q\nwant %q", got, keys)
	}
}
