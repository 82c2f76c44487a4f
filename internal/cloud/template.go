package cloud

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"text/template"

	"go.yaml.in/yaml/v3"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/price"
)

// Options say what a stack is to have. They stand in its template, so that the
// next deployment finds them there.
type Options struct {
	Class  tarn.Class `yaml:"StorageClass"` // of archives
	Prefix string     `yaml:"Prefix"`       // of the repository in the bucket
	Users  int        `yaml:"Users"`        // machines, each with a user
	// LockDays, if not 0, is for how long an object can't be deleted: by nobody
	// in the mode COMPLIANCE, by who may bypass it in GOVERNANCE.
	LockDays  int    `yaml:"ObjectLockDays"`
	LockMode  string `yaml:"ObjectLockMode"`
	KMS       bool   `yaml:"KMS"`           // a key of its own
	AdminRole bool   `yaml:"AdminRole"`     // a role that may prune
	Budget    int    `yaml:"BudgetDollars"` // a month, to be warned before; 0 for no alarm
	Email     string `yaml:"Email"`         // of the warning
}

// The modes of Object Lock.
const (
	Governance = "GOVERNANCE"
	Compliance = "COMPLIANCE"
)

// DefaultOptions returns those of a first deployment.
func DefaultOptions() Options {
	return Options{Class: tarn.DeepArchive, Prefix: DefaultPrefix, Users: 1, LockMode: Governance}
}

const (
	maxUsers = 50        // the template would outgrow a request with many more
	maxLock  = 36500     // of S3
	maxEmail = 50        // of Budgets
	keptDays = int64(30) // of noncurrent versions in classes without a longer minimum
	maxMoney = 1_000_000 // more is a typing error
)

// email is an address that needs no quoting anywhere.
var email = regexp.MustCompile(`^[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`)

// Check refuses what can't be deployed.
func (o Options) Check() error {
	if _, err := tarn.ParseClass(string(o.Class)); err != nil {
		return err
	}
	if err := CheckPrefix(o.Prefix); err != nil {
		return err
	}
	switch {
	case o.Users < 1 || o.Users > maxUsers:
		return fmt.Errorf("%d users: want 1 to %d: %w", o.Users, maxUsers, fs.ErrInvalid)
	case o.LockDays < 0 || o.LockDays > maxLock:
		return fmt.Errorf("an object lock of %d days: want 1 to %d, or 0 for none: %w", o.LockDays, maxLock, fs.ErrInvalid)
	case o.LockMode != Governance && o.LockMode != Compliance:
		return fmt.Errorf("object lock mode %q: want %s or %s: %w", o.LockMode, Governance, Compliance, fs.ErrInvalid)
	case o.Budget < 0 || o.Budget > maxMoney:
		return fmt.Errorf("a budget of %d dollars: want a whole number, or 0 for none: %w", o.Budget, fs.ErrInvalid)
	case (o.Budget > 0) != (o.Email != ""):
		return fmt.Errorf("a budget wants dollars and an e-mail address (--budget with --email): %w", fs.ErrInvalid)
	case o.Email != "" && (!email.MatchString(o.Email) || len(o.Email) > maxEmail):
		return fmt.Errorf("e-mail address %q: want one like me@example.org, of up to %d characters: %w", o.Email, maxEmail, fs.ErrInvalid)
	}
	return nil
}

// KeptDays is for how many days noncurrent versions are kept: as long as the
// class bills an object in any case.
func (o Options) KeptDays() int64 {
	days := keptDays
	if aws := price.Embedded().Providers[price.AWS]; aws != nil {
		days = max(days, aws.Rules[o.Class].MinimumDays)
	}
	return days
}

//go:embed stack.yaml.tmpl
var stackTemplate string

var templates = template.Must(template.New("stack").Funcs(template.FuncMap{
	"quote": strconv.Quote, "scalar": yamlScalar, "statements": yamlStatements,
}).Parse(stackTemplate))

// Template returns the CloudFormation template of a stack, in YAML.
func (o Options) Template() (string, error) {
	if err := o.Check(); err != nil {
		return "", err
	}
	v := struct {
		Options
		BucketID, BucketPolicyID, KeyID, AdminRoleID, BudgetID, StackTag, MachinePolicyID, Boundary, EmailHash string
		Days                                                                                                   int64
		DaysWhy                                                                                                string
		Machines                                                                                               []struct{ ID string }

		BucketPolicy, KeyPolicy, MachinePolicy, AssumePolicy, PrunePolicy []Statement
	}{
		Options: o, BucketID: BucketID, BucketPolicyID: bucketPolicyID, KeyID: keyID, AdminRoleID: adminRoleID, BudgetID: budgetID, StackTag: stackTag,
		MachinePolicyID: machinePolicyID, Boundary: o.place().Boundary(), EmailHash: fmt.Sprintf("%x", sha256.Sum256([]byte(o.Email)))[:8],
		Days: o.KeptDays(), BucketPolicy: bucketPolicy(), KeyPolicy: keyPolicy(), AssumePolicy: assumePolicy(),
	}
	if v.Days > keptDays {
		v.DaysWhy = fmt.Sprintf(" # which %s bills in any case", o.Class)
	}
	for n := range o.Users {
		v.Machines = append(v.Machines, struct{ ID string }{MachineID(n + 1)})
	}
	for kind, list := range map[Kind]*[]Statement{Machine: &v.MachinePolicy, Prune: &v.PrunePolicy} {
		doc, err := o.place().Policy(kind)
		if err != nil {
			return "", err
		}
		*list = doc.Statement
	}
	var b bytes.Buffer
	if err := templates.Execute(&b, v); err != nil {
		return "", fmt.Errorf("writing the template: %w", err)
	}
	return b.String(), nil
}

// place is where things are in the words of CloudFormation.
func (o Options) place() Place {
	p := Place{
		Partition: "${AWS::Partition}", Region: "${AWS::Region}", Account: "${AWS::AccountId}", Stack: "${AWS::StackName}",
		Bucket: "${" + BucketID + ".Arn}", Prefix: o.Prefix,
	}
	if o.KMS {
		p.Key = "${" + keyID + ".Arn}"
	}
	return p
}

// ReadOptions returns the options that a deployed template was made from; ok is
// false if tarn has not made it.
func ReadOptions(template string) (o Options, ok bool, err error) {
	var doc struct {
		Metadata struct {
			Tarn *Options `yaml:"Tarn"`
		} `yaml:"Metadata"`
	}
	if err := yaml.Unmarshal([]byte(template), &doc); err != nil {
		return o, false, fmt.Errorf("reading the template of the stack: %w", err)
	}
	if doc.Metadata.Tarn == nil {
		return o, false, nil
	}
	return *doc.Metadata.Tarn, true, nil
}
