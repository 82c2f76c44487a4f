package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/cloud/guard"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// planner is a person with stacks of their own in an account.
type planner struct {
	*person
	aws, url string
}

func newPlanner(t *testing.T) *planner {
	t.Helper()
	programs(t, "aws")
	e := storagetest.Moto(t)
	p := &planner{newPerson(t), "aws", e.URL}
	p.env = append(p.env, "AWS_EC2_METADATA_DISABLED=true", "AWS_ENDPOINT_URL="+e.URL, "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_ACCESS_KEY_ID=lab", "AWS_SECRET_ACCESS_KEY=labsecret", "AWS_PAGER=", "AWS_DEFAULT_OUTPUT=json")
	return p
}

// cli runs the AWS CLI, which has to do as it is told.
func (p *planner) cli(args ...string) string {
	p.t.Helper()
	out, err := p.tryCLI(args...)
	if err != nil {
		p.t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (p *planner) tryCLI(args ...string) (string, error) {
	cmd := exec.CommandContext(p.t.Context(), p.aws, append(args[:len(args):len(args)], "--endpoint-url", p.url)...)
	cmd.Env, cmd.Dir = p.env, p.dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	return out.String() + errs.String(), err
}

// typed runs tarn with something on its stdin.
func (p *planner) typed(stdin string, args ...string) (code int, said string) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), "tarn", args...)
	cmd.Env, cmd.Dir, cmd.Stdin = p.env, p.dir, strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		p.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func (p *planner) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(p.path(name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// TestCloudPlan: on stacks that tarn has not made, with data in them, the AWS
// CLI carries out what empties them; tarn says so, and leaves them alone until
// somebody types their names.
func TestCloudPlan(t *testing.T) {
	all := storagetest.All(t)
	const cdk = "  %ID:\n    Type: AWS::SQS::Queue\n    Properties: {%P}\n    Metadata: {'aws:cdk:path': '%PATH/Resource'}\n"
	queue := func(id, path, properties string) string {
		return "Resources:\n" + strings.NewReplacer("%ID", id, "%PATH", path, "%P", properties).Replace(cdk)
	}
	items := func(id string) string {
		return "Resources:\n  " + id + ":\n    Type: AWS::DynamoDB::Table\n    Properties: {BillingMode: PAY_PER_REQUEST, AttributeDefinitions: [{AttributeName: id, AttributeType: S}], KeySchema: [{AttributeName: id, KeyType: HASH}]}\n"
	}
	send := []string{"sqs", "send-message", "--message-body", "hello", "--queue-url"}
	for name, test := range map[string]struct {
		old, new string
		fill     func(p *planner, name string)
		there    func(p *planner, name string) bool
		id       string // logical, whose physical name counts
		want     []string
		collides bool
	}{
		"a renamed construct": {
			old: queue("MyQueueE6CA6235", "S/MyQueue", ""), new: queue("MyRenamedQueue5E166F18", "S/MyRenamedQueue", ""), id: "MyQueueE6CA6235",
			fill: func(p *planner, url string) { p.cli(append(slices.Clone(send), url)...) },
			there: func(p *planner, url string) bool {
				return p.has("sqs", "receive-message", "--visibility-timeout", "0", "--queue-url", url)
			},
			want: []string{"REPLACED: queue MyQueueE6CA6235 → MyRenamedQueue5E166F18", "MyQueue is called MyRenamedQueue now", "overrideLogicalId('MyQueueE6CA6235')"},
		},
		"a construct moved into another": {
			old: queue("MyQueueE6CA6235", "S/MyQueue", ""), id: "MyQueueE6CA6235",
			new:  queue("MyQueueWithDLQDLQE6D3019E", "S/MyQueueWithDLQ/DLQ", "") + strings.TrimPrefix(queue("MyQueueWithDLQMyQueue20F468EB", "S/MyQueueWithDLQ/MyQueue", "VisibilityTimeout: 60"), "Resources:\n"),
			fill: func(p *planner, url string) { p.cli(append(slices.Clone(send), url)...) },
			there: func(p *planner, url string) bool {
				return p.has("sqs", "receive-message", "--visibility-timeout", "0", "--queue-url", url)
			},
			want: []string{"REPLACED: queue MyQueueE6CA6235 → MyQueueWithDLQMyQueue20F468EB", "MyQueue has moved from S into S/MyQueueWithDLQ", "+ added: queue MyQueueWithDLQDLQE6D3019E"},
		},
		"a hard-coded name that collides": {
			old: queue("MyQueueE6CA6235", "S/MyQueue", "QueueName: my-queue"), new: queue("MyRenamedQueue5E166F18", "S/MyRenamedQueue", "QueueName: my-queue"), id: "MyQueueE6CA6235",
			fill: func(p *planner, url string) { p.cli(append(slices.Clone(send), url)...) },
			there: func(p *planner, url string) bool {
				return p.has("sqs", "receive-message", "--visibility-timeout", "0", "--queue-url", url)
			},
			want: []string{`fails: a queue called "my-queue" is there already (the stack's own MyQueueE6CA6235`, "AlreadyExists", "leave QueueName out"}, collides: true,
		},
		"a bucket whose name changed": {
			old: "Resources: {Photos: {Type: 'AWS::S3::Bucket', Properties: {BucketName: photos-1}}}", id: "Photos",
			new:  "Resources: {Photos: {Type: 'AWS::S3::Bucket', Properties: {BucketName: photos-2}}}",
			fill: func(*planner, string) {}, // moto deletes none that is not empty, as CloudFormation
			there: func(p *planner, bucket string) bool {
				_, err := p.tryCLI("s3api", "head-bucket", "--bucket", bucket)
				return err == nil
			},
			want: []string{"REPLACED: bucket Photos (photos-1)", "lost:  the objects in it", `its name (BucketName) changes from "photos-1" to "photos-2"`, "leave BucketName as it is"},
		},
		"a table with another logical id": {
			old: items("Items"), new: items("Entries"), id: "Items",
			fill: func(p *planner, name string) {
				p.cli("dynamodb", "put-item", "--table-name", name, "--item", `{"id": {"S": "x"}}`)
			},
			there: func(p *planner, name string) bool {
				return p.has("dynamodb", "get-item", "--table-name", name, "--key", `{"id": {"S": "x"}}`)
			},
			want: []string{"REPLACED: table Items → Entries (guarded-Items-", "lost:  its items", "the logical id changes from Items to Entries", "keep the old logical id Items in the template"},
		},
	} {
		if !all && name != "a renamed construct" && !test.collides {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlanner(t)
			p.write("old.yaml", test.old)
			p.write("new.yaml", test.new)
			made := func(stack string) string {
				p.cli("cloudformation", "deploy", "--stack-name", stack, "--template-file", "old.yaml")
				var doc struct {
					StackResourceDetail struct{ PhysicalResourceId string }
				}
				if err := json.Unmarshal([]byte(p.cli("cloudformation", "describe-stack-resource", "--stack-name", stack, "--logical-resource-id", test.id)), &doc); err != nil {
					t.Fatal(err)
				}
				test.fill(p, doc.StackResourceDetail.PhysicalResourceId)
				return doc.StackResourceDetail.PhysicalResourceId
			}
			physical := made("guarded")
			if !test.there(p, physical) {
				t.Fatal("the data is not there to begin with")
			}
			plan := []string{"cloud", "plan", "--stack", "guarded", "--template", "new.yaml"}
			code, said := p.typed("", plan...)
			for _, want := range test.want {
				if code != exitProblems || !strings.Contains(said, want) {
					t.Errorf("exit code %d, want %q in\n%s", code, want, said)
				}
			}
			called := (&guard.Change{Name: physical}).Called()
			for _, wrong := range []string{"", "y\n", "yes\nyes\n", test.id + "\n", strings.ToUpper(called) + "\n"} {
				if code, said := p.typed(wrong, append(slices.Clone(plan), "--execute", "--yes")...); code != exitFailed || !strings.Contains(said, "nothing was changed") {
					t.Errorf("%q: exit code %d\n%s", wrong, code, said)
				}
			}
			if !test.there(p, physical) {
				t.Fatal("what was refused is gone")
			}
			if list := p.cli("cloudformation", "list-change-sets", "--stack-name", "guarded"); strings.Contains(list, "tarn-") {
				t.Errorf("a change set stays: %s", list)
			}
			code, said = p.typed(called+"\n", append(slices.Clone(plan), "--execute")...)
			if test.collides {
				if code != exitFailed || !test.there(p, physical) {
					t.Errorf("a plan that would fail: exit code %d\n%s", code, said)
				}
			} else if code != exitDone || test.there(p, physical) {
				t.Errorf("with its name typed: exit code %d\n%s", code, said)
			}
			// The AWS CLI asks nobody.
			p = newPlanner(t)
			p.write("old.yaml", test.old)
			p.write("new.yaml", test.new)
			physical = made("alone")
			p.cli("cloudformation", "update-stack", "--stack-name", "alone", "--template-body", "file://new.yaml")
			if test.there(p, physical) {
				t.Error("the AWS CLI alone has kept it: then this test shows nothing")
			}
		})
	}
}

// has reports whether the AWS CLI finds something.
func (p *planner) has(args ...string) bool {
	out, err := p.tryCLI(args...)
	return err == nil && strings.TrimSpace(out) != "" && strings.Contains(out, "{")
}

// TestCloudPlanRisks: what only stops keeping data is named, in JSON too, and a
// script can tell.
func TestCloudPlanRisks(t *testing.T) {
	p := newPlanner(t)
	p.write("kept.yaml", "Resources: {Photos: {Type: 'AWS::S3::Bucket', DeletionPolicy: Retain}}")
	p.write("risky.yaml", "Resources: {Photos: {Type: 'AWS::S3::Bucket', Properties: {LifecycleConfiguration: {Rules: [{Status: Enabled, ExpirationInDays: 1}]}}}}")
	p.cli("cloudformation", "deploy", "--stack-name", "risky", "--template-file", "kept.yaml")
	plan := []string{"cloud", "plan", "--stack", "risky", "--template", "risky.yaml"}
	code, said := p.typed("", plan...)
	for _, want := range []string{"look at this: DeletionPolicy: a deletion would no longer keep it", "look at this: LifecycleConfiguration: objects would be deleted after 1 day", "LifecycleConfiguration, DeletionPolicy"} {
		if code != exitProblems || !strings.Contains(said, want) {
			t.Errorf("exit code %d, want %q in\n%s", code, want, said)
		}
	}
	if code, said := p.typed("", append(plan, "--json")...); code != exitProblems || !strings.Contains(said, "risks") {
		t.Errorf("exit code %d\n%s", code, said)
	}
}

// TestCloudPlanHarmless: what loses nothing takes a question, or --yes.
func TestCloudPlanHarmless(t *testing.T) {
	p := newPlanner(t)
	p.write("one.yaml", "Resources: {A: {Type: 'AWS::SQS::Queue'}}")
	p.write("two.json", `{"Resources": {"A": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 60}}, "B": {"Type": "AWS::SNS::Topic"}}}`)
	step := func(want int, stdin string, words []string, args ...string) {
		t.Helper()
		code, said := p.typed(stdin, append([]string{"cloud", "plan", "--stack", "a-stack-with-a-long-name-of-its-own"}, args...)...)
		for _, word := range words {
			if code != want || !strings.Contains(said, word) {
				t.Errorf("%v: exit code %d, want %d and %q in\n%s", args, code, want, word, said)
			}
		}
	}
	step(exitDone, "", []string{"new stack a-stack-with-a-long-name-of-its-own: 1 added", "+ added: queue A"}, "--template", "one.yaml")
	if out, err := p.tryCLI("cloudformation", "describe-stacks", "--stack-name", "a-stack-with-a-long-name-of-its-own"); err == nil {
		t.Errorf("a plan has made a stack: %s", out)
	}
	step(exitFailed, "", []string{"nothing was changed", "--yes"}, "--template", "one.yaml", "--execute")
	step(exitFailed, "n\n", []string{"nothing was changed"}, "--template", "one.yaml", "--execute")
	step(exitDone, "y\n", []string{"done"}, "--template", "one.yaml", "--execute")
	step(exitDone, "", []string{"nothing changes"}, "--template", "one.yaml")
	step(exitDone, "", []string{"1 changed, 1 added", "~ changed: queue A", ": VisibilityTimeout"}, "--template", "two.json")
	step(exitDone, "", []string{`{"type":"plan",`, `"action":"changed"`, `"properties":["VisibilityTimeout"]`}, "--template", "two.json", "--json")
	step(exitDone, "", []string{"done"}, "--template", "two.json", "--execute", "--yes")
	step(exitFailed, "", []string{"want NAME=VALUE"}, "--template", "two.json", "--parameter", "x")
	step(exitFailed, "", []string{`parameter "x": the template has`}, "--template", "two.json", "--parameter", "x=1")
	step(exitFailed, "", []string{"reading the template absent.yaml"}, "--template", "absent.yaml")
	step(exitFailed, "", []string{"--execute wants --template", "tarn cloud deploy"}, "--execute")
	p.write("bad.yaml", "Resources: {A: *x}")
	step(exitFailed, "", []string{"bad.yaml: reading the template"}, "--template", "bad.yaml")
}
