package guard

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// queue is the seeds' stack: one queue, as the CDK writes it.
func queue(id, path, properties string) string {
	return "Resources:\n  " + id + ":\n    Type: AWS::SQS::Queue\n    UpdateReplacePolicy: Delete\n    DeletionPolicy: Delete\n" +
		properties + "    Metadata:\n      aws:cdk:path: " + path + "\n"
}

const bucketAndPolicy = `
Resources:
  Photos:
    Type: AWS::S3::Bucket
    Properties: {BucketName: %s}
  PhotosPolicy:
    Type: AWS::S3::BucketPolicy
    Properties: {Bucket: !Ref Photos, PolicyDocument: {Version: "2012-10-17", Statement: []}}
`

func judge(t *testing.T, old, new string, given map[string]string) *Plan {
	t.Helper()
	return judgeSaid(t, old, new, given)
}

// judgeSaid judges with what CloudFormation says in a change set.
func judgeSaid(t *testing.T, old, new string, given map[string]string, said ...types.ResourceChange) *Plan {
	t.Helper()
	a, err := ParseTemplate([]byte(old))
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseTemplate([]byte(new))
	if err != nil {
		t.Fatal(err)
	}
	d := compare(newSide(Side{Template: a}, nil), newSide(Side{Template: b, Parameters: given}, nil))
	d.merge(said)
	d.rename()
	d.collide()
	p := &Plan{Stack: "MyStack"}
	for _, c := range d.changes {
		p.Changes = append(p.Changes, *c)
	}
	p.finish()
	return p
}

func (p *Plan) text(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	if err := p.Print(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestJudge: what an update does, on the seeds' own cases first.
func TestJudge(t *testing.T) {
	own := queue("MyQueueE6CA6235", "MyStack/MyQueue/Resource", "")
	bucket := func(name string) string { return strings.Replace(bucketAndPolicy, "%s", name, 1) }
	const tables = `{"Parameters": {"Name": {"Type": "String", "Default": "items"}}, "Resources": {"Items": {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": NAME, "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}}}}`
	table := func(name string) string { return strings.Replace(tables, "NAME", name, 1) }
	const conditional = "Parameters: {Keep: {Type: String, Default: 'yes'}}\nConditions: {Kept: !Equals [!Ref Keep, 'yes']}\nResources:\n  A: {Type: 'AWS::Logs::LogGroup', Condition: Kept}\n  B: {Type: 'AWS::SNS::Topic'}\n"
	for name, test := range map[string]struct {
		old, new string
		given    map[string]string
		want     []string // lines of the print, in order, by their beginnings
	}{
		"a renamed construct": {own, queue("MyRenamedQueue5E166F18", "MyStack/MyRenamedQueue/Resource", ""), nil, []string{
			"stack MyStack: 1 replaced; 1 of them with data",
			"! REPLACED: queue MyQueueE6CA6235 → MyRenamedQueue5E166F18",
			"    lost:  the messages that nobody has processed yet",
			"    why:   the construct MyQueue is called MyRenamedQueue now, so the CDK makes another logical id",
			"    avoid: keep the old logical id MyQueueE6CA6235 in the template (in the CDK: (construct.node.defaultChild as CfnResource).overrideLogicalId('MyQueueE6CA6235'))",
			"    avoid: or rename it in two steps",
			"    avoid: if it has to go: deploy the old template with DeletionPolicy: Retain first",
		}},
		"a construct moved into another": {own, queue("MyQueueWithDLQDLQE6D3019E", "MyStack/MyQueueWithDLQ/DLQ/Resource", "") +
			strings.TrimPrefix(queue("MyQueueWithDLQMyQueue20F468EB", "MyStack/MyQueueWithDLQ/MyQueue/Resource", "    Properties:\n      RedrivePolicy: {maxReceiveCount: 5, deadLetterTargetArn: !GetAtt MyQueueWithDLQDLQE6D3019E.Arn}\n"), "Resources:\n"), nil, []string{
			"stack MyStack: 1 replaced, 1 added; 1 of them with data",
			"! REPLACED: queue MyQueueE6CA6235 → MyQueueWithDLQMyQueue20F468EB",
			"    lost:  the messages",
			"    why:   the construct MyQueue has moved from MyStack into MyStack/MyQueueWithDLQ",
			"    avoid: keep the old logical id MyQueueE6CA6235",
			"    avoid: or rename",
			"    avoid: if it has to go",
			"+ added: queue MyQueueWithDLQDLQE6D3019E",
		}},
		"a hard-coded name that collides": {queue("MyQueueE6CA6235", "MyStack/MyQueue/Resource", "    Properties: {QueueName: my-queue}\n"),
			queue("MyRenamedQueue5E166F18", "MyStack/MyRenamedQueue/Resource", "    Properties: {QueueName: !Sub 'my-queue'}\n"), nil, []string{
				"stack MyStack: 1 replaced; 1 of them with data",
				"! REPLACED: queue MyQueueE6CA6235 → MyRenamedQueue5E166F18",
				"    lost:  the messages",
				"    why:   the construct MyQueue is called MyRenamedQueue now",
				`    fails: a queue called "my-queue" is there already (the stack's own MyQueueE6CA6235 has that name, and is deleted only after the new one is made): the update would fail with AlreadyExists`,
				"    avoid: keep the old logical id",
				"    avoid: or rename",
				"    avoid: leave QueueName out and let CloudFormation name it",
				"    avoid: if it has to go",
			}},
		"a bucket whose name changed": {bucket("photos-1"), bucket("photos-2"), nil, []string{
			"stack MyStack: 2 replaced; 1 of them with data",
			"! REPLACED: bucket Photos",
			"    lost:  the objects in it: if there are none, the bucket goes; else it stays behind",
			`    why:   its name (BucketName) changes from "photos-1" to "photos-2", and a bucket can't be renamed`,
			"    avoid: leave BucketName as it is",
			"    avoid: if it has to go: add UpdateReplacePolicy: Retain",
			"! replaced: BucketPolicy PhotosPolicy",
			"    why:   Bucket refers to Photos, which is replaced",
		}},
		"a name that a parameter changes": {table(`{"Ref": "Name"}`), table(`{"Fn::Sub": "${Name}"}`), map[string]string{"Name": "items2"}, []string{
			"stack MyStack: 1 replaced; 1 of them with data", "! REPLACED: table Items", "    lost:  its items", `    why:   its name (TableName) changes from "items" to "items2"`, "    avoid: leave TableName", "    avoid: if it has to go",
		}},
		"the same in other words": {table(`{"Ref": "Name"}`), table(`{"Fn::Join": ["", ["it", "ems"]]}`), nil, []string{"stack MyStack: nothing changes"}},
		"a name that is taken away": {table(`"items"`), table(`{"Ref": "AWS::NoValue"}`), nil, []string{
			"stack MyStack: 1 replaced; 1 of them with data", "! REPLACED: table Items", "    lost:  its items", `    why:   its name (TableName) changes from "items" to none`, "    avoid: leave TableName as it is", "    avoid: if it has to go",
		}},
		"a condition that fails": {conditional, conditional, map[string]string{"Keep": "no"}, []string{
			"stack MyStack: 1 removed; 1 of them with data", "- REMOVED: log group A", "    lost:  its logs", "    why:   the condition Kept does not hold any more", "    avoid: if it has to go",
		}},
		"a table that leaves the template but is kept": {"Resources:\n  T: {Type: 'AWS::DynamoDB::Table', DeletionPolicy: Retain}\n  B: {Type: 'AWS::SNS::Topic'}\n", "Resources:\n  B: {Type: 'AWS::SNS::Topic'}\n", nil, []string{
			"stack MyStack: 1 removed; 1 of them with data", "- REMOVED: table T", "    lost:  nothing at once: it stays in the account with its items", "    why:   the template has no resource with the logical id T any more",
		}},
		"what does no harm": {bucket("photos-1"), strings.Replace(bucket("photos-1"), "photos-1}", "photos-1, VersioningConfiguration: {Status: Enabled}}", 1) + "  T: {Type: 'AWS::SNS::Topic'}\n", nil, []string{
			"stack MyStack: 1 changed, 1 added", "~ changed: bucket Photos: VersioningConfiguration", "+ added: Topic T",
		}},
		"another type under the same id": {"Resources:\n  A: {Type: 'AWS::SQS::Queue'}\n", "Resources:\n  A: {Type: 'AWS::SNS::Topic'}\n", nil, []string{
			"stack MyStack: 1 replaced; 1 of them with data", "! REPLACED: queue A", "    lost:", "    why:   its type changes from AWS::SQS::Queue to AWS::SNS::Topic, which CloudFormation refuses", "    avoid: give the new", "    avoid: if it",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Split(strings.TrimSuffix(judge(t, test.old, test.new, test.given).text(t), "\n"), "\n")
			if !slices.EqualFunc(got, test.want, strings.HasPrefix) {
				t.Errorf("want\n%s\ngot\n%s", strings.Join(test.want, "\n"), strings.Join(got, "\n"))
			}
		})
	}
}

// TestEveryDanger: a resource with data whose logical id, name or presence
// changes is dangerous, whatever its type.
func TestEveryDanger(t *testing.T) {
	if len(kinds) < 50 {
		t.Fatalf("%d types", len(kinds))
	}
	for kind := range kinds {
		with := func(id, properties string) string {
			return "Resources:\n  Other: {Type: 'AWS::SNS::Topic'}\n  " + id + ": {Type: '" + kind + "', Properties: {" + properties + "}}\n"
		}
		cases := map[string][2]string{
			"renamed": {with("A", ""), with("B", "")},
			"removed": {with("A", ""), "Resources:\n  Other: {Type: 'AWS::SNS::Topic'}\n"},
		}
		if name := table()[kind].Name; name != "" {
			cases["named"] = [2]string{with("A", name+": old"), with("A", name+": new")}
		}
		for what, c := range cases {
			if p := judge(t, c[0], c[1], nil); len(p.Dangers()) != 1 || p.Consent(nobody) == nil {
				t.Errorf("%s %s: %s", kind, what, p.text(t))
			}
		}
		// Of a nested stack nobody knows what is in it, which is to be looked at.
		if p := judge(t, with("A", "X: 1"), with("A", "X: 2"), nil); len(p.Dangers()) != 0 || p.Consent(nobody) != nil || len(p.Risky()) > 0 != nested(kind) {
			t.Errorf("%s: %s", kind, p.text(t))
		}
	}
}

func nobody(string) (string, error) { return "", io.EOF }

// TestConsent: only the right names let a plan through, all of them.
func TestConsent(t *testing.T) {
	p := &Plan{Changes: []Change{
		{Action: Removed, Type: "AWS::S3::Bucket", ID: "Photos", Name: "photos-1"},
		{Action: MayReplace, Type: "AWS::SQS::Queue", ID: "Jobs", Name: "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs"},
		{Action: Replaced, Type: "AWS::IAM::Role", ID: "Role", Name: "role"},
	}}
	for _, test := range []struct {
		answers string
		ok      bool
	}{
		{"photos-1,jobs", true}, {" photos-1 ,jobs\n", true}, {"", false}, {"photos-1", false}, {"photos-1,", false}, {"jobs,photos-1", false},
		{"Photos,jobs", false}, {"y,y", false}, {"yes,yes", false}, {"PHOTOS-1,jobs", false}, {"photos-1,Jobs", false},
	} {
		answers := strings.Split(test.answers, ",")
		var asked []string
		err := p.Consent(func(question string) (string, error) {
			asked = append(asked, question)
			if len(answers) == 0 {
				return "", io.EOF
			}
			answer := answers[0]
			answers = answers[1:]
			return answer, nil
		})
		if (err == nil) != test.ok || err != nil && !errors.Is(err, ErrRefused) {
			t.Errorf("%q: %v", test.answers, err)
		}
		if len(asked) == 0 || !strings.Contains(asked[0], "the bucket photos-1 be removed, type its name") {
			t.Errorf("%q: asked %q", test.answers, asked)
		}
	}
	fails := &Plan{Changes: []Change{{Action: Added, Type: "AWS::SQS::Queue", ID: "A", Collides: "taken"}}}
	if err := fails.Consent(func(string) (string, error) { t.Error("asked"); return "", nil }); !errors.Is(err, ErrRefused) {
		t.Errorf("a collision: %v", err)
	}
}

// TestTaken: a name that something outside of the stack has is found where it
// can be looked for, and said to be unknown where it can't.
func TestTaken(t *testing.T) {
	new := "Resources:\n  A: {Type: 'AWS::S3::Bucket', Properties: {BucketName: photos}}\n  B: {Type: 'AWS::SQS::Queue', Properties: {QueueName: jobs}}\n  C: {Type: 'AWS::SNS::Topic'}\n"
	tmpl, err := ParseTemplate([]byte(new))
	if err != nil {
		t.Fatal(err)
	}
	d := compare(newSide(Side{}, nil), newSide(Side{Template: tmpl}, nil))
	p := &Plan{}
	if err := d.askTaken(t.Context(), func(_ context.Context, n Named) (bool, error) {
		if n.Type == "AWS::S3::Bucket" {
			return n.Name == "photos", nil
		}
		return false, errors.New("no permission")
	}, p); err != nil {
		t.Fatal(err)
	}
	if c := d.changes["A"].Collides; !strings.Contains(c, `"photos" is there already (outside of this stack)`) || d.changes["B"].Collides != "" {
		t.Errorf("%q, %q", c, d.changes["B"].Collides)
	}
	if len(p.Notes) != 1 || !strings.Contains(p.Notes[0], `queue called "jobs" is there already is not known: no permission`) {
		t.Errorf("notes %q", p.Notes)
	}
}
