package cloud

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// Stack is a stack as CloudFormation describes it.
type Stack struct {
	Name   string
	ID     string // its ARN
	Status types.StackStatus
	Reason string // of the status, if CloudFormation gives one
	// Protected says that AWS deletes the stack for nobody before somebody takes
	// its termination protection off.
	Protected bool
	Role      string // the ARN of the role that CloudFormation does its work with; "" for the caller's own rights
	Created   time.Time
	Updated   time.Time // zero if never
	// Resources maps logical ids to what is there.
	Resources map[string]Resource
}

// Resource is what a stack has of a logical id.
type Resource struct {
	ID       string // logical
	Physical string // such as the name of a bucket or user, or the ARN of a role
	Type     string
	Status   types.ResourceStatus
}

// Bucket returns the name of the stack's bucket; "" if it has none.
func (s *Stack) Bucket() string { return s.Resources[BucketID].Physical }

// User returns the name of the nth machine's user; "" if there is none.
func (s *Stack) User(n int) string { return s.Resources[MachineID(n)].Physical }

// Machines returns the numbers of the machines that have a user, in order. After a
// deletion that has failed halfway there may be gaps.
func (s *Stack) Machines() (list []int) {
	for n := 1; n <= maxUsers; n++ {
		if s.User(n) != "" {
			list = append(list, n)
		}
	}
	return list
}

// Stack describes a stack with its resources; ErrNoStack if there is none.
func (a *Account) Stack(ctx context.Context, name string) (*Stack, error) {
	s, err := a.describe(ctx, name)
	if err != nil {
		return nil, err
	}
	// Not DescribeStackResources, which tells of the first hundred only.
	for pages := cloudformation.NewListStackResourcesPaginator(a.CloudFormation, &cloudformation.ListStackResourcesInput{StackName: &name}); pages.HasMorePages(); {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing what the stack %s has: %w", name, explain(err))
		}
		for _, r := range out.StackResourceSummaries {
			if r.ResourceStatus == types.ResourceStatusDeleteComplete || aws.ToString(r.PhysicalResourceId) == "" {
				continue // of an attempt that was rolled back
			}
			id := aws.ToString(r.LogicalResourceId)
			s.Resources[id] = Resource{id, aws.ToString(r.PhysicalResourceId), aws.ToString(r.ResourceType), r.ResourceStatus}
		}
	}
	return s, nil
}

// Find describes a stack without its resources; ErrNoStack if there is none.
func (a *Account) Find(ctx context.Context, name string) (*Stack, error) {
	return a.describe(ctx, name)
}

// describe describes a stack without its resources. Name may be an id, which
// is how a stack is found that has been deleted.
func (a *Account) describe(ctx context.Context, name string) (*Stack, error) {
	out, err := a.CloudFormation.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	if err := explain(err); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("looking for the stack %s in %s: %w", name, a.Region, ErrNoStack)
	} else if err != nil {
		return nil, fmt.Errorf("looking for the stack %s in %s: %w", name, a.Region, err)
	}
	if len(out.Stacks) == 0 {
		return nil, fmt.Errorf("looking for the stack %s in %s: %w", name, a.Region, ErrNoStack)
	}
	s := out.Stacks[0]
	if s.StackStatus == types.StackStatusDeleteComplete && !strings.HasPrefix(name, "arn:") {
		return nil, fmt.Errorf("looking for the stack %s in %s: %w", name, a.Region, ErrNoStack)
	}
	return &Stack{
		Name: aws.ToString(s.StackName), ID: aws.ToString(s.StackId), Status: s.StackStatus, Reason: aws.ToString(s.StackStatusReason),
		Role: aws.ToString(s.RoleARN), Protected: aws.ToBool(s.EnableTerminationProtection), Created: aws.ToTime(s.CreationTime), Updated: aws.ToTime(s.LastUpdatedTime), Resources: map[string]Resource{},
	}, nil
}

// UnderWay reports whether CloudFormation is changing the stack.
func (s *Stack) UnderWay() bool {
	return s.Status != types.StackStatusReviewInProgress && strings.HasSuffix(string(s.Status), "_IN_PROGRESS")
}

// Ending reports whether CloudFormation has begun to delete the stack.
func (s *Stack) Ending() bool { return strings.HasPrefix(string(s.Status), "DELETE_") }

// Planned reports whether the stack is but a name with a change set.
func (s *Stack) Planned() bool { return s.Status == types.StackStatusReviewInProgress }

// ended is the status of a stack that was found out to be at rest; "" for none.
func (s *Stack) ended() types.StackStatus {
	if s == nil {
		return ""
	}
	return s.Status
}

// Changeable says whether a stack takes a change set, and if not, why.
func (s *Stack) Changeable() error {
	status := string(s.Status)
	var why error
	switch {
	case s.Status == types.StackStatusReviewInProgress: // it has a change set, and nothing else
	case s.Status == types.StackStatusRollbackComplete, s.Status == types.StackStatusCreateFailed:
		why = ErrRolledBack
	case strings.HasSuffix(status, "_IN_PROGRESS"):
		why = ErrUnderWay
	case strings.HasSuffix(status, "_FAILED"):
		why = ErrStuck
	}
	if why == nil {
		return nil
	}
	if s.Reason != "" {
		status += ": " + s.Reason
	}
	return fmt.Errorf("stack %s: %w (%s)", s.Name, why, status)
}

// StackError says that CloudFormation could not do what it was to do.
type StackError struct {
	Stack      string
	Status     types.StackStatus
	Failed     []Event // what could not be done, in order
	Permission string  // the IAM action that is missing, if that is why
	Kinds      []error // the sentinels that callers know it by
}

// Error implements error.
func (e *StackError) Error() string {
	parts := []string{fmt.Sprintf("the stack %s ended as %s", e.Stack, e.Status)}
	for _, f := range e.Failed {
		parts = append(parts, fmt.Sprintf("%s (%s): %s", f.ID, f.Type, f.Reason))
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the sentinels.
func (e *StackError) Unwrap() []error { return e.Kinds }

// Event is something that has happened to a stack or to a resource of it.
type Event struct {
	Time     time.Time
	ID       string // logical; the stack's name if it is about the stack
	Physical string
	Type     string
	Status   types.ResourceStatus
	Reason   string
}

// Template returns the template that a stack has now, as it was given. A stack
// that was planned only has none: ErrNoStack.
func (a *Account) Template(ctx context.Context, name string) (string, error) {
	s, err := a.describe(ctx, name)
	if err == nil && s.Status == types.StackStatusReviewInProgress {
		err = ErrNoStack
	}
	if err != nil {
		return "", fmt.Errorf("reading the template of %s: %w", name, err)
	}
	out, err := a.CloudFormation.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: &name, TemplateStage: types.TemplateStageOriginal})
	if err := explain(err); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the template of %s: %w", name, ErrNoStack)
	} else if err != nil {
		return "", fmt.Errorf("reading the template of %s: %w", name, err)
	}
	return aws.ToString(out.TemplateBody), nil
}
