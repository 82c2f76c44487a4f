package guard

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Side is a template with the values of its parameters.
type Side struct {
	Template   *Template
	Parameters map[string]string
}

// side is a Side at work.
type side struct {
	*Template
	*resolver
	properties map[string]map[string]any // resolved, by logical id; of the resources that exist
	unsure     map[string]bool           // resources that a condition may leave out
}

func newSide(s Side, pseudo map[string]string) *side {
	if s.Template == nil {
		s.Template = &Template{}
	}
	given := maps.Clone(pseudo)
	if given == nil {
		given = map[string]string{}
	}
	maps.Copy(given, s.Parameters)
	w := &side{s.Template, newResolver(s.Template, given), map[string]map[string]any{}, map[string]bool{}}
	for id, r := range s.Template.Resources {
		exists, known := w.exists(r)
		if !exists {
			continue
		}
		w.unsure[id] = !known
		w.properties[id], _ = w.value(map[string]any(r.Properties)).(map[string]any)
	}
	return w
}

// resource returns a resource, or an empty one where macros hide it.
func (s *side) resource(id string) *Resource {
	if r := s.Resources[id]; r != nil {
		return r
	}
	return &Resource{ID: id}
}

// differ compares two sides.
type differ struct {
	old, new *side
	changes  map[string]*Change // by the old logical id, or the new one of what is added
}

// compare says what makes new of old, by the templates alone.
func compare(old, new *side) *differ {
	d := &differ{old, new, map[string]*Change{}}
	for id := range old.properties {
		d.both(id)
	}
	for id := range new.properties {
		if _, was := old.properties[id]; !was {
			c := &Change{Action: Added, ID: id, Type: new.Resources[id].Type}
			if !d.fresh(new.properties[id]["Bucket"]) {
				c.lets(nil, new.properties[id])
			}
			d.changes[id] = c
		}
	}
	d.spread()
	return d
}

// both compares a resource that is there with what becomes of it.
func (d *differ) both(id string) {
	was := d.old.Resources[id]
	c := &Change{Action: Removed, ID: id, Type: was.Type, Kept: kept(was.onDeletion(d.old.properties[id])), emptied: d.old.emptied(id)}
	properties, is := d.new.properties[id]
	switch will := d.new.Resources[id]; {
	case !is:
		if will == nil {
			c.Why = []string{"the template has no resource with the logical id " + id + " any more"}
		} else {
			c.Why = []string{"the condition " + will.Condition + " does not hold any more"}
		}
	case will.Type != was.Type:
		c.Action, c.Kept = Replaced, kept(will.UpdatePolicy)
		c.Why = []string{fmt.Sprintf("its type changes from %s to %s, which CloudFormation refuses", was.Type, will.Type)}
		c.Avoid = []string{"give the new resource a logical id of its own"}
	case d.new.unsure[id] && will.Condition != was.Condition:
		c.Action = MayReplace
		c.Why = []string{"it may be removed: whether the condition " + will.Condition + " holds is not known before"}
	default:
		d.properties(c, d.old.properties[id], properties)
		c.policies(was, will, was.onDeletion(d.old.properties[id]), will.onDeletion(properties))
		d.risks(c, d.old.properties[id], properties)
		if c.Action == "" {
			return
		}
		if c.Goes() {
			c.Kept = kept(will.UpdatePolicy)
		} else {
			c.Kept = ""
		}
	}
	d.changes[id] = c
}

// risks says what the properties of a resource lose later, or whom they let in.
func (d *differ) risks(c *Change, old, new map[string]any) {
	c.bucket(old, new)
	c.settings(old, new)
	c.lets(old, new)
	if c.Type == "AWS::S3::Bucket" {
		c.encrypted(old, new, d.new.properties)
	}
}

// fresh reports whether a bucket is made by the same update: nothing is in it yet.
func (d *differ) fresh(bucket any) bool {
	ids := references(bucket)
	if name, is := bucket.(string); is {
		for id, properties := range d.new.properties {
			if d.new.Resources[id].Type == "AWS::S3::Bucket" && properties["BucketName"] == name {
				ids = append(ids, id)
			}
		}
	}
	made := func(id string) bool { return d.new.properties[id] != nil && d.old.properties[id] == nil }
	return len(ids) > 0 && !slices.ContainsFunc(ids, func(id string) bool { return !made(id) })
}

func kept(policy string) string {
	switch policy {
	case retain, retainExceptOn:
		return retain
	case snapshot:
		return snapshot
	}
	return ""
}

// properties says what the change of properties does to a resource.
func (d *differ) properties(c *Change, old, new map[string]any) {
	c.Action = ""
	for _, name := range names(old, new) {
		if !reflect.DeepEqual(old[name], new[name]) {
			c.Properties = append(c.Properties, name)
			c.Action = Changed
		}
	}
	of := table()[c.Type]
	for _, path := range of.Fixed {
		if a, b := lookup(old, path), lookup(new, path); !reflect.DeepEqual(a, b) {
			c.Action = Replaced
			c.because(path, a, b, of.Name)
		}
	}
	for _, path := range of.Maybe {
		if a, b := lookup(old, path), lookup(new, path); !reflect.DeepEqual(a, b) && c.Action != Replaced {
			c.Action = MayReplace
			c.Why = append(c.Why, fmt.Sprintf("%s changes from %s to %s, which replaces a %s in some cases", dotted(path), show(a), show(b), Noun(c.Type)))
		}
	}
}

// because says that a property forces the replacement.
func (c *Change) because(path string, old, new any, name string) {
	if path == name {
		c.Why = append(c.Why, fmt.Sprintf("its name (%s) changes from %s to %s, and a %s can't be renamed: CloudFormation makes a new, empty one", dotted(path), show(old), show(new), Noun(c.Type)))
	} else {
		c.Why = append(c.Why, fmt.Sprintf("%s changes from %s to %s, which replaces a %s", dotted(path), show(old), show(new), Noun(c.Type)))
	}
	back := fmt.Sprintf("leave %s as it is", dotted(path))
	if old == nil {
		back = "leave " + dotted(path) + " out, as before"
	}
	if !slices.Contains(c.Avoid, back) {
		c.Avoid = append(c.Avoid, back)
	}
}

// spread finds what is replaced since it refers to something that is: the new
// one has another name, and so the property that refers to it has.
func (d *differ) spread() {
	for again := true; again; {
		again = false
		for _, id := range slices.Sorted(maps.Keys(d.new.properties)) {
			if _, was := d.old.properties[id]; !was || d.goes(id) {
				continue
			}
			if why := d.follows(id); why != "" {
				r := d.new.Resources[id]
				c := d.changes[id]
				if c == nil {
					c = &Change{ID: id, Type: r.Type}
					d.changes[id] = c
				}
				c.Action, c.Kept, c.Why, again = Replaced, kept(r.UpdatePolicy), append(c.Why, why), true
			}
		}
	}
}

func (d *differ) goes(id string) bool {
	c := d.changes[id]
	return c != nil && (c.Action == Replaced || c.Action == Removed)
}

func (d *differ) follows(id string) string {
	for _, path := range table()[d.new.Resources[id].Type].Fixed {
		for _, other := range references(lookup(d.new.properties[id], path)) {
			if other != id && d.goes(other) {
				return fmt.Sprintf("%s refers to %s, which is replaced", dotted(path), other)
			}
		}
	}
	return ""
}

// lookup returns what lies at a path of properties; a * takes all of a list.
func lookup(v any, path string) any {
	step, rest, more := strings.Cut(path, "/")
	var next any
	switch v := v.(type) {
	case map[string]any:
		next = v[step]
	case []any:
		if step != "*" {
			return nil
		}
		var all []any
		for _, each := range v {
			if more {
				each = lookup(each, rest)
			}
			all = append(all, each)
		}
		if all == nil {
			return nil
		}
		return all
	}
	if !more || next == nil {
		return next
	}
	return lookup(next, rest)
}

func names(of ...map[string]any) []string {
	all := map[string]bool{}
	for _, m := range of {
		for name := range m {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func dotted(path string) string { return strings.ReplaceAll(path, "/", ".") }

// show writes a value for people.
func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case string:
		if len(v) > 120 {
			v = v[:120] + "…"
		}
		return fmt.Sprintf("%q", v)
	}
	if name, arg, ok := call(v); ok {
		switch name {
		case "Ref":
			return fmt.Sprintf("!Ref %v", arg)
		case "Fn::GetAtt":
			if id, attr, ok := attribute(arg); ok {
				return "!GetAtt " + id + "." + attr
			}
		}
		return "what " + strings.Replace(name, "Fn::", "!", 1) + " comes to"
	}
	return "another value"
}
