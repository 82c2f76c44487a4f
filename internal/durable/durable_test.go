package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// noLinks is what a file system without hard links answers.
func noLinks(oldname, newname string) error {
	return &os.LinkError{Op: "link", Old: oldname, New: newname, Err: syscall.EPERM}
}

var ways = map[string]func(oldname, newname string) error{"link": os.Link, "no hard links": noLinks}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestCommitIsCreateOnly(t *testing.T) {
	for way, link := range ways {
		t.Run(way, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "a")
			for i, want := range []error{nil, fs.ErrExist} {
				f, err := Create(path, 0o600)
				if err != nil {
					t.Fatal(err)
				}
				f.link = link
				fmt.Fprintf(f, "content %d", i)
				if err := f.Commit(); !errors.Is(err, want) {
					t.Fatalf("commit %d: %v, want %v", i, err, want)
				}
			}
			if b, err := os.ReadFile(path); err != nil || string(b) != "content 0" {
				t.Errorf("file holds %q, %v", b, err)
			}
			if got := names(t, dir); len(got) != 1 {
				t.Errorf("the folder holds %q", got)
			}
		})
	}
}

func TestOneOfManyWins(t *testing.T) {
	for way, link := range ways {
		t.Run(way, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a")
			var wg sync.WaitGroup
			var won atomic.Int64
			for range 16 {
				wg.Go(func() {
					f, err := Create(path, 0o600)
					if err != nil {
						t.Error(err)
						return
					}
					f.link = link
					if err := f.Commit(); err == nil {
						won.Add(1)
					} else if !errors.Is(err, fs.ErrExist) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 {
				t.Errorf("%d writers won", won.Load())
			}
		})
	}
}

func TestOtherLinkErrorsAreReturned(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(filepath.Join(dir, "a"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	f.link = func(string, string) error { return syscall.ENOSPC }
	if err := f.Commit(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("commit: %v", err)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("the folder holds %q", got)
	}
}

func TestWriteFileReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	for _, s := range []string{"one", "two"} {
		if err := WriteFile(path, []byte(s), 0o640); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != s {
			t.Errorf("file holds %q, %v", b, err)
		}
	}
	if err := WriteNew(path, nil, 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("WriteNew over a file: %v", err)
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("the folder holds %q", got)
	}
}

func TestAbortLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(filepath.Join(dir, "a"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); len(got) != 1 || !IsTemp(got[0]) {
		t.Errorf("in the making: %q", got)
	}
	f.Abort()
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("the folder holds %q", got)
	}
}

func TestMissingFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "no", "a")
	if err := WriteFile(path, nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("WriteFile: %v", err)
	}
}

func TestMkdirAll(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		if err := MkdirAll(filepath.Join(dir, "a", "b", "c"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(filepath.Join(dir, "file", "x"), 0o700); err == nil {
		t.Error("a folder below a file was made")
	}
}

// A lock keeps others out until it is released, also of the same process.
func TestTryLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	for range 2 {
		lock, err := TryLock(path)
		if err != nil {
			t.Fatal(err)
		}
		if other, err := TryLock(path); !errors.Is(err, ErrLocked) {
			t.Fatalf("a second lock: %v, %v", other, err)
		}
		if err := lock.Unlock(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := TryLock(filepath.Join(path, "below a file")); err == nil || errors.Is(err, ErrLocked) {
		t.Errorf("where no file can be: %v", err)
	}
}
