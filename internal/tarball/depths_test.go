package tarball_test

import (
	"archive/tar"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
	"github.com/tarn-backup/tarn/internal/tarball"
)

// deep is a backup that is run at several split depths, a minute apart.
type deep struct {
	*testing.T
	s    *storagetest.Memory
	path string
	now  time.Time
}

func newDeep(t *testing.T, files map[string]string) *deep {
	d := &deep{T: t, s: storagetest.NewMemory(), path: folder(t, files), now: now}
	d.s.SetNow(func() time.Time { return d.now })
	return d
}

// run returns the keys of the archives that it says get stale.
func (d *deep) run(depth int) (stale []string) {
	d.Helper()
	d.now = d.now.Add(time.Minute)
	res, err := tarball.Run(d.Context(), tarball.Config{
		Storage: d.s, Name: "disk", Path: d.path, SplitDepth: depth, Class: tarn.Standard, Now: func() time.Time { return d.now },
	})
	if err != nil || res.Problems > 0 {
		d.Fatalf("%+v, %v", res, err)
	}
	for _, a := range res.Stale {
		stale = append(stale, a.Key)
	}
	return stale
}

// write changes files; one without content is deleted.
func (d *deep) write(files map[string]string) {
	d.Helper()
	for name, text := range files {
		path := filepath.Join(d.path, name)
		err := os.RemoveAll(path)
		if err == nil && text != "" {
			if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
				err = os.WriteFile(path, []byte(text), 0o644)
			}
		}
		if err != nil {
			d.Fatal(err)
		}
	}
}

// back restores all but what is superseded, in both orders, and returns what came
// back and what newer archives say of others.
func (d *deep) back() (map[string]string, map[string]*tarball.Superseded) {
	d.Helper()
	b, err := tarball.Look(d.Context(), d.s, "disk", now)
	if err != nil {
		d.Fatal(err)
	}
	newer, err := tarball.Supersede(d.Context(), d.s, b.Archives, b.Archives)
	if err != nil {
		d.Fatal(err)
	}
	said := map[string]*tarball.Superseded{}
	for t, n := range newer {
		said[t.Title()] = n
	}
	var all []map[string]string
	for range 2 {
		dir := d.TempDir()
		for _, t := range b.Archives {
			if n := newer[t]; n != nil && n.Left == 0 {
				continue
			}
			_, problems, err := restored(d, tarball.Restoring{Storage: d.s, Tarball: t, Overwrite: tarball.Changed, Newer: newer[t]}, dir)
			if err != nil || len(problems) > 0 {
				d.Fatalf("%s: %v, %v", t.Title(), problems, err)
			}
		}
		all = append(all, files(d, dir))
		slices.Reverse(b.Archives)
	}
	if !maps.Equal(all[0], all[1]) {
		d.Errorf("restored in order: %v; in the other: %v", all[0], all[1])
	}
	return all[0], said
}

// Archives of several split depths overlap: each file is that of the newest, what
// was deleted stays so where a newer archive tells, and runs say which get stale.
func TestSplitDepths(t *testing.T) {
	old := map[string]string{"top": "t", "docs/f": "old", "docs/gone": "g", "docs/work/r": "old", "docs/work/gone": "g", "docs/other/x": "x"}
	change := map[string]string{"docs/f": "new", "docs/gone": "", "docs/work/r": "new", "docs/work/gone": "", "docs/work/born": "b"}
	want := map[string]string{"top": "t", "docs/f": "new", "docs/work/r": "new", "docs/work/born": "b", "docs/other/x": "x"}
	for _, c := range []struct {
		name      string
		from, to  int
		stale     []string
		left      map[string]int64 // of those that are superseded
		gone      map[string]int64
		otherGone bool // also the folder docs/other is deleted
		comesBack bool // which no newer archive tells
	}{
		{"2 to 1", 2, 1, []string{"disk/docs/_files.tar.gz", "disk/docs/other.tar.gz", "disk/docs/work.tar.gz"},
			map[string]int64{"docs/_files": 0, "docs/work": 0, "docs/other": 0}, map[string]int64{"docs/_files": 1, "docs/work": 1, "docs/other": 0}, false, false},
		{"1 to 2", 1, 2, []string{"disk/docs.tar.gz"}, map[string]int64{"docs": 0}, map[string]int64{"docs": 2}, false, false},
		{"1 to 3", 1, 3, []string{"disk/docs.tar.gz"}, map[string]int64{"docs": 0}, map[string]int64{"docs": 2}, false, false},
		{"2 to 1, without a folder", 2, 1, []string{"disk/docs/_files.tar.gz", "disk/docs/other.tar.gz", "disk/docs/work.tar.gz"},
			map[string]int64{"docs/_files": 0, "docs/work": 0, "docs/other": 0}, map[string]int64{"docs/_files": 1, "docs/work": 1, "docs/other": 1}, true, false},
		{"1 to 2, without a folder", 1, 2, []string{"disk/docs.tar.gz"}, map[string]int64{"docs": 1}, map[string]int64{"docs": 2}, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDeep(t, old)
			if stale := d.run(c.from); stale != nil {
				t.Errorf("the first run leaves %q", stale)
			}
			d.write(change)
			want := maps.Clone(want)
			if c.otherGone {
				d.write(map[string]string{"docs/other": ""})
			}
			if c.otherGone && !c.comesBack {
				delete(want, "docs/other/x")
			}
			if stale := d.run(c.to); !slices.Equal(stale, c.stale) {
				t.Errorf("stale: %q, want %q", stale, c.stale)
			}
			got, said := d.back()
			if !maps.Equal(got, want) {
				t.Errorf("came back: %v, want %v", got, want)
			}
			left, gone := map[string]int64{}, map[string]int64{}
			for title, s := range said {
				left[title], gone[title] = s.Left, s.Gone
			}
			if !maps.Equal(left, c.left) || !maps.Equal(gone, c.gone) {
				t.Errorf("left: %v, want %v; gone: %v, want %v", left, c.left, gone, c.gone)
			}
		})
	}
}

// What was changed and changed back is as an older archive has it: the run says so
// by its list, so that it counts as newer than the one between.
func TestSplitDepthAndBack(t *testing.T) {
	d := newDeep(t, map[string]string{"docs/f": "f", "docs/work/r": "old"})
	d.run(2)
	d.write(map[string]string{"docs/work/r": "between"})
	d.run(1)
	d.write(map[string]string{"docs/work/r": "old"})
	keys, archive := d.s.Keys(), d.s.Bytes("disk/docs/work.tar.gz")
	if stale := d.run(2); !slices.Equal(stale, []string{"disk/docs.tar.gz"}) {
		t.Errorf("stale: %q", stale)
	}
	if !slices.Equal(d.s.Keys(), keys) || string(d.s.Bytes("disk/docs/work.tar.gz")) != string(archive) {
		t.Error("the archive was stored again")
	}
	if got, _ := d.back(); !maps.Equal(got, map[string]string{"docs/f": "f", "docs/work/r": "old"}) {
		t.Errorf("came back: %v", got)
	}
	at := func() time.Time {
		o, err := d.s.Stat(t.Context(), "disk/docs/work.tar.gz.txt")
		if err != nil {
			t.Fatal(err)
		}
		return o.Modified
	}
	was := at()
	if d.run(2); !at().Equal(was) {
		t.Error("the list was stored again, though its archive was the newest")
	}
}

// A folder that has become a file is not put in its place again.
func TestSplitDepthFolderToFile(t *testing.T) {
	d := newDeep(t, map[string]string{"docs/work/r/s": "old"})
	d.run(1)
	d.write(map[string]string{"docs/work": ""})
	d.write(map[string]string{"docs/work": "a file"})
	d.run(2)
	if got, _ := d.back(); !maps.Equal(got, map[string]string{"docs/work": "a file"}) {
		t.Errorf("came back: %v", got)
	}
}

// A folder that became a file, or a file that became a folder, is what the newest
// archive says, whether or not the depth changed and however the names sort.
func TestFolderAndFile(t *testing.T) {
	type tree map[string]string
	for _, c := range []struct {
		name          string
		depths        []int
		first, second tree // a change, which deletes what has no content
		want          tree
	}{
		{"folder to file", []int{1, 1}, tree{"x/1": "old", "y": "y"}, tree{"x": "new"}, tree{"x": "new", "y": "y"}},
		{"folder to file, sorted first", []int{1, 1}, tree{"DCIM/1": "old"}, tree{"DCIM": "new"}, tree{"DCIM": "new"}},
		{"folder to file below", []int{3, 3}, tree{"a/b/x/1": "old", "a/b/z": "z"}, tree{"a/b/x": "new"}, tree{"a/b/x": "new", "a/b/z": "z"}},
		{"folder to file above", []int{3, 3}, tree{"a/b/x/1": "old", "a/b/z": "z"}, tree{"a": "new"}, tree{"a": "new"}},
		{"file to folder", []int{1, 1}, tree{"x": "old", "y": "y"}, tree{"x": "", "x/1": "new"}, tree{"x/1": "new", "y": "y"}},
		{"the only file to a folder", []int{1, 1}, tree{"x": "old"}, tree{"x": "", "x/1": "new"}, tree{"x/1": "new"}},
		{"the only file to a deep folder", []int{3, 3}, tree{"x": "old"}, tree{"x": "", "x/y/z/1": "new"}, tree{"x/y/z/1": "new"}},
		{"file to folder, deeper", []int{1, 3}, tree{"a/x": "old"}, tree{"a/x": "", "a/x/y/1": "new"}, tree{"a/x/y/1": "new"}},
		{"and back", []int{1, 1, 1}, tree{"x/1": "old"}, tree{"x": "new"}, tree{"x/1": "old"}},
		{"and back, from a file", []int{1, 1, 1}, tree{"x": "old"}, tree{"x": "", "x/1": "new"}, tree{"x": "old"}},
		{"and back, deeper", []int{3, 2, 3}, tree{"a/b/c/1": "old"}, tree{"a": "new"}, tree{"a/b/c/1": "old"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDeep(t, c.first)
			d.run(c.depths[0])
			d.change(c.second)
			d.run(c.depths[1])
			if len(c.depths) > 2 {
				d.change(c.first)
				d.run(c.depths[2])
			}
			if got, said := d.back(); !maps.Equal(got, c.want) {
				t.Errorf("came back: %v, want %v; superseded: %v", got, c.want, said)
			}
		})
	}
}

// change writes files over whatever stands in their place or above.
func (d *deep) change(files map[string]string) {
	d.Helper()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for at := filepath.Dir(name); at != "."; at = filepath.Dir(at) {
			if info, err := os.Lstat(filepath.Join(d.path, at)); err == nil && !info.IsDir() {
				d.write(map[string]string{at: ""})
			}
		}
		d.write(map[string]string{name: files[name]})
	}
}

// An archive that was never finished, as a killed script leaves it, does not stand for
// whole ones of another depth.
func TestSplitDepthUnfinished(t *testing.T) {
	want := map[string]string{"docs/a/f": "f", "docs/g": "g"}
	d := newDeep(t, want)
	d.run(2)
	d.now = d.now.Add(time.Minute)
	d.s.Plant("disk/docs.tar.gz", packed(t, []tar.Header{{Name: "a/f"}}, "other"))
	got, said := d.back()
	if !maps.Equal(got, want) || said["docs/a"] != nil || said["docs"] == nil {
		t.Errorf("came back: %v; superseded: %v", got, said)
	}

	// One that was stored again, and not finished, is still the newest of its place.
	d.run(1)
	d.now = d.now.Add(time.Minute)
	d.s.Plant("disk/docs/a.tar.gz", packed(t, []tar.Header{{Name: "f"}}, "newest"))
	if got, _ := d.back(); !maps.Equal(got, map[string]string{"docs/a/f": "newest", "docs/g": "g"}) {
		t.Errorf("came back: %v", got)
	}
}

// A split depth of 0 has its archive elsewhere, below the name of the path.
func TestSplitDepthZero(t *testing.T) {
	d := newDeep(t, map[string]string{"top": "t", "docs/f": "f"})
	d.run(1)
	whole := "disk/" + filepath.Base(d.path) + ".tar.gz"
	if stale := d.run(0); !slices.Equal(stale, []string{"disk/_files.tar.gz", "disk/docs.tar.gz"}) {
		t.Errorf("stale: %q", stale)
	}
	if stale := d.run(1); !slices.Equal(stale, []string{whole}) {
		t.Errorf("stale: %q, want %s", stale, whole)
	}
}

// Archives of folders that are empty by now, or gone, are named: nothing else would say
// that they are there.
func TestVanished(t *testing.T) {
	d := newDeep(t, map[string]string{"a/1": "1", "b/2": "2", "c/3": "3"})
	d.run(1)
	d.write(map[string]string{"a/1": "", "b": ""})
	d.now = d.now.Add(time.Minute)
	res, err := tarball.Run(t.Context(), tarball.Config{Storage: d.s, Name: "disk", Path: d.path, SplitDepth: 1, Class: tarn.Standard, Now: func() time.Time { return d.now }})
	if err != nil || len(res.Stale) > 0 || len(res.Vanished) != 2 || res.Vanished[0].Key != "disk/a.tar.gz" || res.Vanished[1].Key != "disk/b.tar.gz" {
		t.Errorf("%+v, %v", res, err)
	}
}

// What a restore of all leaves out is not said to come back by it.
func TestVanishedSuperseded(t *testing.T) {
	d := newDeep(t, map[string]string{"docs/f": "f", "docs/work/r": "r", "docs/gone/g": "g", "docs/file/x": "x"})
	d.run(2)
	d.write(map[string]string{"docs/gone": ""})
	d.run(1)
	d.write(map[string]string{"docs/file": ""})
	d.write(map[string]string{"docs/file": "a file"})
	d.now = d.now.Add(time.Minute)
	res, err := tarball.Run(t.Context(), tarball.Config{Storage: d.s, Name: "disk", Path: d.path, SplitDepth: 2, Class: tarn.Standard, Now: func() time.Time { return d.now }})
	if err != nil || len(res.Vanished) > 0 || len(res.Superseded) != 2 || res.Superseded[0].Key != "disk/docs/file.tar.gz" || res.Superseded[1].Key != "disk/docs/gone.tar.gz" {
		t.Errorf("%+v, %v", res, err)
	}
	if got, _ := d.back(); !maps.Equal(got, map[string]string{"docs/f": "f", "docs/work/r": "r", "docs/file": "a file"}) {
		t.Errorf("came back: %v", got)
	}
}
