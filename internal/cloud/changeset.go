package cloud

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// ChangeSet is what CloudFormation would do with a stack.
type ChangeSet struct {
	ID       string // its ARN
	Stack    string
	StackID  string // its ARN
	New      bool   // the stack is not there yet
	Template string // what the stack is to be
	Changes  []types.ResourceChange
}

// Gate says whether a change set may be executed, and if not, why. It may ask
// a person and print; nothing has been changed before it returns nil.
type Gate func(ctx context.Context, a *Account, c *ChangeSet) error

// Proposal is what a stack is to be.
type Proposal struct {
	Stack    string
	Template string
	Role     string // the ARN of the role that CloudFormation is to use; "" for the stack's, or the caller's rights
	// Parameters of a template that is not tarn's own. What is not given keeps
	// its value, or has its default.
	Parameters map[string]string
	Known      []string // the names of all parameters that the template has
	// Named says that the template may name IAM's resources, and use macros.
	Named bool
	// Bucket is where a template is put for CloudFormation to read that is too
	// big for a request; "" for nowhere.
	Bucket string
}

// ErrNoChange says that the stack is already what it is to be.
var ErrNoChange = errors.New("there is nothing to change")

// madeBy is the description of change sets of this program's own.
const madeBy = "made by tarn"

// Propose makes a change set and waits until CloudFormation has worked it out.
// Nothing changes by that. It returns ErrNoChange if there is nothing to do.
func (a *Account) Propose(ctx context.Context, p Proposal) (*ChangeSet, error) {
	c, err := a.propose(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("planning the stack %s: %w", p.Stack, err)
	}
	return c, nil
}

func (a *Account) propose(ctx context.Context, p Proposal) (*ChangeSet, error) {
	if err := p.checkSize(); err != nil {
		return nil, err
	}
	kind := types.ChangeSetTypeUpdate
	s, err := a.describe(ctx, p.Stack)
	switch {
	case errors.Is(err, ErrNoStack), err == nil && s.Status == types.StackStatusReviewInProgress:
		kind = types.ChangeSetTypeCreate
	case err != nil:
		return nil, err
	default:
		if err := s.Changeable(); err != nil {
			return nil, err
		}
	}
	now := a.cfg.Now().UTC() // in full, as a run that was killed may have left one a moment ago
	in := &cloudformation.CreateChangeSetInput{
		StackName: &p.Stack, ChangeSetName: new(fmt.Sprintf("tarn-%s-%09d", now.Format("20060102T150405Z"), now.Nanosecond())), ChangeSetType: kind,
		Capabilities: []types.Capability{types.CapabilityCapabilityIam},
		Description:  new(madeBy),
	}
	if in.Parameters, err = a.parameters(ctx, p); err != nil {
		return nil, err
	}
	if p.Named {
		in.Capabilities = append(in.Capabilities, types.CapabilityCapabilityNamedIam, types.CapabilityCapabilityAutoExpand)
	}
	if p.Role != "" {
		in.RoleARN = &p.Role
	}
	out, err := a.createChangeSet(ctx, p, in)
	if err != nil {
		return nil, err
	}
	c := &ChangeSet{ID: aws.ToString(out.Id), Stack: p.Stack, StackID: aws.ToString(out.StackId), New: kind == types.ChangeSetTypeCreate, Template: p.Template}
	err = a.await(ctx, c)
	if err == nil {
		return c, nil
	}
	discarded := a.Discard(context.WithoutCancel(ctx), c)
	if discarded != nil && errors.Is(err, ErrNoChange) {
		err = nil // or nobody would hear of it
	}
	return c, errors.Join(err, discarded)
}

// await waits until a change set is worked out, and reads its changes.
func (a *Account) await(ctx context.Context, c *ChangeSet) error {
	for looks := 0; ; looks++ {
		done, err := a.read(ctx, c)
		if done || err != nil {
			return err
		}
		if err := a.wait(ctx, looks); err != nil {
			return err
		}
	}
}

// read reads a change set, all pages of it; done says that it is worked out.
func (a *Account) read(ctx context.Context, c *ChangeSet) (done bool, err error) {
	c.Changes = nil
	for page := cloudformation.NewDescribeChangeSetPaginator(a.CloudFormation, &cloudformation.DescribeChangeSetInput{ChangeSetName: &c.ID, StackName: &c.Stack}); page.HasMorePages(); {
		out, err := page.NextPage(ctx)
		if err != nil {
			return false, explain(err)
		}
		switch reason := aws.ToString(out.StatusReason); {
		case out.Status == types.ChangeSetStatusFailed && noChange(reason):
			return true, ErrNoChange
		case out.Status == types.ChangeSetStatusFailed:
			return true, fmt.Errorf("CloudFormation takes it for impossible: %s", reason)
		case out.Status != types.ChangeSetStatusCreateComplete:
			return false, nil
		}
		for _, change := range out.Changes {
			if change.ResourceChange != nil {
				c.Changes = append(c.Changes, *change.ResourceChange)
			}
		}
	}
	if len(c.Changes) == 0 && !c.New {
		return true, ErrNoChange
	}
	return true, nil
}

// noChange reports whether that is why CloudFormation has refused a change set.
func noChange(reason string) bool {
	return strings.Contains(reason, "didn't contain changes") || strings.Contains(reason, "No updates are to be performed")
}

// OthersPlans names the change sets of a stack that this program has not made: somebody
// has them looked at, say, and they would go with the stack.
func (a *Account) OthersPlans(ctx context.Context, s *Stack) (names []string, err error) {
	for pages := cloudformation.NewListChangeSetsPaginator(a.CloudFormation, &cloudformation.ListChangeSetsInput{StackName: &s.ID}); pages.HasMorePages(); {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing the change sets of %s: %w", s.Name, explain(err))
		}
		for _, c := range out.Summaries {
			if aws.ToString(c.Description) != madeBy && aws.ToString(c.StackName) == s.Name {
				names = append(names, aws.ToString(c.ChangeSetName))
			}
		}
	}
	return names, nil
}

// Discard deletes a change set that is not to be executed, and the empty stack
// that CloudFormation has made for it, unless others have plans with that.
func (a *Account) Discard(ctx context.Context, c *ChangeSet) error {
	if _, err := a.CloudFormation.DeleteChangeSet(ctx, &cloudformation.DeleteChangeSetInput{ChangeSetName: &c.ID, StackName: &c.Stack}); err != nil {
		return fmt.Errorf("deleting the change set of %s: %w", c.Stack, explain(err))
	}
	if !c.New {
		return nil
	}
	s, err := a.describe(ctx, c.Stack)
	if errors.Is(err, ErrNoStack) {
		return nil
	}
	if err != nil || !s.Planned() {
		return err
	}
	if others, err := a.OthersPlans(ctx, s); len(others) > 0 || err != nil {
		return err
	}
	if _, err := a.CloudFormation.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: &s.ID}); err != nil {
		return fmt.Errorf("deleting the empty stack %s: %w", c.Stack, explain(err))
	}
	return nil
}
