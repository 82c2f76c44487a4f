package guard

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// TestSettings: what is kept for less, guarded less or opened is to be looked at; no
// name is asked for, since nothing is gone at once.
func TestSettings(t *testing.T) {
	lock := func(rule string) string {
		return "ObjectLockEnabled: true, ObjectLockConfiguration: {ObjectLockEnabled: Enabled, Rule: {DefaultRetention: {" + rule + "}}}"
	}
	key := func(key string) string {
		return "BucketEncryption: {ServerSideEncryptionConfiguration: [{ServerSideEncryptionByDefault: {SSEAlgorithm: 'aws:kms', KMSMasterKeyID: " + key + "}}]}"
	}
	pitr := func(days string) string {
		return "PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true, RecoveryPeriodInDays: " + days + "}"
	}
	schedule := func(rule string) string { return "PolicyDetails: {Schedules: [{Name: s, RetainRule: {" + rule + "}}]}" }
	for name, test := range map[string]struct {
		kind, old, new string
		want           []string
	}{
		"logs":                    {"Logs::LogGroup", "RetentionInDays: 3650", "RetentionInDays: 1", []string{"RetentionInDays: its logs would be kept for 1 day (now: 3650 days)"}},
		"logs, for ever":          {"Logs::LogGroup", "X: 1", "RetentionInDays: 30", []string{"for 30 days (now: ever)"}},
		"logs, longer":            {"Logs::LogGroup", "RetentionInDays: 1", "X: 1", nil},
		"logs, who knows":         {"Logs::LogGroup", "RetentionInDays: 1", "RetentionInDays: !ImportValue d", []string{"is not known before"}},
		"a queue":                 {"SQS::Queue", "X: 1", "MessageRetentionPeriod: 60", []string{"its messages would be kept for 60 seconds (now: 345600 seconds)"}},
		"a stream":                {"Kinesis::Stream", "RetentionPeriodHours: 48", "X: 1", []string{"for 24 hours (now: 48 hours)"}},
		"an archive":              {"Events::Archive", "RetentionDays: 0", "RetentionDays: 7", []string{"(now: ever)"}},
		"backups and protection":  {"RDS::DBCluster", "BackupRetentionPeriod: 7, DeletionProtection: true", "BackupRetentionPeriod: 0, DeletionProtection: false", []string{"automated backups would be kept for 0 days (now: 7 days)", "DeletionProtection: nothing"}},
		"protection, where unset": {"RDS::DBCluster", "DeletionProtection: true", "X: 1", []string{"DeletionProtection: nothing"}},
		"rows by time":            {"DynamoDB::Table", "X: 1", "TimeToLiveSpecification: {AttributeName: end, Enabled: true}", []string{`at the time in "end"`}},
		"rows by time no more":    {"DynamoDB::Table", "TimeToLiveSpecification: {AttributeName: end, Enabled: true}", "TimeToLiveSpecification: {AttributeName: end, Enabled: false}", nil},
		"no points in time":       {"DynamoDB::Table", "PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}", "X: 1", []string{"as it was before a mistake"}},
		"a copy less":             {"DynamoDB::GlobalTable", "Replicas: [{Region: a}, {Region: b}]", "Replicas: [{Region: b}]", []string{`the copy in "a" would be deleted`}},
		"a copy more":             {"DynamoDB::GlobalTable", "Replicas: [{Region: a}]", "Replicas: [{Region: b}, {Region: a}]", nil},
		"users":                   {"Cognito::UserPool", "DeletionProtection: ACTIVE", "DeletionProtection: INACTIVE", []string{"DeletionProtection: nothing would keep it"}},
		"users, more":             {"Cognito::UserPool", "X: 1", "DeletionProtection: ACTIVE", nil},
		"events, unguarded":       {"CloudTrail::EventDataStore", "X: 1", "TerminationProtectionEnabled: false", []string{"nothing would keep it"}},
		"events, by default":      {"CloudTrail::EventDataStore", "TerminationProtectionEnabled: true", "X: 1", nil},
		"a policy store":          {"VerifiedPermissions::PolicyStore", "DeletionProtection: {Mode: ENABLED}", "DeletionProtection: {Mode: DISABLED}", []string{"nothing would keep it"}},
		"a copy unguarded": {"DynamoDB::GlobalTable", "Replicas: [{Region: b}, {Region: a, DeletionProtectionEnabled: true, PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}}]",
			"Replicas: [{Region: a, DeletionProtectionEnabled: false}, {Region: b}]", []string{`Replicas "a": DeletionProtectionEnabled: nothing`, `Replicas "a": PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled: it can't`}},
		"copies in another order": {"DynamoDB::GlobalTable", "Replicas: [{Region: b}, {Region: a, DeletionProtectionEnabled: true}]", "Replicas: [{Region: a, DeletionProtectionEnabled: true}, {Region: b}]", nil},
		"fewer points in time":    {"DynamoDB::Table", pitr("35"), pitr("1"), []string{"for 1 day (now: 35 days)"}},
		"fewer than by default":   {"DynamoDB::Table", pitr("!Ref AWS::NoValue"), pitr("7"), []string{"for 7 days (now: 35 days)"}},
		"more points in time":     {"DynamoDB::Table", pitr("1"), pitr("!Ref AWS::NoValue"), nil},
		"a key that is off":       {"KMS::Key", "X: 1", "Enabled: false", []string{"Enabled: nobody can read"}},
		"a key that is on":        {"KMS::Key", "Enabled: false", "Enabled: true", nil},
		"a key that stays on":     {"KMS::Key", "Enabled: true", "X: 1", nil},
		"backups that go along":   {"RDS::DBInstance", "DeleteAutomatedBackups: false", "DeleteAutomatedBackups: true", []string{"its automated backups would be deleted with it"}},
		"backups that go, unset":  {"RDS::DBInstance", "DeleteAutomatedBackups: false", "X: 1", []string{"its automated backups would be deleted with it"}},
		"backups that stay":       {"RDS::DBInstance", "X: 1", "DeleteAutomatedBackups: false", nil},
		"metrics":                 {"APS::Workspace", "WorkspaceConfiguration: {RetentionPeriodInDays: 100}", "WorkspaceConfiguration: {RetentionPeriodInDays: 1}", []string{"its metrics would be kept for 1 day (now: 100 days)"}},
		"images that go along":    {"ECR::Repository", "X: 1", "EmptyOnDelete: true", []string{"EmptyOnDelete: a deletion would take"}},
		"fewer snapshots":         {"DLM::LifecyclePolicy", schedule("Count: 100"), schedule("Count: 1"), []string{`PolicyDetails.Schedules "s": RetainRule: of its snapshots 1 would be kept (now: 100)`}},
		"more snapshots":          {"DLM::LifecyclePolicy", schedule("Count: 1"), schedule("Count: 100"), nil},
		"snapshots for less":      {"DLM::LifecyclePolicy", schedule("Interval: 1, IntervalUnit: MONTHS"), schedule("Interval: 10, IntervalUnit: DAYS"), []string{"for 10 days (now: 30 days)"}},
		"snapshots for longer":    {"DLM::LifecyclePolicy", schedule("Interval: 10, IntervalUnit: DAYS"), schedule("Interval: 2, IntervalUnit: WEEKS"), nil},
		"snapshots in other ways": {"DLM::LifecyclePolicy", schedule("Count: 10"), schedule("Interval: 10, IntervalUnit: DAYS"), []string{"may be deleted sooner"}},
		"recovery points":         {"Backup::BackupPlan", "BackupPlan: {BackupPlanRule: [{RuleName: r}]}", "BackupPlan: {BackupPlanRule: [{RuleName: r, Lifecycle: {DeleteAfterDays: 7}}]}", []string{`BackupPlan.BackupPlanRule "r": Lifecycle.DeleteAfterDays: new recovery points would be kept for 7 days (now: ever)`}},
		"images":                  {"ECR::Repository", "X: 1", "LifecyclePolicy: {LifecyclePolicyText: x}", []string{"it may delete images"}},
		"a vault's lock":          {"Backup::BackupVault", "LockConfiguration: {MinRetentionDays: 7}", "LockConfiguration: {MinRetentionDays: 1}", []string{"may be deleted sooner"}},
		"a weaker lock":           {"S3::Bucket", lock("Mode: COMPLIANCE, Days: 365"), lock("Mode: GOVERNANCE, Days: 1"), []string{"locked for 1 day only (now: 365 days)", "from COMPLIANCE to GOVERNANCE: who may bypass it"}},
		"a year is as long":       {"S3::Bucket", lock("Mode: COMPLIANCE, Days: 365"), lock("Mode: COMPLIANCE, Years: 1"), nil},
		"a stronger lock":         {"S3::Bucket", lock("Mode: GOVERNANCE, Days: 30"), lock("Mode: COMPLIANCE, Days: 31"), nil},
		"no lock":                 {"S3::Bucket", lock("Mode: GOVERNANCE, Days: 30"), "X: 1", []string{"S3 can't take Object Lock off", "no longer be locked (now: for 30 days in the mode GOVERNANCE)"}},
		"a lock, who knows":       {"S3::Bucket", lock("Mode: COMPLIANCE, Days: 30"), lock("Mode: COMPLIANCE, Days: !ImportValue d"), []string{"is not known before"}},
		"a first lock":            {"S3::Bucket", "X: 1", lock("Mode: GOVERNANCE, Days: 30"), nil},
		"opened":                  {"S3::Bucket", "AccessControl: Private", "AccessControl: PublicReadWrite", []string{`from "Private" to "PublicReadWrite": others`}},
		"another's key":           {"S3::Bucket", "X: 1", key("'arn:aws:kms:us-east-1:999999999999:key/k'"), []string{"without it nobody can read that"}},
		"the stack's key":         {"S3::Bucket", "X: 1", key("!GetAtt K.Arn"), nil},
	} {
		with := func(properties string) string {
			return "Resources: {A: {Type: 'AWS::" + test.kind + "', Properties: {" + properties + "}}, K: {Type: 'AWS::KMS::Key'}}"
		}
		p := judge(t, with(test.old), with(test.new), nil)
		text := p.text(t)
		if strings.Count(text, "look at this: ") != len(test.want) || (len(p.Risky()) > 0) != (test.want != nil) || len(p.Dangers()) > 0 {
			t.Errorf("%s: want %d to look at in\n%s", name, len(test.want), text)
		}
		for _, want := range test.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: want %q in\n%s", name, want, text)
			}
		}
	}
}

// TestSettingsOutside: a setting whose value no template has is looked at where
// CloudFormation says that it changes.
func TestSettingsOutside(t *testing.T) {
	tmpl, err := ParseTemplate([]byte("Resources: {L: {Type: 'AWS::Logs::LogGroup', Properties: {RetentionInDays: !ImportValue d}}}"))
	if err != nil {
		t.Fatal(err)
	}
	for property, want := range map[string]int{"RetentionInDays": 1, "Tags": 0} {
		d := compare(newSide(Side{Template: tmpl}, nil), newSide(Side{Template: tmpl}, nil))
		d.merge([]types.ResourceChange{{
			Action: types.ChangeActionModify, LogicalResourceId: aws.String("L"), ResourceType: aws.String("AWS::Logs::LogGroup"), Replacement: types.ReplacementFalse,
			Details: []types.ResourceChangeDetail{{Target: &types.ResourceTargetDefinition{Attribute: types.ResourceAttributeProperties, Name: &property}}},
		}})
		if n := len(d.changes["L"].Risks); n != want {
			t.Errorf("%s: %d to look at", property, n)
		}
	}
}

// TestUserGoes: that a user's access keys end is said.
func TestUserGoes(t *testing.T) {
	p := judge(t, "Resources: {U: {Type: 'AWS::IAM::User'}, Q: {Type: 'AWS::SQS::Queue'}}", "Resources: {Q: {Type: 'AWS::SQS::Queue'}}", nil)
	if len(p.Risky()) != 1 || len(p.Dangers()) != 0 {
		t.Errorf("%s", p.text(t))
	}
}

// TestPolicyOpens: a policy that lets everybody into a bucket which is there is to be
// looked at; one that does so for a new bucket, or did before, is not.
func TestPolicyOpens(t *testing.T) {
	const bucket = "Resources:\n  B: {Type: 'AWS::S3::Bucket'}\n"
	policy := func(id, principal string) string {
		return "  " + id + ": {Type: 'AWS::S3::BucketPolicy', Properties: {Bucket: !Ref B, PolicyDocument: {Statement: [{Effect: Allow, Principal: " + principal + ", Action: 's3:GetObject', Resource: '*'}]}}}\n"
	}
	named := func(id, name string) string { return strings.Replace(policy(id, "'*'"), "!Ref B", name, 1) }
	const other = "Resources:\n  Q: {Type: 'AWS::SQS::Queue'}\n"
	for name, test := range map[string]struct {
		old, new string
		want     int
	}{
		"added":               {bucket, bucket + policy("P", "'*'"), 1},
		"changed":             {bucket + policy("P", "{AWS: 'arn:aws:iam::123456789012:root'}"), bucket + policy("P", "{AWS: ['*']}"), 1},
		"as before":           {bucket + policy("P", "'*'"), bucket + policy("P", "'*'") + "  Q: {Type: 'AWS::SQS::Queue'}\n", 0},
		"for one":             {bucket, bucket + policy("P", "{AWS: 'arn:aws:iam::123456789012:root'}"), 0},
		"renamed and opened":  {bucket + policy("P", "{AWS: 'arn:aws:iam::123456789012:root'}"), bucket + policy("P2", "'*'"), 1},
		"renamed, as before":  {bucket + policy("P", "'*'"), bucket + policy("P2", "'*'"), 0},
		"for another bucket":  {bucket + "  C: {Type: 'AWS::S3::Bucket'}\n" + policy("P", "'*'"), bucket + "  C: {Type: 'AWS::S3::Bucket'}\n" + named("P2", "!Ref C"), 1},
		"for one outside":     {bucket, bucket + named("P", "photos"), 1},
		"for a named new one": {bucket, bucket + "  C: {Type: 'AWS::S3::Bucket', Properties: {BucketName: photos}}\n" + named("P", "photos"), 0},
		"for a new bucket":    {other, other + strings.TrimPrefix(bucket, "Resources:\n") + policy("P", "'*'"), 0},
	} {
		if p := judge(t, test.old, test.new, nil); len(p.Risky()) != test.want {
			t.Errorf("%s:\n%s", name, p.text(t))
		}
	}
}

// TestRenamedAndWeaker: what is the same thing by another logical id is compared with what
// it was, as one that keeps its id is.
func TestRenamedAndWeaker(t *testing.T) {
	with := func(id, kind, attributes, properties string) string {
		return "Resources: {Q: {Type: 'AWS::SQS::Queue'}, " + id + ": {Type: 'AWS::" + kind + "', " + attributes + "Properties: {" + properties + "}}}"
	}
	for name, test := range map[string]struct{ kind, was, old, will, new, want string }{
		"its plan":       {"Backup::BackupPlan", "", "BackupPlan: {BackupPlanRule: [{RuleName: r}]}", "", "BackupPlan: {BackupPlanRule: [{RuleName: r, Lifecycle: {DeleteAfterDays: 7}}]}", "kept for 7 days"},
		"its settings":   {"Logs::LogGroup", "", "X: 1", "", "RetentionInDays: 1", "kept for 1 day"},
		"its lifecycle":  {"S3::Bucket", "", "X: 1", "", "LifecycleConfiguration: {Rules: [{Status: Enabled, ExpirationInDays: 1}]}", "deleted after 1 day"},
		"its attributes": {"S3::Bucket", "DeletionPolicy: Retain, ", "X: 1", "", "X: 1", "a deletion would no longer keep it"},
		"its name alone": {"S3::Bucket", "", "X: 1", "", "X: 1", ""},
	} {
		text := judge(t, with("A", test.kind, test.was, test.old), with("B", test.kind, test.will, test.new), nil).text(t)
		if !strings.Contains(text, "A → B") || !strings.Contains(text, test.want) || strings.Contains(text, "look at this") != (test.want != "") {
			t.Errorf("%s: want %q in\n%s", name, test.want, text)
		}
	}
}
