package main

import (
	"strings"
	"testing"
)

// TestCloudDestroyGuards: destroy refuses a stack that tarn has not made, and what
// holds data and is not retained goes for its typed name alone, not for --yes.
func TestCloudDestroyGuards(t *testing.T) {
	p := newPlanner(t)
	const queue = "Resources:\n  Jobs: {Type: 'AWS::SQS::Queue'}\n"
	const tarns = "Metadata: {Tarn: {StorageClass: STANDARD, Prefix: tarn, Users: 1, ObjectLockMode: GOVERNANCE}}\n"
	p.write("theirs.yaml", queue)
	p.write("ours.yaml", tarns+queue+"  Kept: {Type: 'AWS::SQS::Queue', DeletionPolicy: Retain}\n")
	p.cli("cloudformation", "deploy", "--stack-name", "theirs", "--template-file", "theirs.yaml")
	p.cli("cloudformation", "deploy", "--stack-name", "ours", "--template-file", "ours.yaml")
	url := func(stack string) string {
		return strings.TrimSpace(p.cli("cloudformation", "describe-stack-resource", "--stack-name", stack, "--logical-resource-id", "Jobs", "--query", "StackResourceDetail.PhysicalResourceId", "--output", "text"))
	}
	there := func(url string) bool {
		_, err := p.tryCLI("sqs", "get-queue-attributes", "--queue-url", url)
		return err == nil
	}
	theirs, ours := url("theirs"), url("ours")
	name := ours[strings.LastIndex(ours, "/")+1:]
	for _, test := range []struct{ stack, typed, want string }{
		{"theirs", "", "tarn has not made it"},
		{"theirs", theirs[strings.LastIndex(theirs, "/")+1:] + "\n", "tarn has not made it"},
		{"ours", "", "nobody has typed its name"},
		{"ours", "y\n", "that is not its name"},
		{"ours", "", "GOES:  the queue " + name},
		{"ours", "", "Stays: the queue "},
	} {
		code, said := p.typed(test.typed, "cloud", "destroy", "--yes", "--stack", test.stack)
		if code != exitFailed || !strings.Contains(said, test.want) {
			t.Errorf("%s, %q: exit code %d, want %q in\n%s", test.stack, test.typed, code, test.want, said)
		}
	}
	if !there(theirs) || !there(ours) {
		t.Fatal("what was refused is gone")
	}
	if code, said := p.typed(name+"\n", "cloud", "destroy", "--stack", "ours"); code != exitDone || there(ours) {
		t.Errorf("with its name typed: exit code %d\n%s", code, said)
	}
}
