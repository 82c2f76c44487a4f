package rebuild_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/rebuild"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

var files = map[string]string{
	"top": "at the top", "a/1": "one", "a/2": "two", "a/deep/3": "three", "b/1": "b one", "c d/ä%~": "odd name", "c d/x.": "dot",
}

// each runs a test on a plain and on an encrypted repository.
func each(t *testing.T, f func(t *testing.T, w *world)) {
	for _, encrypt := range []bool{false, true} {
		t.Run(fmt.Sprintf("encrypted=%v", encrypt), func(t *testing.T) { f(t, newWorld(t, encrypt)) })
	}
}

func TestCatalog(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Write(files)
		w.backup()
		id := w.machine.contents.Archives()[0]
		broken := filepath.Join(w.machine.dir, "indexes", string(id)+".jsonl.zst")
		if err := os.Truncate(broken, 10); err != nil {
			t.Fatal(err)
		}
		for _, m := range []*machine{w.machine, w.open()} {
			res := w.rebuild(m)
			if res.Indexes != len(w.Keys("indexes/")) || res.Contents != int64(len(files)) || len(res.Problems) > 0 || len(m.contents.Archives()) != res.Indexes {
				t.Errorf("%+v", res)
			}
			if got := w.restored(m, w.Last.ID); !maps.Equal(got, files) {
				t.Errorf("restored %v", got)
			}
		}
	})
}

// TestIndexes: lost indexes come back from the archives, or from this
// machine's copies without a read of them.
func TestIndexes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Write(files)
		w.backup()
		w.Write(map[string]string{"a/2": "changed", "new/1": "new"})
		w.backup()
		want := e2e.ReadFiles(t, w.Source)
		for _, copied := range []bool{true, false} {
			m := w.machine
			if !copied {
				m = w.open()
			}
			n := w.drop("indexes/")
			w.Store.ResetRequests()
			res := w.rebuild(m)
			if len(res.Remade) != n || res.Indexes != n || res.Contents != 9 || len(res.Problems) > 0 {
				t.Errorf("%d indexes: %+v", n, res)
			}
			for _, x := range res.Remade {
				if x.Copied != copied || x.Contents == 0 {
					t.Errorf("%+v, want copied %v", x, copied)
				}
			}
			if gets := w.gets("archives/"); copied != (gets == 0) {
				t.Errorf("copied %v, %d reads of archives", copied, gets)
			}
			w.clean()
			if got := w.restored(m, w.Last.ID); !maps.Equal(got, want) {
				t.Errorf("restored %v", got)
			}
		}
	})
}

// TestIndexOfArchiveAlone: an index needs no snapshot to tell the split.
func TestIndexOfArchiveAlone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Write(files)
		w.backup()
		n := w.drop("indexes/")
		w.drop("snapshots/")
		w.drop("trees/")
		res := w.rebuild(w.open())
		if len(res.Remade) != n || len(res.Problems) > 0 {
			t.Errorf("%d indexes: %+v", n, res)
		}
		w.clean()
	})
}

// TestIndexProblems: what is no whole archive gets no index.
func TestIndexProblems(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Write(files)
		w.backup()
		keys := w.Keys("archives/")
		w.drop("indexes/")
		damage := []func(b []byte) []byte{
			func(b []byte) []byte { return b[:len(b)-1] },
			func(b []byte) []byte { return nil },
			func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		}
		for i, d := range damage {
			w.Store.Plant(keys[i], d(w.Store.Bytes(keys[i])))
		}
		res := w.rebuild(w.open())
		var bad []string
		for _, p := range res.Problems {
			if p.Err == nil || p.Advice == "" {
				t.Errorf("%+v", p)
			}
			bad = append(bad, p.Key)
		}
		if !slices.Equal(bad, keys[:3]) || len(res.Remade) != len(keys)-3 {
			t.Errorf("problems with %v of %v, %d remade", bad, keys, len(res.Remade))
		}
	})
}

// TestCold: nothing cold is read, and what has to be thawed is named.
func TestCold(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Class = tarn.DeepArchive
		w.Write(files)
		w.backup()
		w.drop("indexes/")
		w.Store.ResetRequests()
		res := w.rebuild(w.open())
		if !slices.Equal(res.Cold, w.Keys("archives/")) || len(res.Remade) > 0 || len(res.Problems) > 0 {
			t.Errorf("%+v", res)
		}
		if w.gets("archives/") > 0 {
			t.Error("cold archives were read")
		}
	})
}

func TestColdTree(t *testing.T) {
	w := newWorld(t, false)
	w.Class = tarn.Glacier
	w.Write(files)
	s := w.backup()
	w.drop("trees/")
	res := w.rebuild(w.open())
	if len(res.Trees) != len(s.Splits) || len(res.Replaced) > 0 || !slices.Equal(res.Cold, w.Keys("archives/")) {
		t.Errorf("%+v", res)
	}
	for _, x := range res.Trees {
		if x.Outcome != rebuild.Waiting {
			t.Errorf("%+v", x)
		}
	}
}

// TestTreesExact: trees of which archives know everything come back as they were.
func TestTreesExact(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Write(files)
		if err := os.Symlink("nowhere", filepath.Join(w.Source, "a", "link")); err != nil {
			t.Fatal(err)
		}
		w.Write(map[string]string{"a/empty": "x"})
		if err := os.Truncate(filepath.Join(w.Source, "a", "empty"), 0); err != nil {
			t.Fatal(err)
		}
		first := w.backup()
		w.Write(map[string]string{"a/2": "changed in place"}) // the directory stays as it was
		second := w.backup()
		for _, m := range []*machine{w.machine, w.open()} {
			want := rebuild.Copied
			if m != w.machine {
				want = rebuild.Exact
			}
			n := w.drop("trees/")
			res := w.rebuild(m)
			if len(res.Trees) != n || len(res.Replaced) > 0 || len(res.Problems) > 0 {
				t.Errorf("%+v", res)
			}
			for _, x := range res.Trees {
				if x.Outcome != want || x.Had != x.Has {
					t.Errorf("%+v, want %s", x, want)
				}
			}
			w.clean()
		}
		m := w.open()
		w.rebuild(m)
		if got := w.restored(m, first.ID)["a/2"]; got != "two" {
			t.Errorf("a/2 was %q", got)
		}
		if got := w.restored(m, second.ID)["a/2"]; got != "changed in place" {
			t.Errorf("a/2 is %q", got)
		}
	})
}

// TestTreesPartial: of what archives do not know, a new snapshot says so, and
// a restore of it works.
func TestTreesPartial(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Write(files)
		w.backup()
		if err := os.Rename(filepath.Join(w.Source, "b", "1"), filepath.Join(w.Source, "a", "moved")); err != nil {
			t.Fatal(err)
		}
		w.Write(map[string]string{"a/2": "changed", "a/deep/new": "new"})
		lost := w.backup()
		i := slices.IndexFunc(lost.Splits, func(sp repo.Split) bool { return sp.Path == "src/a" })
		m := w.open()
		w.Store.Drop(m.repo.TreeKey(lost.Splits[i].Tree))
		res := w.rebuild(m)
		if len(res.Trees) != 1 || res.Trees[0].Outcome != rebuild.Partial || res.Trees[0].Split != "src/a" || len(res.Replaced) != 1 ||
			res.Replaced[0].Lost != lost.ID || res.Replaced[0].New <= lost.ID {
			t.Fatalf("%+v", res)
		}
		s := must[*repo.Snapshot](t)(m.repo.Snapshot(t.Context(), res.Replaced[0].New))
		if !slices.Contains(s.Tags, "rebuilt") || s.Options["rebuilt_from"] != string(lost.ID) || s.ErrorCount != 1 || !s.Time.Equal(lost.Time) {
			t.Errorf("%+v", s)
		}
		want := map[string]string{}
		maps.Copy(want, files)
		delete(want, "b/1") // is not in src/b any more, and that it is in src/a was in the lost tree alone
		want["a/2"], want["a/deep/new"] = "changed", "new"
		if got := w.restored(m, s.ID); !maps.Equal(got, want) {
			t.Errorf("restored %v, want %v", got, want)
		}
		if again := w.rebuild(w.open()); len(again.Replaced) > 0 || len(again.Trees) != 1 {
			t.Errorf("a rebuild after it made %+v", again)
		}
	})
}

// TestTreesLost: of a tree that nothing is known of, nothing is made up.
func TestTreesLost(t *testing.T) {
	w := newWorld(t, false)
	w.Write(files)
	s := w.backup()
	for _, prefix := range []string{"trees/", "archives/src/a/"} {
		w.drop(prefix)
	}
	res := w.rebuild(w.open())
	got := map[string]rebuild.Outcome{}
	for _, x := range res.Trees {
		got[x.Split] = x.Outcome
	}
	if got["src/a"] != rebuild.Lost || got["src/b"] != rebuild.Exact || len(got) != len(s.Splits) {
		t.Errorf("%v", got)
	}
	if len(res.Replaced) != 1 || len(res.Problems) != 1 {
		t.Fatalf("%+v", res)
	}
	m := w.open()
	w.rebuild(m)
	if got := w.restored(m, res.Replaced[0].New); len(got) != len(files)-3 || got["b/1"] != "b one" {
		t.Errorf("restored %v", got)
	}
}

// TestStorageFails: where the storage fails, nothing less is put in the place
// of what was lost.
func TestStorageFails(t *testing.T) {
	w := newWorld(t, true)
	w.Write(files)
	w.backup()
	w.drop("trees/")
	key := w.Keys("archives/")[0]
	w.Store.SetHook(func(q storagetest.Request) storagetest.Fault {
		if q.Op == storagetest.OpGet && q.Key == key {
			return storagetest.Fault{Kind: storagetest.CutBody, At: 100}
		}
		return storagetest.Fault{}
	})
	m := w.open()
	res := w.rebuild(m)
	waiting := slices.DeleteFunc(res.Trees, func(x rebuild.Tree) bool { return x.Outcome == rebuild.Exact })
	if len(waiting) != 1 || waiting[0].Outcome != rebuild.Waiting || len(res.Replaced) > 0 || len(res.Problems) != 1 || res.Problems[0].Advice == "" {
		t.Errorf("%+v", res)
	}
	w.Store.SetHook(nil)
	if res = w.rebuild(m); len(res.Trees) != 1 || res.Trees[0].Outcome != rebuild.Exact || len(res.Problems) > 0 {
		t.Errorf("afterwards: %+v", res)
	}
	w.clean()
}

// TestLinks: names of one file are names of one file again.
func TestLinks(t *testing.T) {
	w := newWorld(t, false)
	w.Write(files)
	if err := os.Link(filepath.Join(w.Source, "a", "1"), filepath.Join(w.Source, "a", "1 again")); err != nil {
		t.Skipf("no hard links here: %v", err)
	}
	w.backup()
	w.drop("trees/")
	m := w.open()
	res := w.rebuild(m)
	if len(res.Replaced) != 1 {
		t.Fatalf("%+v", res)
	}
	s := must[*repo.Snapshot](t)(m.repo.Snapshot(t.Context(), res.Replaced[0].New))
	inodes := map[uint64]int{}
	for e, err := range m.repo.Entries(t.Context(), s, []string{"src/a"}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == tarn.TypeFile {
			inodes[e.Inode]++
		}
	}
	if len(inodes) != 2 || inodes[0] != 2 {
		t.Errorf("%v", inodes)
	}
	if got := w.restored(m, s.ID); got["a/1 again"] != "one" {
		t.Errorf("%v", got)
	}
}

// TestRandomLoss: whatever indexes and trees are lost or damaged, a rebuild
// ends without an error, touches nothing that is there, and is done: another adds nothing.
func TestRandomLoss(t *testing.T) {
	e2e.Fewer(t, "30")
	for _, encrypt := range []bool{false, true} {
		w := newWorld(t, encrypt)
		w.Write(files)
		w.backup()
		w.Write(map[string]string{"a/2": "changed", "b/2": "b one", "e/new": "new"})
		w.backup()
		w.Write(map[string]string{"a/2": "", "b/1": "b changed"})
		w.backup()
		whole := w.Store
		rapid.Check(t, func(rt *rapid.T) {
			w.Store = whole.Clone()
			keys := slices.DeleteFunc(w.Store.Keys(), func(k string) bool { return k == "tarn.json" || strings.HasPrefix(k, "keys/") })
			for range rapid.IntRange(1, 6).Draw(rt, "losses") {
				key := rapid.SampledFrom(keys).Draw(rt, "key")
				if data := w.Store.Bytes(key); len(data) > 0 && rapid.IntRange(0, 3).Draw(rt, "how") == 0 {
					data[rapid.IntRange(0, len(data)-1).Draw(rt, "at")] ^= 4
					w.Store.Plant(key, data)
				} else {
					w.Store.Drop(key)
				}
			}
			w.rebuild(w.open())
			after := w.Store.Keys()
			again := w.rebuild(w.open())
			if t.Failed() {
				rt.Fatal("see above")
			}
			if !slices.Equal(after, w.Store.Keys()) {
				rt.Fatalf("a second rebuild made %+v", again)
			}
		})
	}
}

// TestInterrupted: a rebuild that ends at any request goes on in the next.
func TestInterrupted(t *testing.T) {
	w := newWorld(t, true)
	w.Write(files)
	w.backup()
	w.drop("indexes/")
	w.drop("trees/")
	whole := w.Store
	for n := 1; ; n += 7 {
		w.Store = whole.Clone()
		m := w.open()
		w.Store.ResetRequests()
		w.Store.SetHook(storagetest.FailFrom(n, storagetest.Fault{Kind: storagetest.FailBefore}))
		ctx, cancel := context.WithCancel(t.Context())
		_, err := rebuild.Run(ctx, rebuild.Config{Repo: m.repo, Contents: m.contents, Dir: t.TempDir()})
		cancel()
		if err == nil && w.Store.Count() < n {
			break
		}
		if err != nil && !errors.Is(err, storagetest.ErrInjected) {
			t.Fatalf("request %d: %v", n, err)
		}
		w.Store.SetHook(nil)
		if res := w.rebuild(m); len(res.Problems) > 0 {
			t.Fatalf("after an end at request %d: %+v", n, res.Problems)
		}
		w.clean()
	}
}

// TestWrongName: an archive under another name than its split's gets no index
// that would lie.
func TestWrongName(t *testing.T) {
	w := newWorld(t, false)
	w.Write(files)
	w.backup()
	key := w.Keys("archives/src/b/")[0]
	data := w.Store.Bytes(key)
	w.Store.Drop(key)
	w.drop("indexes/")
	moved := strings.Replace(key, "src/b", "other", 1)
	w.Store.Plant(moved, data)
	res := w.rebuild(w.open())
	if len(res.Problems) != 1 || res.Problems[0].Key != moved || !errors.Is(res.Problems[0].Err, tarn.ErrDamaged) {
		t.Errorf("%+v", res.Problems)
	}
	if !bytes.Equal(w.Store.Bytes(moved), data) {
		t.Error("it was touched")
	}
}
