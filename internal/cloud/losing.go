package cloud

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// stateful are the types of resources that hold what can't be made again: data,
// and the key to it.
var stateful = []string{"AWS::S3::Bucket", "AWS::KMS::Key", "AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable"}

// Losing names what holds data and would be replaced or removed by a change set.
func Losing(c *ChangeSet) (list []string) {
	for _, change := range c.Changes {
		gone := Replaces(change) || change.Action == types.ChangeActionRemove
		if gone && slices.Contains(stateful, aws.ToString(change.ResourceType)) {
			list = append(list, aws.ToString(change.LogicalResourceId))
		}
	}
	return list
}

// Replaces reports whether a change may put a new resource in the place of one
// that is there.
func Replaces(change types.ResourceChange) bool {
	return change.Action == types.ChangeActionModify && change.Replacement != "" && change.Replacement != types.ReplacementFalse ||
		change.PolicyAction == types.PolicyActionReplaceAndRetain || change.PolicyAction == types.PolicyActionReplaceAndDelete || change.PolicyAction == types.PolicyActionReplaceAndSnapshot
}
