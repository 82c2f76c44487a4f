package guard

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// bucketRule is a rule of a lifecycle, as S3 works by it.
type bucketRule struct {
	on         bool
	prefix     string
	days, keep int
}

// deletes says whether the rule deletes an old version of a key, that many days
// after it was the newest, with so many old versions that are newer.
func (r bucketRule) deletes(key string, age, newer int) bool {
	return r.on && strings.HasPrefix(key, r.prefix) && age >= r.days && newer >= r.keep
}

func anyDeletes(rules []bucketRule, key string, age, newer int) bool {
	for _, r := range rules {
		if r.deletes(key, age, newer) {
			return true
		}
	}
	return false
}

func bucketOf(rules []bucketRule) string {
	var list []string
	for i, r := range rules {
		status := map[bool]string{true: "Enabled", false: "Disabled"}[r.on]
		list = append(list, fmt.Sprintf("{Id: r%d, Status: %s, Prefix: '%s', NoncurrentVersionExpiration: {NoncurrentDays: %d, NewerNoncurrentVersions: %d}}", i, status, r.prefix, r.days, r.keep))
	}
	return "Resources: {B: {Type: 'AWS::S3::Bucket', Properties: {LifecycleConfiguration: {Rules: [" + strings.Join(list, ", ") + "]}}}}"
}

// TestLifecycleModel: whenever there is a version that the old rules keep and the new
// ones delete, or delete sooner, the bucket's name is asked for; and never else.
func TestLifecycleModel(t *testing.T) {
	rule := rapid.Custom(func(t *rapid.T) bucketRule {
		return bucketRule{
			on: rapid.IntRange(0, 9).Draw(t, "on") > 0, prefix: rapid.SampledFrom([]string{"", "", "a", "ab"}).Draw(t, "prefix"),
			days: rapid.IntRange(1, 4).Draw(t, "days"), keep: rapid.IntRange(0, 3).Draw(t, "keep"),
		}
	})
	rapid.Check(t, func(rt *rapid.T) {
		old, new := rapid.SliceOfN(rule, 0, 3).Draw(rt, "old"), rapid.SliceOfN(rule, 0, 3).Draw(rt, "new")
		sooner := false
		for _, key := range []string{"x", "a", "ab"} {
			for age := range 6 {
				for newer := range 5 {
					sooner = sooner || anyDeletes(new, key, age, newer) && !anyDeletes(old, key, age, newer)
				}
			}
		}
		if p := judge(t, bucketOf(old), bucketOf(new), nil); len(p.Dangers()) > 0 != sooner {
			rt.Errorf("deletes sooner: %t, but\n%s", sooner, p.text(t))
		}
	})
}

// TestLifecycle: ends that hide behind others, and values that are not known, take
// the bucket's name.
func TestLifecycle(t *testing.T) {
	const parameter = "Parameters: {D: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /d}}\n"
	bucket := func(rules string) string {
		return parameter + "Resources: {B: {Type: 'AWS::S3::Bucket', Properties: {LifecycleConfiguration: {Rules: [" + rules + "]}}}}"
	}
	old := func(days, keep string) string {
		return "{Status: Enabled, NoncurrentVersionExpiration: {NoncurrentDays: " + days + ", NewerNoncurrentVersions: " + keep + "}}"
	}
	for name, test := range map[string]struct{ old, new, want string }{
		"a later one that keeps none":   {old("180", "3"), old("180", "3") + ", " + old("181", "0"), "of old versions of objects 0 would be kept (now: 3), and the others deleted after 181 days"},
		"a little later, and keeps few": {old("10", "100"), old("10", "100") + ", " + old("11", "1"), "1 would be kept (now: 100)"},
		"ten years":                     {old("180", "3"), old("180", "3") + ", " + old("3650", "0"), "0 would be kept (now: 3), and the others deleted after 3650 days"},
		"both sooner and fewer":         {old("180", "3"), old("30", "1"), "deleted after 30 days (now: 180 days)"},
		"one within another":            {"{Status: Enabled, Prefix: logs/, ExpirationInDays: 5}", "{Status: Enabled, Prefix: logs/, ExpirationInDays: 5}, {Status: Enabled, Prefix: logs/old/, ExpirationInDays: 6}", ""},
		"a filter less":                 {"{Status: Enabled, ExpirationInDays: 5, TagFilters: [{Key: a, Value: b}]}", "{Status: Enabled, ExpirationInDays: 5}", "objects would be deleted after 5 days (now: never)"},
		"bigger objects only":           {"{Status: Enabled, ExpirationInDays: 5, ObjectSizeGreaterThan: 10}", "{Status: Enabled, ExpirationInDays: 5, ObjectSizeGreaterThan: 20}", ""},
		"a value outside, and an id":    {"{Id: a, Status: Enabled, ExpirationInDays: !Ref D}", "{Id: b, Status: Enabled, ExpirationInDays: !Ref D}", "after a number of days that is not known before"},
		"what was perhaps on":           {"{Status: !Ref D, ExpirationInDays: 5}", "{Status: Enabled, ExpirationInDays: 5}", "after 5 days (now: never)"},
		"the same day":                  {"{Id: a, Status: Enabled, ExpirationDate: 2027-01-01}", "{Id: b, Status: Enabled, ExpirationDate: 2027-01-01}", ""},
		"another day":                   {"{Status: Enabled, ExpirationDate: 2027-01-01}", "{Status: Enabled, ExpirationDate: 2026-12-01}", `on "2026-12-01"`},
	} {
		p := judge(t, bucket(test.old), bucket(test.new), nil)
		if text := p.text(t); len(p.Dangers()) > 0 != (test.want != "") || !strings.Contains(text, test.want) {
			t.Errorf("%s: want %q in\n%s", name, test.want, text)
		}
	}
}
