package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
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
	want := "cdk bootstrap aws://123456789012/us-east-1 --qualifier mine --toolkit-stack-name CDKToolkit-mine --cloudformation-execution-policies arn:aws:iam::123456789012:policy/TarnCloud-tarn-execution\n"
	if out != want {
		t.Errorf("%s", out)
	}
	if code, _, errs := p.run("cloud", "bootstrap", "--qualifier", "longer than ten"); code != exitFailed || !strings.Contains(errs, "1 to 10 letters") {
		t.Errorf("%d %s", code, errs)
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

// TestNewcomers: each failure that somebody meets who does this for the first
// time says what to do next, and shows no secret.
func TestNewcomers(t *testing.T) {
	says := func(answers map[string]string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm() // what is no form has no action
			action := r.Form.Get("Action")
			body, later, more := strings.Cut(answers[action], "||")
			if more {
				answers[action] = later
			}
			if body == "" && action == "GetCallerIdentity" {
				body = "<Arn>arn:aws:iam::123456789012:user/me</Arn><Account>123456789012</Account>"
			}
			if code, message, ok := strings.Cut(body, "|"); ok || body == "" {
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprintf(w, "<ErrorResponse><Error><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>", code, message)
				return
			}
			fmt.Fprintf(w, "<%sResponse><%[1]sResult>%s</%[1]sResult></%[1]sResponse>", action, body)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	stack := func(status string) string {
		return "<Stacks><member><StackName>tarn</StackName><StackId>arn:aws:cloudformation:us-east-1:1:stack/tarn/1</StackId><StackStatus>" + status +
			"</StackStatus><CreationTime>2026-01-02T03:04:05Z</CreationTime></member></Stacks>"
	}
	const none = "ValidationError|Stack with id tarn does not exist"
	ours := "<TemplateBody>Metadata: {Tarn: {StorageClass: STANDARD, Prefix: tarn, Users: 1, ObjectLockMode: GOVERNANCE}}\nResources: {BackupBucket: {Type: AWS::S3::Bucket}}</TemplateBody>"
	failed := "<StackEvents/>||<StackEvents><member><EventId>2</EventId><LogicalResourceId>tarn</LogicalResourceId><ResourceType>AWS::CloudFormation::Stack</ResourceType>" +
		"<Timestamp>2026-01-02T03:04:05Z</Timestamp><ResourceStatus>ROLLBACK_COMPLETE</ResourceStatus></member><member><EventId>1</EventId><LogicalResourceId>%s</LogicalResourceId>" +
		"<ResourceType>%s</ResourceType><Timestamp>2026-01-02T03:04:04Z</Timestamp><ResourceStatus>CREATE_FAILED</ResourceStatus><ResourceStatusReason>%s</ResourceStatusReason></member></StackEvents>"
	executed := map[string]string{
		"DescribeStacks": none + "||" + none + "||" + none + "||" + none + "||" + stack("REVIEW_IN_PROGRESS"), "GetTemplate": none, "CreateChangeSet": "<Id>arn:change</Id><StackId>arn:aws:cloudformation:us-east-1:1:stack/tarn/1</StackId>", "DescribeChangeSet": "<Status>CREATE_COMPLETE</Status>", "ExecuteChangeSet": " ",
		"GetPolicy": "<Policy><DefaultVersionId>v1</DefaultVersionId></Policy>", "GetPolicyVersion": "<PolicyVersion><Document>{}</Document></PolicyVersion>",
	}
	page := func(status int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			fmt.Fprint(w, "<!DOCTYPE html><html><body>Log in first<br></body></html>")
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	secret := httptest.NewTLSServer(http.NotFoundHandler())
	secret.Config.ErrorLog = log.New(io.Discard, "", 0) // which would say that nobody trusts it
	t.Cleanup(secret.Close)
	with := func(m map[string]string, more ...string) map[string]string {
		all := map[string]string{}
		for k, v := range m {
			all[k] = v
		}
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	for name, test := range map[string]struct {
		url  string
		env  []string
		args []string
		want []string
	}{
		"no credentials":          {"http://127.0.0.1:1", []string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="}, nil, []string{"finding AWS credentials: there are none", "aws configure", "aws sso login"}},
		"no profile":              {"http://127.0.0.1:1", nil, []string{"--profile", "absent"}, []string{`no such profile: "absent"`, "~/.aws/config"}},
		"no region":               {"http://127.0.0.1:1", []string{"AWS_REGION="}, nil, []string{"no region is named", "--region eu-central-1"}},
		"no internet":             {"http://127.0.0.1:1", nil, nil, []string{"no way to AWS", "Look at the network"}},
		"no such region":          {"http://sts.no-such-region.invalid", nil, nil, []string{"no way to AWS", "--region"}},
		"a wrong key":             {says(map[string]string{"GetCallerIdentity": "InvalidClientTokenId|The security token included in the request is invalid."}), nil, nil, []string{"AWS refuses the credentials", "log in again"}},
		"an old session":          {says(map[string]string{"GetCallerIdentity": "ExpiredToken|The security token included in the request is expired"}), nil, nil, []string{"AWS refuses the credentials", "aws sso login"}},
		"a clock that is off":     {says(map[string]string{"GetCallerIdentity": "SignatureDoesNotMatch|Signature expired: 20260102T030405Z is now earlier than 20260102T040405Z"}), nil, nil, []string{"AWS refuses the request for its time", "Set this machine's clock"}},
		"a clock, to S3":          {says(map[string]string{"GetCallerIdentity": "RequestTimeTooSkewed|The difference is too large."}), nil, nil, []string{"Set this machine's clock"}},
		"half of a key":           {"http://127.0.0.1:1", []string{"AWS_SECRET_ACCESS_KEY="}, nil, []string{"AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not", "aws configure"}},
		"a second factor":         {"http://127.0.0.1:1", nil, []string{"--profile", "admin"}, []string{"wants a code of its second factor", "Run it on a terminal", "aws configure export-credentials"}},
		"a page of a network":     {page(http.StatusOK), nil, nil, []string{"what answers is not AWS", "HTTPS_PROXY"}},
		"a page that moves":       {page(http.StatusFound), nil, nil, []string{"what answers is not AWS", "HTTPS_PROXY"}},
		"a page that is busy":     {page(http.StatusServiceUnavailable), nil, nil, []string{"what answers is not AWS", "HTTPS_PROXY"}},
		"TLS of nobody":           {secret.URL, nil, nil, []string{"no trusted TLS to AWS", "AWS_CA_BUNDLE"}},
		"TLS to a server without": {strings.Replace(page(http.StatusOK), "http:", "https:", 1), nil, nil, []string{"no trusted TLS to AWS", "http or https"}},
		"a role of others":        {says(map[string]string{"GetTemplate": none, "DescribeStacks": none, "CreateChangeSet": "ValidationError|Role arn:aws:iam::1:role/x is invalid or cannot be assumed"}), nil, nil, []string{"CloudFormation can't take the role", "tarn cloud bootstrap"}},
		"too many stacks":         {says(map[string]string{"GetTemplate": none, "DescribeStacks": none, "CreateChangeSet": "LimitExceededException|Stack limit exceeded"}), nil, nil, []string{"as many of that as it may", "Service Quotas"}},
		"a budget for nobody":     {says(map[string]string{"GetTemplate": none, "DescribeStacks": none}), nil, []string{"--budget", "5"}, []string{"--budget with --email"}},
		"a region not enabled":    {says(map[string]string{"DescribeStacks": "OptInRequired|You are not subscribed"}), nil, nil, []string{"none of this account's", "enabled in the account"}},
		"a missing permission": {says(map[string]string{"GetTemplate": none, "DescribeStacks": none, "CreateChangeSet": "AccessDenied|User: arn:aws:iam::1:user/me is not authorized to perform: cloudformation:CreateChangeSet on resource: x"}), nil, nil,
			[]string{"the permission cloudformation:CreateChangeSet is missing", "can allow cloudformation:CreateChangeSet", "tarn cloud policy --deployer"}},
		"a permission of CloudFormation": {says(with(executed, "DescribeStackEvents", fmt.Sprintf(failed, "Machine1", "AWS::IAM::User", "User: u is not authorized to perform: iam:CreateUser on resource: y"))), nil, nil,
			[]string{"Machine1 (AWS::IAM::User)", "can allow iam:CreateUser", "tarn cloud destroy"}},
		"what could not be made": {says(map[string]string{"GetTemplate": ours, "DescribeStacks": stack("ROLLBACK_COMPLETE")}), nil, nil, []string{"ROLLBACK_COMPLETE", "`tarn cloud destroy`"}},
		"under way":              {says(map[string]string{"GetTemplate": ours, "DescribeStacks": stack("CREATE_COMPLETE") + "||" + stack("CREATE_COMPLETE") + "||" + stack("UPDATE_IN_PROGRESS")}), nil, nil, []string{"UPDATE_IN_PROGRESS", "Wait until"}},
		"a region that is none":  {"http://127.0.0.1:1", nil, []string{"--region", "evil.example.org/"}, []string{"want a name like eu-central-1", "--region"}},
		"no machines":            {"http://127.0.0.1:1", nil, []string{"--users", "0"}, []string{"0 users: want 1 to 50"}},
		"no machine":             {"http://127.0.0.1:1", nil, []string{"--machine", "0"}, []string{"machine 0: want a number from 1", "--machine"}},
		"no class":               {"http://127.0.0.1:1", nil, []string{"--storage-class", "COLD"}, []string{"want one of"}},
		"a role that is none":    {"http://127.0.0.1:1", nil, []string{"--role", "admin"}, []string{"want its ARN", "tarn cloud bootstrap"}},
		"stuck":                  {says(map[string]string{"GetTemplate": ours, "DescribeStacks": stack("UPDATE_ROLLBACK_FAILED")}), nil, nil, []string{"UPDATE_ROLLBACK_FAILED", "CloudFormation console"}},
		"a name that is taken": {says(with(executed, "DescribeStackEvents", fmt.Sprintf(failed, "CostAlarm", "AWS::Budgets::Budget", "tarn-cost already exists"))), nil, nil,
			[]string{"tarn-cost already exists", "tarn cloud destroy"}},
		"another's stack":     {says(map[string]string{"GetTemplate": "<TemplateBody>Resources: {}</TemplateBody>", "DescribeStacks": stack("CREATE_COMPLETE")}), nil, nil, []string{"tarn has not made it", "--stack"}},
		"another prefix":      {says(map[string]string{"GetTemplate": ours, "DescribeStacks": stack("CREATE_COMPLETE")}), nil, []string{"--prefix", "other"}, []string{"its prefix is tarn, and to make it other would cut", "--stack NAME --prefix other"}},
		"a name that is none": {"http://127.0.0.1:1", nil, []string{"--stack", "my_stack"}, []string{`stack "my_stack"`, "--stack"}},
		"too many machines":   {says(map[string]string{"GetTemplate": none, "DescribeStacks": none}), nil, []string{"--machine", "2"}, []string{"machine 2: the stack has 1 user", "--users 2"}},
		"a replacement": {says(map[string]string{"GetTemplate": ours, "DescribeStacks": stack("CREATE_COMPLETE"), "CreateChangeSet": "<Id>arn:change</Id><StackId>arn:aws:cloudformation:us-east-1:1:stack/tarn/1</StackId>", "DeleteChangeSet": " ",
			"ListStackResources": "<StackResourceSummaries><member><LogicalResourceId>BackupBucket</LogicalResourceId><PhysicalResourceId>mine</PhysicalResourceId><ResourceType>AWS::S3::Bucket</ResourceType><LastUpdatedTimestamp>2026-01-02T03:04:05Z</LastUpdatedTimestamp><ResourceStatus>CREATE_COMPLETE</ResourceStatus></member></StackResourceSummaries>",
			"DescribeChangeSet":  "<Status>CREATE_COMPLETE</Status><Changes><member><ResourceChange><Action>Modify</Action><LogicalResourceId>BackupBucket</LogicalResourceId><ResourceType>AWS::S3::Bucket</ResourceType><Replacement>True</Replacement></ResourceChange></member></Changes>"}), nil, nil,
			[]string{"the bucket mine would be replaced, and nobody has typed its name", "nothing was changed"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := deployer(t, test.url)
			config := p.path("config")
			if err := os.WriteFile(config, []byte("[profile admin]\nrole_arn = arn:aws:iam::123456789012:role/admin\nmfa_serial = arn:aws:iam::123456789012:mfa/me\ncredential_source = Environment\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			p.env = append(p.env, "AWS_CONFIG_FILE="+config, "AWS_SHARED_CREDENTIALS_FILE="+p.path("credentials"))
			p.env = append(p.env, test.env...)
			code, out, errs := p.run(append([]string{"cloud", "deploy", "--yes"}, test.args...)...)
			if code != exitFailed || strings.Contains(out+errs, "deployersecret") {
				t.Errorf("exit code %d\n%s%s", code, out, errs)
			}
			for _, want := range test.want {
				if !strings.Contains(errs, want) {
					t.Errorf("want %q in\n%s%s", want, out, errs)
				}
			}
			if _, err := os.Stat(p.path("credentials")); !notExist(err) {
				t.Errorf("a key was written: %v", err)
			}
		})
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
	} {
		if code, _, errs := p.run(args...); code != exitFailed || !strings.Contains(errs, want) {
			t.Errorf("%v: %d, want %q in %s", args, code, want, errs)
		}
	}
}
