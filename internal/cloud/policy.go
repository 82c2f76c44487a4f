package cloud

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
)

// Document is an IAM policy.
type Document struct {
	Version   string
	Statement []Statement
}

// Statement is one of a policy's statements.
type Statement struct {
	Sid         string
	Effect      string
	Principal   any      `json:",omitempty"` // in policies of resources
	Action      []string `json:",omitempty"`
	NotAction   []string `json:",omitempty"`
	Resource    []string `json:",omitempty"`
	NotResource []string `json:",omitempty"`
	// Condition maps operators to keys to values.
	Condition map[string]map[string][]string `json:",omitempty"`
}

const (
	policyVersion = "2012-10-17"
	allow         = "Allow"
	deny          = "Deny"
)

// Kind is whom a policy is for.
type Kind string

// The kinds of policies.
const (
	Backup    Kind = "backup"    // a machine that only backs up
	Restore   Kind = "restore"   // a machine that only gets files back, and thaws
	Machine   Kind = "machine"   // a machine that does both: the stack's users
	Prune     Kind = "prune"     // who may delete
	Deployer  Kind = "deployer"  // the person who deploys
	Execution Kind = "execution" // CloudFormation, doing it
	Boundary  Kind = "boundary"  // what the users and roles that it makes may have at most
)

// Kinds lists the kinds of policies.
var Kinds = []Kind{Backup, Restore, Machine, Prune, Deployer, Execution, Boundary}

// Policy returns the policy of a kind: all that it needs, and nothing else.
func (p Place) Policy(kind Kind) (Document, error) {
	var list []Statement
	switch kind {
	case Backup:
		list = p.objects("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload")
	case Restore:
		list = p.objects("s3:GetObject", "s3:RestoreObject")
	case Machine:
		list = p.objects("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:RestoreObject")
	case Prune:
		// DeleteObject without DeleteObjectVersion: in a versioned bucket what is
		// deleted stays, for the days that it is billed anyway.
		list = p.objects("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:RestoreObject", "s3:DeleteObject")
	case Deployer:
		list = p.deployer()
	case Execution:
		if err := CheckExecution(p.Stack); err != nil {
			return Document{}, err
		}
		list = p.execution()
	case Boundary:
		list = p.bounds()
	default:
		return Document{}, fmt.Errorf("policy %q: want one of %v: %w", kind, Kinds, fs.ErrInvalid)
	}
	return Document{policyVersion, list}, nil
}

// objects lets list the repository and do actions with its objects.
func (p Place) objects(actions ...string) []Statement {
	list := []Statement{{
		Sid: "ListRepository", Effect: allow, Action: []string{"s3:ListBucket"}, Resource: []string{p.Bucket},
		Condition: map[string]map[string][]string{"StringLike": {"s3:prefix": {p.Prefix + "/*"}}, "StringEquals": p.owned()["StringEquals"]},
	}, {
		Sid: "UseRepository", Effect: allow, Action: actions, Resource: []string{p.Bucket + "/" + p.Prefix + "/*"}, Condition: p.owned(),
	}}
	if p.Key == "" {
		return list
	}
	use := []string{"kms:Decrypt"} // of parts, too, when an upload is completed
	if slices.Contains(actions, "s3:PutObject") {
		use = append(use, "kms:GenerateDataKey")
	}
	return append(list, Statement{
		Sid: "UseKey", Effect: allow, Action: use, Resource: []string{p.Key},
		Condition: map[string]map[string][]string{"StringEquals": {"kms:ViaService": p.viaS3()}},
	})
}

// JSON returns the document as IAM takes it, indented for people.
func (d Document) JSON() ([]byte, error) {
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding a policy: %w", err)
	}
	return append(b, '\n'), nil
}
