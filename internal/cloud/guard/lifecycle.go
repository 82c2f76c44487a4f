package guard

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// life is the property of a bucket that has S3 delete what is in it.
const life = "LifecycleConfiguration"

// lifecycle says which ends of a new lifecycle come sooner than all of the old one.
func (c *Change) lifecycle(old, new any) {
	if reflect.DeepEqual(old, new) {
		return
	}
	was, will := ends(old), ends(new)
	for _, e := range will {
		if slices.ContainsFunc(was, func(o end) bool { return o.covers(e) }) {
			continue
		}
		risk := life + ": " + e.sooner(was)
		if !slices.Contains(c.Risks, risk) {
			c.Risks = append(c.Risks, risk)
		}
		c.Sooner = true
	}
}

// end is when a rule of a lifecycle deletes what it is for. Each rule works by
// itself: what one of them keeps another one may delete.
type end struct {
	what    string // objects or versions
	scope   scope
	days    int    // since it was made, or is no longer the newest
	keep    int    // the newest old versions that stay in any case
	date    string // in the place of days
	unknown string // why the end is not known before
	perhaps bool   // the rule is perhaps not in force, or not for all of its scope
}

const (
	objects  = "objects"
	versions = "old versions of objects"
)

// covers reports whether all that n deletes is deleted by e, and no later. What
// is not known covers nothing: its value may be another one after the update.
func (e end) covers(n end) bool {
	return e.unknown == "" && n.unknown == "" && !e.perhaps && e.what == n.what && e.scope.has(n.scope) &&
		e.date == n.date && e.days <= n.days && e.keep <= n.keep
}

// sooner says what the end does that none of the old ones did.
func (e end) sooner(was []end) string {
	what := e.what + e.scope.String()
	switch {
	case e.unknown != "":
		return fmt.Sprintf("%s would be deleted %s", what, e.unknown)
	case e.date != "":
		return fmt.Sprintf("%s would be deleted on %q", what, e.date)
	}
	soonest, keep := math.MaxInt, math.MaxInt
	strict := false // there is one that keeps no more
	for _, o := range was {
		if o.what != e.what || o.unknown != "" || o.perhaps || o.date != "" || !o.scope.has(e.scope) {
			continue
		}
		if o.days <= e.days {
			keep = min(keep, o.keep)
		}
		if fits := o.keep <= e.keep; fits && !strict {
			soonest, strict = o.days, true
		} else if fits == strict {
			soonest = min(soonest, o.days)
		}
	}
	if !strict && keep < math.MaxInt {
		return fmt.Sprintf("of %s %d would be kept (now: %d), and the others deleted after %s", what, e.keep, keep, days(e.days))
	}
	return fmt.Sprintf("%s would be deleted after %s (now: %s)", what, days(e.days), days(soonest))
}

// ends reads the lifecycle of a bucket.
func ends(v any) (list []end) {
	if v == nil {
		return nil
	}
	rules, ok := lookup(v, "Rules").([]any)
	if !ok {
		return []end{{what: objects, unknown: "by rules that are not known before"}}
	}
	for _, each := range rules {
		rule, ok := each.(map[string]any)
		if _, _, calls := call(each); !ok || calls {
			list = append(list, end{what: objects, unknown: "by a rule that is not known before"})
			continue
		}
		if rule["Status"] != "Disabled" {
			list = append(list, ruleEnds(rule)...)
		}
	}
	return list
}

// ruleEnds are the ends of one rule.
func ruleEnds(rule map[string]any) (list []end) {
	of := scopeOf(rule)
	perhaps := rule["Status"] != "Enabled" || of.unknown
	if date := rule["ExpirationDate"]; date != nil {
		e := end{what: objects, scope: of, perhaps: perhaps}
		if text, ok := date.(string); ok {
			e.date = text
		} else {
			e.unknown = "on a day that is not known before"
		}
		list = append(list, e)
	}
	for _, x := range []struct {
		what       string
		after, but any
	}{
		{objects, rule["ExpirationInDays"], nil},
		{versions, rule["NoncurrentVersionExpirationInDays"], nil},
		{versions, lookup(rule, "NoncurrentVersionExpiration/NoncurrentDays"), lookup(rule, "NoncurrentVersionExpiration/NewerNoncurrentVersions")},
	} {
		if x.after == nil {
			continue
		}
		e := end{what: x.what, scope: of, perhaps: perhaps}
		var known bool
		if e.days, known = number(x.after); !known {
			e.unknown = "after a number of days that is not known before"
		}
		if x.but != nil {
			if e.keep, known = number(x.but); !known {
				e.keep, e.perhaps = 0, true
			}
		}
		list = append(list, e)
	}
	if expiration, _, calls := call(rule["NoncurrentVersionExpiration"]); calls {
		list = append(list, end{what: versions, scope: of, unknown: "by " + expiration + ", which is not known before"})
	}
	return list
}

// number reads a whole number.
func number(v any) (n int, known bool) {
	text, _ := v.(string)
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// scope is which objects a rule is for: those that meet all of it.
type scope struct {
	prefix      string
	tags        []string // of key and value
	over, under int      // bytes; -1 and math.MaxInt for any
	unknown     bool
}

func scopeOf(rule map[string]any) scope {
	s := scope{over: -1, under: math.MaxInt}
	text := func(v any) string {
		word, ok := v.(string)
		s.unknown = s.unknown || v != nil && !ok
		return word
	}
	s.prefix = text(rule["Prefix"])
	tags, ok := rule["TagFilters"].([]any)
	s.unknown = s.unknown || rule["TagFilters"] != nil && !ok
	for _, each := range tags {
		s.tags = append(s.tags, fmt.Sprintf("%q: %q", text(lookup(each, "Key")), text(lookup(each, "Value"))))
	}
	for property, limit := range map[string]*int{"ObjectSizeGreaterThan": &s.over, "ObjectSizeLessThan": &s.under} {
		if v := rule[property]; v != nil {
			n, known := number(v)
			if s.unknown = s.unknown || !known; known {
				*limit = n
			}
		}
	}
	return s
}

// has reports whether all objects of o are in s.
func (s scope) has(o scope) bool {
	for _, tag := range s.tags {
		if !slices.Contains(o.tags, tag) {
			return false
		}
	}
	return !s.unknown && !o.unknown && strings.HasPrefix(o.prefix, s.prefix) && s.over <= o.over && s.under >= o.under
}

// String says which objects they are, as it follows their name; "" for all.
func (s scope) String() string {
	var parts []string
	if s.prefix != "" {
		parts = append(parts, "Prefix "+strconv.Quote(s.prefix))
	}
	if s.tags != nil {
		parts = append(parts, "the tags "+strings.Join(s.tags, ", "))
	}
	if s.over >= 0 {
		parts = append(parts, "more than "+strconv.Itoa(s.over)+" bytes")
	}
	if s.under < math.MaxInt {
		parts = append(parts, "less than "+strconv.Itoa(s.under)+" bytes")
	}
	if s.unknown {
		parts = append(parts, "a filter that is not known before")
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
