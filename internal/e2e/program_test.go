package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"

	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/machine"
)

// binary is where the program lies that the tests run, built on first use.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(workDir, "tarn")
	cmd := exec.Command("go", "build", "-o", path, "github.com/tarn-backup/tarn/cmd/tarn")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building tarn: %w\n%s", err, out)
	}
	return path, nil
})

var workDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "tarn-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	workDir = dir
	code := m.Run()
	os.RemoveAll(dir) // a temporary folder that stays is no failure
	os.Exit(code)
}

// person is a user with a home of their own, who runs the program.
type person struct {
	t    *testing.T
	home string
	tmp  string
	uid  int // 0 is whoever runs the tests
	env  []string
}

func newPerson(t *testing.T, env ...string) *person {
	t.Helper()
	p := &person{t: t, home: e2e.Scratch(t), tmp: e2e.Scratch(t)}
	p.env = append([]string{
		"HOME=" + p.home, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + p.tmp, "GOMAXPROCS=2",
		"XDG_CONFIG_HOME=" + p.config(), "XDG_CACHE_HOME=" + filepath.Join(p.home, "cache"), "XDG_DATA_HOME=" + filepath.Join(p.home, "data"),
	}, env...)
	return p
}

// s3Env is what the AWS SDK reads of the environment, for a lab.
func s3Env(url string) []string {
	return []string{"AWS_ENDPOINT_URL_S3=" + url, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=lab", "AWS_SECRET_ACCESS_KEY=labsecret", "AWS_EC2_METADATA_DISABLED=true"}
}

func (p *person) config() string { return filepath.Join(p.home, "config") }

// command is the program with arguments, not started yet.
func (p *person) command(args ...string) *exec.Cmd {
	p.t.Helper()
	path, err := binary()
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), path, args...)
	cmd.Env = p.env
	p.become(cmd)
	return cmd
}

// run runs the program to its end and returns the exit code and all output.
func (p *person) run(args ...string) (code int, out string) {
	p.t.Helper()
	cmd := p.command(args...)
	var buf bytes.Buffer
	cmd.Stdout, cmd.Stderr = &buf, &buf
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), buf.String()
}

// must runs the program, which has to succeed.
func (p *person) must(args ...string) string {
	p.t.Helper()
	code, out := p.run(args...)
	if code != 0 {
		p.t.Fatalf("tarn %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// fails runs the program, which has to fail with exit code 1 and an error that
// says so.
func (p *person) fails(says string, args ...string) {
	p.t.Helper()
	if code, out := p.run(args...); code != 1 || !strings.Contains(out, says) || strings.Contains(out, "panic") {
		p.t.Errorf("tarn %s: exit code %d, want 1 and %q\n%s", strings.Join(args, " "), code, says, out)
	}
}

// bench is the library's view of the person's repository.
func (p *person) bench(encrypted bool) *e2e.Bench {
	p.t.Helper()
	b := e2e.New(p.t, encrypted)
	files, err := filepath.Glob(filepath.Join(p.config(), "tarn", "identities", "*.txt"))
	if err != nil {
		p.t.Fatal(err)
	}
	var all []age.Identity
	for _, f := range files {
		ids, _, err := machine.LoadIdentities(f, machine.Ask{})
		if err != nil {
			p.t.Fatal(err)
		}
		all = append(all, ids...)
	}
	b.Adopt(all)
	return b
}
