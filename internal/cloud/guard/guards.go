package guard

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// held is a setting that keeps a thing from being lost as long as it has one value.
type held struct {
	path, safe string
	unset      bool // without a value it is as safe
	what       string
}

const unguarded = "nothing would keep it from being deleted any more"

// guards are such settings of any type.
var guards = []held{
	{"DeletionProtection", "true", false, unguarded},
	{"DeletionProtectionEnabled", "true", false, unguarded},
	{"DisableApiTermination", "true", false, unguarded},
	{"PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled", "true", false, "it can't be had any more as it was before a mistake"},
	{"TerminationProtectionEnabled", "true", false, unguarded},
}

// ownGuards are those of one type. They go before those of any type that have
// the same path.
var ownGuards = map[string][]held{
	"AWS::Athena::WorkGroup":                {{"RecursiveDeleteOption", "false", true, "its queries would be deleted with it"}},
	"AWS::CloudTrail::EventDataStore":       {{"TerminationProtectionEnabled", "true", true, unguarded}},
	"AWS::Cognito::UserPool":                {{"DeletionProtection", "ACTIVE", false, unguarded}},
	"AWS::ECR::Repository":                  {{"EmptyOnDelete", "false", true, "a deletion would take the images in it along, in the place of failing"}},
	"AWS::EFS::FileSystem":                  {{"FileSystemProtection/ReplicationOverwriteProtection", "ENABLED", true, "a replication may overwrite its files"}},
	"AWS::KMS::Key":                         {{"Enabled", "true", true, disabled}},
	"AWS::KMS::ReplicaKey":                  {{"Enabled", "true", true, disabled}},
	"AWS::QLDB::Ledger":                     {{"DeletionProtection", "true", true, unguarded}},
	"AWS::RDS::DBCluster":                   {{"DeleteAutomatedBackups", "false", false, backupsGo}},
	"AWS::RDS::DBInstance":                  {{"DeleteAutomatedBackups", "false", false, backupsGo}},
	"AWS::VerifiedPermissions::PolicyStore": {{"DeletionProtection/Mode", "ENABLED", false, unguarded}},
}

const (
	disabled  = "nobody can read what is encrypted with it, at once, until it is enabled again"
	backupsGo = "its automated backups would be deleted with it"
)

// part is a list in the properties of a type, whose members have settings of their own.
type part struct {
	path, key string // key tells the members apart
	spans     []span
	guards    []held
}

var parts = map[string]part{
	"AWS::Backup::BackupPlan":    {"BackupPlan/BackupPlanRule", "RuleName", []span{{"Lifecycle/DeleteAfterDays", "new recovery points", "days", ever, false}}, nil},
	"AWS::DLM::LifecyclePolicy":  {"PolicyDetails/Schedules", "Name", nil, nil},
	"AWS::DynamoDB::GlobalTable": {"Replicas", "Region", spans["AWS::DynamoDB::Table"], guards},
	"AWS::EC2::Instance":         {"BlockDeviceMappings", "DeviceName", nil, []held{{"Ebs/DeleteOnTermination", "false", false, "it would be deleted with the machine"}}},
}

// guardsOf lists what guards the resources of a type.
func guardsOf(kindOf string) []held {
	list := slices.Clone(ownGuards[kindOf])
	for _, g := range guards {
		if !slices.ContainsFunc(list, func(own held) bool { return own.path == g.path }) {
			list = append(list, g)
		}
	}
	return list
}

// holds reports whether a value of the setting is the safe one.
func (g held) holds(v any) bool {
	if v == nil {
		return g.unset
	}
	text, _ := v.(string)
	return strings.EqualFold(text, g.safe)
}

// unguard says which guards of a thing, or of a part of it that is called at, end.
func (c *Change) unguard(at string, list []held, old, new any) {
	for _, g := range list {
		if g.holds(lookup(old, g.path)) && !g.holds(lookup(new, g.path)) {
			c.Risks = append(c.Risks, at+dotted(g.path)+": "+g.what)
		}
	}
}

// members compares those of a list that are there before and after.
func (c *Change) members(p part, old, new any) {
	after, _ := lookup(new, p.path).([]any)
	before, _ := lookup(old, p.path).([]any)
	for i, was := range before {
		key := lookup(was, p.key)
		j := slices.IndexFunc(after, func(v any) bool { return reflect.DeepEqual(lookup(v, p.key), key) })
		if key == nil {
			j = i
		}
		if j < 0 || j >= len(after) {
			continue
		}
		at := fmt.Sprintf("%s %d: ", dotted(p.path), i+1)
		if key != nil {
			at = fmt.Sprintf("%s %s: ", dotted(p.path), show(key))
		}
		c.shorten(at, p.spans, was, after[j])
		c.unguard(at, p.guards, was, after[j])
		if c.Type == "AWS::DLM::LifecyclePolicy" {
			c.snapshots(at, lookup(was, "RetainRule"), lookup(after[j], "RetainRule"))
		}
	}
}

// snapshots says whether a rule keeps fewer snapshots than before, or for less.
func (c *Change) snapshots(at string, old, new any) {
	if reflect.DeepEqual(old, new) {
		return
	}
	at += "RetainRule: "
	for _, by := range []func(any) (int, bool){counted, inDays} {
		before, known := by(old)
		after, still := by(new)
		switch {
		case !known || !still:
			continue
		case after < before && lookup(new, "Count") != nil:
			c.Risks = append(c.Risks, fmt.Sprintf("%sof its snapshots %d would be kept (now: %d)", at, after, before))
		case after < before:
			c.Risks = append(c.Risks, fmt.Sprintf("%sits snapshots would be kept for %s (now: %s)", at, days(after), days(before)))
		}
		return
	}
	c.Risks = append(c.Risks, at+"its snapshots may be deleted sooner")
}

func counted(rule any) (int, bool) { return number(lookup(rule, "Count")) }

func inDays(rule any) (int, bool) {
	unit, _ := lookup(rule, "IntervalUnit").(string)
	times := map[string]int{"DAYS": 1, "WEEKS": 7, "MONTHS": 30, "YEARS": 365}[unit]
	n, known := number(lookup(rule, "Interval"))
	return n * times, known && times > 0
}
