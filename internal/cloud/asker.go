package cloud

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
)

// Asker is CloudFormation as far as a plan asks it, with errors that say what
// they mean.
type Asker struct{ a *Account }

// Asker returns what a plan asks.
func (a *Account) Asker() Asker { return Asker{a} }

// DescribeStacks describes stacks.
func (q Asker) DescribeStacks(ctx context.Context, in *cloudformation.DescribeStacksInput, opts ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error) {
	out, err := q.a.CloudFormation.DescribeStacks(ctx, in, opts...)
	return out, explain(err)
}

// ListStackResources lists a page of what a stack has.
func (q Asker) ListStackResources(ctx context.Context, in *cloudformation.ListStackResourcesInput, opts ...func(*cloudformation.Options)) (*cloudformation.ListStackResourcesOutput, error) {
	out, err := q.a.CloudFormation.ListStackResources(ctx, in, opts...)
	return out, explain(err)
}

// GetTemplate reads a template.
func (q Asker) GetTemplate(ctx context.Context, in *cloudformation.GetTemplateInput, opts ...func(*cloudformation.Options)) (*cloudformation.GetTemplateOutput, error) {
	out, err := q.a.CloudFormation.GetTemplate(ctx, in, opts...)
	return out, explain(err)
}
