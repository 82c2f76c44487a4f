package guard

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// answering is CloudFormation as its API reference has the answers, in XML.
func answering(t *testing.T, answers map[string]string) *cloudformation.Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		action := r.FormValue("Action")
		result, ok := answers[action]
		if !ok {
			http.Error(w, "no answer to "+action, http.StatusNotImplemented)
			return
		}
		fmt.Fprintf(w, `<%[1]sResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><%[1]sResult>%[2]s</%[1]sResult></%[1]sResponse>`, action, result)
	}))
	t.Cleanup(s.Close)
	return cloudformation.New(cloudformation.Options{
		Region: "us-east-1", BaseEndpoint: &s.URL, Credentials: credentials.NewStaticCredentialsProvider("k", "s", ""), Retryer: aws.NopRetryer{},
	})
}

// resourceChange is a member of Changes with one of Details, as DescribeChangeSet answers.
func resourceChange(id, kind, replacement, recreation, name, before, after, cause string) string {
	return "<member><Type>Resource</Type><ResourceChange><Action>Modify</Action><LogicalResourceId>" + id + "</LogicalResourceId><PhysicalResourceId>physical-" + id + "</PhysicalResourceId>" +
		"<ResourceType>" + kind + "</ResourceType><Replacement>" + replacement + "</Replacement><Scope><member>Properties</member></Scope><Details><member><Target><Attribute>Properties</Attribute>" +
		"<Name>" + name + "</Name><Path>/Properties/" + name + "</Path><RequiresRecreation>" + recreation + "</RequiresRecreation><BeforeValue>" + before + "</BeforeValue><AfterValue>" + after + "</AfterValue></Target>" +
		"<Evaluation>Static</Evaluation><ChangeSource>DirectModification</ChangeSource><CausingEntity>" + cause + "</CausingEntity></member></Details></ResourceChange></member>"
}

// TestDocumented: what CloudFormation says in a change set, of which emulators say
// little, joins what the templates tell; its answer goes over the wire as documented.
func TestDocumented(t *testing.T) {
	const template = "Parameters: {Name: {Type: String, Default: items}}\nResources:\n  Items:\n    Type: AWS::DynamoDB::Table\n    Properties: {TableName: !Ref Name, KeySchema: [{AttributeName: id, KeyType: HASH}]}\n" +
		"  Base:\n    Type: AWS::RDS::DBInstance\n    Properties: {DBInstanceClass: db.t3.micro, Engine: mysql, EngineVersion: '8.0'}\n" +
		"  B: {Type: 'AWS::S3::Bucket'}\n"
	for name, test := range map[string]struct {
		new, changes string
		want         []string
	}{
		"what no template tells": {template, resourceChange("Items", "AWS::DynamoDB::Table", "True", "Always", "TableName", "items", "articles", "Name"), []string{
			"! REPLACED: table Items", `TableName changes from "items" to "articles", since Name does, which replaces it`, "leave TableName as it is"}},
		"perhaps": {template, resourceChange("Base", "AWS::RDS::DBInstance", "Conditional", "Conditionally", "EngineVersion", "8.0", "8.4", ""), []string{
			"? MAY BE REPLACED", `EngineVersion changes from "8.0" to "8.4", which replaces it in some cases`}},
		"it knows better": {strings.Replace(template, "'8.0'", "'8.4'", 1), resourceChange("Base", "AWS::RDS::DBInstance", "False", "Never", "EngineVersion", "8.0", "8.4", ""), []string{
			"1 changed", "~ changed:"}},
		"a lifecycle by a value outside": {template, resourceChange("B", "AWS::S3::Bucket", "False", "Never", "LifecycleConfiguration", "90", "1", ""), []string{
			"~ CHANGED: bucket B", "not known here, and may delete sooner", "avoid: leave LifecycleConfiguration"}},
		"removed": {template, "<member><Type>Resource</Type><ResourceChange><PolicyAction>Delete</PolicyAction><Action>Remove</Action><LogicalResourceId>Items</LogicalResourceId><PhysicalResourceId>items</PhysicalResourceId>" +
			"<ResourceType>AWS::DynamoDB::Table</ResourceType><Scope/><Details/></ResourceChange></member>", []string{"- REMOVED: table Items (items)", "CloudFormation says that it is removed"}},
		"macros": {template, "<member><Type>Resource</Type><ResourceChange><Action>Dynamic</Action><LogicalResourceId>Items</LogicalResourceId><ResourceType>AWS::DynamoDB::Table</ResourceType></ResourceChange></member>", []string{
			"? MAY BE REPLACED", "hangs on macros or nested stacks"}},
	} {
		t.Run(name, func(t *testing.T) {
			api := answering(t, map[string]string{
				"DescribeStacks":     "<Stacks><member><StackName>s</StackName><StackId>arn:aws:cloudformation:us-east-1:1:stack/s/1</StackId><StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-01-02T03:04:05Z</CreationTime></member></Stacks>",
				"ListStackResources": "<StackResourceSummaries/>",
				"GetTemplate":        "<TemplateBody>" + template + "</TemplateBody>",
				"DescribeChangeSet":  "<Status>CREATE_COMPLETE</Status><Changes>" + test.changes + "</Changes>",
			})
			plan, err := lookAt(t.Context(), api, test.new)
			if err != nil {
				t.Fatal(err)
			}
			text := plan.text(t)
			for _, want := range test.want {
				if !strings.Contains(text, want) {
					t.Errorf("want %q in\n%s", want, text)
				}
			}
			if asked := len(plan.Dangers()) > 0; asked != slices.ContainsFunc(test.want, func(s string) bool { return strings.Contains("!?-", s[:1]) || strings.Contains(s, "CHANGED") }) {
				t.Errorf("%d dangers in\n%s", len(plan.Dangers()), text)
			}
		})
	}
}

// lookAt judges an update by its change set.
func lookAt(ctx context.Context, api *cloudformation.Client, template string) (*Plan, error) {
	set, err := api.DescribeChangeSet(ctx, &cloudformation.DescribeChangeSetInput{ChangeSetName: aws.String("c"), StackName: aws.String("s"), IncludePropertyValues: aws.Bool(true)})
	if err != nil {
		return nil, err
	}
	var changes []types.ResourceChange
	for _, c := range set.Changes {
		changes = append(changes, *c.ResourceChange)
	}
	return Look(ctx, api, Request{Stack: "s", Template: []byte(template), Changes: changes})
}
