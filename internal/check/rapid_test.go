package check_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tarn-backup/tarn/internal/check"
	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/restore"
	"github.com/tarn-backup/tarn/internal/warm"
)

// TestRandomDamage: a check of whatever became of a repository ends without an
// error, and if it finds nothing, every file of every snapshot comes back.
func TestRandomDamage(t *testing.T) {
	e2e.Fewer(t, "50")
	clean := 0
	for _, encrypt := range []bool{false, true} {
		t.Run(fmt.Sprintf("encrypted=%v", encrypt), func(t *testing.T) {
			w := newWorld(t, encrypt)
			w.Write(map[string]string{"top": "at the top", "a/1": "one", "a/2": strings.Repeat("two ", 5000), "b/1": "b one"})
			want := []map[string]string{}
			ids := []string{}
			for _, change := range []map[string]string{{"c/1": "c one"}, {"a/1": "changed", "b/1": ""}, {"b/2": "b one"}} {
				w.Write(change)
				ids = append(ids, string(w.backup().ID))
				want = append(want, e2e.ReadFiles(t, w.Source))
			}
			whole := w.Store
			rapid.Check(t, func(rt *rapid.T) {
				w.Store = whole.Clone()
				r := randomDamage(rt, t, w)
				if r == nil {
					return
				}
				clean++
				for i, id := range ids {
					if w.Store.Bytes(r.SnapshotKey(tarnID(id))) != nil {
						restores(rt, t, w, r, id, want[i])
					}
				}
			})
		})
	}
	if clean == 0 {
		t.Error("no repository was clean")
	}
}

// randomDamage damages the repository and checks it; it returns the repository
// if the check found nothing.
func randomDamage(rt *rapid.T, t *testing.T, w *world) *repo.Repo {
	keys := w.Store.Keys()
	var harmed []string
	for range rapid.IntRange(1, 2).Draw(rt, "damages") {
		key := rapid.SampledFrom(keys).Draw(rt, "key")
		harm(rt, w, key, rapid.SampledFrom(keys).Draw(rt, "other"))
		harmed = append(harmed, key)
	}
	r, err := tryOpen(w)
	if err != nil {
		return nil // without its configuration or keys it can't be opened
	}
	res, err := check.Run(t.Context(), check.Config{Repo: r, ReadData: 100, Dir: w.dir})
	if err != nil {
		rt.Fatalf("damage of %v ended the check: %v", harmed, err)
	}
	for _, d := range res.Damages {
		if !slices.Contains(harmed, d.Key) && d.Key != "indexes/" && d.Key != "keys/" {
			rt.Fatalf("%s is said to be damaged (%s), of %v", d.Key, d.Problem, harmed)
		}
	}
	if len(res.Damages) > 0 {
		return nil
	}
	return r
}

// harm damages an object in one of the ways.
func harm(rt *rapid.T, w *world, key, other string) {
	data := w.Store.Bytes(key)
	switch at := rapid.IntRange(0, 1<<30).Draw(rt, "at"); rapid.SampledFrom([]string{"drop", "cut", "flip", "swap", "grow"}).Draw(rt, "how") {
	case "drop":
		w.Store.Drop(key)
	case "cut":
		w.Store.Plant(key, data[:at%(len(data)+1)])
	case "flip":
		if len(data) > 0 {
			data[at%len(data)] ^= 1 << (at % 8)
		}
		w.Store.Plant(key, data)
	case "swap":
		w.Store.Plant(key, w.Store.Bytes(other))
	case "grow":
		w.Store.Plant(key, append(data, bytes.Repeat([]byte{byte(at)}, at%1000)...))
	}
}

func restores(rt *rapid.T, t *testing.T, w *world, r *repo.Repo, id string, want map[string]string) {
	target, err := os.MkdirTemp(w.dir, "target")
	if err != nil {
		rt.Fatal(err)
	}
	defer os.RemoveAll(target)
	contents := w.emptyContents(filepath.Join(target, ".contents"))
	defer contents.Close()
	if _, err := warm.Sync(t.Context(), r, contents, quiet); err != nil {
		rt.Fatal(err)
	}
	s, err := r.Snapshot(t.Context(), tarnID(id))
	if err != nil {
		rt.Fatal(err)
	}
	res, err := restore.Run(t.Context(), restore.Config{Repo: r, Contents: contents, Snapshot: s, Target: filepath.Join(target, "out"), Overwrite: restore.Changed,
		Problem: func(path string, err error) { rt.Errorf("%s: %v", path, err) }})
	if err != nil || res.Problems > 0 {
		rt.Fatalf("a clean repository gives back %+v, %v", res, err)
	}
	got := e2e.ReadFiles(t, filepath.Join(target, "out", "src"))
	if len(got) != len(want) {
		rt.Fatalf("restored %d files of %d", len(got), len(want))
	}
	for p, c := range want {
		if got[p] != c {
			rt.Fatalf("%s has other content", p)
		}
	}
}
