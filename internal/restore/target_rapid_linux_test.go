package restore

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/tarn-backup/tarn"
)

// model is what a target is to hold: entries by path, and content of files.
type model struct {
	entries map[string]*tarn.Entry
	content map[string]string
}

var (
	drawName = rapid.SampledFrom([]string{"a", "b", "c", "a.b", "\xff", "n\nl", "-rf", strings.Repeat("x", 255), ".tarn-0123456789abcdef"})
	drawMode = rapid.SampledFrom([]uint32{0, 0o400, 0o555, 0o644, 0o755, 0o1777, 0o2775, 0o4711, 0o7777})
)

func drawEntry(t *rapid.T, path string) (*tarn.Entry, string) {
	typ := rapid.SampledFrom([]tarn.Type{
		tarn.TypeDir, tarn.TypeDir, tarn.TypeFile, tarn.TypeFile, tarn.TypeSymlink, tarn.TypeFIFO, tarn.TypeSocket,
	}).Draw(t, "type")
	content := ""
	if typ == tarn.TypeFile {
		for range rapid.IntRange(0, 3).Draw(t, "stretches") {
			n := rapid.SampledFrom([]int{1, 100, 4095, 4096, 10000}).Draw(t, "length")
			content += strings.Repeat(rapid.SampledFrom([]string{"\x00", "x"}).Draw(t, "byte"), n)
		}
	}
	e := fileEntry(path, content)
	e.Type, e.Mode = typ, drawMode.Draw(t, "mode")
	e.MTime = tarn.Timespec{
		Sec:  rapid.Int64Range(-1<<31+1, 1<<33).Draw(t, "sec"),
		Nsec: rapid.Int32Range(0, 999999999).Draw(t, "nsec"),
	}
	if os.Geteuid() == 0 {
		e.UID, e.GID = rapid.Uint32Range(0, 3).Draw(t, "uid"), rapid.Uint32Range(0, 3).Draw(t, "gid")
	} else {
		e.Mode = e.Mode&0o1777 | 0o700
	}
	switch typ {
	case tarn.TypeSymlink:
		e.Mode, e.Target = 0o777, rapid.SampledFrom([]string{"a", "..", "/", "../..", "\xff"}).Draw(t, "target")
	case tarn.TypeFile:
		e.Sparse = rapid.Bool().Draw(t, "sparse")
		fallthrough
	case tarn.TypeDir:
		if rapid.Bool().Draw(t, "xattr") {
			e.Xattrs = []tarn.Xattr{{Name: "user.x", Value: rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "value")}}
		}
	}
	return e, content
}

// drawTree draws a tree whose directories have entries.
func drawTree(t *rapid.T) model {
	m := model{map[string]*tarn.Entry{}, map[string]string{}}
	dirs := []string{""}
	for range rapid.IntRange(0, 25).Draw(t, "entries") {
		path := strings.TrimPrefix(rapid.SampledFrom(dirs).Draw(t, "dir")+"/"+drawName.Draw(t, "name"), "/")
		if m.entries[path] != nil {
			continue
		}
		m.entries[path], m.content[path] = drawEntry(t, path)
		if m.entries[path].Type == tarn.TypeDir {
			dirs = append(dirs, path)
		}
	}
	return m
}

// restoreTree writes the tree in the order of paths and removes everything else.
func restoreTree(target *Target, m model) error {
	for _, path := range slices.SortedFunc(maps.Keys(m.entries), tarn.ComparePaths) {
		e := m.entries[path]
		state, err := target.State(e)
		switch {
		case err != nil:
		case e.Type == tarn.TypeDir:
			err = target.Mkdir(e)
		case e.Type == tarn.TypeFile && state == Same:
			// Right by size and time alone: the model knows better.
			var sum tarn.ContentHash
			if sum, _, err = target.HashFile(context.Background(), path, -1); err == nil && sum == e.Content {
				err = target.SetMetadata(e)
			} else if err == nil {
				err = write(target, e, m.content[path])
			}
		case e.Type == tarn.TypeFile:
			err = write(target, e, m.content[path])
		case state == Same:
			err = target.SetMetadata(e)
		case e.Type == tarn.TypeSymlink:
			err = target.Symlink(e)
		default:
			err = target.Special(e)
		}
		if err != nil {
			return err
		}
	}
	return removeExtra(target, m, "")
}

func removeExtra(target *Target, m model, dir string) error {
	names, err := target.Names(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		var err error
		path := strings.TrimPrefix(dir+"/"+name, "/")
		switch e := m.entries[path]; {
		case e == nil:
			err = removeAll(target, path)
		case e.Type == tarn.TypeDir:
			err = removeExtra(target, m, path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Whatever two trees, the second restored over the first is exactly the second.
func TestTargetTrees(t *testing.T) {
	base := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(base, "")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		for range 2 {
			m := drawTree(rt)
			target, err := OpenTarget(dir, TargetOptions{Replace: true, ReplaceTrees: removeAll})
			if err != nil {
				rt.Fatal(err)
			}
			err = restoreTree(target, m)
			if err == nil {
				err = target.FinishDirs(t.Context())
			}
			if err != nil || target.Warnings() != nil {
				rt.Fatalf("restoring: %v, warnings %+v", err, target.Warnings())
			}
			if err := target.Close(); err != nil {
				rt.Fatal(err)
			}
			for path, e := range m.entries {
				full := filepath.Join(dir, path)
				if err := compare(full, e); err != nil {
					rt.Fatalf("%q: %v", path, err)
				}
				if e.Type == tarn.TypeFile {
					if b, err := os.ReadFile(full); err != nil || string(b) != m.content[path] {
						rt.Fatalf("%q: other content (%v)", path, err)
					}
				}
			}
			if got := names(t, dir); len(got) != len(m.entries) {
				rt.Fatalf("holds %q, want %q", got, slices.Sorted(maps.Keys(m.entries)))
			}
		}
	})
}

// Several workers in more directories than are kept open, as a restore has them.
func TestTargetConcurrent(t *testing.T) {
	dir := t.TempDir()
	target := open(t, dir, TargetOptions{})
	var group sync.WaitGroup
	const workers, each = 8, 200
	for w := range workers {
		group.Go(func() {
			for i := range each {
				d := fmt.Sprintf("d%d/e%d", i%100, (i*7+w)%50)
				if err := target.Mkdir(entry(d, tarn.TypeDir, 0o755)); err != nil {
					t.Error(err)
				}
				path := fmt.Sprintf("%s/f%d-%d", d, w, i)
				if err := write(target, fileEntry(path, path), path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	must(t, target.FinishDirs(t.Context()))
	files := 0
	for _, n := range names(t, dir) {
		if fi, err := os.Lstat(filepath.Join(dir, n)); err == nil && fi.Mode().IsRegular() {
			wantContent(t, filepath.Join(dir, n), n)
			files++
		}
	}
	if files != workers*each {
		t.Errorf("%d files, want %d", files, workers*each)
	}
}

func BenchmarkTargetSmallFiles(b *testing.B) {
	target, err := OpenTarget(b.TempDir(), TargetOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer target.Close()
	content := strings.Repeat("small file ", 100)
	e := *fileEntry("", content)
	var group sync.WaitGroup
	b.ResetTimer()
	for w := range 2 {
		group.Go(func() {
			for i := w; i < b.N; i += 2 {
				e := e
				e.Path = fmt.Sprintf("s/d%d-%d/file%d", w, i/200, i)
				if err := write(target, &e, content); err != nil {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
}
