package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/cloud"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// TestLeastPrivilegeKMS: with a key of the bucket's own, backup and restore work
// with their policies, within the boundary, and name what of the key's is missing.
func TestLeastPrivilegeKMS(t *testing.T) {
	p := newPolicied(t)
	p.iam.key = "arn:aws:kms:us-east-1:" + leastAccount + ":key/1-2-3"
	boundary := cloud.NewPlace("us-east-1", leastAccount, "tarn")
	boundary.Bucket = leastBucket
	p.iam.boundary = statementsOf(t, boundary, cloud.Boundary)
	for _, test := range []struct {
		kind cloud.Kind
		args []string
		uses []string
	}{
		{cloud.Machine, []string{"init", "-q"}, []string{"kms:GenerateDataKey"}},
		{cloud.Backup, []string{"backup", "-q", "src"}, []string{"kms:GenerateDataKey", "kms:Decrypt"}}, // with an upload in parts
		{cloud.Restore, []string{"restore", "latest", "--target", "back"}, []string{"kms:Decrypt"}},
	} {
		for _, action := range test.uses {
			p.iam.set(withoutAction(p.policy(test.kind, "p"), action))
			if code, said := p.fresh("p", test.args...); code != exitFailed && code != exitProblems || !strings.Contains(said, action) {
				t.Errorf("%v without %s: exit code %d\n%s", test.args, action, code, said)
			}
		}
		p.iam.set(p.policy(test.kind, "p"))
		if code, said := p.fresh("p", test.args...); code != exitDone {
			t.Fatalf("%v: exit code %d\n%s", test.args, code, said)
		}
		for _, action := range test.uses {
			if !p.iam.used[action] {
				t.Errorf("%v has not used %s", test.args, action)
			}
		}
	}
	for _, s := range statementsOf(t, cloud.Place{Partition: "aws", Region: "us-east-1", Account: leastAccount, Bucket: leastBucket, Prefix: "p", Key: p.iam.key}, cloud.Restore) {
		for _, action := range s.Action {
			if action == "kms:GenerateDataKey" {
				t.Error("a machine that only reads may encrypt")
			}
		}
	}
}

// keyTags are the tags of the key in the template.
var keyTags = regexp.MustCompile(`(?m)^      Tags:\n        - Key: tarn:stack\n          Value: !Ref AWS::StackName\n`)

// TestCloudKMS: a stack with a key of its own, from the first backup to the end.
// moto makes no key that has tags by CloudFormation: it passes them on as Key and
// Value to its own KMS, which knows them as TagKey and TagValue, and then says that the
// key is undefined. So the key loses its tags on the way to it; that the policies rest on
// them is shown by the evaluator (TestBoundary, TestExecutionPolicy).
func TestCloudKMS(t *testing.T) {
	server, err := url.Parse(storagetest.Moto(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	next, cut := httputil.NewSingleHostReverseProxy(server), false
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := action(r); name == "CreateChangeSet" && cut {
			b, _ := io.ReadAll(r.Body) // action has read it before
			form, _ := url.ParseQuery(string(b))
			text := form.Get("TemplateBody")
			if !keyTags.MatchString(text) {
				t.Error("the key has no tags, or others")
			}
			form.Set("TemplateBody", keyTags.ReplaceAllString(text, ""))
			body := form.Encode()
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
			r.Header.Set("Content-Length", fmt.Sprint(len(body)))
		}
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	h := &heard{person: deployer(t, proxy.URL)}
	h.env = append(h.env, "TARN_PRICES=aws/us-east-1")
	deploy := []string{"cloud", "deploy", "--yes", "--kms", "--storage-class", "STANDARD", "--stack", "one"}
	if code, _, errs := h.run(deploy...); code != exitFailed || !strings.Contains(errs, "undefined resource BackupKey") {
		t.Fatalf("the server makes keys with tags now, and this test needs no proxy any more: %d %s", code, errs)
	}
	cut = true
	deploy[len(deploy)-1] = "two"
	h.mustDo(deploy...)
	content := bytes.Repeat([]byte("content"), 1000)
	if err := os.Mkdir(h.path("src"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.path("src", "a"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	h.mustDo("backup", "src")
	h.mustDo("restore", "latest", "--target", "back")
	if b, err := os.ReadFile(h.path("back", "src", "a")); err != nil || !bytes.Equal(b, content) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if out := h.mustDo("cloud", "status", "--stack", "two"); !strings.Contains(out, "a KMS key of its own") {
		t.Error(out)
	}
	for _, args := range [][]string{{"plan"}, {"deploy", "--yes"}} {
		code, said, errs := h.run(append(append([]string{"cloud"}, args...), "--kms=false", "--stack", "two")...)
		if code != exitFailed || !strings.Contains(errs, "cut every machine off from its repository") || !strings.Contains(errs, "--stack NAME") || strings.Contains(said, "removed") {
			t.Errorf("%v without the key: %d %s%s", args, code, said, errs)
		}
	}
	h.mustDo("cloud", "deploy", "--yes", "--stack", "two", "--kms")
	h.mustDo("cat", "latest", "src/a")
	out := h.mustDo("cloud", "destroy", "--yes", "--stack", "two")
	if !strings.Contains(out, "Stays: the KMS key") || !strings.Contains(out, "without which nothing in the bucket can be read") || strings.Contains(out, "GOES") {
		t.Errorf("destroy: %s", out)
	}
}
