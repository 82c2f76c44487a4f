package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

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
