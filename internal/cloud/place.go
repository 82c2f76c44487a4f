package cloud

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/tarn-backup/tarn"
)

// The names that are used if the user has none.
const (
	DefaultStack  = "tarn"
	DefaultPrefix = "tarn"
)

// The logical ids of the resources. CloudFormation knows a resource by its
// logical id alone: to rename one is to replace it, so these never change.
const (
	BucketID       = "BackupBucket"
	bucketPolicyID = "BackupBucketPolicy"
	keyID          = "BackupKey"
	adminRoleID    = "AdminRole"
	budgetID       = "CostAlarm"
	machineID      = "Machine" // and its number

	machinePolicyID = "MachinePolicy"
)

// MachineID returns the logical id of the user of the nth machine, from 1.
func MachineID(n int) string { return fmt.Sprintf("%s%d", machineID, n) }

// Place is where things are, for policies that name them. Fields hold parts of
// ARNs, and may be * or CloudFormation's ${…} where a part is not known.
type Place struct {
	Partition string // aws, aws-cn and so on
	Region    string
	Account   string
	Stack     string
	Bucket    string // its ARN
	Prefix    string // of the repository in the bucket, without slashes at its ends
	Key       string // the ARN of the bucket's own KMS key; "" without one
	// Qualifier names the roles of `cdk bootstrap`, of which CloudFormation
	// takes one to do its work.
	Qualifier string
}

// stackName is what CloudFormation takes, and short enough that the names which
// it makes of it begin with all of it.
var stackName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,23}$`)

// CheckStack refuses names of stacks that CloudFormation does not take, or
// which it would cut where they become part of names.
func CheckStack(name string) error {
	if !stackName.MatchString(name) || strings.HasSuffix(name, "-") {
		return fmt.Errorf("stack %q: want a letter and up to 23 letters, digits and hyphens: %w", name, fs.ErrInvalid)
	}
	return nil
}

// anyStack is what CloudFormation takes for the name of a stack.
var anyStack = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,127}$`)

// CheckAnyStack refuses what is no name of a stack of anybody's.
func CheckAnyStack(name string) error {
	if !anyStack.MatchString(name) {
		return fmt.Errorf("stack %q: want a letter and up to 127 letters, digits and hyphens: %w", name, fs.ErrInvalid)
	}
	return nil
}

var (
	accountNumber = regexp.MustCompile(`^[0-9]{12}$`)
	regionName    = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$`)
	roleARN       = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$`)
	keyARN        = regexp.MustCompile(`^arn:(aws[a-z-]*):kms:([a-z0-9-]+):[0-9]{12}:key/[A-Za-z0-9-]+$`)
)

// CheckAccount refuses what is no number of an account.
func CheckAccount(account string) error {
	if !accountNumber.MatchString(account) {
		return fmt.Errorf("account %q: want its number, of 12 digits: %w", account, fs.ErrInvalid)
	}
	return nil
}

// CheckRegion refuses what is no name of a region, and would else become part of
// the name of a server and of ARNs.
func CheckRegion(region string) error {
	if !regionName.MatchString(region) {
		return fmt.Errorf("region %q: want a name like eu-central-1: %w", region, ErrRegion)
	}
	return nil
}

// CheckRole refuses what is no ARN of a role; "" is none.
func CheckRole(role string) error {
	if role != "" && !roleARN.MatchString(role) {
		return fmt.Errorf("role %q: want its ARN, like arn:aws:iam::123456789012:role/NAME: %w", role, fs.ErrInvalid)
	}
	return nil
}

// CheckKey refuses what is no ARN of a KMS key where the bucket is; "" is none. An
// alias does not do: policies know keys by their ARN. A key may be another account's.
func (p Place) CheckKey(key string) error {
	if key == "" {
		return nil
	}
	m := keyARN.FindStringSubmatch(key)
	if m == nil {
		return fmt.Errorf("KMS key %q: want its ARN, like arn:aws:kms:eu-central-1:123456789012:key/ID: %w", key, fs.ErrInvalid)
	}
	if m[1] != p.Partition || m[2] != p.Region {
		return fmt.Errorf("KMS key %q: it is not in the region %s (arn:%s:...), where the bucket is: %w", key, p.Region, p.Partition, fs.ErrInvalid)
	}
	return nil
}

// prefixName is what needs no quoting in policies, templates and URLs.
var prefixName = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,200}$`)

// CheckPrefix refuses prefixes that are none, or that a policy would read as a
// pattern.
func CheckPrefix(prefix string) error {
	if !prefixName.MatchString(prefix) || !tarn.ValidPath(prefix) {
		return fmt.Errorf("prefix %q: want names of letters, digits, dots, underscores and hyphens, with one slash between two: %w", prefix, fs.ErrInvalid)
	}
	return nil
}

// bucketPattern matches the names that CloudFormation gives the stack's bucket.
func (p Place) bucketPattern() string {
	return fmt.Sprintf("arn:%s:s3:::%s-%s-*", p.Partition, strings.ToLower(p.Stack), strings.ToLower(BucketID))
}

// iam returns the ARN of something of IAM.
func (p Place) iam(kind, name string) string {
	return fmt.Sprintf("arn:%s:iam::%s:%s/%s", p.Partition, p.Account, kind, name)
}

// here returns the ARN of something of a service in the region.
func (p Place) here(service, rest string) string {
	return fmt.Sprintf("arn:%s:%s:%s:%s:%s", p.Partition, service, p.Region, p.Account, rest)
}

// DefaultQualifier is that of the stack's own `cdk bootstrap`: two stacks have two,
// since each has an execution role with a policy of its own. It becomes part of the
// name of a bucket, so that it has small letters alone.
func DefaultQualifier(stack string) string {
	const most = 10 // of the CDK
	plain := strings.ReplaceAll(strings.ToLower(stack), "-", "")
	if plain == stack && len(plain) <= most && plain != cdkQualifier {
		return plain
	}
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte(stack)))
	return plain[:min(len(plain), 4)] + hash[:most-4]
}

// NewPlace returns where a stack is whose bucket is not known yet.
func NewPlace(region, account, stack string) Place {
	return placeIn(cmp.Or(Partition(region), aPartition), region, account, stack)
}

// aPartition is the one to take where none is known.
const aPartition = "aws"

func placeIn(partition, region, account, stack string) Place {
	p := Place{Partition: partition, Region: region, Account: account, Stack: stack, Prefix: DefaultPrefix, Qualifier: DefaultQualifier(stack)}
	p.Bucket = p.bucketPattern()
	return p
}

// qualifier is what `cdk bootstrap` takes, and S3 in the name of a bucket.
var qualifier = regexp.MustCompile(`^[a-z0-9]{1,10}$`)

// cdkQualifier is that of everybody's `cdk bootstrap`, whose role may do more, or
// should: it is not to be limited to tarn's stack.
const cdkQualifier = "hnb659fds"

// CheckQualifier refuses what the CDK does not take, and what is not the stack's own.
func CheckQualifier(q string) error {
	if !qualifier.MatchString(q) {
		return fmt.Errorf("qualifier %q: want 1 to 10 small letters and digits: %w", q, fs.ErrInvalid)
	}
	if q == cdkQualifier {
		return fmt.Errorf("qualifier %s: it is the CDK's own, whose role other stacks have: want another: %w", q, fs.ErrInvalid)
	}
	return nil
}

// CheckExecution refuses names of stacks whose users or roles the execution role could
// not make: it may not touch what is called like itself and its policies.
func CheckExecution(stack string) error {
	for _, reserved := range []string{"cdk", "TarnCloud"} {
		if stack == reserved || strings.HasPrefix(stack, reserved+"-") {
			return fmt.Errorf("stack %s: an execution role may make nothing whose name begins with %s-, as its own does: %w", stack, reserved, fs.ErrInvalid)
		}
	}
	return nil
}
