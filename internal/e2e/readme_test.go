package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// TestReadme runs every command of the README in its order, in one shell
// session of a person who has what it speaks of: Pictures, Documents and the
// program on the PATH. Only the places that a test must not write to differ.
func TestReadme(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole README")
	}
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("needs bash")
	}
	commands, _ := readmeCommands(t)
	p := newPerson(t)
	for name, content := range map[string]string{
		"Pictures/2010/IMG_1.jpg": "one", "Pictures/2010/IMG_2.jpg": "two", "Documents/letter.txt": "Dear reader", "Documents/old.tmp": "skipped",
	} {
		path := filepath.Join(p.home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	script := "set -e -o pipefail\n"
	for _, c := range commands {
		script += c + "\n"
		if strings.HasPrefix(c, "tarn backup") {
			script += c + "\n" // so that there is a latest~1
		}
	}
	script = strings.NewReplacer("/mnt/disk", p.tmp, "/tmp/back", filepath.Join(p.tmp, "back")).Replace(script)
	cmd := exec.Command(shell, "-c", script)
	cmd.Dir = e2e.Scratch(t)
	cmd.Env = append(p.env, "PATH="+filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH"))
	p.become(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\nof the commands\n%s", err, out, script)
	}
	for name, want := range map[string]string{
		filepath.Join(cmd.Dir, "letter.txt"):                    "Dear reader",
		filepath.Join(p.tmp, "back", "Pictures/2010/IMG_1.jpg"): "one",
	} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v; want %q", name, got, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(p.tmp, "back", "docs/old.tmp")); err == nil {
		t.Error("an excluded file was backed up")
	}
}

// TestReadmeFirstCommand runs the first command of the README as it stands, in
// the module's folder, for a person who has nothing yet.
func TestReadmeFirstCommand(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	p := newPerson(t)
	cmd := exec.Command("go", "run", "./cmd/tarn", "backup", "docs")
	cmd.Dir = "../.."
	cmd.Env = p.env
	for _, name := range []string{"GOPATH", "GOCACHE", "GOMODCACHE", "GOFLAGS", "GOPROXY"} {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(cmd.Env, name+"="+strings.TrimSpace(string(out)))
	}
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if line := "    " + strings.Join(cmd.Args, " ") + "\n"; !strings.Contains(string(text), line) {
		t.Fatalf("the README does not have the line %q", line)
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "snapshot ") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestReadmeOnAWS runs those commands that need an account, against moto.
func TestReadmeOnAWS(t *testing.T) {
	shell := storagetest.Program(t, "bash")
	moto := storagetest.Moto(t)
	_, commands := readmeCommands(t)
	p := newPerson(t)
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.tmp, "photo.jpg"), []byte("one"), 0o644); err != nil {
		t.Fatal(err)
	}
	script := strings.ReplaceAll("set -e -o pipefail\n"+strings.Join(commands, "\n"), "/mnt/disk", p.tmp)
	script = strings.ReplaceAll(script, "my-bucket", moto.Bucket)
	cmd := exec.Command(shell, "-c", script)
	cmd.Dir = e2e.Scratch(t)
	cmd.Env = append(p.env, endpointEnv(moto)...)
	cmd.Env = append(cmd.Env, "AWS_ENDPOINT_URL="+moto.URL, "PATH="+filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH"))
	p.become(cmd)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\nof the commands\n%s", err, out, script)
	}
	for _, want := range []string{"Ready: `tarn backup", "no damage found"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
}

// readmeCommands are the indented lines of the README that call tarn, apart
// those that need an account.
func readmeCommands(t *testing.T) (list, account []string) {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		c, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "    ")
		if ok && (strings.HasPrefix(c, "tarn ") || strings.HasPrefix(c, "export TARN")) {
			if strings.HasPrefix(c, "tarn cloud ") || strings.HasPrefix(c, "tarn tarball ") {
				account = append(account, c)
			} else {
				list = append(list, c)
			}
		}
	}
	if len(list) < 15 {
		t.Fatalf("only %d commands found in the README", len(list))
	}
	return list, account
}
