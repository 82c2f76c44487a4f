package cloud_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/cloud"
)

func statements(t *testing.T, p cloud.Place, kind cloud.Kind) []cloud.Statement {
	t.Helper()
	doc, err := p.Policy(kind)
	if err != nil {
		t.Fatal(err)
	}
	return doc.Statement
}

// TestPoliciesOfMachines: what each kind of machine may do, action by action.
func TestPoliciesOfMachines(t *testing.T) {
	p := cloud.NewPlace("eu-west-1", "123456789012", "tarn")
	p.Bucket = "arn:aws:s3:::my-bucket"
	for kind, want := range map[cloud.Kind]string{
		cloud.Backup:  "s3:ListBucket s3:GetObject s3:PutObject s3:AbortMultipartUpload",
		cloud.Restore: "s3:ListBucket s3:GetObject s3:RestoreObject",
		cloud.Machine: "s3:ListBucket s3:GetObject s3:PutObject s3:AbortMultipartUpload s3:RestoreObject",
		cloud.Prune:   "s3:ListBucket s3:GetObject s3:PutObject s3:AbortMultipartUpload s3:RestoreObject s3:DeleteObject",
	} {
		var got []string
		for _, s := range statements(t, p, kind) {
			got = append(got, s.Action...)
			for _, r := range s.Resource {
				if !slices.Equal(s.Condition["StringEquals"]["aws:ResourceAccount"], []string{p.Account}) {
					t.Errorf("%s: of a bucket of any account: %+v", kind, s)
				}
				if r != "arn:aws:s3:::my-bucket" && r != "arn:aws:s3:::my-bucket/tarn/*" || s.Effect != "Allow" {
					t.Errorf("%s: %+v", kind, s)
				}
			}
			if slices.Contains(s.Action, "s3:ListBucket") && !slices.Equal(s.Condition["StringLike"]["s3:prefix"], []string{"tarn/*"}) {
				t.Errorf("%s lists more than the repository: %+v", kind, s)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s may do %v, want %s", kind, got, want)
		}
	}
}

// TestPolicyOfKey: with a key of its own, a machine that writes may use it for
// new objects, one that only reads may not; and for S3 only.
func TestPolicyOfKey(t *testing.T) {
	p := cloud.NewPlace("eu-west-1", "123456789012", "tarn")
	p.Key = "arn:aws:kms:eu-west-1:123456789012:key/k"
	for kind, want := range map[cloud.Kind]string{cloud.Backup: "kms:Decrypt kms:GenerateDataKey", cloud.Restore: "kms:Decrypt"} {
		list := statements(t, p, kind)
		last := list[len(list)-1]
		if strings.Join(last.Action, " ") != want || last.Resource[0] != p.Key || last.Condition["StringEquals"]["kms:ViaService"][0] != "s3.eu-west-1.amazonaws.com" {
			t.Errorf("%s: %+v", kind, last)
		}
	}
}

// TestPoliciesOfDeployment: nothing in them is of all services, regions or
// names, nobody may delete the bucket or an object, and the role that does the work
// can't change what gives it its rights.
func TestPoliciesOfDeployment(t *testing.T) {
	p := cloud.NewPlace("eu-west-1", "123456789012", "tarn")
	for _, kind := range []cloud.Kind{cloud.Deployer, cloud.Execution} {
		for _, s := range statements(t, p, kind) {
			for _, a := range s.Action {
				if s.Effect == "Allow" && (strings.Contains(a, "*") || strings.HasPrefix(a, "s3:Delete") && a != "s3:DeleteBucketPolicy") {
					t.Errorf("%s, %s: allows %s", kind, s.Sid, a)
				}
			}
			for _, r := range s.Resource {
				named := strings.Contains(r, "tarn")
				conditioned := s.Condition["StringEquals"]["aws:RequestedRegion"] != nil && len(s.Condition["StringEquals"]) > 1
				if s.Effect == "Allow" && !named && !conditioned {
					t.Errorf("%s, %s: of any stack: %s", kind, s.Sid, r)
				}
			}
			regional := !strings.HasPrefix(s.Action[0], "iam:") && !strings.HasPrefix(s.Action[0], "budgets:")
			if s.Effect == "Allow" && regional && !slices.Equal(s.Condition["StringEquals"]["aws:RequestedRegion"], []string{"eu-west-1"}) {
				t.Errorf("%s, %s: in any region", kind, s.Sid)
			}
		}
	}
	list := statements(t, p, cloud.Execution)
	for _, s := range list {
		if s.Effect == "Allow" && (slices.Contains(s.Action, "kms:PutKeyPolicy") || slices.Contains(s.Action, "kms:CreateGrant") || slices.Contains(s.Action, "kms:ScheduleKeyDeletion")) {
			t.Errorf("%s: a key that was there before, once tagged, can be taken over: %v", s.Sid, s.Action)
		}
	}
	last := list[slices.IndexFunc(list, func(s cloud.Statement) bool { return s.Sid == "NotItself" })]
	if last.Effect != "Deny" || !slices.Contains(last.Resource, "arn:aws:iam::123456789012:policy/TarnCloud-*") || !slices.Contains(last.Resource, "arn:aws:iam::123456789012:role/cdk-*") {
		t.Errorf("%+v", last)
	}
}

// TestPolicySize: IAM takes 6,144 characters in a managed policy, white space
// not counted.
func TestPolicySize(t *testing.T) {
	p := cloud.NewPlace("ap-southeast-2", "123456789012", "a-stack-with-a-long-name")
	p.Key = "arn:aws:kms:ap-southeast-2:123456789012:key/12345678-1234-1234-1234-123456789012"
	for _, kind := range cloud.Kinds {
		doc, err := p.Policy(kind)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(doc)
		if err != nil || len(b) > 6144 {
			t.Errorf("%s: %d characters, %v", kind, len(b), err)
		}
	}
	if _, err := p.Policy("all"); err == nil {
		t.Error("an unknown kind has a policy")
	}
}

func TestCheckNames(t *testing.T) {
	for name, ok := range map[string]bool{"tarn": true, "T-1": true, "": false, "1a": false, "a_b": false, "a-": false, strings.Repeat("a", 25): false} {
		if err := cloud.CheckStack(name); (err == nil) != ok {
			t.Errorf("stack %q: %v", name, err)
		}
	}
	for name, ok := range map[string]bool{"tarn": true, "a-": true, strings.Repeat("a", 128): true, strings.Repeat("a", 129): false, "a_b": false, "": false, "1": false} {
		if err := cloud.CheckAnyStack(name); (err == nil) != ok {
			t.Errorf("any stack %q: %v", name, err)
		}
	}
	for account, ok := range map[string]bool{"123456789012": true, "12345678901": false, "1234567890123": false, "*": false, "": false, "12345678901a": false} {
		if err := cloud.CheckAccount(account); (err == nil) != ok {
			t.Errorf("account %q: %v", account, err)
		}
	}
	for region, ok := range map[string]bool{"us-east-1": true, "ap-southeast-4": true, "us-gov-west-1": true, "eusc-de-east-1": true, "us-east": false, "*": false, "evil.example.org/-1": false, "US-EAST-1": false, "": false} {
		if err := cloud.CheckRegion(region); (err == nil) != ok || err != nil && !errors.Is(err, cloud.ErrRegion) {
			t.Errorf("region %q: %v", region, err)
		}
	}
	for role, ok := range map[string]bool{"": true, "arn:aws:iam::123456789012:role/a/b-c": true, "b": false, "arn:aws:iam::123456789012:user/b": false, "arn:aws:iam::1:role/b": false, "arn:aws:iam::123456789012:role/": false} {
		if err := cloud.CheckRole(role); (err == nil) != ok {
			t.Errorf("role %q: %v", role, err)
		}
	}
	for key, ok := range map[string]bool{"": true, "arn:aws:kms:eu-west-1:123456789012:key/1-2": true, "arn:aws-cn:kms:eu-west-1:123456789012:key/1-2": false, "arn:aws:kms:us-east-1:123456789012:key/1-2": false, "arn:aws:kms:eu-west-1:123456789012:alias/x": false, "1-2": false, "*": false} {
		if err := cloud.NewPlace("eu-west-1", "123456789012", "tarn").CheckKey(key); (err == nil) != ok {
			t.Errorf("key %q: %v", key, err)
		}
	}
	for name, ok := range map[string]bool{"tarn": true, "a/b.c": true, "": false, "/a": false, "a//b": false, "a*": false, "${x}": false, "a b": false} {
		if err := cloud.CheckPrefix(name); (err == nil) != ok {
			t.Errorf("prefix %q: %v", name, err)
		}
	}
}

// TestNamesOfRegions: IAM is one for all regions, so stacks of one name in two of them have
// two policies; and two stacks have two execution roles.
func TestNamesOfRegions(t *testing.T) {
	here, there := cloud.NewPlace("eu-west-1", "123456789012", "tarn"), cloud.NewPlace("us-east-1", "123456789012", "tarn")
	for _, kind := range cloud.Kinds {
		if here.PolicyName(kind) == there.PolicyName(kind) {
			t.Errorf("%s: both regions have %s", kind, here.PolicyName(kind))
		}
	}
	if name := cloud.NewPlace("ap-southeast-2", "1", strings.Repeat("a", 24)).PolicyName(cloud.Execution); len(name) > 128 {
		t.Errorf("%d letters: %s", len(name), name)
	}
	seen := map[string]string{}
	for _, stack := range []string{"tarn", "Tarn", "a", "b", "a-b", "ab", "tarn-home", "tarn-homes", "abcdefghij", "abcdefghijk", "abcdefghijkl", "hnb659fds", "T-1"} {
		q := cloud.DefaultQualifier(stack)
		if err := cloud.CheckQualifier(q); err != nil || strings.ToLower(q) != q || seen[q] != "" || q == "hnb659fds" {
			t.Errorf("%s: %s, as %q has; %v", stack, q, seen[q], err)
		}
		seen[q] = stack
		if call := strings.Join(cloud.NewPlace("us-east-1", "123456789012", stack).Bootstrap(), " "); !strings.Contains(call, "--qualifier "+q+" --toolkit-stack-name CDKToolkit-"+q+" ") {
			t.Error(call)
		}
	}
	if q := cloud.DefaultQualifier("tarn"); q != "tarn" {
		t.Errorf("that of the stack tarn is %s", q)
	}
}
