package cloud

import (
	"slices"
	"strings"
)

// stackTag is the tag that names the stack of what has no name of its own.
const stackTag = "tarn:stack"

// PolicyName returns the name of the managed policy of a kind, as Apply makes
// it. It does not begin like the names of the stack's own resources, so that
// what the stack may change leaves it alone. IAM is the same in all regions, and the
// policies of two stacks of one name are not: so the region is in it.
func (p Place) PolicyName(kind Kind) string {
	return "TarnCloud-" + p.Stack + "-" + p.Region + "-" + string(kind)
}

// regional limits statements to the region.
func (p Place) regional() map[string]map[string][]string {
	return map[string]map[string][]string{"StringEquals": {"aws:RequestedRegion": {p.Region}}}
}

// regionalBucket limits statements to the region and to the account's own.
func (p Place) regionalBucket() map[string]map[string][]string {
	return map[string]map[string][]string{"StringEquals": {"aws:RequestedRegion": {p.Region}, "aws:ResourceAccount": {p.Account}}}
}

// deployer is what `tarn cloud` itself asks AWS for. What CloudFormation does
// then is the execution role's, which is passed to it.
func (p Place) deployer() []Statement {
	stack := []string{p.here("cloudformation", "stack/"+p.Stack+"/*")}
	users := []string{p.users()}
	return []Statement{{
		Sid: "DeployStack", Effect: allow, Resource: stack, Condition: p.regional(),
		Action: []string{
			"cloudformation:CreateChangeSet", "cloudformation:DescribeChangeSet", "cloudformation:ExecuteChangeSet", "cloudformation:DeleteChangeSet", "cloudformation:ListChangeSets",
			"cloudformation:DescribeStacks", "cloudformation:DescribeStackEvents", "cloudformation:ListStackResources",
			"cloudformation:GetTemplate", "cloudformation:DeleteStack",
		},
	}, {
		Sid: "PassExecutionRole", Effect: allow, Action: []string{"iam:PassRole"}, Resource: []string{p.ExecutionRole()},
		Condition: map[string]map[string][]string{"StringEquals": {"iam:PassedToService": {"cloudformation.amazonaws.com"}}},
	}, {
		Sid: "KeysOfMachines", Effect: allow, Resource: users,
		Action: []string{"iam:CreateAccessKey", "iam:ListAccessKeys", "iam:UpdateAccessKey", "iam:DeleteAccessKey", "iam:GetAccessKeyLastUsed"},
	}, {
		Sid: "WeighBucket", Effect: allow, Action: []string{"s3:ListBucketVersions"}, Resource: []string{p.bucketPattern()}, Condition: p.regionalBucket(),
	}, {
		Sid: "LookAtBoundary", Effect: allow, Action: []string{"iam:GetPolicy", "iam:GetPolicyVersion"}, Resource: []string{p.Boundary()},
	}}
}

// ExecutionRole returns the ARN of the role of `cdk bootstrap` that
// CloudFormation takes to do its work.
func (p Place) ExecutionRole() string {
	return p.iam("role", strings.Join([]string{"cdk", p.Qualifier, "cfn-exec-role", p.Account, p.Region}, "-"))
}

// execution is what CloudFormation needs to make, change and delete what the
// template has: nothing of other services, regions or names. It can't delete
// the bucket, which the template keeps in any case, nor an object, and the
// users that it makes have no rights beyond their boundary.
//
// IAM can't tell one lifecycle configuration from another, and the template needs
// one. So the role could have S3 delete what is in the bucket, a day later; a
// policy of the bucket would not keep it from that, since the role writes that, too.
// What does is Object Lock in the mode COMPLIANCE: no lifecycle ends a version that is
// locked. In the mode GOVERNANCE a policy of the bucket can let somebody bypass it, and
// no lock keeps what is written from being encrypted with a key that is taken away later.
func (p Place) execution() []Statement {
	return slices.Concat(p.makeBucket(), p.makeIdentities(), p.makeKey(), []Statement{{
		Sid: "CostAlarm", Effect: allow, Action: []string{"budgets:ViewBudget", "budgets:ModifyBudget"},
		Resource: []string{"arn:" + p.Partition + ":budgets::" + p.Account + ":budget/" + p.Stack + "-cost-*"},
	}, {
		// Whoever can change a policy or a role that gives them rights has all rights.
		Sid: "NotItself", Effect: deny, Action: []string{"iam:*"},
		Resource: []string{p.iam("policy", "TarnCloud-*"), p.iam("role", "cdk-*"), p.iam("user", "TarnCloud-*"), p.iam("role", "TarnCloud-*")},
	}, keepBoundary()})
}

func (p Place) makeBucket() []Statement {
	return []Statement{{
		Sid: "MakeBucket", Effect: allow, Action: []string{"s3:CreateBucket"}, Resource: []string{p.bucketPattern()}, Condition: p.regional(), // nobody's yet
	}, {
		Sid: "Bucket", Effect: allow, Resource: []string{p.bucketPattern()}, Condition: p.regionalBucket(),
		Action: []string{
			"s3:ListBucket",
			"s3:GetBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock",
			"s3:GetBucketOwnershipControls", "s3:PutBucketOwnershipControls",
			"s3:GetBucketVersioning", "s3:PutBucketVersioning",
			"s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration",
			"s3:GetEncryptionConfiguration", "s3:PutEncryptionConfiguration",
			"s3:GetBucketObjectLockConfiguration", "s3:PutBucketObjectLockConfiguration",
			"s3:GetBucketTagging", "s3:PutBucketTagging",
			"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy",
		},
	}, {
		// CloudFormation looks at all of a bucket's settings after it has made one,
		// those too that the template does not have.
		Sid: "LookAtBucket", Effect: allow, Resource: []string{p.bucketPattern()}, Condition: p.regionalBucket(),
		Action: []string{
			"s3:GetAccelerateConfiguration", "s3:GetAnalyticsConfiguration", "s3:GetBucketAbac", "s3:GetBucketCORS", "s3:GetBucketLogging",
			"s3:GetBucketMetadataTableConfiguration", "s3:GetBucketNotification", "s3:GetBucketWebsite", "s3:GetIntelligentTieringConfiguration",
			"s3:GetInventoryConfiguration", "s3:GetMetricsConfiguration", "s3:GetReplicationConfiguration", "s3:ListTagsForResource",
		},
	}}
}

func (p Place) makeIdentities() []Statement {
	users, roles := []string{p.users()}, []string{p.iam("role", p.Stack+"-"+adminRoleID+"-*")}
	return []Statement{{
		Sid: "Users", Effect: allow, Resource: users,
		Action: []string{
			"iam:GetUser", "iam:DeleteUser", "iam:GetUserPolicy", "iam:DeleteUserPolicy",
			"iam:ListUserPolicies", "iam:ListAttachedUserPolicies", "iam:ListGroupsForUser", "iam:ListAccessKeys",
		},
	}, {
		Sid: "BoundedUsers", Effect: allow, Resource: users, Condition: p.bounded(),
		Action: []string{"iam:CreateUser", "iam:PutUserPolicy", "iam:PutUserPermissionsBoundary"},
	}, {
		// Who may take the role is of no matter beyond the boundary.
		Sid: "AdminRole", Effect: allow, Resource: roles,
		Action: []string{
			"iam:GetRole", "iam:UpdateRole", "iam:UpdateAssumeRolePolicy", "iam:DeleteRole",
			"iam:GetRolePolicy", "iam:DeleteRolePolicy", "iam:ListRolePolicies", "iam:ListAttachedRolePolicies",
		},
	}, {
		Sid: "BoundedRole", Effect: allow, Resource: roles, Condition: p.bounded(),
		Action: []string{"iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"},
	}, {
		// The template has no tags for them, and others may give rights elsewhere.
		Sid: "OnlyTagsOfCloudFormation", Effect: allow, Resource: slices.Concat(users, roles),
		Action:    []string{"iam:TagUser", "iam:UntagUser", "iam:TagRole", "iam:UntagRole"},
		Condition: map[string]map[string][]string{"ForAllValues:StringLike": {"aws:TagKeys": {systemTags}}},
	}}
}

// systemTags are those that CloudFormation sets by itself, and nobody else can.
const systemTags = "aws:cloudformation:*"

// users matches the names that CloudFormation gives the stack's users.
func (p Place) users() string { return p.iam("user", p.Stack+"-"+machineID+"*-*") }

func (p Place) makeKey() []Statement {
	return []Statement{{
		// A key has no name of the stack's: what it is tagged with tells whose it is.
		Sid: "MakeKey", Effect: allow, Resource: []string{"*"},
		Action: []string{"kms:CreateKey", "kms:TagResource"},
		Condition: map[string]map[string][]string{
			"StringEquals":            {"aws:RequestedRegion": {p.Region}, "aws:RequestTag/" + stackTag: {p.Stack}},
			"ForAllValues:StringLike": {"aws:TagKeys": {stackTag, systemTags}}, // others may give rights elsewhere
		},
	}, {
		// Of keys that were there before, those of another stack are not to be taken over.
		Sid: "NotKeysOfOthers", Effect: deny, Action: []string{"kms:TagResource"}, Resource: []string{"*"},
		Condition: map[string]map[string][]string{
			"StringNotEquals": {"aws:ResourceTag/" + stackTag: {p.Stack}}, "Null": {"aws:ResourceTag/" + stackTag: {"false"}},
		},
	}, {
		// Not PutKeyPolicy: the template's key policy is always the same, and who could
		// change one could take over any key by tagging it.
		Sid: "Key", Effect: allow, Resource: []string{p.here("kms", "key/*")},
		Action: []string{"kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:EnableKeyRotation", "kms:ListResourceTags", "kms:UpdateKeyDescription"},
		Condition: map[string]map[string][]string{"StringEquals": {
			"aws:RequestedRegion": {p.Region}, "aws:ResourceTag/" + stackTag: {p.Stack},
		}},
	}}
}

// Bootstrap returns the call of `cdk bootstrap` whose execution role may do what
// the execution policy says, and nothing else.
func (p Place) Bootstrap() []string {
	return []string{
		"cdk", "bootstrap", "aws://" + p.Account + "/" + p.Region, "--qualifier", p.Qualifier, "--toolkit-stack-name", "CDKToolkit-" + p.Qualifier,
		"--cloudformation-execution-policies", p.iam("policy", p.PolicyName(Execution)),
	}
}
