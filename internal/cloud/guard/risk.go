package guard

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// policies says which attributes that keep a resource go away.
func (c *Change) policies(was, will *Resource) {
	for _, p := range []struct{ name, what, was, will string }{
		{"DeletionPolicy", "a deletion", was.DeletionPolicy, will.DeletionPolicy},
		{"UpdateReplacePolicy", "a replacement", was.UpdatePolicy, will.UpdatePolicy},
	} {
		before, after := kept(p.was), kept(p.will)
		if before == after {
			continue
		}
		c.Properties = append(c.Properties, p.name)
		if c.Action == "" {
			c.Action = Changed
		}
		switch {
		case before == "" || after == retain:
		case after == snapshot:
			c.Risks = append(c.Risks, fmt.Sprintf("%s: %s would no longer keep it, but only a snapshot of it", p.name, p.what))
		default:
			c.Risks = append(c.Risks, fmt.Sprintf("%s: %s would no longer keep it (%s goes away)", p.name, p.what, p.was))
		}
	}
}

// life is the property of a bucket that has S3 delete what is in it.
const life = "LifecycleConfiguration"

// bucket says which changes of a bucket's settings delete objects sooner, or
// open it to the public.
func (c *Change) bucket(old, new map[string]any) {
	if c.Type != "AWS::S3::Bucket" {
		return
	}
	const block = "PublicAccessBlockConfiguration"
	for _, name := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
		a, b := lookup(old, block+"/"+name), lookup(new, block+"/"+name)
		if on, _ := b.(string); !reflect.DeepEqual(a, b) && !strings.EqualFold(on, "true") {
			c.Risks = append(c.Risks, fmt.Sprintf("%s: %s changes from %s to %s: others may be let into the bucket", block, name, show(a), show(b)))
		}
	}
	if now, _ := lookup(new, "VersioningConfiguration/Status").(string); lookup(old, "VersioningConfiguration/Status") == "Enabled" && now != "Enabled" {
		c.Risks = append(c.Risks, "VersioningConfiguration: versions end: what is deleted or overwritten from then on is gone at once")
	}
	if reflect.DeepEqual(old[life], new[life]) {
		return
	}
	looked := len(c.Risks)
	defer func() { c.Sooner = c.Sooner || len(c.Risks) > looked }()
	was, will := ends(old[life]), ends(new[life])
	for _, what := range slices.Sorted(maps.Keys(will)) {
		before, after := was.of(what), will[what]
		switch {
		case reflect.DeepEqual(was[what], after):
		case after.unknown != "":
			c.Risks = append(c.Risks, fmt.Sprintf("%s: %s would be deleted %s", life, what, after.unknown))
		case after.days < before.days:
			c.Risks = append(c.Risks, fmt.Sprintf("%s: %s would be deleted after %s (now: %s)", life, what, days(after.days), days(before.days)))
		case after.days < math.MaxInt && after.keep < before.keep:
			c.Risks = append(c.Risks, fmt.Sprintf("%s: of %s %d would be kept (now: %s)", life, what, after.keep, count(before.keep)))
		}
	}
}

// end is when a lifecycle deletes something.
type end struct {
	days    int // math.MaxInt for never
	keep    int // the newest that stay in any case; math.MaxInt for all
	unknown string
}

// lifecycle is when it deletes what.
type lifecycle map[string]end

const (
	objects  = "objects"
	versions = "old versions of objects"
)

// of returns when something is deleted: by a rule of its own, or by one for all.
func (l lifecycle) of(what string) end {
	all := objects
	if strings.HasPrefix(what, versions) {
		all = versions
	}
	e, ok := end{days: math.MaxInt, keep: math.MaxInt}, false
	for _, name := range []string{all, what} {
		if found, is := l[name]; is && (!ok || found.days < e.days || found.days == e.days && found.keep < e.keep) {
			e, ok = found, true
		}
	}
	return e
}

// ends reads the lifecycle of a bucket: the soonest end of what each rule is for.
func ends(v any) lifecycle {
	l := lifecycle{}
	if v == nil {
		return l
	}
	rules, ok := lookup(v, "Rules").([]any)
	if !ok {
		l[objects] = end{unknown: "by rules that are not known before"}
	}
	for _, each := range rules {
		rule, ok := each.(map[string]any)
		if _, _, calls := call(each); !ok || calls {
			l[objects] = end{unknown: "by a rule that is not known before"}
			continue
		}
		if rule["Status"] == "Disabled" {
			continue
		}
		of := scope(rule)
		if date := rule["ExpirationDate"]; date != nil {
			l[objects+of+" by date"] = end{unknown: "on " + show(date)}
		}
		l.soonest(objects+of, rule["ExpirationInDays"], nil)
		l.soonest(versions+of, rule["NoncurrentVersionExpirationInDays"], nil)
		l.soonest(versions+of, lookup(rule, "NoncurrentVersionExpiration/NoncurrentDays"), lookup(rule, "NoncurrentVersionExpiration/NewerNoncurrentVersions"))
	}
	return l
}

// soonest adds an end, unless there is a sooner one.
func (l lifecycle) soonest(what string, after, keep any) {
	if after == nil {
		return
	}
	text, _ := after.(string)
	n, err := strconv.Atoi(text)
	e := end{days: n}
	if err != nil {
		e = end{unknown: "after a number of days that is not known before"}
	}
	if text, _ := keep.(string); text != "" {
		e.keep, _ = strconv.Atoi(text) // what is none is refused by S3
	}
	if was, ok := l[what]; !ok || e.days < was.days || e.days == was.days && e.keep < was.keep {
		l[what] = e
	}
}

// scope says which objects a rule is for; empty for all.
func scope(rule map[string]any) string {
	var parts []string
	for _, name := range []string{"Prefix", "TagFilters", "ObjectSizeGreaterThan", "ObjectSizeLessThan"} {
		if v := rule[name]; v != nil && v != "" {
			text, err := json.Marshal(v)
			if err != nil {
				text = []byte(show(v))
			}
			parts = append(parts, name+" "+string(text))
		}
	}
	if parts == nil {
		return ""
	}
	return " with " + strings.Join(parts, ", ")
}

func days(n int) string {
	switch n {
	case math.MaxInt:
		return "never"
	case 1:
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}

func count(n int) string {
	if n == math.MaxInt {
		return "all"
	}
	return strconv.Itoa(n)
}
