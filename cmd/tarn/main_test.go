package main

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite what the scripts expect")

// TestMain lets scripts and tests run the program under its name: it is this
// binary again, in a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tarn": main, "weak": weak})
}

// TestScripts runs the scripts of testdata/script. Each begins with the reason
// why it exists.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err != nil || !bytes.HasPrefix(b, []byte("# ")) {
			t.Errorf("%s: does not say why it exists: %v", f, err)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		WorkdirRoot:         scratch(t),
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, userEnv(filepath.Join(e.WorkDir, "home"))...)
			return os.Mkdir(filepath.Join(e.WorkDir, "home"), 0o700)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"code": scriptCode, "json": scriptJSON, "objects": scriptObjects, "mode": scriptMode, "odd": scriptOdd,
			"plain": scriptPlain, "sshkey": scriptSSHKey, "agekey": scriptAgeKey, "setenv": scriptSetenv, "same": scriptSame,
		},
	})
}

// userEnv is the environment of a person whose home is dir and whose machine
// has no other settings.
func userEnv(dir string) []string {
	return []string{
		"HOME=" + dir, "XDG_CONFIG_HOME=" + filepath.Join(dir, "config"), "XDG_CACHE_HOME=" + filepath.Join(dir, "cache"),
		"XDG_DATA_HOME=" + filepath.Join(dir, "data"), "TZ=UTC", "LC_ALL=C", "TARN_REPO=", "TARN_IDENTITY=", "TARN_PASSPHRASE=",
	}
}

// person is a user with a home of their own, who runs the program.
type person struct {
	t   *testing.T
	dir string // folder of the test; home, source and repository lie in it
	env []string
}

func newPerson(t *testing.T) *person {
	t.Helper()
	p := &person{t: t, dir: scratch(t)}
	p.env = append(userEnv(p.path("home")), "PATH="+os.Getenv("PATH"), "GOMAXPROCS=2")
	if err := os.Mkdir(p.path("home"), 0o700); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *person) path(name ...string) string {
	return filepath.Join(append([]string{p.dir}, name...)...)
}

// run runs the program and returns its exit code and what it printed.
func (p *person) run(args ...string) (code int, stdout, stderr string) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), "tarn", args...)
	cmd.Env, cmd.Dir = p.env, p.dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		p.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// must runs the program, which has to end with exit code 0 and without a
// word of complaint.
func (p *person) must(args ...string) string {
	p.t.Helper()
	code, out, errs := p.run(args...)
	if code != exitDone || errs != "" {
		p.t.Fatalf("tarn %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// scratch is a folder on a file system with all that files can have; in memory
// where there is one, since these tests would wait for the disk mostly.
func scratch(t *testing.T) string {
	t.Helper()
	const memory = "/dev/shm"
	if info, err := os.Stat(memory); runtime.GOOS != "linux" || err != nil || !info.IsDir() || os.Getenv("TARN_SCRATCH") == "disk" {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "tarn-cmd-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				err = os.Chmod(path, 0o700) // a test may have left it read-only
			}
			return err
		})
		if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// programs skips the test if one of the programs is not here; with
// TARN_REQUIRE_PROGRAMS it fails, so that no skip hides in a build.
func programs(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("TARN_REQUIRE_PROGRAMS") != "" {
				t.Fatalf("the program %s is not installed, and TARN_REQUIRE_PROGRAMS is set", name)
			}
			t.Skipf("the program %s is not installed", name)
		}
	}
}
