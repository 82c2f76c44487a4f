package browse

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

func newRepo(t testing.TB) *repo.Repo {
	t.Helper()
	r, err := repo.Create(t.Context(), storagetest.NewMemory(), repo.CreateOptions{Compression: "default", StorageClass: tarn.Standard})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// snapshot commits entries, cut into splits at the given paths. Entries are
// path → owner, who stands for all that may differ.
func snapshot(t testing.TB, r *repo.Repo, n int, entries map[string]uint32, splits ...string) *repo.Snapshot {
	t.Helper()
	slices.SortFunc(splits, tarn.ComparePaths)
	paths := slices.SortedFunc(maps.Keys(entries), tarn.ComparePaths)
	s := &repo.Snapshot{ID: tarn.SnapshotID(tarn.FormatID(time.Unix(int64(1e9+n), 0), [8]byte{byte(n), 0xab})), Host: fmt.Sprintf("h%d", n%2)}
	var ids []tarn.TreeID
	for _, split := range splits {
		w, err := r.NewTree()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			mine := ""
			for _, sp := range splits {
				if tarn.Within(p, sp) && len(sp) > len(mine) {
					mine = sp
				}
			}
			if mine != split {
				continue
			}
			if err := w.Add(&tarn.Entry{Path: p, Type: tarn.TypeDir, Mode: 0o755, UID: entries[p]}); err != nil {
				t.Fatal(err)
			}
		}
		tree, err := w.Finish()
		if err != nil {
			t.Fatal(err)
		}
		s.Splits = append(s.Splits, repo.Split{Path: split, Tree: tree.ID, Size: tree.Size, Counts: tree.Counts})
		ids = append(ids, tree.ID)
	}
	s.Sources = []repo.SourceInfo{{Name: "s", Path: "/home/s"}}
	s.Tags = []string{fmt.Sprintf("t%d", n%3)}
	none := make(chan *repo.Archive)
	close(none)
	err := r.Commit(t.Context(), repo.Run{
		Archives: none, Trees: func() ([]tarn.TreeID, error) { return ids, nil }, Snapshot: func() (*repo.Snapshot, error) { return s, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tree draws entries below s, with their parents, and some splits.
func tree(t *rapid.T) (entries map[string]uint32, splits []string) {
	entries = map[string]uint32{"s": 0}
	names := rapid.SampledFrom([]string{"a", "a.b", "b", "a-", "\x01", "é"})
	for range rapid.IntRange(0, 12).Draw(t, "entries") {
		p := "s"
		for range rapid.IntRange(1, 3).Draw(t, "depth") {
			p += "/" + names.Draw(t, "name")
			if _, ok := entries[p]; !ok {
				entries[p] = rapid.Uint32Range(0, 1).Draw(t, "owner")
			}
		}
	}
	splits = []string{"s"}
	for p := range maps.Keys(entries) {
		if p != "s" && len(p)%3 == 0 { // as any choice, but the same for the same path
			splits = append(splits, p)
		}
	}
	if rapid.Bool().Draw(t, "one split") {
		splits = splits[:1]
	}
	return entries, splits
}

// TestDiff holds the difference of two snapshots against that of two maps,
// however each is cut into splits; and the order of entries, too.
func TestDiff(t *testing.T) {
	r := newRepo(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n += 2
		oldEntries, oldSplits := tree(rt)
		newEntries, newSplits := tree(rt)
		a, b := snapshot(t, r, n, oldEntries, oldSplits...), snapshot(t, r, n+1, newEntries, newSplits...)
		var order []string
		for e, err := range r.Entries(t.Context(), b, nil) {
			if err != nil {
				rt.Fatal(err)
			}
			order = append(order, e.Path)
		}
		if want := slices.SortedFunc(maps.Keys(newEntries), tarn.ComparePaths); !slices.Equal(order, want) {
			rt.Fatalf("splits %q: entries\n     %q\nwant %q", newSplits, order, want)
		}
		var want []string
		for p, owner := range oldEntries {
			if now, ok := newEntries[p]; !ok {
				want = append(want, "removed "+p)
			} else if now != owner {
				want = append(want, "metadata "+p)
			}
		}
		for p := range newEntries {
			if _, ok := oldEntries[p]; !ok {
				want = append(want, "added "+p)
			}
		}
		var got []string
		for c, err := range Diff(t.Context(), r, a, b, func(_ repo.Split, err error) error { return err }) {
			if err != nil {
				rt.Fatal(err)
			}
			got = append(got, string(c.Kind)+" "+c.Path)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			rt.Fatalf("splits %q and %q:\n got %q\nwant %q", oldSplits, newSplits, got, want)
		}
	})
}

// TestDiffUnreadable: a lost tree says nothing of what lies in it, and hides
// nothing of what lies beside it.
func TestDiffUnreadable(t *testing.T) {
	home := storagetest.NewMemory()
	made, err := repo.Create(t.Context(), home, repo.CreateOptions{Compression: "default", StorageClass: tarn.Standard})
	if err != nil {
		t.Fatal(err)
	}
	a := snapshot(t, made, 1, map[string]uint32{"s": 0, "s/a": 1, "s/a/x": 1, "s/b": 1, "s/b/x": 1, "s/c": 1}, "s")
	b := snapshot(t, made, 2, map[string]uint32{"s": 0, "s/a": 2, "s/a/x": 2, "s/b": 2, "s/b/x": 2, "s/c": 2, "s/d": 2}, "s", "s/a", "s/b")
	for _, sp := range b.Splits {
		if sp.Path == "s/b" {
			if err := storagetest.NewRemover(home).Remove(t.Context(), "trees/"+sp.Tree.String()+".jsonl.zst"); err != nil {
				t.Fatal(err)
			}
		}
	}
	r, err := repo.Open(t.Context(), home, repo.Options{}) // with a cache of its own
	if err != nil {
		t.Fatal(err)
	}
	var lost, got []string
	for c, err := range Diff(t.Context(), r, a, b, func(sp repo.Split, _ error) error { lost = append(lost, sp.Path); return nil }) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(c.Kind)+" "+c.Path)
	}
	if want := "metadata s/a, metadata s/a/x, metadata s/c, added s/d"; strings.Join(got, ", ") != want || !slices.Equal(lost, []string{"s/b"}) {
		t.Errorf("%q, want %s; lost %q", got, want, lost)
	}
	for _, err := range Diff(t.Context(), r, a, b, func(_ repo.Split, err error) error { return err }) {
		if err != nil {
			return
		}
	}
	t.Error("no error")
}

func TestEntry(t *testing.T) {
	r := newRepo(t)
	s := snapshot(t, r, 1, map[string]uint32{"s": 0, "s/a": 1, "s/a/b": 2, "s/a.b": 3, "s/c": 4}, "s", "s/a")
	for p, owner := range map[string]uint32{"s": 0, "s/a": 1, "s/a/b": 2, "s/a.b": 3, "s/c": 4} {
		if e, err := Entry(t.Context(), r, s, p); err != nil || e.Path != p || e.UID != owner {
			t.Errorf("%s: %+v, %v", p, e, err)
		}
	}
	for _, p := range []string{"s/b", "t", "s/a/b/c", "s/a."} {
		if e, err := Entry(t.Context(), r, s, p); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %+v, %v", p, e, err)
		}
	}
	var got []string
	for e, err := range r.EntriesAndParents(t.Context(), s, []string{"s/a/b", "s/c"}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Path)
	}
	if want := "s s/a s/a/b s/c"; strings.Join(got, " ") != want {
		t.Errorf("entries and parents %q, want %s", got, want)
	}
}

func TestMatch(t *testing.T) {
	tests := []struct {
		pattern, name string
		want          bool
	}{
		{"IMG", "s/2010/img_1.jpg", true}, {"2010", "s/2010/img_1.jpg", false}, {"2010/img", "s/2010/IMG_1.jpg", true}, {"*.jpg", "s/2010/a.jpg", true},
		{"*.JPG", "s/a.jpg", false}, {"s/*/a.jpg", "s/2010/a.jpg", true}, {"s/*/a.jpg", "s/2010/x/a.jpg", false}, {"s/**/a.jpg", "s/2010/x/a.jpg", true},
		{"s/**/a.jpg", "s/a.jpg", true}, {"**/a.jpg", "a.jpg", true}, {"s/**", "s", true}, {"s/**", "s/a/b", true}, {"s/**", "t/a", false}, {"**/x/**/y/**", "a/x/b/c/y", true},
		{"**/x/**/y/**", "a/y/b/c/x", false}, {"/s/*/", "s/a", true}, {"a?[0-9].jpg", "s/ab7.jpg", true}, {"", "s/anything", true}, {"é*", "s/éa", true}, {"**/**", "s", true},
	}
	for _, test := range tests {
		if got, err := Match(test.pattern, test.name); err != nil || got != test.want {
			t.Errorf("%q on %q: %t, %v", test.pattern, test.name, got, err)
		}
	}
	for _, p := range []string{"[", "a[", "s/[", "s/*/[a", `*\`, "x/*/[]"} {
		if got, err := Match(p, "s/a/b"); err == nil {
			t.Errorf("%q matches: %t", p, got)
		}
	}
}

// matchSlowly is Match's ** by trying everything.
func matchSlowly(pattern, name string) bool {
	if pattern == "" {
		return name == ""
	}
	p, rest, _ := strings.Cut(pattern, "/")
	if p == "**" {
		return matchSlowly(rest, name) || name != "" && matchSlowly(pattern, after(name))
	}
	n, _, _ := strings.Cut(name, "/")
	return name != "" && (p == "*" || p == n) && matchSlowly(rest, after(name))
}

func after(s string) string {
	_, rest, _ := strings.Cut(s, "/")
	return rest
}

func TestMatchModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		pattern := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"**", "*", "a", "b"}), 2, 5).Draw(rt, "pattern"), "/")
		name := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 6).Draw(rt, "name"), "/")
		if !strings.Contains(pattern, "*") {
			return
		}
		if got, err := Match(pattern, name); err != nil || got != matchSlowly(pattern, name) {
			rt.Fatalf("%s on %s: %t, %v", pattern, name, got, err)
		}
	})
}

// FuzzMatch: any pattern ends soon. One with twenty ** took hours once.
func FuzzMatch(f *testing.F) {
	f.Add(strings.Repeat("**/", 40)+"x", strings.Repeat("a/", 60)+"y")
	f.Add(strings.Repeat("*a", 40)+"b", strings.Repeat("a", 200))
	f.Add("s/**/[a-", "s/a")
	f.Add("IMG", "s/img")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern)+len(name) > 4096 {
			return
		}
		if got, err := Match(pattern, name); got && err != nil {
			t.Errorf("%q on %q matches with %v", pattern, name, err)
		}
	})
}

func TestCleanPaths(t *testing.T) {
	for in, want := range map[string]string{"a": "a", "/a/b/": "a/b", "./a": "a", "a/../b": "b", "a//b": "a/b"} {
		if got, err := CleanPaths([]string{in}); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{".", "/", "a/.."} {
		if got, err := CleanPaths([]string{"x", in}); err != nil || got != nil {
			t.Errorf("%q: %q, %v; want everything", in, got, err)
		}
	}
	for _, in := range []string{"", "..", "../a", "a/../../b", "a\x00"} {
		if got, err := CleanPaths([]string{in}); err == nil {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestFind(t *testing.T) {
	r := newRepo(t)
	var list []*repo.Snapshot
	for n := 1; n <= 4; n++ {
		list = append(list, snapshot(t, r, n, map[string]uint32{"s": uint32(n)}, "s"))
	}
	for name, want := range map[string]int{
		"latest": 3, "latest~0": 3, "latest~2": 1, string(list[1].ID): 1, string(list[2].ID)[:17]: 2, "03ab": 2, "04": 3,
	} {
		if s, err := Find(t.Context(), r, name, Filter{}); err != nil || s.ID != list[want].ID {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
	for _, name := range []string{"", "latest~4", "latest~-1", "latest~x", "latestx", "ff", "0", "2001"} {
		if s, err := Find(t.Context(), r, name, Filter{}); err == nil {
			t.Errorf("%q: %s", name, s.ID)
		}
	}
	for f, want := range map[*Filter][]int{
		{}: {0, 1, 2, 3}, {Host: "h1"}: {0, 2}, {Tags: []string{"t1"}}: {0, 3}, {Host: "h1", Tags: []string{"t1"}}: {0}, {Path: "/home/s"}: {0, 1, 2, 3}, {Path: "s"}: {0, 1, 2, 3}, {Path: "x"}: {},
	} {
		got, err := Snapshots(t.Context(), r, *f, func(id tarn.SnapshotID, err error) error { return err })
		if err != nil || len(got) != len(want) {
			t.Errorf("%+v: %d snapshots, %v", f, len(got), err)
			continue
		}
		for i := range got {
			if got[i].ID != list[want[i]].ID {
				t.Errorf("%+v: %s", f, got[i].ID)
			}
		}
	}
	if s, err := Find(t.Context(), r, "latest", Filter{Host: "h1"}); err != nil || s.ID != list[2].ID {
		t.Errorf("latest of h1: %v, %v", s, err)
	}
}
