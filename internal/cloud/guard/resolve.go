package guard

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// resolver computes what values of a template come to, as far as that is known
// before the update. What is not known, such as the name that CloudFormation
// gives to a bucket, stays the call of a function.
type resolver struct {
	t      *Template
	values map[string]string // of parameters and of AWS::Region and its kin
	// tested are the conditions that were computed, or are being: a circle of
	// them is not known.
	tested map[string]verdict
}

// verdict is what a condition comes to.
type verdict struct{ holds, known bool }

// maxText bounds what functions make of a few lines; what is longer counts as
// not known.
const maxText = 1 << 16

// newResolver knows the parameters that are given, and the defaults of the others.
func newResolver(t *Template, given map[string]string) *resolver {
	r := &resolver{t: t, values: map[string]string{}, tested: map[string]verdict{}}
	for name, p := range t.parameters {
		if s, ok := p["Default"].(string); ok {
			r.values[name] = s
		}
	}
	for name, v := range given {
		if _, known := t.parameters[name]; known || strings.HasPrefix(name, "AWS::") {
			r.values[name] = v
		}
	}
	return r
}

// noValue stands for a property that AWS::NoValue takes away.
type noValue struct{}

// value resolves v.
func (r *resolver) value(v any) any {
	if name, arg, ok := call(v); ok {
		return r.call(name, arg)
	}
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, each := range v {
			if got := r.value(each); got != (any)(noValue{}) {
				m[key] = got
			}
		}
		return m
	case []any:
		l := make([]any, 0, len(v))
		for _, each := range v {
			if got := r.value(each); got != (any)(noValue{}) {
				l = append(l, got)
			}
		}
		return l
	}
	return v
}

// call computes a function, or returns it with its arguments resolved.
func (r *resolver) call(name string, arg any) any {
	switch name {
	case "Ref":
		if s, ok := arg.(string); ok {
			return r.ref(s)
		}
	case "Fn::GetAtt":
		if id, attr, ok := attribute(arg); ok {
			return map[string]any{name: []any{id, attr}}
		}
	case "Fn::Sub":
		return r.sub(arg)
	case "Fn::If":
		return r.choose(arg)
	}
	arg = r.value(arg)
	list, _ := arg.([]any)
	switch {
	case name == "Fn::Join" && len(list) == 2:
		if between, ok := list[0].(string); ok {
			if words, ok := strs(list[1]); ok && len(words)*(len(between)+1) < maxText {
				return strings.Join(words, between)
			}
		}
	case name == "Fn::Split" && len(list) == 2:
		if words, ok := strs(arg); ok && words[0] != "" {
			parts := []any{}
			for part := range strings.SplitSeq(words[1], words[0]) {
				parts = append(parts, part)
			}
			return parts
		}
	case name == "Fn::Select" && len(list) == 2:
		at, _ := list[0].(string)
		from, _ := list[1].([]any)
		if i, err := strconv.Atoi(at); err == nil && i >= 0 && i < len(from) {
			return from[i]
		}
	case name == "Fn::FindInMap" && len(list) >= 3:
		if keys, ok := strs(list[:3]); ok {
			first, _ := r.t.mappings[keys[0]].(map[string]any)
			second, _ := first[keys[1]].(map[string]any)
			if v, ok := second[keys[2]]; ok {
				return v
			}
		}
	}
	return map[string]any{name: arg}
}

// strs returns a list whose elements are all known.
func strs(v any) (words []string, ok bool) {
	list, ok := v.([]any)
	for _, each := range list {
		s, known := each.(string)
		if !known {
			return nil, false
		}
		words = append(words, s)
	}
	return words, ok
}

func (r *resolver) ref(name string) any {
	if name == "AWS::NoValue" {
		return noValue{}
	}
	if v, ok := r.values[name]; ok {
		if r.secret(name) {
			return map[string]any{"Ref": name}
		}
		if kind, _ := r.t.parameters[name]["Type"].(string); strings.HasPrefix(kind, "AWS::SSM::Parameter::Value") {
			return map[string]any{"Fn::Ssm": v} // its value is in the Parameter Store
		}
		return v
	}
	return map[string]any{"Ref": name}
}

// secret reports whether a parameter is not to be seen by anybody (NoEcho).
// CloudFormation tells no value of it, so that whether it changes is not known
// here; and it is not for this program to show the new one.
func (r *resolver) secret(name string) bool {
	on, _ := r.t.parameters[name]["NoEcho"].(string)
	return strings.EqualFold(on, "true")
}

var placeholder = regexp.MustCompile(`\$\{[^{}$]*\}`)

// sub computes Fn::Sub. Where all of a text is one unknown, it is the same as a
// Ref or Fn::GetAtt of that.
func (r *resolver) sub(arg any) any {
	text, ok := arg.(string)
	own := map[string]any{}
	if list, isList := arg.([]any); isList && len(list) == 2 {
		text, ok = list[0].(string)
		own, _ = list[1].(map[string]any)
	}
	if !ok {
		return map[string]any{"Fn::Sub": r.value(arg)}
	}
	known, _ := r.value(own).(map[string]any)
	var unknown []any
	left := map[string]any{}
	length := 0
	out := placeholder.ReplaceAllStringFunc(text, func(s string) string {
		name := strings.TrimSpace(s[2 : len(s)-1])
		if strings.HasPrefix(name, "!") {
			return "${" + name[1:] + "}"
		}
		v, ok := known[name]
		if !ok {
			v = r.placeholder(name)
		}
		if s, ok := v.(string); ok && length+len(s) < maxText {
			length += len(s)
			return s
		}
		unknown, left[name] = append(unknown, v), v
		return "${" + name + "}"
	})
	switch {
	case len(unknown) == 0:
		return out
	case len(unknown) == 1 && placeholder.FindString(out) == out:
		return unknown[0]
	}
	return map[string]any{"Fn::Sub": []any{out, left}}
}

func (r *resolver) placeholder(name string) any {
	if id, attr, ok := strings.Cut(name, "."); ok {
		return map[string]any{"Fn::GetAtt": []any{id, attr}}
	}
	return r.ref(name)
}

// choose computes Fn::If.
func (r *resolver) choose(arg any) any {
	list, _ := arg.([]any)
	if len(list) != 3 {
		return map[string]any{"Fn::If": r.value(arg)}
	}
	name, _ := list[0].(string)
	holds, known := r.condition(name)
	switch {
	case known && holds:
		return r.value(list[1])
	case known:
		return r.value(list[2])
	}
	return map[string]any{"Fn::If": []any{name, r.value(list[1]), r.value(list[2])}}
}

// condition computes a condition of the template; known is false if it hangs
// on something that is not.
func (r *resolver) condition(name string) (holds, known bool) {
	v, ok := r.t.conditions[name]
	if !ok {
		return false, false
	}
	if was, ok := r.tested[name]; ok {
		return was.holds, was.known
	}
	r.tested[name] = verdict{}
	holds, known = r.test(v)
	r.tested[name] = verdict{holds, known}
	return holds, known
}

func (r *resolver) test(v any) (holds, known bool) {
	name, arg, ok := call(v)
	if !ok {
		return false, false
	}
	list, _ := arg.([]any)
	switch name {
	case "Condition":
		of, _ := arg.(string)
		return r.condition(of)
	case "Fn::Equals":
		if words, ok := strs(r.value(arg)); ok && len(words) == 2 {
			if words[0] != words[1] && plainScalar(words[0]) == plainScalar(words[1]) {
				return false, false // yes and true: of quotes and values given it is not known which is meant
			}
			return words[0] == words[1], true
		}
	case "Fn::Not":
		if len(list) == 1 {
			holds, known = r.test(list[0])
			return !holds, known
		}
	case "Fn::And", "Fn::Or":
		return r.all(list, name == "Fn::Or")
	}
	return false, false
}

// all computes Fn::And, or Fn::Or if one that holds is enough.
func (r *resolver) all(list []any, any bool) (holds, known bool) {
	known = len(list) > 0
	for _, each := range list {
		h, k := r.test(each)
		if k && h == any {
			return any, true
		}
		known = known && k
	}
	return !any, known
}

// exists reports whether the stack has the resource; unless known, it may.
func (r *resolver) exists(res *Resource) (exists, known bool) {
	if res.Condition == "" {
		return true, true
	}
	holds, known := r.condition(res.Condition)
	return holds || !known, known
}

// references are the names that a value refers to, sorted.
func references(v any) []string {
	names := map[string]bool{}
	collectReferences(v, names)
	return slices.Sorted(maps.Keys(names))
}

func collectReferences(v any, into map[string]bool) {
	if name, arg, ok := call(v); ok {
		switch name {
		case "Ref":
			if s, ok := arg.(string); ok {
				into[s] = true
			}
		case "Fn::GetAtt":
			if id, _, ok := attribute(arg); ok {
				into[id] = true
			}
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for _, each := range v {
			collectReferences(each, into)
		}
	case []any:
		for _, each := range v {
			collectReferences(each, into)
		}
	}
}
