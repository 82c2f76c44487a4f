package scan

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// gitFolder makes a folder that git takes for a work tree, with odd names.
func gitFolder(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed: nothing to compare with")
	}
	top := t.TempDir()
	git(t, top, nil, "init", "-q")
	names := []string{"a", "b", "ab", "foo", "foobar", "x.b", "a b ", "a ", "#x", "!y", "[z]", `\w`, "x*", "é", "\xffb", "a\r"}
	dirs := []string{"", "a", "foo", "a/b", "a/b/foo", "foo/a", "x.b", "foo/a/a", "#x"}
	for _, d := range dirs {
		if err := os.MkdirAll(filepath.Join(top, "top", d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range dirs {
		dir := filepath.Join(top, "top", d)
		for _, name := range names {
			// An error: it is a directory already.
			_ = os.WriteFile(filepath.Join(dir, name), nil, 0o644)
		}
	}
	return filepath.Join(top, "top")
}

// git runs git without any configuration of the machine's.
func git(t interface{ Fatalf(string, ...any) }, dir string, in []byte, args ...string) []byte {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME=/nonexistent", "XDG_CONFIG_HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1")
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState.ExitCode() != 1 { // 1: none is ignored
		t.Fatalf("git %v: %v\n%s", args, err, err.(*exec.ExitError).Stderr)
	}
	return out
}

// notIgnored lists what git does not ignore in a folder.
func notIgnored(t *rapid.T, top string) []string {
	var all []string
	if err := filepath.WalkDir(top, func(path string, _ fs.DirEntry, err error) error {
		if path != top {
			all = append(all, strings.TrimPrefix(path, top+"/"))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	ignored := map[string]bool{}
	in := []byte(strings.Join(all, "\x00") + "\x00")
	for path := range strings.SplitSeq(string(git(t, top, in, "check-ignore", "--no-index", "-z", "--stdin")), "\x00") {
		ignored[path] = true
	}
	var kept []string
	for _, path := range all {
		if !ignored[path] {
			kept = append(kept, path)
		}
	}
	return kept
}

var patternLines = rapid.Custom(func(t *rapid.T) string {
	pieces := []string{"a", "b", "foo", "bar", "*", "**", "?", "/", "/", "**/", "/**", `\`, `\#`, `\!`, `\ `, " ", "[ab]", "[!a]", "[^b]",
		"[a-c]", "[[:alpha:]]", "[[:punct:]]", "[z]", `[\]a]`, "[]a]", "[a", "[[:nix:]]", "[a/b]", "[[:a]", "[b-a]", "[--z]", "#", "!", ".", "\xff", "é", "x", "\r"}
	line := rapid.SampledFrom([]string{"", "", "", "/", "!", "**/"}).Draw(t, "begin")
	for range rapid.IntRange(1, 5).Draw(t, "pieces") {
		line += rapid.SampledFrom(pieces).Draw(t, "piece")
	}
	return line + rapid.SampledFrom([]string{"", "", "/", " ", "/**", "*"}).Draw(t, "end")
})

// TestIgnoreAsGit compares ignore files, nested ones too, with git's own opinion.
func TestIgnoreAsGit(t *testing.T) {
	top := gitFolder(t)
	rapid.Check(t, func(t *rapid.T) {
		for _, d := range []string{"", "a", "foo/a"} {
			lines := rapid.SliceOfN(patternLines, 0, 5).Draw(t, "lines of "+d)
			text := rapid.SampledFrom([]string{"", "\xef\xbb\xbf"}).Draw(t, "mark") + strings.Join(lines, rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "newline"))
			if err := os.WriteFile(filepath.Join(top, d, ".gitignore"), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want := notIgnored(t, top)
		got := walkNames(t, Config{Path: top, Name: "s", IgnoreFile: ".gitignore"})
		if diff := firstDifference(got, want); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestExcludesAsGit compares single patterns of the command line with git's --exclude:
// `git ls-files` takes those, so only files are compared.
func TestExcludesAsGit(t *testing.T) {
	top := gitFolder(t)
	rapid.Check(t, func(t *rapid.T) {
		args := []string{"ls-files", "-z", "--others"}
		lines := rapid.SliceOfN(patternLines, 1, 4).Draw(t, "patterns")
		for _, line := range lines {
			args = append(args, "--exclude="+line)
		}
		// In git such patterns are relative to the folder it was started in only
		// if that is the top of the work tree.
		out := git(t, filepath.Dir(top), nil, args...)
		var want []string
		for path := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
			if path != "" {
				want = append(want, path)
			}
		}
		var got []string
		for _, path := range walkNames(t, Config{Path: filepath.Dir(top), Name: "s", Excludes: append([]string{".git"}, lines...)}) {
			if info, err := os.Lstat(filepath.Join(filepath.Dir(top), path)); err == nil && !info.IsDir() && !strings.HasPrefix(path, ".git/") {
				got = append(got, path)
			}
		}
		if diff := firstDifference(got, want); diff != "" {
			t.Fatal(diff)
		}
	})
}
