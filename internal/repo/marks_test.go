package repo

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/tarn-backup/tarn"
)

// looked is an entry as a walk sees it.
func looked(t *rapid.T, path string) tarn.Entry {
	small := rapid.Uint32Range(0, 2)
	when := func(name string) tarn.Timespec {
		return tarn.Timespec{Sec: rapid.Int64Range(-1, 1).Draw(t, name), Nsec: int32(rapid.Uint32Range(0, 1).Draw(t, name))}
	}
	return tarn.Entry{
		Path: path, Type: rapid.SampledFrom([]tarn.Type{tarn.TypeFile, tarn.TypeDir, tarn.TypeChar}).Draw(t, "type"),
		Size: rapid.Int64Range(0, 2).Draw(t, "size"), MTime: when("mtime"), CTime: when("ctime"),
		Mode: small.Draw(t, "mode"), UID: small.Draw(t, "uid"), GID: small.Draw(t, "gid"),
		User: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "user"), Group: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "group"),
		Inode: uint64(small.Draw(t, "inode")), Major: small.Draw(t, "major"), Minor: small.Draw(t, "minor"),
	}
}

// same is what marks stand for.
func sameLook(a, b tarn.Entry) bool {
	return a.Path == b.Path && a.Type == b.Type && a.Size == b.Size && a.MTime == b.MTime && a.CTime == b.CTime && a.Mode == b.Mode &&
		a.UID == b.UID && a.GID == b.GID && a.User == b.User && a.Group == b.Group && a.Inode == b.Inode && a.Major == b.Major && a.Minor == b.Minor
}

// TestMarks: marks tell a difference in each thing that a look tells, and in
// nothing else.
func TestMarks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &Repo{cache: &memoryCache{}}
		paths := []string{"a", "a/b", "a/c"}
		w, err := r.NewMarks()
		if err != nil {
			t.Fatal(err)
		}
		var sp Split
		var list []tarn.Entry
		for _, p := range paths {
			e := looked(t, p)
			list = append(list, e)
			sp.Add(&e)
			w.Add(&e)
		}
		if err := w.Keep(sp.Tree); err != nil {
			t.Fatal(err)
		}
		m := r.Marks(sp)
		if m == nil {
			t.Fatal("no marks")
		}
		defer m.Close()
		for i := range list {
			e := list[i]
			if rapid.Bool().Draw(t, "other") {
				e = looked(t, rapid.SampledFrom([]string{e.Path, e.Path + "x"}).Draw(t, "path"))
			}
			e.Content, e.Target = tarn.ContentHash{1}, "x"
			if got, want := m.Next(&e), sameLook(e, list[i]); got != want {
				t.Fatalf("entry %d: %v, want %v", i, got, want)
			} else if !got {
				return
			}
		}
		if !m.Ended() || m.Next(&list[0]) {
			t.Error("the marks go on")
		}
	})
}

// TestDamagedMarks: a file of marks of which one bit or the end is wrong, or
// that belongs to another number of entries, is not used.
func TestDamagedMarks(t *testing.T) {
	c := &memoryCache{}
	r := &Repo{cache: c}
	w, err := r.NewMarks()
	if err != nil {
		t.Fatal(err)
	}
	sp := Split{Counts: Counts{Files: 3}}
	for _, p := range []string{"a", "b", "c"} {
		w.Add(&tarn.Entry{Path: p, Type: tarn.TypeFile})
	}
	if err := w.Keep(sp.Tree); err != nil {
		t.Fatal(err)
	}
	name := marksName(sp.Tree)
	good := c.files[name]
	if m := r.Marks(sp); m == nil {
		t.Fatal("no marks")
	}
	for _, files := range []int64{0, 2, 4} {
		if r.Marks(Split{Counts: Counts{Files: files}}) != nil {
			t.Errorf("marks of 3 entries stand for %d", files)
		}
	}
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 1 << (i % 8)
		c.files[name] = bad
		if r.Marks(sp) != nil {
			t.Errorf("byte %d is wrong, and the marks are used", i)
		}
		c.files[name] = good[:i]
		if r.Marks(sp) != nil {
			t.Errorf("marks of %d bytes are used", i)
		}
	}
}
