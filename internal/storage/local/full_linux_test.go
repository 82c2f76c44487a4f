package local_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/local"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// mounted returns a storage on a tmpfs of its own. Where the test may not
// mount one, it skips.
func mounted(t *testing.T, size string) (*local.Storage, string) {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mounting a small tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	s, err := local.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func TestFullDisk(t *testing.T) {
	s, dir := mounted(t, "64k")
	big := string(storagetest.Content(1, 1<<20))
	_, err := s.Put(t.Context(), "a/big", strings.NewReader(big), storage.PutOptions{})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), dir) {
		t.Errorf("put on a full disk: %v", err)
	}
	if got := keys(t, s, ""); len(got) != 0 {
		t.Errorf("listed %q", got)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "a"))
	if err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	put(t, s, "a/small", "there is room for this one")
}

func TestReadOnly(t *testing.T) {
	s, dir := mounted(t, "64k")
	put(t, s, "a/b", "x")
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("making it read-only: %v", err)
	}
	for _, key := range []string{"a/c", "new/c"} {
		_, err := s.Put(t.Context(), key, strings.NewReader("x"), storage.PutOptions{})
		if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), dir) {
			t.Errorf("put into a read-only folder: %v", err)
		}
	}
	if got := keys(t, s, ""); len(got) != 1 {
		t.Errorf("listed %q", got)
	}
}
