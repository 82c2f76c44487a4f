package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// writeProfiles makes the file of a person's AWS credentials, or of the configuration.
func (h *heard) writeProfiles(name, text string) {
	h.t.Helper()
	if err := os.MkdirAll(h.path("home", ".aws"), 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(h.path("home", ".aws", name), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// TestCloudForeignProfile: a profile that is not of this stack is neither written to nor
// removed, be its key nobody knows whose or its role in the configuration; if no name is
// left, no key is made.
func TestCloudForeignProfile(t *testing.T) {
	h := &heard{person: deployer(t, storagetest.Moto(t).URL)}
	const theirs = "[tarn-ini]\naws_access_key_id = AKIAFOREIGN\naws_secret_access_key = ONLYCOPY\noutput = json\n"
	h.writeProfiles("credentials", theirs)
	h.writeProfiles("config", "[profile tarn-role]\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = y\n")
	for stack, profile := range map[string]string{"ini": "tarn-ini-us-east-1", "role": "tarn-role-us-east-1"} {
		out := h.mustDo("cloud", "deploy", "--yes", "--storage-class", "STANDARD", "--stack", stack)
		if !strings.Contains(out, "The AWS profile tarn-"+stack+" is not of this stack, and stays as it is: this machine's is "+profile) {
			t.Errorf("%s: %s", stack, out)
		}
		h.mustDo("cloud", "rotate", "--yes", "--stack", stack)
		if mine, others := h.keysOf(stack); mine != 1 || others != 0 {
			t.Errorf("%s: %d keys of this machine, %d others", stack, mine, others)
		}
		if text, _ := h.credentials(); !strings.HasPrefix(text, theirs) || !strings.Contains(text, "["+profile+"]") {
			t.Errorf("%s:\n%s", stack, text)
		}
		h.mustDo("cloud", "destroy", "--yes", "--stack", stack)
		if text, _ := h.credentials(); text != theirs {
			t.Errorf("%s, after its end:\n%s", stack, text)
		}
	}
	h.mustDo("cloud", "deploy", "--yes", "--only-stack", "--storage-class", "STANDARD", "--stack", "ini")
	h.mustDo("cloud", "destroy", "--yes", "--stack", "ini")
	all := theirs + "[tarn-ini-us-east-1]\n[tarn-ini-us-east-1-123456789012]\naws_access_key_id = A\n"
	h.writeProfiles("credentials", all)
	code, _, errs := h.run("cloud", "deploy", "--yes", "--storage-class", "STANDARD", "--stack", "ini")
	if code != exitFailed || !strings.Contains(errs, "tarn-ini and tarn-ini-us-east-1 and tarn-ini-us-east-1-123456789012 are there already") || !strings.Contains(errs, "another name") {
		t.Errorf("%d %s", code, errs)
	}
	if text, _ := h.credentials(); text != all {
		t.Errorf("%s", text)
	}
	if mine, others := h.keysOf("ini"); mine+others > 0 {
		t.Errorf("%d keys of this machine, %d others", mine, others)
	}
}

// TestCloudTwoRegions: stacks of the same name in two regions have a profile each on
// this machine, and the end of one leaves the other, and what its backups go through.
func TestCloudTwoRegions(t *testing.T) {
	h := &heard{person: deployer(t, storagetest.Moto(t).URL)}
	deploy := func(region string) string {
		return h.mustDo("cloud", "deploy", "--yes", "--storage-class", "STANDARD", "--region", region)
	}
	deploy("eu-central-1")
	first, _ := h.credentials()
	deploy("us-east-1")
	text, secrets := h.credentials()
	if len(secrets) != 2 || !strings.HasPrefix(text, first) || !strings.Contains(text, "[tarn-tarn-us-east-1]") {
		t.Fatalf("%s", text)
	}
	if out := deploy("eu-central-1"); !strings.Contains(out, "as it should be") {
		t.Error(out)
	}
	h.mustDo("cloud", "rotate", "--yes", "--region", "us-east-1")
	if text, _ := h.credentials(); !strings.HasPrefix(text, first) {
		t.Errorf("%s", text)
	}
	h.mustDo("cloud", "destroy", "--yes", "--region", "us-east-1")
	if text, _ := h.credentials(); text != first {
		t.Errorf("%s\ninstead of\n%s", text, first)
	}
	deploys := h.env
	h.env = append(deploys[:len(deploys):len(deploys)], "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_REGION=", "AWS_ENDPOINT_URL=")
	h.mustDo("snapshots")
	h.env = deploys
	h.mustDo("cloud", "destroy", "--yes", "--region", "eu-central-1")
	if text, secrets := h.credentials(); len(secrets) > 0 {
		t.Errorf("%s", text)
	}
}

// TestCloudKeyRemovedElsewhere: a profile whose key was removed behind this machine's
// back is this machine's yet, and gets the next one.
func TestCloudKeyRemovedElsewhere(t *testing.T) {
	h := &heard{person: deployer(t, storagetest.Moto(t).URL)}
	h.mustDo("cloud", "deploy", "--yes", "--storage-class", "STANDARD")
	text, _ := h.credentials()
	_, id, _ := strings.Cut(text, "aws_access_key_id = ")
	id, _, _ = strings.Cut(id, "\n")
	h.mustDo("cloud", "rotate", "--yes", "--remove", id)
	h.mustDo("cloud", "deploy", "--yes")
	if text, secrets := h.credentials(); len(secrets) != 1 || strings.Contains(text, id) || !strings.Contains(text, "[tarn-tarn]") {
		t.Errorf("%s", text)
	}
}

// TestCloudAtOnce: stacks that are deployed from one home at the same time have their
// keys and settings all the same.
func TestCloudAtOnce(t *testing.T) {
	h := &heard{person: deployer(t, storagetest.Moto(t).URL)}
	stacks := []string{"c1", "c2", "c3", "c4"}
	var group sync.WaitGroup
	for _, stack := range stacks {
		group.Go(func() {
			if code, out, errs := h.run("cloud", "deploy", "--yes", "--storage-class", "STANDARD", "--stack", stack); code != exitDone {
				t.Errorf("%s: %d %s%s", stack, code, out, errs)
			}
		})
	}
	group.Wait()
	text, secrets := h.credentials()
	settings, err := os.ReadFile(h.path("home", "config", "tarn", "config.json"))
	for _, stack := range stacks {
		if !strings.Contains(text, "[tarn-"+stack+"]") || !strings.Contains(string(settings), "s3://"+stack+"-backupbucket") || len(secrets) != len(stacks) {
			t.Errorf("%s is lost: %v\n%s", stack, err, settings)
		}
	}
}

// TestCloudLateKey: a server that does not know the new key yet is asked again.
func TestCloudLateKey(t *testing.T) {
	var asked atomic.Int32
	server, err := url.Parse(storagetest.Moto(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	next := httputil.NewSingleHostReverseProxy(server)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/tarn.json") && asked.Add(1) <= 2 {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, "<Error><Code>InvalidAccessKeyId</Code><Message>The AWS Access Key Id you provided does not exist in our records.</Message></Error>")
			return
		}
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	h := &heard{person: deployer(t, proxy.URL)}
	if out := h.mustDo("cloud", "deploy", "--yes", "--storage-class", "STANDARD"); !strings.Contains(out, "Ready:") || asked.Load() < 3 {
		t.Errorf("asked %d times: %s", asked.Load(), out)
	}
}

// TestCloudNoBucket: of a bucket that was deleted outside of CloudFormation it is
// said what to do.
func TestCloudNoBucket(t *testing.T) {
	p := newPlanner(t)
	p.env = append(p.env, "AWS_SHARED_CREDENTIALS_FILE="+p.path("credentials"))
	if code, said := p.typed("", "cloud", "deploy", "--yes", "--storage-class", "STANDARD"); code != exitDone {
		t.Fatal(said)
	}
	bucket := strings.TrimSpace(p.cli("cloudformation", "describe-stack-resource", "--stack-name", "tarn", "--logical-resource-id", "BackupBucket", "--query", "StackResourceDetail.PhysicalResourceId", "--output", "text"))
	p.cli("s3", "rm", "--recursive", "s3://"+bucket)
	versions := p.cli("s3api", "list-object-versions", "--bucket", bucket, "--query", "[Versions,DeleteMarkers][].[Key,VersionId]", "--output", "text")
	for _, line := range strings.Split(strings.TrimSpace(versions), "\n") {
		if key, version, ok := strings.Cut(line, "\t"); ok {
			p.cli("s3api", "delete-object", "--bucket", bucket, "--key", key, "--version-id", strings.TrimSpace(version))
		}
	}
	p.cli("s3api", "delete-bucket", "--bucket", bucket)
	if code, said := p.typed("", "cloud", "deploy", "--yes"); code != exitFailed || !strings.Contains(said, "make another stack with --stack NAME") {
		t.Errorf("%d %s", code, said)
	}
}
