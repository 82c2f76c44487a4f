package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestCloudPlanBig: a template that is too big for a request is planned and carried
// out by way of a bucket, in which nothing is left of it; without one, the message
// says so.
func TestCloudPlanBig(t *testing.T) {
	p := newPlanner(t)
	p.url = strings.Replace(p.url, "127.0.0.1", "localhost", 1) // by which this server knows URLs of its own
	p.env = append(p.env, "AWS_ENDPOINT_URL="+p.url)
	p.cli("s3", "mb", "s3://templates")
	big := func(name, resources string) {
		p.write(name, "Resources:\n"+resources+"#"+strings.Repeat("-", 60000)+"\n")
	}
	big("old.yaml", "  Data: {Type: AWS::S3::Bucket, Properties: {BucketName: first-one}}\n  Topic: {Type: AWS::SNS::Topic}\n")
	big("new.yaml", "  Data: {Type: AWS::S3::Bucket, Properties: {BucketName: other-one}}\n  Topic: {Type: AWS::SNS::Topic}\n")
	var many strings.Builder
	for i := range 30000 {
		fmt.Fprintf(&many, "  T%d: {Type: AWS::SNS::Topic}\n", i)
	}
	big("huge.yaml", many.String())
	p.write("small.yaml", "Resources:\n  Topic: {Type: AWS::SNS::Topic}\n")
	for _, test := range []struct {
		args string
		code int
		want string
	}{
		{"--template old.yaml", exitFailed, "the template is too big for a request: it has"},
		{"--template old.yaml", exitFailed, "by --template-bucket"},
		{"--template huge.yaml --template-bucket templates", exitFailed, "CloudFormation takes 1048576 at most"},
		{"--template-bucket templates", exitFailed, "--template-bucket wants --template"},
		{"--template old.yaml --template-bucket s3://templates", exitFailed, "no name of a bucket"},
		{"--template old.yaml --template-bucket absent-bucket", exitFailed, "putting the template into the bucket absent-bucket: there is no such bucket"},
		{"--template old.yaml --template-bucket absent-bucket", exitFailed, "Look at the name in --template-bucket"},
		{"--template small.yaml --template-bucket absent-bucket", exitDone, "Topic"}, // which is not needed
		{"--template old.yaml --template-bucket templates", exitDone, "added: bucket Data"},
		{"--template old.yaml --template-bucket templates --execute --yes", exitDone, "stack big: done"},
		{"--template old.yaml --template-bucket templates", exitDone, "nothing changes"},
		{"--template new.yaml --template-bucket templates", exitProblems, "REPLACED: bucket Data"},
	} {
		code, said := p.typed("", append([]string{"cloud", "plan", "--stack", "big"}, strings.Fields(test.args)...)...)
		if code != test.code || !strings.Contains(said, test.want) {
			t.Errorf("%s: exit code %d, want %q in\n%.2000s", test.args, code, test.want, said)
		}
		if left := p.cli("s3", "ls", "s3://templates"); left != "" {
			t.Errorf("%s: left behind: %s", test.args, left)
		}
	}
}
