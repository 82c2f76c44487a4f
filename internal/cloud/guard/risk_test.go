package guard

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// TestRisks: what loses nothing yet, but lets it be lost later, is named.
func TestRisks(t *testing.T) {
	bucket := func(attributes, properties string) string {
		return "Resources:\n  B:\n    Type: AWS::S3::Bucket\n" + attributes + "    Properties: {X: 1, " + properties + "}\n"
	}
	const (
		both = "    DeletionPolicy: Retain\n    UpdateReplacePolicy: Retain\n"
		shut = "PublicAccessBlockConfiguration: {BlockPublicAcls: true, BlockPublicPolicy: true, IgnorePublicAcls: true, RestrictPublicBuckets: true}"
	)
	rules := func(list string) string { return "LifecycleConfiguration: {Rules: [" + list + "]}" }
	expires := func(days string) string { return rules("{Status: Enabled, ExpirationInDays: " + days + "}") }
	old := func(days, keep string) string {
		return rules("{Status: Enabled, NoncurrentVersionExpiration: {NoncurrentDays: " + days + ", NewerNoncurrentVersions: " + keep + "}}")
	}
	for name, test := range map[string]struct {
		old, new string
		head     string
		want     []string
	}{
		"no policies any more": {bucket(both, ""), bucket("", ""), "~ changed: bucket B: DeletionPolicy, UpdateReplacePolicy", []string{"DeletionPolicy: a deletion would no longer keep it (Retain goes away)", "UpdateReplacePolicy: a replacement would no longer keep it (Retain"}},
		"Delete for Retain":    {bucket(both, ""), bucket("    DeletionPolicy: Delete\n    UpdateReplacePolicy: Retain\n", ""), "~ changed: bucket B: DeletionPolicy", []string{"DeletionPolicy: a deletion would no longer keep it"}},
		"Retain is new":        {bucket("", ""), bucket(both, ""), "~ changed: bucket B: DeletionPolicy, UpdateReplacePolicy", nil},
		"a first expiration":   {bucket("", ""), bucket("", expires("1")), "~ changed: bucket B: LifecycleConfiguration", []string{"LifecycleConfiguration: objects would be deleted after 1 day (now: never)"}},
		"a sooner one":         {bucket("", expires("90")), bucket("", expires("30")), "~ changed: bucket B: LifecycleConfiguration", []string{"objects would be deleted after 30 days (now: 90 days)"}},
		"a later one":          {bucket("", expires("30")), bucket("", expires("90")), "~ changed: bucket B: LifecycleConfiguration", nil},
		"one that was off":     {bucket("", rules("{Status: Disabled, ExpirationInDays: 1}")), bucket("", expires("1")), "~ changed: bucket B: LifecycleConfiguration", []string{"after 1 day (now: never)"}},
		"one for a part": {bucket("", expires("30")), bucket("", rules("{Status: Enabled, ExpirationInDays: 30}, {Status: Enabled, Prefix: logs/, ExpirationInDays: 5}")), "~ changed: bucket B: LifecycleConfiguration",
			[]string{`objects with Prefix "logs/" would be deleted after 5 days (now: 30 days)`}},
		"one for a part that is no sooner": {bucket("", expires("30")), bucket("", rules("{Status: Enabled, ExpirationInDays: 30}, {Status: Enabled, Prefix: logs/, ExpirationInDays: 60}")), "~ changed: bucket B: LifecycleConfiguration", nil},
		"an unknown one":                   {bucket("", expires("30")), bucket("", expires("!ImportValue days")), "~ changed: bucket B: LifecycleConfiguration", []string{"a number of days that is not known"}},
		"old versions":                     {bucket("", old("180", "3")), bucket("", old("30", "3")), "~ changed: bucket B: LifecycleConfiguration", []string{"old versions of objects would be deleted after 30 days (now: 180 days)"}},
		"fewer old versions":               {bucket("", old("30", "3")), bucket("", old("30", "1")), "~ changed: bucket B: LifecycleConfiguration", []string{"of old versions of objects 1 would be kept (now: 3)"}},
		"open to the public":               {bucket("", shut), bucket("", strings.Replace(shut, "BlockPublicPolicy: true", "BlockPublicPolicy: false", 1)), "~ changed: bucket B: PublicAccessBlockConfiguration", []string{`PublicAccessBlockConfiguration: BlockPublicPolicy changes from "true" to "false": others`}},
		"open by default": {bucket("", shut), bucket("", ""), "~ changed: bucket B: PublicAccessBlockConfiguration",
			[]string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"}},
		"versions end": {bucket("", "VersioningConfiguration: {Status: Enabled}"), bucket("", "VersioningConfiguration: {Status: Suspended}"), "~ changed: bucket B: VersioningConfiguration", []string{"versions end"}},
		"shut":         {bucket("", ""), bucket("", shut), "~ changed: bucket B: PublicAccessBlockConfiguration", nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := judge(t, test.old, test.new, nil)
			if len(p.Changes) != 1 || !slices.EqualFunc(p.Changes[0].Risks, test.want, strings.Contains) {
				t.Fatalf("%+v", p.Changes)
			}
			// What deletes sooner takes the bucket's name, whatever else is asked.
			sooner := slices.ContainsFunc(test.want, func(s string) bool {
				return strings.Contains(s, "after ") || strings.Contains(s, "would be kept") || strings.Contains(s, "number of days")
			})
			if len(p.Dangers()) > 0 != sooner || (p.Consent(nobody) != nil) != sooner {
				t.Errorf("dangers: %+v", p.Dangers())
			}
			if sooner {
				test.head = strings.Replace(test.head, "changed", "CHANGED", 1)
			}
			text := p.text(t)
			if !strings.Contains(text, test.head+"\n") || strings.Count(text, "    look at this: ") != len(test.want) || (len(p.Risky()) > 0) != (test.want != nil) {
				t.Errorf("%s", text)
			}
			b, err := json.Marshal(p)
			if err != nil || strings.Contains(string(b), `"risks":["`) != (test.want != nil) {
				t.Errorf("%s, %v", b, err)
			}
		})
	}
}

// TestDefaultSnapshot: what RDS has without a DeletionPolicy keeps a snapshot, so that one
// which does not is to be looked at, and a removal says what stays.
func TestDefaultSnapshot(t *testing.T) {
	with := func(kind, attributes, properties string) string {
		return "Resources: {Q: {Type: 'AWS::SQS::Queue'}, D: {Type: 'AWS::" + kind + "', " + attributes + "Properties: {" + properties + "}}}"
	}
	const part, alone = "DBClusterIdentifier: c", "Engine: mysql"
	for name, test := range map[string]struct{ kind, properties, was, will, want string }{
		"a database":                    {"RDS::DBInstance", alone, "", "DeletionPolicy: Delete, ", "look at this: DeletionPolicy: a deletion would no longer keep it (Snapshot goes away)"},
		"a cluster":                     {"RDS::DBCluster", alone, "", "DeletionPolicy: Delete, ", "(Snapshot goes away)"},
		"in other words":                {"RDS::DBInstance", alone, "DeletionPolicy: Snapshot, ", "", "nothing changes"},
		"kept until now":                {"RDS::DBInstance", alone, "DeletionPolicy: Retain, ", "", "but only a snapshot of it"},
		"kept from now":                 {"RDS::DBInstance", alone, "", "DeletionPolicy: Retain, ", "changed: database D: DeletionPolicy"},
		"one of a cluster":              {"RDS::DBInstance", part, "", "DeletionPolicy: Delete, ", "nothing changes"},
		"one of no cluster after all":   {"RDS::DBInstance", "DBClusterIdentifier: !Ref AWS::NoValue", "", "DeletionPolicy: Delete, ", "(Snapshot goes away)"},
		"a replacement has no default":  {"RDS::DBInstance", alone, "", "UpdateReplacePolicy: Delete, ", "nothing changes"},
		"by a macro, so nobody knows":   {"RDS::DBInstance", alone, "", "DeletionPolicy: !Ref P, ", "(Snapshot goes away)"},
		"another's database is deleted": {"DocDB::DBCluster", alone, "", "DeletionPolicy: Delete, ", "nothing changes"},
	} {
		text := judge(t, with(test.kind, test.was, test.properties), with(test.kind, test.will, test.properties), nil).text(t)
		risky := strings.Contains(test.want, "goes away") || strings.Contains(test.want, "a snapshot of it")
		if !strings.Contains(text, test.want) || strings.Contains(text, "look at this") != risky {
			t.Errorf("%s: want %q in\n%s", name, test.want, text)
		}
	}
	for properties, want := range map[string]bool{part: false, alone: true} {
		const without = "Resources: {Q: {Type: 'AWS::SQS::Queue'}}"
		if text := judge(t, with("RDS::DBInstance", "", properties), without, nil).text(t); strings.Contains(text, "but for a snapshot that CloudFormation makes") != want {
			t.Errorf("%s: %s", properties, text)
		}
	}
}

// TestNestedStack: a nested stack that stays is to be looked at; one that goes takes its name.
func TestNestedStack(t *testing.T) {
	const old = "Resources: {Q: {Type: 'AWS::SQS::Queue'}, N: {Type: 'AWS::CloudFormation::Stack', Properties: {TemplateURL: 'https://b/1'}}}"
	modify := func(replacement types.Replacement) types.ResourceChange {
		return types.ResourceChange{Action: types.ChangeActionModify, LogicalResourceId: aws.String("N"), ResourceType: aws.String("AWS::CloudFormation::Stack"), Replacement: replacement}
	}
	dynamic := modify("")
	dynamic.Action = types.ChangeActionDynamic
	for name, test := range map[string]struct {
		new    string
		says   types.ResourceChange
		head   string
		danger bool
	}{
		"another template":             {strings.Replace(old, "b/1", "b/2", 1), modify(types.ReplacementFalse), "~ changed: nested stack N: TemplateURL", false},
		"the same by name, who knows":  {old, modify(types.ReplacementFalse), "~ changed: nested stack N", false},
		"whose resources hang on more": {strings.Replace(old, "b/1", "b/2", 1), dynamic, "~ changed: nested stack N: TemplateURL", false},
		"replaced all the same":        {strings.Replace(old, "b/1", "b/2", 1), modify(types.ReplacementTrue), "! REPLACED: nested stack N", true},
		"perhaps":                      {old, modify(types.ReplacementConditional), "? MAY BE REPLACED: nested stack N", true},
		"removed":                      {"Resources: {Q: {Type: 'AWS::SQS::Queue'}}", types.ResourceChange{Action: types.ChangeActionRemove, LogicalResourceId: aws.String("N"), ResourceType: aws.String("AWS::CloudFormation::Stack")}, "- REMOVED: nested stack N", true},
		"renamed":                      {strings.Replace(old, "N:", "M:", 1), types.ResourceChange{Action: types.ChangeActionAdd, LogicalResourceId: aws.String("M"), ResourceType: aws.String("AWS::CloudFormation::Stack")}, "! REPLACED: nested stack N → M", true},
	} {
		p := judgeSaid(t, old, test.new, nil, test.says)
		text := p.text(t)
		if !strings.Contains(text, test.head+"\n") || len(p.Dangers()) > 0 != test.danger || (p.Consent(nobody) != nil) != test.danger {
			t.Errorf("%s: want %q in\n%s", name, test.head, text)
		}
		if !test.danger && !strings.Contains(text, "look at this: what happens to the resources inside of a nested stack is not judged here") {
			t.Errorf("%s: nothing to look at in\n%s", name, text)
		}
	}
}
