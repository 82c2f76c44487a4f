package guard

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
)

// span is a setting that says for how long something is kept.
type span struct {
	path, what string
	unit       string
	unset      int  // what it is without a value; ever for no end
	zeroIsEver bool // 0 says the same as no value
}

// spans are the settings whose smaller value deletes what was kept until now: by
// the service itself, and without another question.
var spans = map[string][]span{
	"AWS::APS::Workspace":                {{"WorkspaceConfiguration/RetentionPeriodInDays", "its metrics", "days", 150, false}},
	"AWS::Cassandra::Table":              {{"DefaultTimeToLive", "new rows", "seconds", ever, true}},
	"AWS::CloudTrail::EventDataStore":    {{"RetentionPeriod", "its events", "days", 2557, false}},
	"AWS::DLM::LifecyclePolicy":          {{"RetainInterval", "its snapshots", "days", 7, false}},
	"AWS::DocDB::DBCluster":              {{"BackupRetentionPeriod", "its automated backups", "days", 1, false}},
	"AWS::DocDBElastic::Cluster":         {{"BackupRetentionPeriod", "its automated backups", "days", 1, false}},
	"AWS::DynamoDB::Table":               {{"PointInTimeRecoverySpecification/RecoveryPeriodInDays", "what its rows were", "days", 35, false}},
	"AWS::ElastiCache::CacheCluster":     {{"SnapshotRetentionLimit", "its snapshots", "days", 0, false}},
	"AWS::ElastiCache::ReplicationGroup": {{"SnapshotRetentionLimit", "its snapshots", "days", 0, false}},
	"AWS::ElastiCache::ServerlessCache":  {{"SnapshotRetentionLimit", "its snapshots", "days", 0, false}},
	"AWS::Events::Archive":               {{"RetentionDays", "its events", "days", ever, true}},
	"AWS::FSx::FileSystem": {
		{"LustreConfiguration/AutomaticBackupRetentionDays", "its automated backups", "days", 0, false},
		{"OntapConfiguration/AutomaticBackupRetentionDays", "its automated backups", "days", 30, false},
		{"OpenZFSConfiguration/AutomaticBackupRetentionDays", "its automated backups", "days", 30, false},
		{"WindowsConfiguration/AutomaticBackupRetentionDays", "its automated backups", "days", 30, false},
	},
	"AWS::IoTAnalytics::Datastore": {{"RetentionPeriod/NumberOfDays", "its messages", "days", ever, false}},
	"AWS::KMS::Key":                {{"PendingWindowInDays", "the key, once it is to be deleted,", "days", 30, false}},
	"AWS::Kinesis::Stream":         {{"RetentionPeriodHours", "its records", "hours", 24, false}},
	"AWS::KinesisVideo::Stream":    {{"DataRetentionInHours", "its recordings", "hours", 0, false}},
	"AWS::Logs::LogGroup":          {{"RetentionInDays", "its logs", "days", ever, false}},
	"AWS::MemoryDB::Cluster":       {{"SnapshotRetentionLimit", "its snapshots", "days", 0, false}},
	"AWS::Neptune::DBCluster":      {{"BackupRetentionPeriod", "its automated backups", "days", 1, false}},
	"AWS::RDS::DBCluster":          {{"BackupRetentionPeriod", "its automated backups", "days", 1, false}},
	"AWS::RDS::DBInstance":         {{"BackupRetentionPeriod", "its automated backups", "days", 1, false}},
	"AWS::Rbin::Rule":              {{"RetentionPeriod/RetentionPeriodValue", "what is deleted", "days", 0, false}},
	"AWS::Redshift::Cluster":       {{"AutomatedSnapshotRetentionPeriod", "its automated snapshots", "days", 1, false}},
	"AWS::SQS::Queue":              {{"MessageRetentionPeriod", "its messages", "seconds", 345600, false}},
	"AWS::Timestream::Table":       {{"RetentionProperties/MagneticStoreRetentionPeriodInDays", "its rows", "days", 73000, false}},
}

// ever is a span without an end.
const ever = math.MaxInt

// settings says which changes of settings lose data later, or have a service
// delete it sooner.
func (c *Change) settings(old, new map[string]any) {
	c.shorten("", spans[c.Type], old, new)
	c.unguard("", guardsOf(c.Type), old, new)
	if p, is := parts[c.Type]; is {
		c.members(p, old, new)
	}
	switch c.Type {
	case "AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable":
		c.rows(old, new)
	case "AWS::ECR::Repository":
		if v := new["LifecyclePolicy"]; v != nil && !reflect.DeepEqual(v, old["LifecyclePolicy"]) {
			c.look("LifecyclePolicy", "it may delete images that are kept until now")
		}
	case "AWS::Backup::BackupVault":
		if v := old["LockConfiguration"]; v != nil && !reflect.DeepEqual(v, new["LockConfiguration"]) {
			c.look("LockConfiguration", "recovery points may be deleted sooner")
		}
	}
}

// shorten says what of a thing, or of a part of it that is called at, is kept for less.
func (c *Change) shorten(at string, list []span, old, new any) {
	for _, s := range list {
		was, will := lookup(old, s.path), lookup(new, s.path)
		before, _ := s.value(was)
		after, known := s.value(will)
		switch {
		case reflect.DeepEqual(was, will):
		case !known:
			c.Risks = append(c.Risks, fmt.Sprintf("%s%s: for how long %s would be kept is not known before", at, dotted(s.path), s.what))
		case after < before:
			c.Risks = append(c.Risks, fmt.Sprintf("%s%s: %s would be kept for %s (now: %s)", at, dotted(s.path), s.what, s.show(after), s.show(before)))
		}
	}
}

// look adds something to look at, at a setting.
func (c *Change) look(path, format string, args ...any) {
	c.Risks = append(c.Risks, dotted(path)+": "+fmt.Sprintf(format, args...))
}

// rows says which changes of a table have DynamoDB delete rows, or copies of them.
func (c *Change) rows(old, new map[string]any) {
	const ttl = "TimeToLiveSpecification"
	on := lookup(new, ttl+"/Enabled")
	if was := old[ttl]; !reflect.DeepEqual(was, new[ttl]) && new[ttl] != nil && on != "false" {
		c.look(ttl, "rows would be deleted at the time in %s, what is past already at once", show(lookup(new, ttl+"/AttributeName")))
	}
	regions, _ := lookup(new, "Replicas/*/Region").([]any)
	list, _ := lookup(old, "Replicas/*/Region").([]any)
	for _, region := range list {
		if !slices.ContainsFunc(regions, func(r any) bool { return reflect.DeepEqual(r, region) }) {
			c.look("Replicas", "the copy in %s would be deleted", show(region))
		}
	}
}

// value reads a span; known is false for what comes to something only later.
func (s span) value(v any) (n int, known bool) {
	if v == nil {
		return s.unset, true
	}
	n, known = number(v)
	if !known {
		return ever, false
	}
	if n == 0 && s.zeroIsEver {
		n = ever
	}
	return n, true
}

func (s span) show(n int) string {
	switch n {
	case ever:
		return "ever"
	case 1:
		return "1 " + strings.TrimSuffix(s.unit, "s")
	}
	return fmt.Sprintf("%d %s", n, s.unit)
}

func isTrue(v any) bool {
	text, _ := v.(string)
	return strings.EqualFold(text, "true")
}

// watched reports whether a change of a property, by a value that is not known here,
// is to be looked at.
func watched(kindOf, property string) bool {
	of := func(path string) bool {
		top, _, _ := strings.Cut(path, "/")
		return top == property
	}
	list := slices.ContainsFunc(spans[kindOf], func(s span) bool { return of(s.path) })
	return list || slices.ContainsFunc(guardsOf(kindOf), func(g held) bool { return of(g.path) }) || of(parts[kindOf].path)
}
