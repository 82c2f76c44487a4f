package cloud

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// parameters are those of a change set: what is given, and of the rest what the
// stack has. Without its name, CloudFormation would take a default in its place.
func (a *Account) parameters(ctx context.Context, p Proposal) ([]types.Parameter, error) {
	for _, name := range slices.Sorted(maps.Keys(p.Parameters)) {
		if !slices.Contains(p.Known, name) {
			return nil, fmt.Errorf("parameter %q: the template has %v: %w", name, p.Known, fs.ErrInvalid)
		}
	}
	if len(p.Known) == 0 {
		return nil, nil
	}
	has := map[string]bool{}
	out, err := a.CloudFormation.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &p.Stack})
	if err := explain(err); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil && len(out.Stacks) > 0 {
		for _, each := range out.Stacks[0].Parameters {
			has[aws.ToString(each.ParameterKey)] = true
		}
	}
	var list []types.Parameter
	for _, name := range p.Known {
		if v, given := p.Parameters[name]; given {
			list = append(list, types.Parameter{ParameterKey: &name, ParameterValue: &v})
		} else if has[name] {
			list = append(list, types.Parameter{ParameterKey: &name, UsePreviousValue: new(true)})
		}
	}
	return list, nil
}
