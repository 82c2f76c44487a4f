package main

import (
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/cloud"
)

// statementsOf is the policy of a kind at a place.
func statementsOf(t *testing.T, p cloud.Place, kind cloud.Kind) []cloud.Statement {
	t.Helper()
	doc, err := p.Policy(kind)
	if err != nil {
		t.Fatal(err)
	}
	return doc.Statement
}

// TestBoundary: who has the execution role, and with it may write the policies of
// users and roles, can give them nothing but what the boundary lets through; a user
// without one they can't make, nor free one of it.
func TestBoundary(t *testing.T) {
	p := cloud.NewPlace("us-east-1", leastAccount, "tarn")
	ours, other := map[string]string{"iam:PermissionsBoundary": p.Boundary()}, map[string]string{"iam:PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess"}
	user, role := "arn:aws:iam::123456789012:user/tarn-Machine1-ABC", "arn:aws:iam::123456789012:role/tarn-AdminRole-ABC"
	role2 := "arn:aws:iam::123456789012:role/cdk-tarn-cfn-exec-role-123456789012-us-east-1"
	key := "arn:aws:kms:us-east-1:123456789012:key/k"
	tags := func(keys string) map[string]string { return map[string]string{"aws:TagKeys": keys} }
	tagged := func(stack, keys, before string) map[string]string {
		m := map[string]string{"aws:RequestedRegion": "us-east-1", "aws:RequestTag/tarn:stack": stack, "aws:TagKeys": keys}
		if before != "" {
			m["aws:ResourceTag/tarn:stack"] = before
		}
		return m
	}
	execution := &iam{t: t, identity: statementsOf(t, p, cloud.Execution)}
	for _, test := range []struct {
		action, resource string
		context          map[string]string
		want             bool
	}{
		{"iam:CreateUser", user, ours, true}, {"iam:CreateUser", user, nil, false}, {"iam:CreateUser", user, other, false},
		{"iam:CreateUser", "arn:aws:iam::123456789012:user/mallory", ours, false},
		{"iam:PutUserPolicy", user, ours, true}, {"iam:PutUserPolicy", user, nil, false}, {"iam:PutUserPolicy", user, other, false},
		{"iam:PutUserPermissionsBoundary", user, ours, true}, {"iam:PutUserPermissionsBoundary", user, other, false},
		{"iam:DeleteUserPermissionsBoundary", user, ours, false}, {"iam:AttachUserPolicy", user, ours, false}, {"iam:AddUserToGroup", user, ours, false},
		{"iam:CreateRole", role, ours, true}, {"iam:CreateRole", role, nil, false}, {"iam:PutRolePolicy", role, ours, true}, {"iam:PutRolePolicy", role, nil, false},
		{"iam:PutRolePermissionsBoundary", role, other, false}, {"iam:DeleteRolePermissionsBoundary", role, ours, false}, {"iam:AttachRolePolicy", role, ours, false},
		{"iam:PutRolePolicy", role2, ours, false}, {"iam:DeleteRolePermissionsBoundary", role2, nil, false},
		{"iam:CreatePolicyVersion", p.Boundary(), nil, false}, {"iam:SetDefaultPolicyVersion", p.Boundary(), nil, false}, {"iam:DeletePolicy", p.Boundary(), nil, false},
		{"iam:CreatePolicy", p.Boundary(), nil, false}, {"iam:CreateAccessKey", user, ours, false},
		{"iam:TagUser", user, tags("aws:cloudformation:stack-name"), true}, {"iam:TagUser", user, tags("team"), false}, {"iam:TagUser", user, tags("aws:cloudformation:stack-name,team"), false},
		{"iam:TagRole", role, tags("team"), false}, {"iam:UntagUser", user, tags("team"), false}, {"iam:CreateUser", "arn:aws:iam::123456789012:user/tarn-Machinery", ours, false},
		{"kms:TagResource", key, tagged("tarn", "tarn:stack", ""), true}, {"kms:TagResource", key, tagged("tarn", "tarn:stack,project", ""), false}, {"kms:TagResource", key, tagged("other", "tarn:stack", ""), false},
		{"kms:TagResource", key, tagged("tarn", "tarn:stack", "other"), false}, {"kms:TagResource", key, tagged("tarn", "tarn:stack", "tarn"), true},
		{"budgets:ModifyBudget", "arn:aws:budgets::123456789012:budget/tarn-cost-1a2b3c4d", nil, true}, {"budgets:ModifyBudget", "arn:aws:budgets::123456789012:budget/tarn-2-cost-1a2b3c4d", nil, false},
		{"budgets:ModifyBudget", "arn:aws:budgets::123456789012:budget/tarn-home", nil, false},
	} {
		if got := execution.allowed(access{test.action, test.resource, test.context}); got != test.want {
			t.Errorf("execution role: %s on %s with %v: allowed %t", test.action, test.resource, test.context, got)
		}
	}
	// All that the deployer can have themselves then, with all that IAM has to give.
	admin := &iam{t: t, boundary: statementsOf(t, p, cloud.Boundary), identity: []cloud.Statement{{Effect: "Allow", Action: []string{"*"}, Resource: []string{"*"}}}}
	bucket, own := "arn:aws:s3:::tarn-backupbucket-abc", map[string]string{"aws:ResourceAccount": leastAccount}
	for _, test := range []struct {
		action, resource string
		context          map[string]string
		want             bool
	}{
		{"s3:ListBucket", bucket, own, true}, {"s3:GetObject", bucket + "/x", own, true}, {"s3:PutObject", bucket + "/x", own, true}, {"s3:DeleteObject", bucket + "/x", own, true}, {"s3:RestoreObject", bucket + "/x", own, true},
		{"s3:DeleteObjectVersion", bucket + "/x", own, false}, {"s3:BypassGovernanceRetention", bucket + "/x", own, false}, {"s3:PutObjectRetention", bucket + "/x", own, false},
		{"s3:PutLifecycleConfiguration", bucket, own, false}, {"s3:PutBucketPolicy", bucket, own, false}, {"s3:DeleteBucket", bucket, own, false},
		{"s3:GetObject", "arn:aws:s3:::photos/x", own, false}, {"s3:GetObject", bucket + "/x", map[string]string{"aws:ResourceAccount": "999999999999"}, false},
		{"iam:CreateUser", user, nil, false}, {"iam:PutUserPolicy", user, nil, false}, {"iam:CreateAccessKey", user, nil, false}, {"iam:DeleteUserPermissionsBoundary", user, nil, false},
		{"sts:AssumeRole", role2, nil, false}, {"iam:PassRole", role2, nil, false}, {"ec2:RunInstances", "*", nil, false}, {"cloudformation:CreateStack", "*", nil, false},
		{"kms:Decrypt", key, map[string]string{"kms:ViaService": "s3.us-east-1.amazonaws.com", "aws:ResourceTag/tarn:stack": "tarn"}, true},
		{"kms:Decrypt", key, map[string]string{"kms:ViaService": "s3.us-east-1.amazonaws.com"}, false}, {"kms:Decrypt", key, map[string]string{"aws:ResourceTag/tarn:stack": "tarn"}, false},
		{"kms:ScheduleKeyDeletion", key, map[string]string{"aws:ResourceTag/tarn:stack": "tarn"}, false},
	} {
		if got := admin.allowed(access{test.action, test.resource, test.context}); got != test.want {
			t.Errorf("a user with all rights and the boundary: %s on %s: allowed %t", test.action, test.resource, got)
		}
	}
	// And it takes nothing of what the kinds of machines need.
	for _, kind := range []cloud.Kind{cloud.Backup, cloud.Restore, cloud.Machine, cloud.Prune} {
		for _, s := range statementsOf(t, p, kind) {
			for _, action := range s.Action {
				context := map[string]string{"aws:ResourceAccount": leastAccount, "s3:prefix": "tarn/x"}
				if !admin.allowed(access{action, strings.ReplaceAll(s.Resource[0], "*", "x"), context}) {
					t.Errorf("%s: the boundary lets no %s through", kind, action)
				}
			}
		}
	}
}

// TestCloudBoundary: deploy makes the boundary that the users have, and whoever
// may not is told who can.
func TestCloudBoundary(t *testing.T) {
	p := newPlanner(t)
	if code, said := p.typed("", "cloud", "deploy", "--yes", "--only-stack", "--admin-role"); code != exitDone || !strings.Contains(said, "Made the policy arn:aws:iam::123456789012:policy/TarnCloud-tarn-us-east-1-boundary") {
		t.Fatalf("%d\n%s", code, said)
	}
	// The server does not bound users that CloudFormation makes; for them the template has to do.
	for _, out := range []string{
		p.cli("iam", "get-role", "--role-name", strings.TrimSpace(p.cli("iam", "list-roles", "--query", "Roles[].RoleName", "--output", "text"))),
		p.cli("cloudformation", "get-template", "--stack-name", "tarn", "--output", "text"),
	} {
		if !strings.Contains(out, "boundary") {
			t.Errorf("no boundary in %s", out)
		}
	}
	if code, said := p.typed("", "cloud", "deploy", "--yes", "--only-stack", "--users", "2"); code != exitDone || strings.Contains(said, "Made the policy") || strings.Contains(said, "not what this version") {
		t.Errorf("again: %d\n%s", code, said)
	}
	p.cli("iam", "create-policy-version", "--set-as-default", "--policy-arn", "arn:aws:iam::123456789012:policy/TarnCloud-tarn-us-east-1-boundary", "--policy-document",
		`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}`)
	if code, said := p.typed("", "cloud", "deploy", "--yes", "--only-stack", "--users", "3"); code != exitFailed || !strings.Contains(said, "it allows s3:GetObject on *") {
		t.Errorf("another boundary: %d\n%s", code, said)
	}
	if code, said := p.typed("", "cloud", "policy", "--boundary", "--apply"); code != exitDone || !strings.Contains(said, "has the new version") {
		t.Errorf("apply: %d\n%s", code, said)
	}
}

// TestCloudSooner: a lifecycle that deletes sooner takes the bucket's name, typed,
// from deploy as from plan; --yes does not do.
func TestCloudSooner(t *testing.T) {
	p := newPlanner(t)
	if code, said := p.typed("", "cloud", "deploy", "--yes", "--only-stack"); code != exitDone {
		t.Fatalf("%d\n%s", code, said)
	}
	bucket := strings.TrimSpace(p.cli("cloudformation", "describe-stack-resource", "--stack-name", "tarn", "--logical-resource-id", "BackupBucket", "--query", "StackResourceDetail.PhysicalResourceId", "--output", "text"))
	deployed := func() string {
		return p.cli("cloudformation", "get-template", "--stack-name", "tarn", "--output", "text")
	}
	less := []string{"cloud", "deploy", "--yes", "--only-stack", "--storage-class", "STANDARD"} // 30 days of old versions, not 180
	for _, wrong := range []string{"", "y\n", "yes\n", "BackupBucket\n"} {
		if code, said := p.typed(wrong, less...); code != exitFailed || !strings.Contains(said, "would be deleted after 30 days (now: 180 days)") || !strings.Contains(said, "delete what is in it sooner") || !strings.Contains(said, "nothing was changed") {
			t.Errorf("%q: %d\n%s", wrong, code, said)
		}
	}
	if !strings.Contains(deployed(), "180") {
		t.Error("what was refused is done")
	}
	p.write("empty.yaml", strings.Replace(deployed(), "      LifecycleConfiguration:\n        Rules:\n", "      LifecycleConfiguration:\n        Rules:\n          - Status: Enabled\n            ExpirationInDays: 1\n", 1))
	if code, said := p.typed("", "cloud", "plan", "--template", "empty.yaml", "--execute", "--yes"); code != exitFailed || !strings.Contains(said, "objects would be deleted after 1 day (now: never)") || !strings.Contains(said, "nobody has typed its name") {
		t.Errorf("plan: %d\n%s", code, said)
	}
	if code, said := p.typed(bucket+"\n", less...); code != exitDone || strings.Contains(deployed(), "180") {
		t.Errorf("with its name typed: %d\n%s", code, said)
	}
}
