package check_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/check"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

func TestHealthy(t *testing.T) {
	for _, encrypt := range []bool{false, true} {
		for _, percent := range []float64{0, 100} {
			t.Run(fmt.Sprintf("encrypted=%v,read=%v", encrypt, percent), func(t *testing.T) {
				w := newWorld(t, encrypt)
				w.standard()
				w.Store.ResetRequests()
				res := w.check(check.Config{ReadData: percent})
				if len(res.Damages) > 0 || len(res.Notes) > 0 {
					t.Errorf("damages %v, notes %v in a healthy repository", res.Damages, res.Notes)
				}
				archives := len(w.Keys("archives/"))
				if res.Snapshots != 2 || res.Archives != archives || res.Indexes != archives || res.Checksums != archives ||
					res.Trees != len(w.Keys("trees/")) || res.Contents != 8 || archives < 4 {
					t.Errorf("%+v, %d archives", res, archives)
				}
				if percent == 100 && (res.ArchivesRead != archives || res.BytesRead == 0) {
					t.Errorf("read %d archives, %d bytes", res.ArchivesRead, res.BytesRead)
				}
				for _, q := range w.Store.Requests() {
					if q.Op == storagetest.OpPut || percent == 0 && q.Op == storagetest.OpGet && strings.HasPrefix(q.Key, "archives/") {
						t.Errorf("%s %s", q.Op, q.Key)
					}
				}
			})
		}
	}
}

// damages are the ways in which an object goes bad.
var damages = map[string]func(s *storagetest.Memory, key, other string){
	"missing":   func(s *storagetest.Memory, key, _ string) { s.Drop(key) },
	"truncated": func(s *storagetest.Memory, key, _ string) { b := s.Bytes(key); s.Plant(key, b[:len(b)*2/3]) },
	"empty":     func(s *storagetest.Memory, key, _ string) { s.Plant(key, nil) },
	"flipped":   func(s *storagetest.Memory, key, _ string) { s.Plant(key, flip(s.Bytes(key), 0.5)) },
	"swapped":   func(s *storagetest.Memory, key, other string) { s.Plant(key, s.Bytes(other)) },
}

func flip(b []byte, at float64) []byte {
	b = bytes.Clone(b)
	b[int(at*float64(len(b)))] ^= 1
	return b
}

// TestDamage: each kind of object in each way is found, named, and costs the
// right files, with the copies of this machine and without.
func TestDamage(t *testing.T) {
	for _, encrypt := range []bool{false, true} {
		w := newWorld(t, encrypt)
		w.standard()
		whole := w.Store
		for _, prefix := range []string{"tarn.json", "keys/", "archives/", "indexes/", "trees/", "snapshots/"} {
			for name, damage := range damages {
				if prefix == "snapshots/" && name == "missing" {
					continue // what is named by nothing is not missed
				}
				t.Run(fmt.Sprintf("encrypted=%v,%s,%s", encrypt, strings.Trim(prefix, "/"), name), func(t *testing.T) {
					w.Store = whole.Clone()
					w.reopen(w.Store)
					keys := w.Keys(prefix)
					key, other := keys[0], keys[len(keys)-1]
					if key == other {
						other = w.Keys("snapshots/")[0]
					}
					want := w.expect(prefix, key)
					if prefix == "keys/" && name == "missing" {
						want.Key = prefix // nothing says its name
					}
					opened := must[*repo.Repo](t)(tryOpen(w))
					damage(w.Store, key, other)
					for _, r := range []*repo.Repo{w.repo, opened} {
						res := w.check(check.Config{Repo: r, ReadData: 50})
						compare(t, res.Damages, want)
					}
				})
			}
		}
	}
}

// expect says what the loss of an object costs.
func (w *world) expect(prefix, key string) (want check.Damage) {
	w.t.Helper()
	want.Key = key
	switch prefix {
	case "archives/", "indexes/":
		var paths []string
		paths, want.Snapshots = w.costs(archiveOf(key))
		want.Files = int64(len(paths))
		for _, p := range paths {
			want.Costs = append(want.Costs, check.Cost{Path: p})
		}
		if len(paths) == 0 {
			w.t.Fatalf("%s holds nothing", key)
		}
	case "trees/":
		for _, id := range must[[]tarn.SnapshotID](w.t)(w.repo.SnapshotIDs(w.t.Context())) {
			s := must[*repo.Snapshot](w.t)(w.repo.Snapshot(w.t.Context(), id))
			for _, sp := range s.Splits {
				if w.repo.TreeKey(sp.Tree) == key {
					want.Files, want.Costs = sp.Files, []check.Cost{{Path: sp.Path, Below: true}}
					want.Snapshots = append(want.Snapshots, id)
				}
			}
		}
	case "snapshots/":
		want.Costs = []check.Cost{{Below: true}}
		want.Snapshots = []tarn.SnapshotID{tarn.SnapshotID(archiveOf(key))}
	}
	return want
}

func compare(t *testing.T, got []check.Damage, want check.Damage) {
	t.Helper()
	if len(got) != 1 {
		t.Fatalf("%d damages, want one of %s: %+v", len(got), want.Key, got)
	}
	g := got[0]
	if g.Key != want.Key || g.Problem == "" || g.Unread || g.Files != want.Files || !slices.Equal(g.Snapshots, want.Snapshots) {
		t.Errorf("damage %+v, want %+v", g, want)
	}
	same := func(a, b check.Cost) bool { return a.Path == b.Path && a.Below == b.Below }
	if !slices.EqualFunc(g.Costs, want.Costs, same) {
		t.Errorf("costs %+v, want %+v", g.Costs, want.Costs)
	}
}

// TestStoredTwice: content that another archive holds, too, is not lost.
func TestStoredTwice(t *testing.T) {
	w := newWorld(t, false)
	w.Write(map[string]string{"a/1": "one", "a/2": "two"})
	w.backup()
	w.Last = nil
	if err := w.contents.Reset(); err != nil {
		t.Fatal(err)
	}
	w.Write(map[string]string{"a/2": ""})
	w.backup()
	keys := w.Keys("archives/")
	if len(keys) != 2 {
		t.Fatal(keys)
	}
	for _, key := range keys {
		ix := must[*repo.Index](t)(w.repo.Index(t.Context(), archiveOf(key), nil))
		if ix.Contents == 1 { // a/1, which is in the other one, too
			w.Store.Drop(key)
			res := w.check(check.Config{})
			if len(res.Damages) > 0 || len(res.Notes) != 1 || !strings.Contains(res.Notes[0], "leftovers: "+key+" is missing") {
				t.Errorf("%+v", res)
			}
			return
		}
	}
	t.Errorf("no archive of %v holds a/1 alone", keys)
}

// blind is a storage that keeps no checksums, as a folder.
type blind struct{ *storagetest.Memory }

func (b blind) Stat(ctx context.Context, key string) (storage.Object, error) {
	o, err := b.Memory.Stat(ctx, key)
	o.Checksum = storage.Checksum{}
	return o, err
}

// TestReadData: a flipped bit is found by reading alone where there is no
// checksum, and costs what lies in its frame.
func TestReadData(t *testing.T) {
	for _, encrypt := range []bool{false, true} {
		w := newWorld(t, encrypt)
		rnd := rand.New(rand.NewPCG(1, 2))
		random := func(n int) string {
			b := make([]byte, n)
			for i := range b {
				b[i] = byte(rnd.Uint32())
			}
			return string(b)
		}
		files := map[string]string{}
		for i := range 12 {
			files[fmt.Sprintf("a/%02d", i)] = random(1 << 20)
		}
		w.Write(files)
		w.backup()
		w.reopen(blind{w.Store})
		key := w.Keys("archives/")[0]
		w.Store.Plant(key, flip(w.Store.Bytes(key), 0.5))
		if res := w.check(check.Config{}); len(res.Damages) != 0 || res.Checksums != 0 {
			t.Errorf("without reading: %+v", res)
		}
		res := w.check(check.Config{ReadData: 100})
		if len(res.Damages) != 1 || res.Damages[0].Key != key {
			t.Fatalf("damages %+v", res.Damages)
		}
		if n := res.Damages[0].Files; n < 1 || n > 8 {
			t.Errorf("one frame costs %d files of %d: %+v", n, len(files), res.Damages[0])
		}
		if res.BytesRead == 0 || res.Seed == 0 {
			t.Errorf("%+v", res)
		}
	}
}

// TestPercent: the share of archives that was asked for is read, the same ones for a seed.
func TestPercent(t *testing.T) {
	w := newWorld(t, false)
	files := map[string]string{}
	for i := range 10 {
		files[fmt.Sprintf("%d/file", i)] = fmt.Sprint("content", i)
	}
	w.Write(files)
	w.backup()
	var read [2][]string
	for i := range read {
		w.Store.ResetRequests()
		if res := w.check(check.Config{ReadData: 30, Seed: 7}); res.ArchivesRead != 3 || res.Seed != 7 {
			t.Errorf("%+v", res)
		}
		for _, q := range w.Store.Requests() {
			if q.Op == storagetest.OpGet && strings.HasPrefix(q.Key, "archives/") {
				read[i] = append(read[i], q.Key)
			}
		}
		slices.Sort(read[i])
	}
	if len(read[0]) != 3 || !slices.Equal(read[0], read[1]) {
		t.Errorf("seed 7 reads %v, then %v", read[0], read[1])
	}
}

// TestCold: archives in a cold class are counted and left alone.
func TestCold(t *testing.T) {
	w := newWorld(t, false)
	w.Class = tarn.Glacier
	w.standard()
	w.Store.ResetRequests()
	res := w.check(check.Config{ReadData: 100})
	if res.Cold != len(w.Keys("archives/")) || res.ArchivesRead != 0 || len(res.Damages) > 0 {
		t.Errorf("%+v", res)
	}
	for _, q := range w.Store.Requests() {
		if q.Op == storagetest.OpThaw || q.Op == storagetest.OpGet && strings.HasPrefix(q.Key, "archives/") {
			t.Errorf("%s %s", q.Op, q.Key)
		}
	}
}

// TestNotes: what a killed run leaves is no damage.
func TestNotes(t *testing.T) {
	w := newWorld(t, false)
	w.standard()
	id := tarn.FormatID(w.Last.Time, [8]byte{1})
	w.Store.Plant("archives/src/a/"+id+".tar.zst", []byte("the rest of a killed run"))
	w.Store.Plant("trees/"+strings.Repeat("0", 64)+".jsonl.zst", []byte("of no snapshot"))
	w.Store.Plant("archives/readme", []byte("a stranger"))
	w.Store.Drop("RECOVERY.txt")
	res := w.check(check.Config{ReadData: 100})
	if len(res.Damages) > 0 {
		t.Errorf("damages %+v", res.Damages)
	}
	all := strings.Join(res.Notes, "\n")
	for _, want := range []string{id, strings.Repeat("0", 64), "archives/readme", "RECOVERY.txt"} {
		if !strings.Contains(all, want) {
			t.Errorf("no note of %s in:\n%s", want, all)
		}
	}
}

// TestNoIndexAtAll: content in no index is damage, even if nothing says where it was.
func TestNoIndexAtAll(t *testing.T) {
	w := newWorld(t, false)
	w.standard()
	for _, k := range append(w.Keys("indexes/"), w.Keys("archives/")...) {
		w.Store.Drop(k)
	}
	res := w.check(check.Config{Repo: must[*repo.Repo](t)(tryOpen(w))})
	if len(res.Damages) != 1 || res.Damages[0].Key != "indexes/" || res.Damages[0].Files != 9 || len(res.Damages[0].Snapshots) != 2 {
		t.Errorf("%+v", res.Damages)
	}
}

// TestUnreadable: one request that fails is reported as such and stops nothing;
// a storage that is gone is an error.
func TestUnreadable(t *testing.T) {
	w := newWorld(t, true)
	w.standard()
	opened := must[*repo.Repo](t)(tryOpen(w))
	for _, prefix := range []string{"keys/", "archives/", "indexes/", "trees/", "snapshots/"} {
		for _, kind := range []storagetest.Kind{storagetest.FailBefore, storagetest.CutBody} {
			key := w.Keys(prefix)[0]
			w.Store.SetHook(func(q storagetest.Request) storagetest.Fault {
				if q.Key == key && q.Op == storagetest.OpGet {
					return storagetest.Fault{Kind: kind}
				}
				return storagetest.Fault{}
			})
			res := w.check(check.Config{Repo: opened, ReadData: 100})
			if len(res.Damages) != 1 || res.Damages[0].Key != key || !res.Damages[0].Unread {
				t.Errorf("%s of %s: %+v", kind, key, res.Damages)
			}
		}
	}
	n := w.Store.Count()
	w.Store.SetHook(storagetest.FailFrom(n+1, storagetest.Fault{Kind: storagetest.FailBefore}))
	if _, err := check.Run(t.Context(), check.Config{Repo: opened}); !errors.Is(err, storagetest.ErrInjected) {
		t.Errorf("a check of a storage that is gone: %v", err)
	}
}

// repository returns the repository's id.
func (w *world) repository() string {
	w.t.Helper()
	cfg, err := repo.ReadConfig(w.t.Context(), w.Store)
	if err != nil {
		w.t.Fatal(err)
	}
	return cfg.ID
}

// TestKilledInit: what an init has left that was killed costs nothing.
func TestKilledInit(t *testing.T) {
	w, killed := newWorld(t, true), newWorld(t, true)
	w.standard()
	killed.standard()
	key := killed.Keys("keys/")[0]
	w.Store.Plant(key, killed.Store.Bytes(key))
	res := w.check(check.Config{})
	if len(res.Damages) > 0 || !slices.ContainsFunc(res.Notes, func(n string) bool { return strings.Contains(n, key) }) {
		t.Errorf("%+v, notes %q", res.Damages, res.Notes)
	}
}

// TestAttacker: what someone without the key puts in is refused by name.
func TestAttacker(t *testing.T) {
	w, thief := newWorld(t, true), newWorld(t, true)
	w.standard()
	thief.standard()
	for _, prefix := range []string{"keys/", "snapshots/", "indexes/", "trees/"} {
		key := thief.Keys(prefix)[0]
		// In clear text he writes what he likes: the id of this repository.
		data := bytes.ReplaceAll(thief.Store.Bytes(key), []byte(thief.repository()), []byte(w.repository()))
		if i := bytes.LastIndex(data, []byte(`,"sum":"`)); i >= 0 {
			copy(data[i+8:], fmt.Sprintf("%x", sha256.Sum256(data[:i])))
		}
		w.Store.Plant(key, data)
	}
	res := w.check(check.Config{})
	var keys []string
	for _, d := range res.Damages {
		keys = append(keys, d.Key)
	}
	// A tree that no snapshot names is only noted.
	want := []string{thief.Keys("indexes/")[0], thief.Keys("keys/")[0], thief.Keys("snapshots/")[0]}
	if !slices.Equal(keys, want) {
		t.Errorf("damages of %v, want %v", keys, want)
	}
}

func TestCancel(t *testing.T) {
	w := newWorld(t, false)
	w.standard()
	ctx, cancel := context.WithCancel(t.Context())
	w.Store.SetHook(func(q storagetest.Request) storagetest.Fault {
		if strings.HasPrefix(q.Key, "trees/") {
			cancel()
		}
		return storagetest.Fault{}
	})
	if _, err := check.Run(ctx, check.Config{Repo: w.repo}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled check: %v", err)
	}
}
