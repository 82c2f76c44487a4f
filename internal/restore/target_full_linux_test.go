package restore

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tarn-backup/tarn"
)

func TestTargetFullDisk(t *testing.T) {
	dir := mountTmpfs(t, "size=256k", 0)
	target := open(t, dir, TargetOptions{Replace: true})
	must(t, write(target, fileEntry("old", "old"), "old"))
	big := strings.Repeat("big", 1<<20)
	err := write(target, fileEntry("old", big), big)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), `"old"`) || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("error %v, want ENOSPC that names the file and says what to do", err)
	}
	wantNames(t, dir, "old")
	wantContent(t, filepath.Join(dir, "old"), "old")
	must(t, write(target, fileEntry("new", "fits"), "fits"))
}

func TestTargetReadOnly(t *testing.T) {
	dir := mountTmpfs(t, "size=256k", unix.MS_RDONLY)
	target := open(t, dir, TargetOptions{})
	for what, err := range map[string]error{
		"Create":  write(target, fileEntry("f", "x"), "x"),
		"Mkdir":   target.Mkdir(entry("d", tarn.TypeDir, 0o755)),
		"Symlink": target.Symlink(symlink("l", "f")),
	} {
		if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "remount") || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, want EROFS that says what to do", what, err)
		}
	}
	if _, err := OpenTarget(filepath.Join(dir, "sub"), TargetOptions{}); !errors.Is(err, syscall.EROFS) {
		t.Errorf("OpenTarget: %v, want EROFS", err)
	}
}

func mountTmpfs(t *testing.T, options string, flags uintptr) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", flags, options); err != nil {
		t.Skipf("mounting a small file system: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}
