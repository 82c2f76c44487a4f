package guard

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// Deletion judges what the deletion of a whole stack does: all that is there is
// removed, and the deployed template says what of it stays in the account.
func Deletion(ctx context.Context, api API, stack string) (*Plan, error) {
	p, err := deletion(ctx, api, stack)
	if err != nil {
		return nil, fmt.Errorf("judging the deletion of the stack %s: %w", stack, err)
	}
	return p, nil
}

func deletion(ctx context.Context, api API, stack string) (*Plan, error) {
	text, err := api.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: &stack, TemplateStage: types.TemplateStageOriginal})
	if err != nil {
		return nil, err
	}
	t, err := ParseTemplate([]byte(aws.ToString(text.TemplateBody)))
	if err != nil {
		return nil, err
	}
	p := &Plan{Stack: stack}
	if t.Transformed() { // then what macros have made of it counts
		expanded, err := oneProcessed(ctx, api, &cloudformation.GetTemplateInput{StackName: &stack})
		if err != nil {
			return nil, err
		}
		if expanded != nil {
			t = expanded
		} else {
			p.Notes = append(p.Notes, "macros (Transform) have made more of the template than it shows, and CloudFormation does not say what: all of that goes")
		}
	}
	all, err := resources(ctx, api, stack)
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		if r.ResourceStatus == types.ResourceStatusDeleteComplete || aws.ToString(r.PhysicalResourceId) == "" {
			continue // of an attempt that was rolled back
		}
		c := Change{Action: Removed, Type: aws.ToString(r.ResourceType), ID: aws.ToString(r.LogicalResourceId), Name: *r.PhysicalResourceId}
		// What the template does not show, as a macro has made it, goes.
		if in := t.Resources[c.ID]; in != nil {
			c.Kept, c.emptied = kept(in.onDeletion(in.Properties)), t.emptied(c.ID)
		}
		p.Changes = append(p.Changes, c)
	}
	p.finish()
	return p, nil
}

// Stays reports whether the resource stays in the account, as it is, when its
// stack lets it go.
func (c *Change) Stays() bool { return c.Kept == retain }

// Unkept returns the plan without what stays in the account.
func (p *Plan) Unkept() *Plan {
	q := *p
	q.Changes = nil
	for _, c := range p.Changes {
		if !c.Stays() {
			q.Changes = append(q.Changes, c)
		}
	}
	return &q
}
