package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// deployer is a person with the keys of an account at a server, and with
// nothing else yet.
func deployer(t *testing.T, url string) *person {
	p := newPerson(t)
	p.env = append(p.env, "AWS_EC2_METADATA_DISABLED=true", "AWS_ENDPOINT_URL="+url, "AWS_REGION=us-east-1", "AWS_MAX_ATTEMPTS=1",
		"AWS_ACCESS_KEY_ID=AKIADEPLOYER", "AWS_SECRET_ACCESS_KEY=deployersecret", "AWS_PROFILE=")
	return p
}

// heard is all that a person's commands have printed.
type heard struct {
	*person
	text strings.Builder
}

func (h *heard) mustDo(args ...string) string {
	h.t.Helper()
	code, out, errs := h.run(args...)
	h.text.WriteString(out + errs)
	if code != exitDone {
		h.t.Fatalf("tarn %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

var secretLine = regexp.MustCompile(`aws_secret_access_key = (\S+)`)

// credentials returns the file of the person's AWS credentials, which nobody
// else may read, and the secrets in it.
func (h *heard) credentials() (text string, secrets []string) {
	h.t.Helper()
	path := h.path("home", ".aws", "credentials")
	info, err := os.Stat(path)
	if err != nil {
		h.t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		h.t.Errorf("%s has mode %v", path, info.Mode())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, m := range secretLine.FindAllStringSubmatch(string(b), -1) {
		secrets = append(secrets, m[1])
	}
	return string(b), secrets
}

// TestCloudLife is the whole of it on a server that others wrote: from an empty
// account to the first backup in two commands, a restore, a second machine, new
// keys, and the end. No secret is ever printed, not even with -v.
func TestCloudLife(t *testing.T) {
	h := &heard{person: deployer(t, storagetest.Moto(t).URL)}
	if err := os.MkdirAll(h.path("src", "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"a": "alpha", "sub/b": "beta"} {
		if err := os.WriteFile(h.path("src", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := h.mustDo("cloud", "deploy", "--yes", "-v", "--storage-class", "STANDARD")
	for _, want := range []string{"add", "BackupBucket", "AWS profile tarn-tarn", "no damage found", "Ready: `tarn backup FOLDER`"} {
		if !strings.Contains(out, want) {
			t.Errorf("deploy: no %q in\n%s", want, out)
		}
	}
	// From here on it is the machine's own key, which needs nothing around it.
	deploys := h.env
	h.env = append(deploys[:len(deploys):len(deploys)], "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_REGION=", "AWS_ENDPOINT_URL=")
	h.mustDo("backup", "-v", "src")
	first, secrets := h.credentials()
	h.mustDo("restore", "-v", "latest", "--target", "back")
	if b, err := os.ReadFile(h.path("back", "src", "sub", "b")); err != nil || string(b) != "beta" {
		t.Errorf("%q, %v", b, err)
	}
	h.env = deploys
	var status struct {
		Bucket, Repository string
		Machines           []struct {
			User string
			Keys []struct {
				ID           string
				Active, Mine bool
			}
		}
	}
	look := func() {
		t.Helper()
		status.Machines = nil
		if err := json.Unmarshal([]byte(h.mustDo("cloud", "status", "--json")), &status); err != nil {
			t.Fatal(err)
		}
	}
	look()
	if len(status.Machines) != 1 || len(status.Machines[0].Keys) != 1 || !status.Machines[0].Keys[0].Mine || !strings.HasSuffix(status.Repository, "/tarn") {
		t.Fatalf("%+v", status)
	}
	old := status.Machines[0].Keys[0].ID

	// Again, it finds all as it should be.
	if out := h.mustDo("cloud", "deploy", "--yes"); !strings.Contains(out, "as it should be") || !strings.Contains(out, old) {
		t.Errorf("deploy again: %s", out)
	}
	h.mustDo("cloud", "deploy", "--yes", "--users", "2", "--machine", "2")
	h.mustDo("cloud", "rotate", "--yes", "-v")
	second, more := h.credentials()
	look()
	if len(status.Machines) != 2 || len(status.Machines[0].Keys) != 1 || status.Machines[0].Keys[0].ID == old || !status.Machines[0].Keys[0].Mine {
		t.Errorf("after rotate: %+v", status)
	}
	if first == second || strings.Contains(second, old) || len(more) != 2 {
		t.Error("the profile has the old key")
	}
	h.mustDo("backup", "src")
	if out := h.mustDo("cloud", "status"); !strings.Contains(out, "2 machines") || !strings.Contains(out, "in the profile tarn-tarn-2") {
		t.Errorf("status: %s", out)
	}

	out = h.mustDo("cloud", "destroy", "--yes")
	if !strings.Contains(out, "Stays: the bucket "+status.Bucket) || !strings.Contains(out, "Goes:  the user") {
		t.Errorf("destroy: %s", out)
	}
	last, none := h.credentials()
	if len(none) != 0 || strings.Contains(last, "tarn-tarn") {
		t.Errorf("after the end:\n%s", last)
	}
	// No backup goes anywhere else in silence.
	if code, _, errs := h.run("backup", "src"); code != exitFailed || !strings.Contains(errs, "its stack tarn was removed") || !strings.Contains(errs, "`tarn cloud deploy` makes") {
		t.Errorf("backup after the end: %d %s", code, errs)
	}
	if _, err := os.Stat(h.path("home", "data")); !notExist(err) {
		t.Errorf("a local repository was made: %v", err)
	}
	// The bucket and the backup are there yet, for who may read them.
	if out := h.mustDo("-r", status.Repository, "snapshots"); strings.Count(out, "src") < 2 {
		t.Errorf("snapshots: %s", out)
	}
	if code, _, errs := h.run("cloud", "status"); code != exitFailed || !strings.Contains(errs, "no such stack") || !strings.Contains(errs, "`tarn cloud deploy` makes it") {
		t.Errorf("status after the end: %d %s", code, errs)
	}
	if secrets = append(append(secrets, more...), "deployersecret"); len(secrets) != 4 {
		t.Errorf("%d secrets", len(secrets))
	}
	// A new stack takes the place of the old one.
	h.mustDo("cloud", "deploy", "--yes", "--storage-class", "STANDARD")
	h.mustDo("backup", "src")
	for _, secret := range secrets {
		if strings.Contains(h.text.String(), secret) {
			t.Errorf("a secret was printed")
		}
	}
	// Nor is one anywhere below the person's home but in the credentials.
	err := filepath.WalkDir(h.path("home"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, secret := range secrets {
			if strings.Contains(string(b), secret) {
				t.Errorf("a secret is in %s", path)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestCloudAsks: without a terminal and --yes nothing is made.
func TestCloudAsks(t *testing.T) {
	p := deployer(t, storagetest.Moto(t).URL)
	code, _, errs := p.run("cloud", "deploy")
	if code != exitFailed || !strings.Contains(errs, "dd --yes") {
		t.Errorf("%d %s", code, errs)
	}
	if code, _, errs := p.run("cloud", "status"); code != exitFailed || !strings.Contains(errs, "no such stack") {
		t.Errorf("something was made: %d %s", code, errs)
	}
	if _, err := os.Stat(p.path("home", ".aws")); !notExist(err) {
		t.Errorf("something was written: %v", err)
	}
}

// TestCloudLostKey: a key that this machine does not have is not replaced behind
// its owner's back, and what to do is said.
func TestCloudLostKey(t *testing.T) {
	h := &heard{person: deployer(t, storagetest.Moto(t).URL)}
	h.mustDo("cloud", "deploy", "--yes", "--storage-class", "STANDARD")
	if err := os.Remove(h.path("home", ".aws", "credentials")); err != nil {
		t.Fatal(err)
	}
	code, _, errs := h.run("cloud", "deploy", "--yes")
	m := regexp.MustCompile(`--remove (\w+)`).FindStringSubmatch(errs)
	if code != exitFailed || m == nil {
		t.Fatalf("%d %s", code, errs)
	}
	if code, _, errs := h.run("cloud", "rotate", "--yes"); code != exitFailed || !strings.Contains(errs, "has no access key") {
		t.Errorf("%d %s", code, errs)
	}
	h.mustDo("cloud", "rotate", "--yes", "--remove", m[1])
	if out := h.mustDo("cloud", "deploy", "--yes"); !strings.Contains(out, "Made an access key") {
		t.Error(out)
	}
}

// TestCloudFirstRepositoryStays: whoever has a repository of their own already
// goes on with it where none is named.
func TestCloudFirstRepositoryStays(t *testing.T) {
	h := &heard{person: deployer(t, storagetest.Moto(t).URL)}
	h.mustDo("init", "--no-encryption")
	if out := h.mustDo("cloud", "deploy", "--yes", "--storage-class", "STANDARD"); !strings.Contains(out, "as before") {
		t.Error(out)
	}
	if out := h.mustDo("snapshots", "--json"); strings.Contains(out, "s3://") {
		t.Error(out)
	}
}

// TestCloudBootstrap: the call names the policy of least privilege, and --run
// makes that first; no secret is among its arguments.
func TestCloudBootstrap(t *testing.T) {
	p := deployer(t, storagetest.Moto(t).URL)
	out := p.must("cloud", "bootstrap", "--qualifier", "mine")
	want := "cdk bootstrap aws://123456789012/us-east-1 --qualifier mine --toolkit-stack-name CDKToolkit-mine --cloudformation-execution-policies arn:aws:iam::123456789012:policy/TarnCloud-tarn-us-east-1-execution\n"
	if out != want {
		t.Errorf("%s", out)
	}
	for bad, want := range map[string]string{"longer than ten": "1 to 10 small letters", "Abc": "1 to 10 small letters", "hnb659fds": "the CDK's own"} {
		if code, _, errs := p.run("cloud", "bootstrap", "--qualifier", bad); code != exitFailed || !strings.Contains(errs, want) {
			t.Errorf("%s: %d %s", bad, code, errs)
		}
	}
	dir := p.path("bin")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cdk"), []byte("#!/bin/sh\necho called with \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.env = append(p.env, "PATH="+dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	out = p.must("cloud", "bootstrap", "--qualifier", "mine", "--run")
	if !strings.Contains(out, "called with bootstrap aws://") || !strings.Contains(out, "Made the policy") || !strings.Contains(out, "--role arn:aws:iam::123456789012:role/cdk-mine-cfn-exec-role-123456789012-us-east-1") || strings.Contains(out, "secret") {
		t.Error(out)
	}
	if out := p.must("cloud", "policy", "--execution", "--apply"); !strings.Contains(out, "is as it should be") {
		t.Error(out)
	}
}

// TestCloudOffline: what needs no account asks for none.
func TestCloudOffline(t *testing.T) {
	p := newPerson(t)
	p.env = append(p.env, "AWS_EC2_METADATA_DISABLED=true", "AWS_ENDPOINT_URL=http://127.0.0.1:1")
	if out := p.must("cloud", "template", "--kms", "--users", "2"); !strings.Contains(out, "Machine2:") || !strings.Contains(out, "AWS::KMS::Key") {
		t.Error(out)
	}
	for _, kind := range []string{"backup", "restore", "machine", "prune", "deployer", "execution", "boundary"} {
		out := p.must("cloud", "policy", "--"+kind, "--account", "123456789012", "--region", "eu-west-1", "--bucket", "my-bucket", "--prefix", "a/b")
		if !json.Valid([]byte(out)) || !strings.Contains(out, "2012-10-17") {
			t.Errorf("%s: %s", kind, out)
		}
	}
	if out := p.must("cloud", "policy", "--deployer", "--account", "123456789012", "--region", "eusc-de-east-1"); strings.Contains(out, "arn:aws:") || !strings.Contains(out, "arn:aws-eusc:iam::123456789012:") {
		t.Error(out)
	}
	for want, args := range map[string][]string{
		"--role string": {"cloud", "deploy", "--help"}, "--qualifier string": {"cloud", "policy", "--help"}, // and no word of their texts for the type
	} {
		if out := p.must(args...); !strings.Contains(out, want) {
			t.Errorf("%v: no %q in\n%s", args, want, out)
		}
	}
	for want, args := range map[string][]string{
		"at least one of the flags":     {"cloud", "policy"},
		"none of the others can be":     {"cloud", "policy", "--backup", "--prune"},
		"want one of":                   {"cloud", "template", "--storage-class", "COLD"},
		"a budget wants dollars and an": {"cloud", "template", "--budget", "5"},
		"begins with cdk-":              {"cloud", "policy", "--execution", "--stack", "cdk-home", "--account", "123456789012", "--region", "eu-west-1"},
		"begins with TarnCloud-":        {"cloud", "deploy", "--stack", "TarnCloud", "--role", "arn:aws:iam::123456789012:role/r"},
		"as its own does":               {"cloud", "bootstrap", "--stack", "cdk"},
		"in no part of AWS that":        {"cloud", "policy", "--deployer", "--account", "123456789012", "--region", "zz-west-1"},
	} {
		if code, _, errs := p.run(args...); code != exitFailed || !strings.Contains(errs, want) {
			t.Errorf("%v: %d, want %q in %s", args, code, want, errs)
		}
	}
}
