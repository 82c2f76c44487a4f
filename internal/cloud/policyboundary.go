package cloud

import "strings"

// Whoever may write the policies of users has all rights, unless the users
// themselves are bounded: a permissions boundary is what an identity may do at
// most, whatever its policies say. It is a managed policy that the execution role
// can neither change nor take off, and without which it can make no user and no
// role, nor write their policies.

// Boundary returns the ARN of the managed policy that bounds the users and the
// role of the stack.
func (p Place) Boundary() string { return p.iam("policy", p.PolicyName(Boundary)) }

// bounds is what users and roles of the stack may have at most: to use and to
// delete the objects of its bucket, but not their old versions.
func (p Place) bounds() []Statement {
	list := []Statement{{
		Sid: "AtMostItsBucket", Effect: allow, Action: []string{"s3:ListBucket"}, Resource: []string{p.Bucket}, Condition: p.owned(),
	}, {
		Sid: "AtMostItsObjects", Effect: allow, Resource: []string{p.Bucket + "/*"}, Condition: p.owned(),
		Action: []string{"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:RestoreObject", "s3:DeleteObject"},
	}}
	key := Statement{
		Sid: "AtMostItsKey", Effect: allow, Action: []string{"kms:Decrypt", "kms:GenerateDataKey"}, Resource: []string{p.here("kms", "key/*")},
		Condition: map[string]map[string][]string{"StringEquals": {"kms:ViaService": p.viaS3(), "aws:ResourceTag/" + stackTag: {p.Stack}}},
	}
	if p.Key != "" {
		key.Resource = []string{p.Key}
	}
	return append(list, key)
}

// owned limits statements to what is the account's own: a bucket that was deleted
// can be made again under its name by anybody, who would then get the backups.
func (p Place) owned() map[string]map[string][]string {
	return map[string]map[string][]string{"StringEquals": {"aws:ResourceAccount": {p.Account}}}
}

// viaS3 is the service that uses keys on behalf of who reads and writes objects.
// Whether KMS calls it as everywhere or by the partition's own suffix is not
// written down for those that have one: it can be nobody but S3 in either case.
func (p Place) viaS3() []string {
	names := []string{"s3." + p.Region + ".amazonaws.com"}
	own := "${AWS::URLSuffix}"
	if !strings.HasPrefix(p.Partition, "$") {
		own = suffix(p.Partition)
	}
	if name := "s3." + p.Region + "." + own; name != names[0] {
		names = append(names, name)
	}
	return names
}

// bounded limits statements to identities that have the boundary, or get it.
func (p Place) bounded() map[string]map[string][]string {
	return map[string]map[string][]string{"StringEquals": {"iam:PermissionsBoundary": {p.Boundary()}}}
}

// keepBoundary denies what would free an identity of its boundary.
func keepBoundary() Statement {
	return Statement{
		Sid: "KeepBoundary", Effect: deny, Action: []string{"iam:DeleteUserPermissionsBoundary", "iam:DeleteRolePermissionsBoundary"}, Resource: []string{"*"},
	}
}
