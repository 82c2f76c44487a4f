package guard

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// expanding is CloudFormation with a stack whose template has macros: the
// templates as they were given, and as macros have expanded them.
type expanding struct {
	standing
	none               bool   // there is no stack
	expanded, proposed string // of the stack, and of the change set
}

func (e expanding) DescribeStacks(context.Context, *cloudformation.DescribeStacksInput, ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error) {
	if e.none {
		return &cloudformation.DescribeStacksOutput{}, nil
	}
	return &cloudformation.DescribeStacksOutput{Stacks: []types.Stack{{StackName: aws.String("s"), StackStatus: types.StackStatusCreateComplete}}}, nil
}

func (e expanding) GetTemplate(_ context.Context, in *cloudformation.GetTemplateInput, _ ...func(*cloudformation.Options)) (*cloudformation.GetTemplateOutput, error) {
	text := e.template
	switch {
	case in.TemplateStage == types.TemplateStageProcessed && in.ChangeSetName != nil:
		text = e.proposed
	case in.TemplateStage == types.TemplateStageProcessed:
		text = e.expanded
	}
	return &cloudformation.GetTemplateOutput{TemplateBody: &text}, nil
}

// TestMacros: what is judged is what macros make of a template, not what it shows.
func TestMacros(t *testing.T) {
	const (
		short = "Transform: Mine\nResources: {B: {Type: 'AWS::S3::Bucket'}}\n"
		other = "Transform: Mine\nResources: {B: {Type: 'AWS::S3::Bucket'}, T: {Type: 'AWS::SNS::Topic'}}\n"
		inner = "Resources: {B: {Type: 'AWS::S3::Bucket', Properties: {'Fn::Transform': {Name: 'AWS::Include', Parameters: {Location: 's3://x/y'}}}}}\n"
		each  = "Transform: 'AWS::LanguageExtensions'\nResources:\n  'Fn::ForEach::Tables': [Name, [A, B], {'T${Name}': {Type: 'AWS::DynamoDB::Table'}}]\n  S: {Type: 'AWS::SNS::Topic'}\n"
		plain = "Resources: {B: {Type: 'AWS::S3::Bucket'}}\n"
		table = "Resources: {B: {Type: 'AWS::S3::Bucket'}, Items: {Type: 'AWS::DynamoDB::Table'}}\n"
		ends  = "Resources: {B: {Type: 'AWS::S3::Bucket', Properties: {LifecycleConfiguration: {Rules: [{Status: Enabled, ExpirationInDays: 1}]}}}}\n"
	)
	for name, test := range map[string]struct {
		api  expanding
		new  string
		want string
		asks int
		note bool
	}{
		"the same text, and a table less":    {expanding{standing: standing{template: short}, expanded: table, proposed: plain}, short, "- REMOVED: table Items", 1, false},
		"another text, and what it makes":    {expanding{standing: standing{template: short}, expanded: plain, proposed: plain + "# the same\n"}, short + "# another\n", "nothing changes", 0, false},
		"the old one in its place":           {expanding{standing: standing{template: short}, expanded: plain, proposed: plain}, other, "+ added: Topic T", 0, true},
		"a type that is hidden by that":      {expanding{standing: standing{template: table}, expanded: table, proposed: table}, "Transform: Mine\n" + strings.Replace(table, "AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", 1), "! REPLACED: table Items", 1, true},
		"a new stack that is nothing":        {expanding{none: true, proposed: "{}"}, short, "+ added: bucket B", 0, true},
		"a lifecycle by an include":          {expanding{standing: standing{template: plain}, expanded: plain, proposed: ends}, inner, "objects would be deleted after 1 day", 1, false},
		"a loop, shorter than it was":        {expanding{standing: standing{template: each}, expanded: "Resources: {TA: {Type: 'AWS::DynamoDB::Table'}, TB: {Type: 'AWS::DynamoDB::Table'}}", proposed: "Resources: {TA: {Type: 'AWS::DynamoDB::Table'}}"}, each, "- REMOVED: table TB", 1, false},
		"what CloudFormation does not say":   {expanding{standing: standing{template: short}}, short, "nothing changes", 0, true},
		"what it says of the old alone":      {expanding{standing: standing{template: short}, expanded: table}, short, "nothing changes", 0, true},
		"what is not expanded to the end":    {expanding{standing: standing{template: short}, expanded: short, proposed: short}, short, "nothing changes", 0, true},
		"a new stack":                        {expanding{none: true, proposed: table}, short, "+ added: table Items", 0, false},
		"a new stack that is not known":      {expanding{none: true}, short, "+ added: bucket B", 0, true},
		"none before, and the table is gone": {expanding{standing: standing{template: table}, expanded: table, proposed: plain}, short, "- REMOVED: table Items", 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Look(t.Context(), test.api, Request{Stack: "s", Template: []byte(test.new), ChangeSet: "c"})
			if err != nil {
				t.Fatal(err)
			}
			text := p.text(t)
			if !strings.Contains(text, test.want) || len(p.Dangers()) != test.asks || strings.Contains(text, "note: macros") != test.note {
				t.Errorf("want %q, %d questions, a note: %t in\n%s", test.want, test.asks, test.note, text)
			}
		})
	}
}

// TestDeletionOfMacros: what macros have made stays or goes by the expanded template.
func TestDeletionOfMacros(t *testing.T) {
	made := func(id, kind string) types.StackResourceSummary {
		return types.StackResourceSummary{LogicalResourceId: &id, ResourceType: &kind, PhysicalResourceId: aws.String("my-" + id), ResourceStatus: types.ResourceStatusCreateComplete}
	}
	s := standing{template: "Transform: Mine\nResources: {Kept: {Type: 'AWS::S3::Bucket', DeletionPolicy: Retain}}", resources: []types.StackResourceSummary{made("Kept", "AWS::S3::Bucket"), made("Items", "AWS::DynamoDB::Table")}}
	for name, test := range map[string]struct {
		expanded string
		goes     string
		notes    int
	}{
		"both stay":       {"Resources: {Kept: {Type: 'AWS::S3::Bucket', DeletionPolicy: Retain}, Items: {Type: 'AWS::DynamoDB::Table', DeletionPolicy: Retain}}", "", 0},
		"neither stays":   {"Resources: {Kept: {Type: 'AWS::S3::Bucket'}, Items: {Type: 'AWS::DynamoDB::Table'}}", "my-Items my-Kept", 0},
		"it is not known": {"", "my-Items", 1},
	} {
		p, err := Deletion(t.Context(), expanding{standing: s, expanded: test.expanded}, "s")
		if err != nil {
			t.Fatal(err)
		}
		var goes []string
		for _, c := range p.Unkept().Dangers() {
			goes = append(goes, c.Called())
		}
		if got := strings.Join(goes, " "); got != test.goes || len(p.Notes) != test.notes {
			t.Errorf("%s: %s go, want %s; %v", name, got, test.goes, p.Notes)
		}
	}
}

// TestEmptied: the CDK's autoDeleteObjects empties a bucket before it goes, and the plan
// does not say that one with objects stays.
func TestEmptied(t *testing.T) {
	const (
		queue    = "  Q: {Type: 'AWS::SQS::Queue'}\n"
		template = "Resources:\n  B: {Type: 'AWS::S3::Bucket', DeletionPolicy: Delete}\n  D: {Type: 'AWS::S3::Bucket', DeletionPolicy: Delete}\n  C: {Type: 'Custom::S3AutoDeleteObjects', Properties: {BucketName: !Ref B, ServiceToken: x}}\n"
	)
	p := judge(t, template+queue, "Resources:\n"+queue, nil)
	for id, want := range map[string]string{"B": "all of them", "D": "it stays behind", "C": "it empties that"} {
		if i := slices.IndexFunc(p.Changes, func(c Change) bool { return c.ID == id }); i < 0 || !strings.Contains(p.Changes[i].Loses, want) {
			t.Errorf("%s: want %q in\n%s", id, want, p.text(t))
		}
	}
	s := standing{template: template, resources: []types.StackResourceSummary{{LogicalResourceId: aws.String("B"), ResourceType: aws.String("AWS::S3::Bucket"), PhysicalResourceId: aws.String("b"), ResourceStatus: types.ResourceStatusCreateComplete}}}
	p, err := Deletion(t.Context(), s, "s")
	if err != nil || !strings.Contains(p.Changes[0].Loses, "all of them") {
		t.Errorf("%+v, %v", p, err)
	}
}
