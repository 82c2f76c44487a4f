package guard

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// standing is a stack with a template and resources.
type standing struct {
	API
	template  string
	resources []types.StackResourceSummary
}

func (s standing) GetTemplate(context.Context, *cloudformation.GetTemplateInput, ...func(*cloudformation.Options)) (*cloudformation.GetTemplateOutput, error) {
	return &cloudformation.GetTemplateOutput{TemplateBody: &s.template}, nil
}

// ListStackResources has two resources a page.
func (s standing) ListStackResources(_ context.Context, in *cloudformation.ListStackResourcesInput, _ ...func(*cloudformation.Options)) (*cloudformation.ListStackResourcesOutput, error) {
	from, _ := strconv.Atoi(aws.ToString(in.NextToken)) // "" is the first
	out := &cloudformation.ListStackResourcesOutput{StackResourceSummaries: s.resources[from:min(from+2, len(s.resources))]}
	if from+2 < len(s.resources) {
		out.NextToken = new(strconv.Itoa(from + 2))
	}
	return out, nil
}

// TestDeletion: all of a stack goes but what its deployed template retains, and what
// has data takes its name; what a macro has made, of which the template says nothing, too.
func TestDeletion(t *testing.T) {
	s := standing{template: `
Resources:
  Kept: {Type: 'AWS::S3::Bucket', DeletionPolicy: Retain}
  Bucket: {Type: 'AWS::S3::Bucket', UpdateReplacePolicy: Retain}
  Table: {Type: 'AWS::DynamoDB::Table', DeletionPolicy: Delete}
  Volume: {Type: 'AWS::EC2::Volume', DeletionPolicy: Snapshot}
  User: {Type: 'AWS::IAM::User'}
  Base: {Type: 'AWS::RDS::DBInstance', Properties: {Engine: mysql}}
`}
	for _, r := range []string{"Kept AWS::S3::Bucket", "Bucket AWS::S3::Bucket", "Table AWS::DynamoDB::Table", "Volume AWS::EC2::Volume", "User AWS::IAM::User", "Base AWS::RDS::DBInstance", "OfMacro AWS::SQS::Queue", "Never AWS::SQS::Queue"} {
		id, kind, _ := strings.Cut(r, " ")
		made := types.StackResourceSummary{LogicalResourceId: &id, ResourceType: &kind, PhysicalResourceId: new("my-" + strings.ToLower(id)), ResourceStatus: types.ResourceStatusCreateComplete}
		if id == "Never" {
			made.ResourceStatus = types.ResourceStatusDeleteComplete
		}
		s.resources = append(s.resources, made)
	}
	p, err := Deletion(t.Context(), s, "mine")
	if err != nil || len(p.Changes) != 7 || p.Count(Removed) != 7 {
		t.Fatalf("%+v, %v", p, err)
	}
	var asked []string
	for _, c := range p.Unkept().Dangers() {
		asked = append(asked, c.Called())
		if c.ID == "Base" && !strings.Contains(c.Loses, "but for a snapshot") {
			t.Errorf("of %s %q is lost", c.ID, c.Loses)
		}
	}
	slices.Sort(asked)
	if want := []string{"my-base", "my-bucket", "my-ofmacro", "my-table", "my-volume"}; !slices.Equal(asked, want) {
		t.Errorf("asks for %v, want %v", asked, want)
	}
	if p.Unkept().Consent(nobody) == nil {
		t.Error("nobody has agreed, and all of it may go")
	}
	if _, err := Deletion(t.Context(), standing{template: "x"}, "mine"); err == nil {
		t.Error("a template that can't be read is judged")
	}
}
