package cloud

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// CarryOut has CloudFormation do what a change set says, and waits until that
// has ended. Interrupted, CloudFormation goes on by itself.
func (a *Account) CarryOut(ctx context.Context, c *ChangeSet) error {
	if _, err := a.CloudFormation.ExecuteChangeSet(ctx, &cloudformation.ExecuteChangeSetInput{ChangeSetName: &c.ID, StackName: &c.Stack}); err != nil {
		return fmt.Errorf("executing the change set of %s: %w", c.Stack, explain(err))
	}
	tick := time.NewTicker(a.cfg.Every)
	defer tick.Stop()
	for {
		s, err := a.describe(ctx, c.Stack)
		if err != nil {
			return err
		}
		switch status := string(s.Status); {
		case s.Status == types.StackStatusCreateComplete, s.Status == types.StackStatusUpdateComplete, s.Status == types.StackStatusImportComplete:
			return nil
		case strings.HasSuffix(status, "_FAILED"), strings.HasSuffix(status, "ROLLBACK_COMPLETE"):
			return a.failure(ctx, c.Stack, status)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the stack %s: CloudFormation goes on by itself: %w", c.Stack, ctx.Err())
		case <-tick.C:
		}
	}
}

// failure says which resource the end of a stack is due to.
func (a *Account) failure(ctx context.Context, stack, status string) error {
	out, err := a.CloudFormation.DescribeStackEvents(ctx, &cloudformation.DescribeStackEventsInput{StackName: &stack})
	if err != nil {
		return fmt.Errorf("the stack %s ended as %s, and its events can't be read: %w", stack, status, explain(err))
	}
	text := fmt.Sprintf("the stack %s ended as %s", stack, status)
	for _, e := range out.StackEvents {
		if strings.HasSuffix(string(e.ResourceStatus), "_FAILED") {
			text += fmt.Sprintf(": %s (%s): %s", aws.ToString(e.LogicalResourceId), aws.ToString(e.ResourceType), aws.ToString(e.ResourceStatusReason))
			break // the newest: what failed after it was cancelled for it
		}
	}
	return fmt.Errorf("%s", text)
}
