package scan

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestUnreadable needs a user who may not read everything: as root it runs
// itself again as nobody.
func TestUnreadable(t *testing.T) {
	if os.Getuid() == 0 {
		runAsNobody(t)
		return
	}
	top := makeTree(t, "closed/x", "f", "listed/y", "z/w", "d/.tarnignore=w", "d/w")
	for name, mode := range map[string]fs.FileMode{"closed": 0, "listed": 0o444, "f": 0, "d/.tarnignore": 0} {
		path := filepath.Join(top, name)
		must(t, os.Chmod(path, mode))
		defer os.Chmod(path, 0o755)
	}
	for depth := range 3 {
		s := open(t, Config{Path: top, Name: "s", SplitDepth: depth, IgnoreFile: ".tarnignore"})
		defer s.Close()
		w := walkAll(t, s)
		var paths []string
		for _, e := range w.entries {
			paths = append(paths, e.Path)
		}
		sortedPaths := sortWords(strings.Join(paths, " "))
		if want := "s s/closed s/d s/d/.tarnignore s/d/w s/f s/listed s/z s/z/w"; sortedPaths != want {
			t.Errorf("depth %d: got %q, want %q", depth, sortedPaths, want)
		}
		for _, path := range []string{"s/closed", "s/listed/y", "s/d/.tarnignore"} {
			if err := w.errs[path]; !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), top) {
				t.Errorf("depth %d: %s: error %v", depth, path, err)
			}
		}
		if len(w.errs) != 3 {
			t.Errorf("depth %d: errors %v", depth, w.errs)
		}
		if _, err := s.OpenFile("s/f"); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("opening an unreadable file: %v", err)
		}
		for _, e := range w.entries { // also of what can't be read
			must(t, s.Complete(&e))
		}
	}
	if _, err := Open(Config{Path: filepath.Join(top, "closed"), Name: "s"}); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "run as") {
		t.Errorf("opening an unreadable source: %v", err)
	}
	// Another user's file: O_NOATIME is not permitted.
	s := open(t, Config{Path: "/etc", Name: "etc"})
	defer s.Close()
	f, err := s.OpenFile("etc/passwd")
	must(t, err)
	must(t, f.Close())
}

func runAsNobody(t *testing.T) {
	t.Helper()
	tmp, err := os.MkdirTemp("", "scan")
	must(t, err)
	defer os.RemoveAll(tmp)
	must(t, os.Chmod(tmp, 0o777))
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir = tmp
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("as nobody: %v\n%s", err, out)
	}
}

func TestOneFileSystem(t *testing.T) {
	top := makeTree(t, "a/mount/", "a/x", "mount/", "z")
	for _, name := range []string{"a/mount", "mount"} {
		path := filepath.Join(top, name)
		if err := unix.Mount("tmpfs", path, "tmpfs", 0, "size=64k"); err != nil {
			t.Skipf("no permission to mount: %v", err)
		}
		defer unix.Unmount(path, 0)
		must(t, os.MkdirAll(filepath.Join(path, "sub"), 0o755), os.WriteFile(filepath.Join(path, "in"), nil, 0o644))
	}
	for depth := range 3 {
		cfg := Config{Path: top, Name: "s", SplitDepth: depth, OneFileSystem: true}
		if got := sortWords(strings.Join(walkNames(t, cfg), " ")); got != "a a/mount a/x mount z" {
			t.Errorf("depth %d, one file system: %q", depth, got)
		}
		cfg.OneFileSystem = false
		if got := sortWords(strings.Join(walkNames(t, cfg), " ")); got != "a a/mount a/mount/in a/mount/sub a/x mount mount/in mount/sub z" {
			t.Errorf("depth %d, all: %q", depth, got)
		}
	}
}

// TestKindUnknown is for file systems whose directories don't say what is in them.
func TestKindUnknown(t *testing.T) {
	top := makeTree(t, "d/", "f")
	must(t, os.Symlink("d", filepath.Join(top, "l")))
	s := open(t, Config{Path: top, Name: "s"})
	defer s.Close()
	d, err := s.openDir("")
	must(t, err)
	defer d.close()
	for name, want := range map[string]bool{"d": true, "f": false, "l": false, "none": false} {
		var n names
		must(t, n.add([]byte(name), kindUnknown, 1))
		if n.isDir(d, 0) != want || n.refs[0].kind == kindUnknown {
			t.Errorf("%s: directory %v", name, !want)
		}
	}
}
