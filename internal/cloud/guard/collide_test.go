package guard

import (
	"strings"
	"testing"
)

// TestNamesInSomething: a name that is the only one in its parent alone is taken only
// there; where it is not sure whether two meet, it is to be looked at, and refused by nobody.
func TestNamesInSomething(t *testing.T) {
	const (
		base   = "Parameters: {P: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /x}}\nConditions: {C: !Equals [!Ref P, a], N: !Not [!Equals [!Ref P, a]]}\nResources:\n"
		things = "  C1: {Type: 'AWS::ECS::Cluster'}\n  C2: {Type: 'AWS::ECS::Cluster'}\n  Q: {Type: 'AWS::SQS::Queue', Properties: {QueueName: own}}\n"
	)
	two := func(kind, a, b string) string {
		return "  A: {Type: 'AWS::" + kind + "', Properties: {" + a + "}}\n  B: {Type: 'AWS::" + kind + "', Properties: {" + b + "}}\n"
	}
	for name, test := range map[string]struct {
		old, new      string
		fails, unsure int
	}{
		"services of two clusters":     {"", two("ECS::Service", "ServiceName: web, Cluster: !Ref C1", "ServiceName: web, Cluster: !Ref C2"), 0, 0},
		"services of one":              {"", two("ECS::Service", "ServiceName: web, Cluster: !Ref C1", "ServiceName: web, Cluster: !Ref C1"), 1, 0},
		"services of one, or of two":   {"", two("ECS::Service", "ServiceName: web, Cluster: !Ref C1", "ServiceName: web, Cluster: !GetAtt C1.Arn"), 0, 1},
		"services of what is imported": {"", two("ECS::Service", "ServiceName: web, Cluster: !ImportValue x", "ServiceName: web, Cluster: !ImportValue y"), 0, 1},
		"groups of two networks":       {"", two("EC2::SecurityGroup", "GroupName: web, VpcId: vpc-1, GroupDescription: x", "GroupName: web, VpcId: vpc-2, GroupDescription: x"), 0, 0},
		"aliases of two functions":     {"", two("Lambda::Alias", "Name: live, FunctionName: f1", "Name: live, FunctionName: f2"), 0, 0},
		"aliases of one":               {"", two("Lambda::Alias", "Name: live, FunctionName: f1", "Name: live, FunctionName: f1"), 1, 0},
		"rules of the default bus":     {"", two("Events::Rule", "Name: r", "Name: r, EventBusName: default"), 1, 0},
		"rules of two buses":           {"", two("Events::Rule", "Name: r", "Name: r, EventBusName: other"), 0, 0},
		"lists of two scopes":          {"", two("WAFv2::WebACL", "Name: w, Scope: REGIONAL, DefaultAction: {}", "Name: w, Scope: CLOUDFRONT, DefaultAction: {}"), 0, 0},
		"streams of two groups":        {"", two("Logs::LogStream", "LogStreamName: s, LogGroupName: g1", "LogStreamName: s, LogGroupName: g2"), 0, 0},
		"streams of one":               {"", two("Logs::LogStream", "LogStreamName: s, LogGroupName: g1", "LogStreamName: s, LogGroupName: g1"), 1, 0},
		"names that many may have":     {"", two("EMR::Cluster", "Name: c, Instances: {}, JobFlowRole: r, ServiceRole: r", "Name: c, Instances: {}, JobFlowRole: r, ServiceRole: r"), 0, 0},
		"queues":                       {"", two("SQS::Queue", "QueueName: q", "QueueName: q"), 1, 0},
		"a queue and the stack's own":  {"", "  A: {Type: 'AWS::SQS::Queue', Properties: {QueueName: own}}\n", 1, 0},
		"queues of which one is there": {"", "  A: {Type: 'AWS::SQS::Queue', Condition: C, Properties: {QueueName: q}}\n  B: {Type: 'AWS::SQS::Queue', Condition: N, Properties: {QueueName: q}}\n", 0, 1},
		"of another function now":      {"  A: {Type: 'AWS::Lambda::Alias', Properties: {Name: live, FunctionName: f1}}\n", "  A: {Type: 'AWS::Lambda::Alias', Properties: {Name: live, FunctionName: f2}}\n", 0, 0},
		"replaced in the same place": {"  A: {Type: 'AWS::Events::EventBus', Properties: {Name: n}}\n  B: {Type: 'AWS::Scheduler::Schedule', Properties: {Name: s, GroupName: g}}\n",
			"  A: {Type: 'AWS::Events::EventBus', Properties: {Name: n}}\n  X: {Type: 'AWS::Scheduler::Schedule', Properties: {Name: s, GroupName: g}}\n", 1, 0},
		"with its parent": {"  F: {Type: 'AWS::Lambda::Function', Properties: {PackageType: Zip}}\n  A: {Type: 'AWS::Lambda::Alias', Properties: {Name: live, FunctionName: !Ref F}}\n",
			"  F: {Type: 'AWS::Lambda::Function', Properties: {PackageType: Image}}\n  A: {Type: 'AWS::Lambda::Alias', Properties: {Name: live, FunctionName: !Ref F}}\n", 0, 0},
	} {
		p := judge(t, base+things+test.old, base+things+test.new, nil)
		text := p.text(t)
		if len(p.Collisions()) != test.fails || strings.Count(text, "look at this") != test.unsure {
			t.Errorf("%s: want %d that fail, %d not sure, in\n%s", name, test.fails, test.unsure, text)
		}
	}
}

// TestSecondPolicy: a bucket takes no second policy, and the first one goes only after it is
// made; one that comes with its bucket, or whose bucket is another, is made.
func TestSecondPolicy(t *testing.T) {
	bucket := func(id, name string) string {
		return "  " + id + ": {Type: 'AWS::S3::Bucket', Properties: {BucketName: " + name + "}}\n"
	}
	policy := func(id, of, sid string) string {
		return "  " + id + ": {Type: 'AWS::S3::BucketPolicy', Properties: {Bucket: " + of + ", PolicyDocument: {Id: " + sid + ", Statement: []}}}\n"
	}
	two := bucket("A", "a") + bucket("B", "b")
	for name, test := range map[string]struct {
		old, new string
		want     string
	}{
		"renamed":                  {two + policy("P", "!Ref A", "x"), two + policy("P2", "!Ref A", "x"), "fails: the bucket !Ref A has a policy already (the stack's own P is that bucket's, and is deleted only after the new one is made)"},
		"renamed, of one outside":  {two + policy("P", "c", "x"), two + policy("P2", "c", "x"), "fails: the bucket c has a policy already"},
		"a second one":             {two + policy("P", "!Ref A", "x"), two + policy("P", "!Ref A", "x") + policy("P2", "!Ref A", "x"), "avoid: put all statements into one policy"},
		"two new ones":             {two, two + policy("P", "!Ref A", "x") + policy("P2", "!Ref A", "x"), "fails: the bucket !Ref A has a policy already (P of the same template is that bucket's, too)"},
		"of two buckets":           {two, two + policy("P", "!Ref A", "x") + policy("P2", "!Ref B", "x"), ""},
		"changed":                  {two + policy("P", "!Ref A", "x"), two + policy("P", "!Ref A", "y"), ""},
		"with its bucket":          {two + policy("P", "!Ref A", "x"), bucket("A", "a2") + bucket("B", "b") + policy("P", "!Ref A", "x"), ""},
		"with its bucket, renamed": {two + policy("P", "!Ref A", "x"), bucket("A", "a2") + bucket("B", "b") + policy("P2", "!Ref A", "x"), ""},
		"of another bucket":        {two + policy("P", "!Ref A", "x"), two + policy("P", "!Ref B", "x"), ""},
	} {
		text := judge(t, "Resources:\n"+test.old, "Resources:\n"+test.new, nil).text(t)
		if !strings.Contains(text, test.want) || strings.Contains(text, "fails:") != (test.want != "") || strings.Contains(text, "leave Bucket out") {
			t.Errorf("%s: want %q in\n%s", name, test.want, text)
		}
	}
}

// TestIdentifier: what AWS is asked for is what it knows a thing by; where that is not
// known before, tarn says so instead of taking the name for free.
func TestIdentifier(t *testing.T) {
	for properties, want := range map[string]string{
		"SQS::Queue {QueueName: q}":                                 "q",
		"DynamoDB::Table {TableName: t}":                            "t",
		"Glue::Table {Name: t, DatabaseName: d, CatalogId: '1'}":    "", // a part is the service's
		"Cassandra::Table {TableName: t, KeyspaceName: k}":          "k|t",
		"EC2::SecurityGroup {GroupName: g}":                         "",
		"IAM::ManagedPolicy {ManagedPolicyName: p}":                 "",
		"Cassandra::Table {TableName: t, KeyspaceName: !Ref Other}": "",
		"WAFv2::WebACL {Name: w, Scope: REGIONAL}":                  "",
		"OpenSearchServerless::Collection {Name: c}":                "",
		"Scheduler::Schedule {Name: s}":                             "s",
		"SNS::Topic {TopicName: t}":                                 "t",
	} {
		kind, rest, _ := strings.Cut(properties, " ")
		tmpl, err := ParseTemplate([]byte("Resources: {Other: {Type: 'AWS::Cassandra::Keyspace'}, A: {Type: 'AWS::" + kind + "', Properties: " + rest + "}}"))
		if err != nil {
			t.Fatal(err)
		}
		d := compare(newSide(Side{}, nil), newSide(Side{Template: tmpl}, nil))
		if got, is := named(d)["A"]; !is || got.ID != want {
			t.Errorf("%s: %+v, want %q", properties, got, want)
		}
	}
}
