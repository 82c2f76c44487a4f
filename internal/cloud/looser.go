package cloud

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
)

// given is a statement of a policy that somebody has written: where a list may
// stand, IAM takes one value, too.
type given struct {
	Effect      string
	Action      oneOrMore
	NotAction   oneOrMore
	Resource    oneOrMore
	NotResource oneOrMore
	Condition   map[string]map[string]oneOrMore
}

type oneOrMore []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *oneOrMore) UnmarshalJSON(b []byte) error {
	var list []any
	if err := json.Unmarshal(b, &list); err != nil {
		var one any
		if err := json.Unmarshal(b, &one); err != nil {
			return err
		}
		list = []any{one}
	}
	for _, each := range list {
		*l = append(*l, fmt.Sprint(each)) // conditions have numbers and truths, too
	}
	return nil
}

// looser says what a policy allows beyond those statements; "" if nothing. What
// it can't compare it takes for more.
func looser(text string, most []Statement) string {
	var doc struct{ Statement json.RawMessage }
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return "what can't be read"
	}
	var list []given
	if len(doc.Statement) > 0 && json.Unmarshal(doc.Statement, &list) != nil {
		var one given
		if err := json.Unmarshal(doc.Statement, &one); err != nil {
			return "what can't be read"
		}
		list = []given{one}
	}
	for _, s := range list {
		if more := s.beyond(most); more != "" && s.Effect != deny {
			return more
		}
	}
	return ""
}

func (s given) beyond(most []Statement) string {
	if len(s.NotAction)+len(s.NotResource) > 0 {
		return "all but some (NotAction, NotResource)"
	}
	for _, action := range s.Action {
		for _, resource := range s.Resource {
			if !slices.ContainsFunc(most, func(m Statement) bool { return m.covers(action, resource, s.Condition) }) {
				return fmt.Sprintf("%s on %s", action, resource)
			}
		}
	}
	return ""
}

// covers reports whether a statement allows all that another does with an action
// and a resource. Further conditions only narrow that.
func (m Statement) covers(action, resource string, when map[string]map[string]oneOrMore) bool {
	if !slices.ContainsFunc(m.Action, func(a string) bool { return strings.EqualFold(a, action) }) {
		return false
	}
	if !slices.ContainsFunc(m.Resource, func(pattern string) bool { return within(resource, pattern) }) {
		return false
	}
	for operator, keys := range m.Condition {
		for key, values := range keys {
			has := when[operator][key]
			if len(has) == 0 || slices.ContainsFunc(has, func(v string) bool { return !slices.Contains(values, v) }) {
				return false
			}
		}
	}
	return true
}

// within reports whether a resource, or a pattern of them, is among those of a
// pattern. In ARNs a star is any text, with slashes.
func within(resource, pattern string) bool {
	flat := func(s string) string { return strings.ReplaceAll(s, "/", "\x00") }
	ok, err := path.Match(flat(pattern), flat(resource))
	return err == nil && ok
}
