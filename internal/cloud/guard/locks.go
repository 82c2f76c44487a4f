package guard

import (
	"math"
	"reflect"
	"slices"
	"strings"
)

// lock says which changes take Object Lock off a bucket, or make it weaker. What is
// locked already stays so; it is for what comes.
func (c *Change) lock(old, new map[string]any) {
	const at = "ObjectLockConfiguration"
	if isTrue(old["ObjectLockEnabled"]) && !isTrue(new["ObjectLockEnabled"]) {
		c.look("ObjectLockEnabled", "S3 can't take Object Lock off a bucket: it stays there, and only what is new is no longer locked by itself")
	}
	if reflect.DeepEqual(old[at], new[at]) {
		return
	}
	before, _ := retention(old[at])
	after, known := retention(new[at])
	switch {
	case old[at] == nil:
	case before.days == 0 && known:
	case !known:
		c.look(at, "how new objects would be locked is not known before")
	case after.days == 0:
		c.look(at, "new objects would no longer be locked (now: for %s in the mode %s)", days(before.days), before.mode)
	default:
		if after.days < before.days {
			c.look(at, "new objects would be locked for %s only (now: %s)", days(after.days), days(before.days))
		}
		if before.mode != "GOVERNANCE" && after.mode != "COMPLIANCE" {
			c.look(at, "the mode changes from %s to %s: who may bypass it can delete what is locked", before.mode, after.mode)
		}
	}
}

// retained is a bucket's default retention.
type retained struct {
	days int
	mode string
}

// retention reads what a bucket locks new objects with; without known, days are the
// most that it may come to.
func retention(v any) (r retained, known bool) {
	const by = "Rule/DefaultRetention"
	_, _, calls := call(v)
	rule := lookup(v, by)
	if rule == nil {
		return retained{}, !calls
	}
	mode, known := lookup(rule, "Mode").(string)
	r = retained{mode: mode}
	for path, times := range map[string]int{"Days": 1, "Years": 365} {
		if v := lookup(rule, path); v != nil {
			n, is := number(v)
			if known = known && is; !is {
				n = math.MaxInt / times
			}
			r.days += n * times
		}
	}
	return r, known
}

// opened says which access control lists let others into a bucket.
func (c *Change) opened(old, new map[string]any) {
	const at = "AccessControl"
	now, known := new[at].(string)
	switch {
	case new[at] == nil || reflect.DeepEqual(old[at], new[at]):
	case !known:
		c.look(at, "whom it lets into the bucket is not known before")
	case slices.Contains([]string{"PublicRead", "PublicReadWrite", "AuthenticatedRead"}, now):
		c.look(at, "it changes from %s to %s: others may be let into the bucket", show(old[at]), show(now))
	}
}

// encrypted says whether another key encrypts a bucket from then on, that is not
// of the same template: whoever may take it away has what is written then.
func (c *Change) encrypted(old, new map[string]any, ids map[string]map[string]any) {
	const at = "BucketEncryption/ServerSideEncryptionConfiguration/*/ServerSideEncryptionByDefault/KMSMasterKeyID"
	before, _ := lookup(old, at).([]any)
	after, _ := lookup(new, at).([]any)
	for _, key := range after {
		if key == nil || slices.ContainsFunc(before, func(k any) bool { return reflect.DeepEqual(k, key) }) {
			continue
		}
		if from := references(key); len(from) == 1 && ids[from[0]] != nil {
			continue
		}
		name, _, _ := strings.Cut(at, "/")
		c.look(name, "what is written from then on is encrypted with the key %s: without it nobody can read that, Object Lock or not", show(key))
	}
}

// lets says whether the policy of a bucket allows everybody something that the old
// one did not.
func (c *Change) lets(old, new map[string]any) {
	const at = "PolicyDocument/Statement"
	if c.Type != bucketPolicy {
		return
	}
	before := asList(lookup(old, at))
	for _, each := range asList(lookup(new, at)) {
		who := lookup(each, "Principal")
		if aws := lookup(who, "AWS"); aws != nil {
			who = aws
		}
		same := func(s any) bool { return reflect.DeepEqual(s, each) }
		if lookup(each, "Effect") == "Allow" && slices.Contains(asList(who), any("*")) && !slices.ContainsFunc(before, same) {
			c.look("PolicyDocument", "it allows everybody %s", show(lookup(each, "Action")))
		}
	}
}

// asList returns a list as it is, and what is none as one of one.
func asList(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}
