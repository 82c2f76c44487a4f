package cloud

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/tarn-backup/tarn"
)

// stackType is the type of events about the stack itself.
const stackType = "AWS::CloudFormation::Stack"

// Execute has CloudFormation do what a change set says, and tells each event
// until it has ended. Interrupted, CloudFormation goes on by itself. Accepted, if
// not nil, is called once CloudFormation has begun.
func (a *Account) Execute(ctx context.Context, c *ChangeSet, accepted func(context.Context) error, tell func(Event)) error {
	f := &follower{a: a, stack: &Stack{Name: c.Stack, ID: c.StackID}, tell: tell}
	if err := f.skip(ctx); err != nil {
		return err
	}
	if _, err := a.CloudFormation.ExecuteChangeSet(ctx, &cloudformation.ExecuteChangeSetInput{ChangeSetName: &c.ID, StackName: &c.Stack}); err != nil {
		return fmt.Errorf("executing the change set of %s: %w", c.Stack, explain(err))
	}
	var err error
	if accepted != nil {
		err = accepted(ctx)
	}
	return errors.Join(err, f.follow(ctx))
}

// Follow tells each event of a stack that is being changed until that has ended.
func (a *Account) Follow(ctx context.Context, s *Stack, tell func(Event)) error {
	f := &follower{a: a, stack: s, tell: tell}
	if err := f.skip(ctx); err != nil {
		return err
	}
	for looks := 0; ; looks++ {
		if _, err := f.read(ctx, f.note); err != nil {
			return err
		}
		// The last of its events may have been among those that were skipped.
		now, err := a.describe(ctx, s.ID)
		if errors.Is(err, ErrNoStack) {
			return nil
		}
		if err != nil || !now.UnderWay() {
			return errors.Join(err, f.judge(now.ended()))
		}
		if err := a.wait(ctx, looks); err != nil {
			return fmt.Errorf("following the stack %s: CloudFormation goes on by itself: %w", s.Name, err)
		}
	}
}

// Delete deletes a stack, but for what its template retains, and tells each
// event until that has ended. Accepted, if not nil, is called once CloudFormation has
// begun; ErrNotBegun says that it has not.
func (a *Account) Delete(ctx context.Context, s *Stack, accepted func(context.Context) error, tell func(Event)) error {
	f := &follower{a: a, stack: s, tell: tell}
	if err := f.skip(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrNotBegun, err)
	}
	if _, err := a.CloudFormation.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: &s.ID}); err != nil {
		err = fmt.Errorf("deleting the stack %s: %w", s.Name, explain(err))
		if err := a.begun(ctx, s, err); err != nil {
			return err
		}
	}
	var err error
	if accepted != nil {
		err = accepted(ctx)
	}
	return errors.Join(err, f.follow(ctx))
}

// begun returns nil if CloudFormation is deleting a stack, although what it was
// told to by has failed: the answer may have been lost.
func (a *Account) begun(ctx context.Context, s *Stack, failed error) error {
	now, err := a.describe(ctx, s.ID)
	switch {
	case errors.Is(err, ErrNoStack):
		return nil
	case err != nil:
		return fmt.Errorf("whether AWS has begun to delete it is not known: %w", failed)
	case s.Ending() || !now.Ending(): // what it is now it was before
		return fmt.Errorf("%w: %w", ErrNotBegun, failed)
	}
	return nil
}

// HeldByKeys reports whether a stack could not be deleted because of access keys
// that its users have.
func HeldByKeys(err error) bool {
	e, ok := errors.AsType[*StackError](err)
	return ok && e.Status == types.StackStatusDeleteFailed && slices.ContainsFunc(e.Failed, func(f Event) bool {
		return f.Type == "AWS::IAM::User" && strings.Contains(f.Reason, "access keys")
	})
}

// follower reads a stack's events, each once.
type follower struct {
	a      *Account
	stack  *Stack
	tell   func(Event)
	last   string // id of the newest event that was read
	failed []Event
}

// skip leaves out what has happened before.
func (f *follower) skip(ctx context.Context) error {
	_, err := f.read(ctx, func(Event) {})
	return err
}

// follow tells events until one says that it is all over.
func (f *follower) follow(ctx context.Context) error {
	for looks := 0; ; looks++ {
		end, err := f.read(ctx, f.note)
		if err != nil {
			return err
		}
		if end == "" {
			end, err = f.gone(ctx)
		}
		if err != nil || end != "" {
			return errors.Join(err, f.judge(end))
		}
		if err := f.a.wait(ctx, looks); err != nil {
			return fmt.Errorf("following the stack %s: CloudFormation goes on by itself: %w", f.stack.Name, err)
		}
	}
}

// gone says whether a stack has ended whose events can't be had any more.
func (f *follower) gone(ctx context.Context) (types.StackStatus, error) {
	s, err := f.a.describe(ctx, f.stack.ID)
	switch {
	case errors.Is(err, ErrNoStack):
		return types.StackStatusDeleteComplete, nil
	case err != nil:
		return "", err
	case s.Status == types.StackStatusDeleteComplete:
		return s.Status, nil
	}
	return "", nil
}

func (f *follower) note(e Event) {
	if strings.HasSuffix(string(e.Status), "_FAILED") && e.Type != stackType && !strings.Contains(e.Reason, "cancelled") {
		f.failed = append(f.failed, e)
	}
	f.tell(e)
}

// read passes on the events since the last one, in the order in which they
// happened; end is the status of the stack when nothing is under way any more.
func (f *follower) read(ctx context.Context, to func(Event)) (end types.StackStatus, err error) {
	var fresh []types.StackEvent
	pages := cloudformation.NewDescribeStackEventsPaginator(f.a.CloudFormation, &cloudformation.DescribeStackEventsInput{StackName: &f.stack.ID})
	for known := false; pages.HasMorePages() && !known; {
		out, err := pages.NextPage(ctx)
		if err := explain(err); errors.Is(err, fs.ErrNotExist) {
			break // it is gone, as those who follow it find out, and its events with it
		}
		if err != nil {
			return "", fmt.Errorf("reading the events of the stack %s: %w", f.stack.Name, explain(err))
		}
		for _, e := range out.StackEvents { // newest first
			if known = aws.ToString(e.EventId) == f.last; known {
				break
			}
			fresh = append(fresh, e)
		}
	}
	if len(fresh) > 0 {
		f.last = aws.ToString(fresh[0].EventId)
	}
	for _, e := range slices.Backward(fresh) {
		event := Event{
			Time: aws.ToTime(e.Timestamp), ID: aws.ToString(e.LogicalResourceId), Physical: aws.ToString(e.PhysicalResourceId),
			Type: aws.ToString(e.ResourceType), Status: e.ResourceStatus, Reason: aws.ToString(e.ResourceStatusReason),
		}
		to(event)
		if event.Type == stackType && event.ID == f.stack.Name && !strings.HasSuffix(string(event.Status), "_IN_PROGRESS") {
			end = types.StackStatus(event.Status)
		}
	}
	return end, nil
}

// quota is how services say that an account has as many of something as it may.
var quota = regexp.MustCompile(`LimitExceeded|QuotaExceeded|exceed(s|ed)? (the )?quota`)

// judge says what it means how the stack has ended.
func (f *follower) judge(end types.StackStatus) error {
	switch end {
	case "", types.StackStatusCreateComplete, types.StackStatusUpdateComplete, types.StackStatusImportComplete, types.StackStatusDeleteComplete:
		return nil
	}
	e := &StackError{Stack: f.stack.Name, Status: end, Failed: f.failed}
	for _, failed := range f.failed {
		if m := unauthorized.FindStringSubmatch(failed.Reason); m != nil && e.Permission == "" {
			e.Permission, e.Kinds = m[1], append(e.Kinds, tarn.ErrDenied)
		}
		if strings.Contains(failed.Reason, "already exists") {
			e.Kinds = append(e.Kinds, ErrNameTaken)
		}
		if quota.MatchString(failed.Reason) {
			e.Kinds = append(e.Kinds, ErrQuota)
		}
	}
	switch {
	case end == types.StackStatusRollbackComplete:
		e.Kinds = append(e.Kinds, ErrRolledBack)
	case strings.HasSuffix(string(end), "_FAILED"):
		e.Kinds = append(e.Kinds, ErrStuck)
	}
	return e
}
