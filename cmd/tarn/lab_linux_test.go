package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// startLab starts a lab on a free port and returns it with the variables that it prints.
func (p *person) startLab(args ...string) (cmd *exec.Cmd, log *bytes.Buffer) {
	p.t.Helper()
	cmd = exec.CommandContext(p.t.Context(), "tarn", append([]string{"--json", "lab", "--addr", "127.0.0.1:0"}, args...)...)
	cmd.Env, cmd.Dir = p.env, p.dir
	log = new(bytes.Buffer)
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	vars := map[string]string{}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || json.Unmarshal([]byte(line), &vars) != nil || vars["bucket"] != "lab" {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		p.t.Fatalf("%s: %v\n%s", line, err, log)
	}
	for name, value := range vars {
		p.env = append(p.env, name+"="+value)
	}
	return cmd, log
}

// TestLabEnds: Ctrl-C is how a lab ends, and a kill loses nothing.
func TestLabEnds(t *testing.T) {
	p := newPerson(t)
	e2e.Write(t, p.path("src/a"), []byte("content"))
	for _, signal := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, os.Kill} {
		lab, log := p.startLab("--dir", "lab")
		if signal == syscall.SIGINT {
			p.must("-r", "s3://lab/p", "init", "-q", "--no-encryption")
			p.must("-r", "s3://lab/p", "backup", "-q", "src")
			p.must("lab", "advance", "400d")
			p.must("lab", "move", "p/archives/", "GLACIER")
		}
		if code, _, errs := p.run("-r", "s3://lab/p", "cat", "latest", "src/a"); code != exitFailed || !strings.Contains(errs, "object is cold") {
			t.Errorf("before %v: exit code %d\n%s", signal, code, errs)
		}
		bill := p.must("lab", "bill")
		if !strings.Contains(bill, "lifecycle transitions") || !strings.Contains(bill, "storage") {
			t.Errorf("before %v: %s", signal, bill)
		}
		if err := lab.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := lab.Wait(); signal != os.Kill && err != nil {
			t.Errorf("%v: %v\n%s", signal, err, log)
		}
		if !strings.Contains(log.String(), "GetObject lab/p/tarn.json") || strings.Contains(log.String(), "in memory") {
			t.Errorf("%v: the log is\n%s", signal, log)
		}
		if code, _, errs := p.run("lab", "bill"); code != exitFailed || !strings.Contains(errs, "no lab answers") {
			t.Errorf("after %v: exit code %d\n%s", signal, code, errs)
		}
	}
}

// TestLabBeforeServer: the lab before somebody else's server makes its bucket
// there, and prints no secret that is not its own.
func TestLabBeforeServer(t *testing.T) {
	e := storagetest.Versitygw(t)
	p := newPerson(t)
	e2e.Write(t, p.path("src/a"), []byte("content"))
	p.env = append(p.env, "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		"AWS_REGION="+e.Region, "AWS_ACCESS_KEY_ID="+e.AccessKey, "AWS_SECRET_ACCESS_KEY="+e.SecretKey)
	for range 2 {
		lab, log := p.startLab("--upstream", e.URL, "--dir", "lab")
		if code, _, _ := p.run("-r", "s3://lab/p", "snapshots"); code != exitDone {
			p.must("-r", "s3://lab/p", "init", "-q", "--no-encryption")
			p.must("-r", "s3://lab/p", "backup", "-q", "src")
			p.must("lab", "move", "p/archives/", "DEEP_ARCHIVE")
		}
		if code, _, errs := p.run("-r", "s3://lab/p", "cat", "latest", "src/a"); code != exitFailed || !strings.Contains(errs, "object is cold") {
			t.Errorf("exit code %d\n%s", code, errs)
		}
		if out := p.must("-r", "s3://lab/p", "stats"); !strings.Contains(out, "archives in DEEP_ARCHIVE") {
			t.Errorf("stats: %s", out)
		}
		if err := lab.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := lab.Wait(); err != nil || strings.Contains(log.String(), e.SecretKey) {
			t.Errorf("%v\n%s", err, log)
		}
	}
	// Without the lab the object is what it always was.
	p.env = append(p.env, "AWS_ENDPOINT_URL_S3="+e.URL)
	if out := p.must("-r", "s3://lab/p", "cat", "latest", "src/a"); out != "content" {
		t.Errorf("%q", out)
	}
}
