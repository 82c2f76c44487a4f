package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// TestCloudFewerUsers: a machine's user with a key in force goes for its typed
// name alone, and its key is there until CloudFormation has accepted the change.
func TestCloudFewerUsers(t *testing.T) {
	p := newPlanner(t)
	p.env = append(p.env, "AWS_SHARED_CREDENTIALS_FILE="+p.path("credentials"))
	if code, said := p.typed("", "cloud", "deploy", "--yes", "--users", "2", "--machine", "2", "--storage-class", "STANDARD"); code != exitDone {
		t.Fatalf("%d\n%s", code, said)
	}
	user := regexp.MustCompile(`tarn-Machine2-\w+`).FindString(p.cli("iam", "list-users"))
	there := func() bool {
		_, err := p.tryCLI("iam", "get-user", "--user-name", user)
		return err == nil
	}
	keys := func() int { return strings.Count(p.cli("iam", "list-access-keys", "--user-name", user), "AccessKeyId") }
	fewer := []string{"cloud", "deploy", "--yes", "--only-stack", "--users", "1"}
	for _, wrong := range []string{"", "y\n", "tarn-Machine1\n"} {
		code, said := p.typed(wrong, fewer...)
		for _, want := range []string{"- removed: User Machine2", "could not back up any more", "nobody has typed its name", "--remove AKIA"} {
			if code != exitFailed || !strings.Contains(said, want) {
				t.Errorf("%q: %d, want %q in\n%s", wrong, code, want, said)
			}
		}
		if !there() || keys() != 1 {
			t.Fatalf("%q: what was refused is gone", wrong)
		}
	}
	// The server deletes the user before its policy, as AWS does not, and refuses:
	// then the key is there as before.
	if code, said := p.typed("y\n"+user+"\n", "cloud", "deploy", "--only-stack", "--users", "1"); code != exitFailed || !strings.Contains(said, "DeleteConflict") || keys() != 1 {
		t.Fatalf("what CloudFormation has not accepted: %d\n%s", code, said)
	}
}

// TestCloudOtherStack: the key of another stack on this machine is not overwritten
// by one whose profile has the same name as a rule.
func TestCloudOtherStack(t *testing.T) {
	h := &heard{person: deployer(t, storagetest.Moto(t).URL)}
	h.mustDo("cloud", "deploy", "--yes", "--storage-class", "STANDARD", "--stack", "home-2")
	before, _ := h.credentials()
	h.mustDo("cloud", "deploy", "--yes", "--storage-class", "STANDARD", "--stack", "home", "--users", "2", "--machine", "2")
	if after, _ := h.credentials(); !strings.HasPrefix(after, before) || !strings.Contains(after, "[tarn-home-us-east-1-2]") {
		t.Errorf("%s", after)
	}
	h.mustDo("cloud", "destroy", "--yes", "--stack", "home")
	if after, _ := h.credentials(); after != before {
		t.Errorf("%s", after)
	}
}

// TestCloudUserGone: what becomes of a machine whose user was deleted outside of
// CloudFormation is said, the other machine goes on, and the stack can be removed.
func TestCloudUserGone(t *testing.T) {
	p := newPlanner(t)
	p.env = append(p.env, "AWS_SHARED_CREDENTIALS_FILE="+p.path("credentials"))
	if code, said := p.typed("", "cloud", "deploy", "--yes", "--users", "2", "--machine", "2", "--storage-class", "STANDARD"); code != exitDone {
		t.Fatalf("%d\n%s", code, said)
	}
	user := regexp.MustCompile(`tarn-Machine1-\w+`).FindString(p.cli("iam", "list-users"))
	p.cli("iam", "delete-user-policy", "--user-name", user, "--policy-name", "repository")
	p.cli("iam", "delete-user", "--user-name", user)
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"status"}, exitDone, "the user was deleted outside of CloudFormation"},
		{[]string{"deploy", "--yes"}, exitFailed, "`tarn cloud destroy` works"},
		{[]string{"rotate", "--yes"}, exitFailed, "iam create-user"},
		{[]string{"deploy", "--yes", "--machine", "2"}, exitDone, "has the access key"},
		{[]string{"rotate", "--yes", "--machine", "2"}, exitDone, "has the new access key"},
		{[]string{"destroy", "--yes"}, exitDone, "The stack tarn is removed"}, // on a server that then has no events of it any more
	} {
		if code, said := p.typed("", append([]string{"cloud"}, test.args...)...); code != test.code || !strings.Contains(said, test.want) {
			t.Errorf("%v: exit code %d, want %q in\n%s", test.args, code, test.want, said)
		}
	}
}

// TestCloudOtherClass: what another class means for a stack in use is said.
func TestCloudOtherClass(t *testing.T) {
	p := newPlanner(t)
	p.env = append(p.env, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
	if code, said := p.typed("", "cloud", "deploy", "--yes", "--only-stack", "--storage-class", "STANDARD"); code != exitDone || strings.Contains(said, "keeps the class") {
		t.Fatalf("%d\n%s", code, said)
	}
	code, said := p.typed("", "cloud", "deploy", "--yes", "--only-stack", "--storage-class", "DEEP_ARCHIVE")
	for _, want := range []string{"DEEP_ARCHIVE instead of STANDARD: a repository that is there keeps the class", "stay for 180 days instead of 30"} {
		if code != exitDone || !strings.Contains(said, want) {
			t.Errorf("%d, want %q in\n%s", code, want, said)
		}
	}
}

// TestCloudLooseBoundary: no users are made under a boundary that allows what tarn's
// does not; one that is but another is told.
func TestCloudLooseBoundary(t *testing.T) {
	p := newPlanner(t)
	statement := `{"Effect": "Allow", "Action": %s, "Resource": "*"}`
	for stack, test := range map[string]struct {
		policy string
		code   int
		want   string
	}{
		"all":     {"[" + fmt.Sprintf(statement, `"*"`) + "]", exitFailed, "it allows * on *"},
		"some":    {fmt.Sprintf(statement, `["s3:GetObject", "iam:CreateUser"]`), exitFailed, "it allows s3:GetObject on *"},
		"but":     {`{"Effect": "Allow", "NotAction": ["iam:*"], "Resource": "*"}`, exitFailed, "NotAction"},
		"any":     {fmt.Sprintf(statement, `["s3:getobject"]`), exitFailed, "it allows s3:getobject on *"},
		"tight":   {`{"Effect": "Allow", "Action": "s3:getobject", "Resource": "arn:aws:s3:::tight-backupbucket-*/*", "Condition": {"StringEquals": {"aws:ResourceAccount": "123456789012"}}}`, exitDone, "is not what this version of tarn has"},
		"denying": {`{"Effect": "Deny", "Action": "iam:*", "Resource": "*"}`, exitDone, "is not what this version of tarn has"},
	} {
		p.cli("iam", "create-policy", "--policy-name", "TarnCloud-"+stack+"-us-east-1-boundary", "--policy-document", `{"Version": "2012-10-17", "Statement": `+test.policy+`}`)
		code, said := p.typed("", "cloud", "deploy", "--yes", "--only-stack", "--stack", stack, "--storage-class", "STANDARD")
		if code != test.code || !strings.Contains(said, test.want) || code == exitFailed && !strings.Contains(said, "policy --boundary --apply --stack "+stack) {
			t.Errorf("%s: exit code %d, want %q in\n%s", stack, code, test.want, said)
		}
		if _, err := p.tryCLI("cloudformation", "describe-stacks", "--stack-name", stack); (err == nil) != (code == exitDone) {
			t.Errorf("%s: %v", stack, err)
		}
	}
}

// TestCloudLoosened: a boundary that was loosened after the stack was made is found
// where nothing else changes, and no key is made under it.
func TestCloudLoosened(t *testing.T) {
	p := newPlanner(t)
	p.env = append(p.env, "AWS_SHARED_CREDENTIALS_FILE="+p.path("credentials"))
	if code, said := p.typed("", "cloud", "deploy", "--yes", "--only-stack"); code != exitDone {
		t.Fatal(said)
	}
	p.cli("iam", "create-policy-version", "--set-as-default", "--policy-arn", "arn:aws:iam::123456789012:policy/TarnCloud-tarn-us-east-1-boundary", "--policy-document",
		`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}`)
	if code, said := p.typed("", "cloud", "deploy", "--yes"); code != exitFailed || !strings.Contains(said, "it allows * on *") || strings.Contains(said, "Made an access key") {
		t.Errorf("%d\n%s", code, said)
	}
}

// TestCloudPlanFits: flags of plan that would be ignored are refused.
func TestCloudPlanFits(t *testing.T) {
	p := newPlanner(t)
	p.write("t.yaml", "Resources: {A: {Type: 'AWS::SNS::Topic'}}")
	for want, args := range map[string][]string{
		"--users: of tarn's own template": {"--template", "t.yaml", "--users", "3"},
		"--parameter wants --template":    {"--parameter", "A=1"},
	} {
		if code, said := p.typed("", append([]string{"cloud", "plan"}, args...)...); code != exitFailed || !strings.Contains(said, want) {
			t.Errorf("%v: exit code %d\n%s", args, code, said)
		}
	}
}
