package e2e

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// Tree is a picture of a folder: by path, what a stat and a reading tell of an entry.
type Tree map[string]string

// ReadTree reads dir and all that lies below it.
func ReadTree(tb testing.TB, dir string) Tree {
	tb.Helper()
	t, err := LookAt(dir)
	if err != nil {
		tb.Fatalf("reading %s: %v", dir, err)
	}
	return t
}

// LookAt is ReadTree where there is no test to fail.
func LookAt(dir string) (Tree, error) {
	t := Tree{}
	links := map[any]string{} // the first path of each file that has several
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		t[rel], err = picture(path, info)
		if id := inode(info); id != nil && info.Mode().IsRegular() {
			if first, ok := links[id]; ok {
				t[rel] += " = " + first
			} else {
				links[id] = rel
			}
		}
		return err
	})
	return t, err
}

// picture begins with the mode, as ls writes it.
func picture(path string, info fs.FileInfo) (string, error) {
	head := fmt.Sprintf("%v %s", info.Mode(), owner(info))
	switch {
	case info.Mode().IsRegular():
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			return "", err
		}
		return fmt.Sprintf("%s %d %v %x", head, info.Size(), info.ModTime().UnixNano(), h.Sum(nil)), nil
	case info.Mode().Type() == fs.ModeSymlink:
		to, err := os.Readlink(path)
		return fmt.Sprintf("%s -> %s", head, to), err
	}
	return fmt.Sprintf("%s %v", head, info.ModTime().UnixNano()), nil
}

// Diff returns a line for each path that is not the same in both.
func Diff(want, got Tree) (lines []string) {
	for path, w := range want {
		if g, ok := got[path]; !ok {
			lines = append(lines, fmt.Sprintf("%q: missing", path))
		} else if g != w {
			lines = append(lines, fmt.Sprintf("%q: %q, want %q", path, g, w))
		}
	}
	for path := range got {
		if _, ok := want[path]; !ok {
			lines = append(lines, fmt.Sprintf("%q: too much", path))
		}
	}
	slices.Sort(lines)
	return lines
}

// Content returns n bytes that follow from the seed alone and do not compress.
func Content(seed uint64, n int) []byte {
	b := make([]byte, n)
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	rand.NewChaCha8(key).Read(b) // never fails, by its contract
	return b
}

// Write writes a file with the folders above it, last changed an hour ago.
func Write(tb testing.TB, path string, data []byte) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		tb.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		tb.Fatal(err)
	}
}

// Scratch is a temporary folder, in memory where there is one. What a killed
// process has written is there whether or not it has reached a disk, and tests
// would wait for the disk most of the time. TARN_SCRATCH=disk makes them.
func Scratch(tb testing.TB) string {
	tb.Helper()
	const memory = "/dev/shm"
	if info, err := os.Stat(memory); err != nil || !info.IsDir() || os.Getenv("TARN_SCRATCH") == "disk" {
		return tb.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "tarn-e2e-")
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	return dir
}
