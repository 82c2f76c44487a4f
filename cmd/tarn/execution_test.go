package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/cloud"
	"github.com/tarn-backup/tarn/internal/cloud/guard"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// handlers are the requests that CloudFormation sends to make, change, look at and
// delete a resource, as far as the properties of our template call for them: from
// the permissions that AWS's resource provider schemas give for each handler.
var handlers = map[string]map[string]string{
	"AWS::S3::Bucket": {
		"create": "s3:CreateBucket s3:PutBucketPublicAccessBlock s3:PutBucketOwnershipControls s3:PutBucketVersioning s3:PutLifecycleConfiguration s3:PutEncryptionConfiguration s3:PutBucketTagging",
		"update": "s3:PutBucketPublicAccessBlock s3:PutBucketOwnershipControls s3:PutBucketVersioning s3:PutLifecycleConfiguration s3:PutEncryptionConfiguration s3:PutBucketTagging",
		"read": "s3:ListBucket s3:GetBucketPublicAccessBlock s3:GetBucketOwnershipControls s3:GetBucketVersioning s3:GetLifecycleConfiguration s3:GetEncryptionConfiguration s3:GetBucketObjectLockConfiguration " +
			"s3:GetBucketTagging s3:GetAccelerateConfiguration s3:GetAnalyticsConfiguration s3:GetBucketAbac s3:GetBucketCORS s3:GetBucketLogging s3:GetBucketMetadataTableConfiguration s3:GetBucketNotification " +
			"s3:GetBucketWebsite s3:GetIntelligentTieringConfiguration s3:GetInventoryConfiguration s3:GetMetricsConfiguration s3:GetReplicationConfiguration s3:ListTagsForResource",
	},
	"AWS::S3::BucketPolicy": {"create": "s3:PutBucketPolicy", "update": "s3:PutBucketPolicy", "read": "s3:GetBucketPolicy", "delete": "s3:DeleteBucketPolicy"},
	"AWS::IAM::User": {
		"create": "iam:CreateUser iam:TagUser", "update": "iam:PutUserPermissionsBoundary iam:TagUser iam:UntagUser",
		"read":   "iam:GetUser iam:ListUserPolicies iam:ListAttachedUserPolicies iam:ListGroupsForUser iam:GetUserPolicy",
		"delete": "iam:ListAccessKeys iam:DeleteUser",
	},
	"AWS::IAM::Policy": {"create": "iam:PutUserPolicy", "update": "iam:PutUserPolicy", "read": "iam:GetUserPolicy", "delete": "iam:DeleteUserPolicy"},
	"AWS::IAM::Role": {
		"create": "iam:CreateRole iam:TagRole iam:PutRolePolicy",
		"update": "iam:UpdateRole iam:UpdateAssumeRolePolicy iam:PutRolePermissionsBoundary iam:PutRolePolicy iam:TagRole iam:UntagRole",
		"read":   "iam:GetRole iam:ListRolePolicies iam:ListAttachedRolePolicies iam:GetRolePolicy", "delete": "iam:DeleteRolePolicy iam:DeleteRole",
	},
	"AWS::KMS::Key": {
		"create": "kms:CreateKey kms:TagResource kms:EnableKeyRotation", "update": "kms:UpdateKeyDescription",
		"read": "kms:DescribeKey kms:GetKeyPolicy kms:GetKeyRotationStatus kms:ListResourceTags",
	},
	"AWS::Budgets::Budget": {"create": "budgets:ModifyBudget", "update": "budgets:ModifyBudget", "read": "budgets:ViewBudget", "delete": "budgets:ModifyBudget"},
}

// needsOf is what CloudFormation asks for to do something with a resource.
func needsOf(t *testing.T, do, stack string, r *guard.Resource, all map[string]*guard.Resource) (list []access) {
	t.Helper()
	h, ok := handlers[r.Type]
	if !ok {
		t.Errorf("%s: no handlers are known for it", r.Type)
	}
	actions := strings.Fields(h["read"] + " " + h[do])
	if r.Type == "AWS::S3::Bucket" && r.Properties["ObjectLockEnabled"] != nil && do != "delete" {
		actions = append(actions, "s3:PutBucketObjectLockConfiguration")
	}
	for _, action := range actions {
		context := map[string]string{"aws:RequestedRegion": "us-east-1"}
		if action != "s3:CreateBucket" {
			context["aws:ResourceAccount"] = leastAccount
		}
		resource := arnOf(stack, r)
		switch {
		case r.Type == "AWS::IAM::User" || r.Type == "AWS::IAM::Role":
			bound(context, stack, r)
		case r.Type == "AWS::IAM::Policy":
			bound(context, stack, all["Machine1"])
		case action == "kms:CreateKey" || action == "kms:TagResource":
			context["aws:RequestTag/tarn:stack"] = stack
			context["aws:TagKeys"] = "tarn:stack"
			resource = "*"
		case r.Type == "AWS::KMS::Key":
			context["aws:ResourceTag/tarn:stack"] = stack
		}
		list = append(list, access{action, resource, context})
	}
	return list
}

// bound says which boundary an identity has in the template.
func bound(context map[string]string, stack string, r *guard.Resource) {
	sub, _ := r.Properties["PermissionsBoundary"].(map[string]any)
	if arn, ok := sub["Fn::Sub"].(string); ok {
		context["iam:PermissionsBoundary"] = strings.NewReplacer("${AWS::Partition}", "aws", "${AWS::AccountId}", leastAccount, "${AWS::StackName}", stack, "${AWS::Region}", "us-east-1").Replace(arn)
	}
}

// arnOf is how a policy names what CloudFormation makes of a resource.
func arnOf(stack string, r *guard.Resource) string {
	iam := "arn:aws:iam::" + leastAccount + ":"
	switch r.Type {
	case "AWS::S3::Bucket", "AWS::S3::BucketPolicy":
		return "arn:aws:s3:::" + strings.ToLower(stack) + "-backupbucket-1abc"
	case "AWS::IAM::User":
		return iam + "user/" + stack + "-" + r.ID + "-1ABC"
	case "AWS::IAM::Policy":
		return iam + "user/" + stack + "-Machine1-1ABC"
	case "AWS::IAM::Role":
		return iam + "role/" + stack + "-" + r.ID + "-1ABC"
	case "AWS::KMS::Key":
		return "arn:aws:kms:us-east-1:" + leastAccount + ":key/1-2-3"
	}
	return "arn:aws:budgets::" + leastAccount + ":budget/" + stack + "-cost-1a2b3c4d"
}

// TestExecutionPolicy: all that CloudFormation asks for, for every combination of
// the flags, is in the policy of its role; and that has no action which nothing asks for.
func TestExecutionPolicy(t *testing.T) {
	template := func(o cloud.Options) string {
		text, err := o.Template()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	policy := statementsOf(t, cloud.NewPlace("us-east-1", leastAccount, "home"), cloud.Execution)
	i := &iam{t: t, identity: policy}
	asked := map[string]bool{}
	check := func(was, will string) {
		t.Helper()
		for _, s := range stackSteps(t, "home", was, will) {
			for _, a := range s.needs {
				asked[a.action] = true
				if !i.allowed(a) {
					t.Errorf("%s (%s): %s on %s with %v is not allowed", s.id, s.kind, a.action, a.resource, a.context)
				}
			}
		}
	}
	empty := template(cloud.DefaultOptions())
	for bits := range 16 {
		o := cloud.DefaultOptions()
		o.KMS, o.AdminRole = bits&1 != 0, bits&2 != 0
		if bits&4 != 0 {
			o.Budget, o.Email = 5, "me@example.org"
		}
		if bits&8 != 0 {
			o.LockDays = 30
		}
		text := template(o)
		check("", text)
		check(empty, text)
		check(text, "")
		o.Users = 3
		check(text, template(o))
		check(strings.ReplaceAll(text, "boundary", "old"), text) // all identities change
		check(strings.ReplaceAll(text, "Encrypts", "Encrypted"), text)
		check(strings.ReplaceAll(text, "Amount: 5", "Amount: 6"), text)
	}
	var has []string
	for _, s := range policy {
		if s.Effect == "Allow" {
			has = append(has, s.Action...)
		}
	}
	slices.Sort(has)
	if got := slices.Sorted(maps.Keys(asked)); !slices.Equal(got, slices.Compact(has)) {
		t.Errorf("asked for %v,\nallowed %v", got, has)
	}
}

// TestCloudLeastPrivilege: the commands work under exactly the deployer's policy,
// with the execution role passed, the machine's own for its key, and the boundary; and
// with each single action removed they fail, and name it.
func TestCloudLeastPrivilege(t *testing.T) {
	g, proxy := newGate(t)
	n, all := 0, storagetest.All(t)
	begin := func(t *testing.T) (h *heard, stack string) {
		t.Helper()
		n++
		h, stack = &heard{person: deployer(t, proxy)}, fmt.Sprintf("l%d", n)
		// An administrator has made the boundary.
		g.set(stack, "", "")
		g.mu.Lock()
		g.deployer = []cloud.Statement{{Effect: "Allow", Action: []string{"iam:*"}, Resource: []string{"*"}}}
		g.mu.Unlock()
		h.mustDo("cloud", "policy", "--boundary", "--apply", "--stack", stack)
		g.set(stack, "", "")
		return h, stack
	}
	used := map[string]bool{}
	role := g.place("x").ExecutionRole()
	first := []string{"cloud", "deploy", "--yes", "--storage-class", "STANDARD", "--role", role}
	for _, c := range []struct {
		name    string
		prepare bool
		args    []string
		uses    string // of the deployer; sorted
	}{
		{"deploy", false, first, "cloudformation:CreateChangeSet cloudformation:DescribeChangeSet cloudformation:DescribeStackEvents cloudformation:DescribeStacks cloudformation:ExecuteChangeSet cloudformation:ListStackResources " +
			"iam:CreateAccessKey iam:GetPolicy iam:GetPolicyVersion iam:ListAccessKeys iam:PassRole"},
		{"deploy again", true, first, "cloudformation:CreateChangeSet cloudformation:DeleteChangeSet cloudformation:DescribeChangeSet cloudformation:DescribeStacks cloudformation:GetTemplate cloudformation:ListStackResources " +
			"iam:GetAccessKeyLastUsed iam:GetPolicy iam:GetPolicyVersion iam:ListAccessKeys iam:PassRole"},
		{"plan", true, []string{"cloud", "plan", "--users", "2", "--role", role}, "cloudformation:CreateChangeSet cloudformation:DeleteChangeSet cloudformation:DescribeChangeSet cloudformation:DescribeStacks cloudformation:GetTemplate cloudformation:ListStackResources iam:PassRole"},
		{"plan anew", false, []string{"cloud", "plan", "--role", role}, "cloudformation:CreateChangeSet cloudformation:DeleteChangeSet cloudformation:DeleteStack cloudformation:DescribeChangeSet cloudformation:DescribeStacks cloudformation:ListChangeSets iam:PassRole"},
		{"status", true, []string{"cloud", "status"}, "cloudformation:DescribeStacks cloudformation:GetTemplate cloudformation:ListStackResources iam:GetAccessKeyLastUsed iam:ListAccessKeys"},
		{"rotate", true, []string{"cloud", "rotate", "--yes"}, "cloudformation:DescribeStacks cloudformation:GetTemplate cloudformation:ListStackResources iam:CreateAccessKey iam:DeleteAccessKey iam:GetAccessKeyLastUsed iam:ListAccessKeys iam:UpdateAccessKey"},
		{"destroy", true, []string{"cloud", "destroy", "--yes"}, "cloudformation:DeleteStack cloudformation:DescribeStackEvents cloudformation:DescribeStacks cloudformation:GetTemplate cloudformation:ListStackResources " +
			"iam:DeleteAccessKey iam:GetAccessKeyLastUsed iam:ListAccessKeys s3:ListBucketVersions"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i, action := range strings.Fields(c.uses) {
				if !all && i%6 != 4 {
					continue
				}
				h, stack := begin(t)
				if c.prepare {
					h.mustDo(append(slices.Clone(first), "--stack", stack)...)
				}
				g.set(stack, action, "")
				code, out, errs := h.run(append(slices.Clone(c.args), "--stack", stack)...)
				if code != exitFailed || !strings.Contains(errs, "the permission "+action+" is missing") || !strings.Contains(errs, "can allow "+action) {
					t.Errorf("without %s: exit code %d\n%s%s", action, code, out, errs)
				}
			}
			h, stack := begin(t)
			if c.prepare {
				h.mustDo(append(slices.Clone(first), "--stack", stack)...)
			}
			g.set(stack, "", "")
			h.mustDo(append(slices.Clone(c.args), "--stack", stack)...)
			if got := strings.Join(slices.Sorted(maps.Keys(g.used)), " "); got != c.uses {
				t.Errorf("uses\n%s, want\n%s", got, c.uses)
			}
			for _, action := range strings.Fields(c.uses) {
				used[action] = true
			}
		})
	}
	for _, s := range statementsOf(t, g.place("x"), cloud.Deployer) {
		for _, action := range s.Action {
			if !used[action] {
				t.Errorf("no command uses %s", action)
			}
		}
	}
	h, stack := begin(t)
	g.mu.Lock()
	g.deployer = withoutAction(g.deployer, "iam:CreatePolicy") // which it never had
	g.mu.Unlock()
	g.place = func(string) cloud.Place { return placeOf("other") }
	g.set("other", "", "")
	if code, _, errs := h.run(append(slices.Clone(first), "--stack", "other")...); code != exitFailed || !strings.Contains(errs, "An administrator of the account makes it, once: `tarn cloud policy --boundary --apply --stack other --region us-east-1`") {
		t.Errorf("no boundary, after %s: %d\n%s", stack, code, errs)
	}
}

// TestCloudExecutionRole: without one action of the execution role the stack is
// rolled back, and the command names it.
func TestCloudExecutionRole(t *testing.T) {
	if testing.Short() {
		t.Skip("runs each command many times")
	}
	g, proxy := newGate(t)
	h := &heard{person: deployer(t, proxy)}
	g.set("e", "", "")
	g.mu.Lock()
	g.deployer = []cloud.Statement{{Effect: "Allow", Action: []string{"*"}, Resource: []string{"*"}}}
	g.mu.Unlock()
	h.mustDo("cloud", "policy", "--boundary", "--apply", "--stack", "e")
	options := []string{"--stack", "e", "--yes", "--only-stack", "--admin-role", "--budget", "5", "--email", "me@example.org"}
	deploy := append([]string{"cloud", "deploy", "--role", g.place("e").ExecutionRole()}, options...)
	runs, failures := 0, 0
	step := func(without []string, args ...string) {
		t.Helper()
		for _, action := range without {
			g.set("e", "", action)
			code, out, errs := h.run(args...)
			runs++
			if code != exitFailed || !strings.Contains(errs, "not authorized to perform: "+action) || !strings.Contains(errs, "can allow "+action) {
				t.Errorf("%v without %s: %d\n%s%s", args, action, code, out, errs)
				failures++
			}
			if failures > 3 {
				t.FailNow()
			}
		}
		g.set("e", "", "")
		h.mustDo(args...)
		for _, action := range without {
			if !g.executed[action] {
				t.Errorf("%v has not used %s", args, action)
			}
		}
	}
	step(strings.Fields("s3:CreateBucket s3:PutLifecycleConfiguration s3:PutBucketPolicy s3:GetBucketPolicy s3:GetBucketAbac iam:CreateUser iam:PutUserPolicy iam:GetUser iam:CreateRole iam:PutRolePolicy budgets:ModifyBudget budgets:ViewBudget"), deploy...)
	step(strings.Fields("iam:PutUserPolicy iam:CreateUser iam:GetUserPolicy"), append(slices.Clone(deploy), "--users", "2")...)
	step(strings.Fields("iam:DeleteUser iam:DeleteUserPolicy iam:DeleteRole iam:DeleteRolePolicy s3:DeleteBucketPolicy iam:ListAccessKeys"), "cloud", "destroy", "--yes", "--stack", "e")
	if runs < 20 {
		t.Errorf("only %d runs", runs)
	}
}
