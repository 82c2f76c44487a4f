package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// unpacked reads a copy in a cache and decodes it.
func unpacked(t testing.TB, c Cache, name string) []byte {
	t.Helper()
	f, err := c.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func packed(t testing.TB, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	z, err := zstd.NewWriter(&buf, zstd.WithWindowSize(1<<20))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// filesCache is the cache of the real program.
type filesCache struct{ *catalog.Files }

func (c filesCache) Create() (CacheFile, error) { return c.Files.Create() }

// caches gives a new cache of each kind.
func caches(t *testing.T) map[string]func() Cache {
	return map[string]func() Cache{
		"memory": func() Cache { return &memoryCache{} },
		"files": func() Cache {
			f, err := catalog.OpenFiles(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			return filesCache{f}
		},
	}
}

func newRepository(t testing.TB, encrypt bool) (*storagetest.Memory, *Repo, *keyring) {
	t.Helper()
	s, k := storagetest.NewMemory(), new(keyring)
	opts := CreateOptions{Encrypt: encrypt, Compression: "default", StorageClass: tarn.Standard, SaveIdentity: k.save}
	opts.Identities = k.load
	r, err := Create(t.Context(), s, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s, r, k
}

// TestTreeRoundTrip: a tree that is written is read as it was from each cache,
// and from the storage by another machine.
func TestTreeRoundTrip(t *testing.T) {
	for kind, newCache := range caches(t) {
		for _, encrypt := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, encrypt=%t", kind, encrypt), func(t *testing.T) {
				_, r, _ := newRepository(t, encrypt)
				r.UseCache(newCache())
				rapid.Check(t, func(rt *rapid.T) {
					entries := sorted(rapid.SliceOfN(rapid.Custom(entry), 0, 8).Draw(rt, "entries"))
					sp := writeTree(t, r, "s", entries)
					var counts Counts
					for i := range entries {
						counts.Add(&entries[i])
					}
					if sp.Counts != counts {
						rt.Fatalf("counted %+v, want %+v", sp.Counts, counts)
					}
					wantTree(t, r, sp, entries)
					if err := r.putTree(t.Context(), sp.Tree); err != nil {
						rt.Fatal(err)
					}
					wantTree(t, r.Fresh(newCache()), sp, entries)
				})
			})
		}
	}
}

// sorted puts entries into one split, in order and without doubles.
func sorted(list []tarn.Entry) []tarn.Entry {
	seen := map[string]bool{}
	var out []tarn.Entry
	for _, e := range list {
		if e.Path = "s/" + e.Path; !seen[e.Path] {
			seen[e.Path] = true
			out = append(out, e)
		}
	}
	sortEntries(out)
	return out
}

func writeTree(t testing.TB, r *Repo, split string, entries []tarn.Entry) Split {
	t.Helper()
	w, err := r.NewTree()
	if err != nil {
		t.Fatal(err)
	}
	for i := range entries {
		if err := w.Add(&entries[i]); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return Split{Path: split, Tree: tree.ID, Size: tree.Size, Counts: tree.Counts}
}

func readTree(ctx context.Context, r *Repo, sp Split) (list []tarn.Entry, err error) {
	for e, err := range r.Tree(ctx, sp) {
		if err != nil {
			return list, err
		}
		list = append(list, *e)
	}
	return list, nil
}

func wantTree(t testing.TB, r *Repo, sp Split, want []tarn.Entry) {
	t.Helper()
	got, err := readTree(t.Context(), r, sp)
	if err != nil || len(got) != len(want) {
		t.Fatalf("read %d entries, %v; want %d", len(got), err, len(want))
	}
	for i := range got {
		if !same(got[i], want[i]) {
			t.Fatalf("entry %d:\n got %+v\nwant %+v", i, got[i], want[i])
		}
	}
}

// TestIndexRoundTrip: likewise for indexes.
func TestIndexRoundTrip(t *testing.T) {
	for kind, newCache := range caches(t) {
		for _, encrypt := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, encrypt=%t", kind, encrypt), func(t *testing.T) {
				_, r, _ := newRepository(t, encrypt)
				r.UseCache(newCache())
				n := byte(0)
				rapid.Check(t, func(rt *rapid.T) {
					n++
					id := tarn.ArchiveID(tarn.FormatID(r.now(), [8]byte{n, byte(rapid.Uint64().Draw(rt, "id"))}))
					split, contents, layout := index(rt)
					w, err := r.NewIndex(id, split)
					if err != nil {
						rt.Fatal(err)
					}
					for _, c := range contents {
						if err := w.Add(c); err != nil {
							rt.Fatal(err)
						}
					}
					ix, err := w.Finish(layout)
					if err != nil {
						rt.Fatal(err)
					}
					if err := r.putIndex(t.Context(), ix); err != nil && !rapidRepeats(err) {
						rt.Fatal(err)
					}
					for _, machine := range []*Repo{r, r.Fresh(newCache())} {
						wantIndex(rt, machine, id, split, contents, layout)
					}
				})
			})
		}
	}
}

// rapidRepeats: while it shrinks, rapid draws the same id again.
func rapidRepeats(err error) bool { return errors.Is(err, errExist) }

func index(t *rapid.T) (split string, contents []Content, layout archive.Layout) {
	split = entryPath(t)
	for range rapid.IntRange(0, 5).Draw(t, "contents") {
		c := Content{Hash: contentHash(t, "content"), Offset: layout.Size + rapid.Int64Range(0, 5).Draw(t, "gap"), Size: rapid.Int64Range(1, 1<<30).Draw(t, "size"), Path: entryPath(t)}
		contents = append(contents, c)
		layout.Size = c.Offset + c.Size
	}
	for left := layout.Size; left > 0; {
		f := archive.Frame{Compressed: rapid.Uint32().Draw(t, "compressed"), Uncompressed: uint32(min(left, 1<<31))}
		layout.Frames, left = append(layout.Frames, f), left-int64(f.Uncompressed)
	}
	layout.Stored, layout.CRC64NVME = rapid.Int64Range(0, 1<<50).Draw(t, "stored"), rapid.Uint64().Draw(t, "crc")
	layout.Header = rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "header")
	return split, contents, layout
}

func wantIndex(t *rapid.T, r *Repo, id tarn.ArchiveID, split string, want []Content, layout archive.Layout) {
	var got []Content
	ix, err := r.Index(context.Background(), id, func(c Content) error { got = append(got, c); return nil })
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || ix.Split != split || ix.Archive != id || ix.Contents != int64(len(want)) {
		t.Fatalf("read %q %v\nwant %q %v", ix.Split, got, split, want)
	}
	if fmt.Sprint(ix.Layout) != fmt.Sprint(layout) {
		t.Fatalf("layout %+v\nwant %+v", ix.Layout, layout)
	}
}

// TestDamagedCopies: what a power cut did to a copy in the cache is noticed
// and made good from the storage; it never reads as a tree without entries.
func TestDamagedCopies(t *testing.T) {
	_, r, _ := newRepository(t, true)
	entries := []tarn.Entry{{Path: "s", Type: tarn.TypeDir, Mode: 0o755}}
	for i := range 3000 {
		entries = append(entries, tarn.Entry{Path: fmt.Sprintf("s/%04d", i), Type: tarn.TypeFIFO, Mode: 0o600, MTime: tarn.Timespec{Sec: int64(i * i * 7919)}})
	}
	sp := writeTree(t, r, "s", entries)
	other := writeTree(t, r, "s", entries[:10])
	if err := r.putTree(t.Context(), sp.Tree); err != nil {
		t.Fatal(err)
	}
	id := tarn.ArchiveID(tarn.FormatID(r.now(), [8]byte{1}))
	w, err := r.NewIndex(id, "s")
	if err != nil {
		t.Fatal(err)
	}
	ix, err := w.Finish(archive.Layout{Size: 1024, Frames: []archive.Frame{{Compressed: 1, Uncompressed: 1024}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.putIndex(t.Context(), ix); err != nil {
		t.Fatal(err)
	}
	files := r.cache.(*memoryCache).files
	for _, name := range []string{treeName(sp.Tree), indexName(id)} {
		whole := files[name]
		damage := map[string][]byte{
			"empty": {}, "zeros": make([]byte, len(whole)), "another": files[treeName(other.Tree)],
			"cut": whole[:len(whole)/2], "no end": whole[:len(whole)-1],
		}
		for kind, data := range damage {
			t.Run(name[:5]+" "+kind, func(t *testing.T) {
				files[name] = data
				_, err := readTree(t.Context(), r, sp)
				if err != nil && !errors.Is(err, tarn.ErrDamaged) {
					t.Errorf("first reading: %v", err)
				}
				wantTree(t, r, sp, entries) // the second one, at the latest
				if _, err := r.Index(t.Context(), id, nil); err != nil {
					t.Error(err)
				}
				if !bytes.Equal(files[name], whole) && kind != "another" {
					t.Error("the copy was not replaced")
				}
			})
		}
	}
	files[treeName(sp.Tree)] = nil
	elsewhere := r.Fresh(r.cache)
	elsewhere.storage = storagetest.NewMemory()
	if got, err := readTree(t.Context(), elsewhere, sp); err == nil {
		t.Errorf("an empty copy and nothing in the storage: %d entries and no error", len(got))
	}
}
