package main

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tarn-backup/tarn/internal/cloud"
	"github.com/tarn-backup/tarn/internal/cloud/guard"
	"github.com/tarn-backup/tarn/internal/s3lab"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

const (
	leastBucket  = "arn:aws:s3:::lab"
	leastAccount = "123456789012"
)

// policied is a person whose requests pass an evaluator of policies on their
// way to a lab that has the semantics of cold classes.
type policied struct {
	*person
	iam  *iam
	lab  *s3lab.Lab
	runs int
	url  string
}

func newPolicied(t *testing.T) *policied {
	t.Helper()
	lab, err := s3lab.Open(s3lab.LabConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := lab.CreateBucket(t.Context(), "lab"); err != nil {
		t.Fatal(err)
	}
	p := &policied{person: newPerson(t), lab: lab, iam: &iam{t: t, next: lab, tls: true, bucket: bucketStatements(t)}}
	server := httptest.NewServer(p.iam)
	t.Cleanup(server.Close)
	p.url = server.URL
	p.env = append(p.env, "AWS_EC2_METADATA_DISABLED=true", "AWS_ENDPOINT_URL_S3="+server.URL, "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=lab", "AWS_SECRET_ACCESS_KEY=lab", "TARN_PRICES=aws/us-east-1")
	for name, size := range map[string]int{"a/one": 5000, "a/two": 70_000, "b/large": 35 << 20} { // more than a part
		if err := os.MkdirAll(filepath.Dir(p.path("src", name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p.path("src", name), storagetest.Content(uint64(size), size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// bucketStatements is the bucket's policy in the template of `tarn cloud deploy`.
func bucketStatements(t *testing.T) (list []cloud.Statement) {
	t.Helper()
	text, err := cloud.DefaultOptions().Template()
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := guard.ParseTemplate([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range tmpl.Resources {
		if r.Type != "AWS::S3::BucketPolicy" {
			continue
		}
		doc, _ := r.Properties["PolicyDocument"].(map[string]any)
		statements, _ := doc["Statement"].([]any)
		for _, each := range statements {
			m := each.(map[string]any)
			s := cloud.Statement{Sid: fmt.Sprint(m["Sid"]), Effect: fmt.Sprint(m["Effect"]), Action: texts(m["Action"]), Resource: texts(m["Resource"]), Condition: map[string]map[string][]string{}}
			conditions, _ := m["Condition"].(map[string]any)
			for operator, keys := range conditions {
				s.Condition[operator] = map[string][]string{}
				for key, values := range keys.(map[string]any) {
					s.Condition[operator][key] = texts(values)
				}
			}
			list = append(list, s)
		}
	}
	if len(list) < 2 {
		t.Fatalf("the template's bucket policy has %d statements", len(list))
	}
	return list
}

// texts are the words of a policy in a template, with the bucket's ARN in them.
func texts(v any) (list []string) {
	switch v := v.(type) {
	case []any:
		for _, each := range v {
			list = append(list, texts(each)...)
		}
	case map[string]any:
		for _, arg := range v { // Fn::GetAtt or Fn::Sub
			s := fmt.Sprint(arg)
			list = append(list, strings.NewReplacer("${BackupBucket.Arn}", leastBucket, "BackupBucket.Arn", leastBucket).Replace(s))
		}
	default:
		list = []string{fmt.Sprint(v)}
	}
	return list
}

// policy is that of a kind of machine, for a repository.
func (p *policied) policy(kind cloud.Kind, prefix string) []cloud.Statement {
	p.t.Helper()
	place := cloud.NewPlace("us-east-1", leastAccount, "tarn")
	place.Bucket, place.Prefix, place.Key = leastBucket, prefix, p.iam.key
	doc, err := place.Policy(kind)
	if err != nil {
		p.t.Fatal(err)
	}
	return doc.Statement
}

// fresh runs tarn as a machine that has nothing in its cache.
func (p *policied) fresh(prefix string, args ...string) (code int, said string) {
	p.t.Helper()
	p.runs++
	kept := p.env
	p.env = append(slices.Clone(kept), "TARN_REPO=s3://lab/"+prefix, fmt.Sprintf("XDG_CACHE_HOME=%s", p.path("cache", fmt.Sprint(p.runs))))
	code, out, errs := p.run(args...)
	p.env = kept
	return code, out + errs
}

// everything is what an administrator may do.
var everything = []cloud.Statement{{Effect: "Allow", Action: []string{"s3:*"}, Resource: []string{leastBucket, leastBucket + "/*"}}}

// TestLeastPrivilege: each command does its work with the policy of its kind of
// machine; without one action that it uses, it fails and names the action; and no
// policy has an action that no command uses.
func TestLeastPrivilege(t *testing.T) {
	if testing.Short() {
		t.Skip("runs each command many times")
	}
	p := newPolicied(t)
	p.iam.set(everything)
	for _, prefix := range []string{"frozen", "thawed"} {
		for _, args := range [][]string{{"init", "-q", "--storage-class", "GLACIER"}, {"backup", "-q", "--split-depth", "1", "src"}} {
			if code, said := p.fresh(prefix, args...); code != exitDone {
				t.Fatalf("%v: exit code %d\n%s", args, code, said)
			}
		}
	}
	if code, said := p.fresh("thawed", "thaw", "latest", "--yes", "--days", "30"); code != exitDone {
		t.Fatalf("thaw: exit code %d\n%s", code, said)
	}
	if err := p.lab.Advance(13 * time.Hour); err != nil {
		t.Fatal(err)
	}
	n := 0
	target := func() string { n++; return p.path("back", fmt.Sprint(n)) }
	place := func() string { n++; return fmt.Sprintf("new/%d", n) }
	at := func(prefix string) func() string { return func() string { return prefix } }
	type command struct {
		prefix func() string
		args   func() []string
		uses   string // the actions, sorted
	}
	words := func(s string) func() []string { return func() []string { return strings.Fields(s) } }
	const reads = "s3:GetObject s3:ListBucket"
	made := func() string { // a repository without a snapshot
		prefix := place()
		p.iam.set(everything)
		if code, said := p.fresh(prefix, "init", "-q", "--storage-class", "GLACIER"); code != exitDone {
			t.Fatalf("init: exit code %d\n%s", code, said)
		}
		return prefix
	}
	looks := []command{
		{at("frozen"), words("snapshots"), reads}, {at("frozen"), words("ls latest"), reads}, {at("frozen"), words("find one"), reads}, {at("frozen"), words("diff latest latest"), reads},
		{at("frozen"), words("stats"), reads}, {at("frozen"), words("check"), reads}, {at("frozen"), words("thaw --status"), reads},
		{at("frozen"), words("restore latest --target x --dry-run"), reads}, {at("frozen"), words("cost"), "s3:ListBucket"},
		{at("frozen"), words("cost restore latest"), reads}, {at("frozen"), words("cost delete latest"), reads}, {at("frozen"), words("drill --status"), reads},
	}
	for kind, list := range map[cloud.Kind][]command{
		cloud.Backup: append(slices.Clone(looks),
			command{place, words("init -q"), reads + " s3:PutObject"},
			command{made, words("backup -q --split-depth 1 src"), reads + " s3:PutObject"}),
		cloud.Restore: append(slices.Clone(looks),
			command{at("thawed"), func() []string { return []string{"restore", "latest", "--target", target()} }, reads},
			command{at("thawed"), words("cat latest src/a/one"), reads},
			command{at("thawed"), words("dump latest src/a"), reads},
			command{at("thawed"), words("drill --bytes 100MiB --yes"), reads},
			command{at("thawed"), words("rebuild"), reads},
			command{at("thawed"), words("check --read-data"), reads},
			command{at("frozen"), words("thaw latest --yes --tier bulk"), reads + " s3:RestoreObject"}),
	} {
		used := map[string]bool{"s3:AbortMultipartUpload": true} // of an upload that fails: without it the lifecycle rule does it
		for _, c := range list {
			prefix := c.prefix()
			// The failures come first: they change nothing.
			for _, action := range strings.Fields(c.uses) {
				if action == "s3:GetObject" && c.args()[0] == "init" {
					continue // the list says as well that no repository is there
				}
				p.iam.set(withoutAction(p.policy(kind, prefix), action))
				if code, said := p.fresh(prefix, c.args()...); code != exitFailed && code != exitProblems || !strings.Contains(said, action) || strings.Contains(said, "goroutine") {
					t.Errorf("%s: %v without %s: exit code %d\n%s", kind, c.args(), action, code, said)
				}
			}
			p.iam.set(p.policy(kind, prefix))
			if code, said := p.fresh(prefix, c.args()...); code != exitDone {
				t.Errorf("%s: %v: exit code %d\n%s", kind, c.args(), code, said)
			}
			if got := strings.Join(slices.Sorted(maps.Keys(p.iam.used)), " "); got != c.uses {
				t.Errorf("%s: %v uses %s, want %s", kind, c.args(), got, c.uses)
			}
			maps.Copy(used, p.iam.used)
		}
		for _, s := range p.policy(kind, "p") {
			for _, action := range s.Action {
				if !used[action] {
					t.Errorf("%s: no command uses %s", kind, action)
				}
			}
		}
	}
}

// TestBackupUserCant: what a stolen key of a machine can't do, though the server would.
func TestBackupUserCant(t *testing.T) {
	p := newPolicied(t)
	send := func(method, path string, header map[string]string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, p.url+path, bytes.NewReader([]byte("x")))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range header {
			r.Header.Set(name, value)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	fresh := map[string]string{"If-None-Match": "*"}
	for _, kind := range []cloud.Kind{cloud.Backup, cloud.Restore, cloud.Machine} {
		p.iam.set(everything)
		for _, key := range []string{"/lab/p/" + string(kind), "/lab/other/" + string(kind)} {
			if code := send("PUT", key, fresh); code != http.StatusOK {
				t.Fatalf("%s: %d", key, code)
			}
		}
		p.iam.set(p.policy(kind, "p"))
		key := "/lab/p/" + string(kind)
		for _, c := range []struct {
			method, path string
			header       map[string]string
		}{
			{"DELETE", key, nil}, {"DELETE", key + "?versionId=1", nil}, {"PUT", key, nil}, {"GET", "/lab?list-type=2", nil}, {"GET", "/lab?list-type=2&prefix=", nil},
			{"GET", "/lab?list-type=2&prefix=other/", nil}, {"GET", "/lab?list-type=2&prefix=p", nil}, {"GET", "/lab?versions", nil}, {"GET", "/lab/other/" + string(kind), nil},
			{"PUT", "/lab/other/new", fresh}, {"PUT", "/lab/px", fresh}, {"PUT", "/lab?policy", nil}, {"DELETE", "/lab?policy", nil}, {"PUT", "/lab?versioning", nil}, {"PUT", "/lab?lifecycle", nil},
			{"DELETE", "/lab", nil}, {"PUT", "/lab", nil},
		} {
			if code := send(c.method, c.path, c.header); code != http.StatusForbidden {
				t.Errorf("%s: %s %s is answered %d", kind, c.method, c.path, code)
			}
		}
		if code := send("PUT", key, fresh); kind != cloud.Restore && code != http.StatusPreconditionFailed || kind == cloud.Restore && code != http.StatusForbidden {
			t.Errorf("%s: an overwrite with If-None-Match is answered %d", kind, code)
		}
		if code := send("GET", "/lab?list-type=2&prefix=p/", nil); code != http.StatusOK {
			t.Errorf("%s: a list of its own is answered %d", kind, code)
		}
		p.iam.tls = false
		if code := send("GET", key, nil); code != http.StatusForbidden {
			t.Errorf("%s: without TLS it is answered %d", kind, code)
		}
		p.iam.tls = true
	}
}
