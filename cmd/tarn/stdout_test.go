package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestFullStdout: a script that reads what tarn prints must be told when that
// is not whole, by every command and in every form.
func TestFullStdout(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("no /dev/full here: %v", err)
	}
	defer full.Close()
	p := newPerson(t)
	write(t, p.path("src", "a"), "one")
	p.env = append(p.env, "TARN_REPO="+p.path("repo"))
	p.must("init")
	p.must("backup", "src")
	write(t, p.path("src", "b"), "two")
	p.must("backup", "src")
	commands := []string{
		"diff latest~1 latest", "init -r new", "backup src", "backup --dry-run src", "snapshots", "ls latest", "find a", "stats",
		"restore latest --target out", "cat latest src/a", "dump latest", "check", "check --read-data", "drill --status", "drill --bytes 1MiB", "rebuild", "key list",
		"cost prices --region us-east-1", "cost classes src --prices aws/us-east-1", "key new", "version", "completion bash", "--help", "backup --help",
	}
	for _, line := range commands {
		for _, more := range []string{"", " --json"} {
			if plain := strings.HasPrefix(line, "completion") || strings.HasPrefix(line, "key new") || strings.Contains(line, "-r "); plain && more != "" {
				continue
			}
			cmd := exec.CommandContext(t.Context(), "tarn", strings.Fields(line+more)...)
			var errs bytes.Buffer
			cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = p.env, p.dir, full, &errs
			err := cmd.Run()
			code := cmd.ProcessState.ExitCode()
			if code != exitFailed || strings.Count(errs.String(), "writing to stdout: no space left on device") != 1 {
				t.Errorf("tarn %s%s: exit code %d (%v), stderr %q", line, more, code, err, errs.String())
			}
		}
	}
}

// TestClosedStdout: the end of `tarn ls latest | head -1` is no error to
// complain about.
func TestClosedStdout(t *testing.T) {
	p := newPerson(t)
	write(t, p.path("src", "a"), strings.Repeat("x", 1<<17))
	p.env = append(p.env, "TARN_REPO="+p.path("repo"))
	p.must("backup", "--init", "src")
	for _, args := range [][]string{{"ls", "latest"}, {"cat", "latest", "src/a"}, {"snapshots"}, {"stats", "--json"}, {"backup", "src"}} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		cmd := exec.CommandContext(t.Context(), "tarn", args...)
		var errs bytes.Buffer
		cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = p.env, p.dir, w, &errs
		err = cmd.Run()
		w.Close()
		if err == nil || !errors.As(err, new(*exec.ExitError)) || errs.Len() > 0 {
			t.Errorf("tarn %q: %v, stderr %q; want it to end without a word", args, err, errs.String())
		}
	}
}

// TestOneStdout: only main.go may take hold of the process's own stdout, since
// what is printed past output could be lost without notice.
func TestOneStdout(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range slices.DeleteFunc(files, func(f string) bool { return f == "main.go" || strings.HasSuffix(f, "_test.go") }) {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, past := range []string{"os.Stdout", "fmt.Print", "osEnv("} {
			if bytes.Contains(text, []byte(past)) {
				t.Errorf("%s writes past output: %s", f, past)
			}
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
