package guard

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"
)

// API is what of CloudFormation the guard asks. *cloudformation.Client is one.
type API interface {
	DescribeStacks(context.Context, *cloudformation.DescribeStacksInput, ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error)
	ListStackResources(context.Context, *cloudformation.ListStackResourcesInput, ...func(*cloudformation.Options)) (*cloudformation.ListStackResourcesOutput, error)
	GetTemplate(context.Context, *cloudformation.GetTemplateInput, ...func(*cloudformation.Options)) (*cloudformation.GetTemplateOutput, error)
}

// Request says what is to become of a stack.
type Request struct {
	Stack    string
	Template []byte // that is to be deployed
	// Parameters are those that change; the others keep their values.
	Parameters map[string]string
	// ChangeSet is the ARN of the change set that would do it, and Changes what
	// CloudFormation says in it, as DescribeChangeSet has it.
	ChangeSet string
	Changes   []types.ResourceChange
	// Taken says whether something outside of the stack has a name; nil if
	// that can't be found out.
	Taken func(context.Context, Named) (bool, error)
}

// Look judges an update of a stack: what of it CloudFormation itself says, and
// what the comparison of the deployed template with the new one does.
func Look(ctx context.Context, api API, req Request) (*Plan, error) {
	p, err := look(ctx, api, req)
	if err != nil {
		return nil, fmt.Errorf("judging the update of the stack %s: %w", req.Stack, err)
	}
	return p, nil
}

func look(ctx context.Context, api API, req Request) (*Plan, error) {
	proposed, err := ParseTemplate(req.Template)
	if err != nil {
		return nil, err
	}
	stack, err := deployedStack(ctx, api, req.Stack)
	if err != nil {
		return nil, err
	}
	p := &Plan{Stack: req.Stack, New: stack == nil}
	old, new := Side{}, Side{Template: proposed, Parameters: maps.Clone(req.Parameters)}
	physical := map[string]string{}
	if stack != nil {
		if old, err = deployed(ctx, api, stack); err != nil {
			return nil, err
		}
		new.Parameters = carry(old.Parameters, new)
		if physical, err = physicalNames(ctx, api, req.Stack); err != nil {
			return nil, err
		}
	}
	if proposed.Transformed() || stack != nil && old.Template.Transformed() {
		if err := processed(ctx, api, req, p, &old, &new); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(req.Parameters)) {
		if stack != nil && newResolver(new.Template, nil).secret(name) {
			p.Notes = append(p.Notes, "the parameter "+name+" is not to be seen (NoEcho): of what a new value of it changes, only what CloudFormation says itself is known")
		}
	}
	pseudo := pseudoParameters(req.Stack, stack)
	d := compare(newSide(old, pseudo), newSide(new, pseudo))
	d.merge(req.Changes)
	d.rename()
	d.collide()
	if err := d.askTaken(ctx, req.Taken, p); err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(d.changes)) {
		c := d.changes[id]
		if c.Name == "" && c.Action != Added {
			c.Name = physical[id]
		}
		p.Changes = append(p.Changes, *c)
	}
	p.finish()
	return p, nil
}

// deployedStack describes a stack; nil if there is none, or none yet.
func deployedStack(ctx context.Context, api API, name string) (*types.Stack, error) {
	out, err := api.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	if e, ok := errors.AsType[smithy.APIError](err); ok && strings.Contains(e.ErrorMessage(), "does not exist") {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if len(out.Stacks) == 0 || out.Stacks[0].StackStatus == types.StackStatusReviewInProgress {
		return nil, nil
	}
	return &out.Stacks[0], nil
}

func deployed(ctx context.Context, api API, stack *types.Stack) (s Side, err error) {
	out, err := api.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: stack.StackName, TemplateStage: types.TemplateStageOriginal})
	if err != nil {
		return s, err
	}
	s.Parameters = map[string]string{}
	for _, p := range stack.Parameters {
		s.Parameters[aws.ToString(p.ParameterKey)] = aws.ToString(p.ParameterValue)
	}
	if s.Template, err = ParseTemplate([]byte(aws.ToString(out.TemplateBody))); err != nil {
		return s, fmt.Errorf("of the stack as it is deployed: %w", err)
	}
	return s, nil
}

// carry returns the values of the parameters after an update: what is not
// given stays as it is.
func carry(old map[string]string, new Side) map[string]string {
	all := map[string]string{}
	for _, name := range new.Template.Parameters() {
		if v, ok := old[name]; ok {
			all[name] = v
		}
	}
	maps.Copy(all, new.Parameters)
	return all
}

func physicalNames(ctx context.Context, api API, stack string) (map[string]string, error) {
	all, err := resources(ctx, api, stack)
	list := map[string]string{}
	for _, r := range all {
		list[aws.ToString(r.LogicalResourceId)] = aws.ToString(r.PhysicalResourceId)
	}
	return list, err
}

// resources lists what a stack has, all pages of it: DescribeStackResources tells
// of the first hundred only.
func resources(ctx context.Context, api API, stack string) (list []types.StackResourceSummary, err error) {
	for pages := cloudformation.NewListStackResourcesPaginator(api, &cloudformation.ListStackResourcesInput{StackName: &stack}); pages.HasMorePages(); {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		list = append(list, out.StackResourceSummaries...)
	}
	return list, nil
}

// processed has what macros have made of the templates in their place, where
// CloudFormation says it: a macro can make anything of a template, and what is
// carried out is what it has made.
func processed(ctx context.Context, api API, req Request, p *Plan, old, new *Side) error {
	var was, will *Template
	var err error
	if !p.New {
		if was, err = oneProcessed(ctx, api, &cloudformation.GetTemplateInput{StackName: &req.Stack}); err != nil {
			return err
		}
	}
	if req.ChangeSet != "" {
		if will, err = oneProcessed(ctx, api, &cloudformation.GetTemplateInput{StackName: &req.Stack, ChangeSetName: &req.ChangeSet}); err != nil {
			return err
		}
	}
	if was == nil && !p.New || will == nil || was != nil && was.transformed || will.transformed {
		p.Notes = append(p.Notes, "macros (Transform) make more of the template than it shows: of what they make, only what CloudFormation says itself is known")
	}
	if was != nil && reflect.DeepEqual(was, will) && !will.madeOf(new.Template) {
		// A server that answers the deployed one in its place would hide all changes.
		p.Notes = append(p.Notes, "macros (Transform): CloudFormation says that they make the same of the new template as of the old one, which does not look so: the templates are compared as they were given")
		return nil
	}
	switch {
	case will == nil || was == nil && !p.New:
		return nil
	case was != nil:
		old.Template = was
	}
	new.Template = will
	return nil
}

// madeOf reports whether t can be what macros have made of a template: they may
// replace what is not a type of CloudFormation's own, and add to it.
func (t *Template) madeOf(given *Template) bool {
	for id, r := range given.Resources {
		if made := t.Resources[id]; strings.HasPrefix(r.Type, "AWS::") && !strings.HasPrefix(r.Type, "AWS::Serverless::") && (made == nil || made.Type != r.Type) {
			return false
		}
	}
	return true
}

// oneProcessed returns a template after its macros; nil if there is none.
func oneProcessed(ctx context.Context, api API, in *cloudformation.GetTemplateInput) (*Template, error) {
	in.TemplateStage = types.TemplateStageProcessed
	out, err := api.GetTemplate(ctx, in)
	if err != nil {
		return nil, err
	}
	if aws.ToString(out.TemplateBody) == "" {
		return nil, nil
	}
	t, err := ParseTemplate([]byte(*out.TemplateBody))
	if errors.Is(err, errEmpty) {
		return nil, nil // which no macro may make: it is not known
	}
	return t, err
}

// pseudoParameters are the values that CloudFormation gives by itself.
func pseudoParameters(name string, stack *types.Stack) map[string]string {
	values := map[string]string{"AWS::StackName": name}
	if stack == nil {
		return values
	}
	values["AWS::StackId"] = aws.ToString(stack.StackId)
	// arn:PARTITION:cloudformation:REGION:ACCOUNT:stack/NAME/ID
	if parts := strings.SplitN(values["AWS::StackId"], ":", 6); len(parts) == 6 {
		values["AWS::Partition"], values["AWS::Region"], values["AWS::AccountId"] = parts[1], parts[3], parts[4]
	}
	return values
}

// askTaken looks whether something outside of the stack has a name that the
// plan takes into use.
func (d *differ) askTaken(ctx context.Context, taken func(context.Context, Named) (bool, error), p *Plan) error {
	list := named(d)
	for _, id := range slices.Sorted(maps.Keys(list)) {
		n := list[id]
		if taken == nil {
			continue
		}
		if n.ID == "" {
			p.Notes = append(p.Notes, fmt.Sprintf("whether a %s called %q is there already is not known: AWS finds none by its name alone", Noun(n.Type), n.Name))
			continue
		}
		is, err := taken(ctx, n)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			p.Notes = append(p.Notes, fmt.Sprintf("whether a %s called %q is there already is not known: %v", Noun(n.Type), n.Name, err))
		case is:
			d.changes[id].collides(n.Type, n.Name, "outside of this stack")
			d.changes[id].Avoid = append(d.changes[id].Avoid, "or import what is there into the stack (`aws cloudformation create-change-set --change-set-type IMPORT`)")
		}
	}
	return nil
}
