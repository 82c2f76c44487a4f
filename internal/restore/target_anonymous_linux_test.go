package restore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tarn-backup/tarn"
)

// anonymousFile returns a file that was written and has no name yet.
func anonymousFile(t *testing.T, target *Target, e *tarn.Entry, content string) *File {
	t.Helper()
	f, err := target.Create(e)
	must(t, err)
	if f.tmp != "" {
		f.Abort()
		t.Skip("the file system of the temporary folder has no files without a name")
	}
	_, err = f.Write([]byte(content))
	must(t, err)
	return f
}

// A run that is killed leaves nothing of a file that was not ended.
func TestTargetAnonymousLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	target := open(t, dir, TargetOptions{})
	f := anonymousFile(t, target, fileEntry("f", "content"), "content")
	wantNames(t, dir)
	f.Abort()
	wantNames(t, dir)
}

// Whatever the way, a file gets the content and metadata of its entry, and
// takes the place of what stands there only if it may.
func TestTargetAnonymousWays(t *testing.T) {
	content := strings.Repeat("content", 300_000) // more than is copied at once
	for name, commit := range map[string]func(*File) error{
		"link": (*File).Commit,
		"link through proc": func(f *File) error {
			byProc.Store(true)
			defer byProc.Store(false)
			return f.Commit()
		},
		"copy": (*File).rename, // as where a link is not allowed
	} {
		for _, taken := range []string{"", "file", "dir"} {
			for _, replace := range []bool{true, false} {
				t.Run(name+" "+taken, func(t *testing.T) {
					dir := t.TempDir()
					target := open(t, dir, TargetOptions{Replace: replace})
					e := fileEntry("f", content)
					e.Mode = 0o4751 // no umask may take from it, and no chown
					f := anonymousFile(t, target, e, content)
					switch path := filepath.Join(dir, "f"); taken {
					case "file":
						must(t, os.WriteFile(path, []byte("old"), 0o600))
					case "dir":
						must(t, os.Mkdir(path, 0o700))
					}
					err := commit(f)
					wantNames(t, dir, "f")
					if taken != "" && !replace {
						if !errors.Is(err, fs.ErrExist) {
							t.Errorf("error %v, want fs.ErrExist", err)
						}
						return
					}
					must(t, err)
					must(t, compare(filepath.Join(dir, "f"), e))
					wantContent(t, filepath.Join(dir, "f"), content)
					if name == "copy" != target.named.Load() {
						t.Errorf("further files are named: %t", target.named.Load())
					}
				})
			}
		}
	}
}

// An ACL that a directory hands down is not left to a file that has none.
func TestTargetAnonymousInheritsNothing(t *testing.T) {
	dir := t.TempDir()
	sub := filepath.Join(dir, "d")
	must(t, os.Mkdir(sub, 0o755))
	if err := unix.Setxattr(sub, "system.posix_acl_default", acl(0o755, 7), 0); err != nil {
		t.Skipf("setting a default ACL: %v", err)
	}
	target := open(t, dir, TargetOptions{})
	e := fileEntry("d/f", "content")
	must(t, anonymousFile(t, target, e, "content").Commit())
	must(t, compare(filepath.Join(sub, "f"), e))
}
