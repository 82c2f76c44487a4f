package guard

import (
	"fmt"
	"maps"
	"slices"
)

// shares are types whose names need not be the only ones of their kind.
var shares = []string{"AWS::Route53::HostedZone"}

// hardCoded returns the physical name that properties give, if they do.
func hardCoded(kindOf string, properties map[string]any) string {
	if slices.Contains(shares, kindOf) {
		return ""
	}
	if property := table()[kindOf].Name; property != "" {
		name, _ := properties[property].(string)
		return name
	}
	return ""
}

// collide finds what is made under a name that something has that is there
// still, since CloudFormation makes all that is new before it deletes anything.
func (d *differ) collide() {
	type key struct{ kind, name string }
	taken := map[key]string{}
	for id, properties := range d.old.properties {
		kind := d.old.Resources[id].Type
		if name := hardCoded(kind, properties); name != "" {
			taken[key{kind, name}] = id
		}
	}
	made := map[key]string{}
	for _, id := range slices.Sorted(maps.Keys(d.changes)) {
		c := d.changes[id]
		to := id
		if c.NewID != "" {
			to = c.NewID
		}
		properties, is := d.new.properties[to]
		if !is || c.Action == Changed || c.Action == MayReplace {
			continue
		}
		kind := d.new.Resources[to].Type
		name := hardCoded(kind, properties)
		if name == "" {
			continue
		}
		k := key{kind, name}
		if other, ok := taken[k]; ok {
			c.collides(kind, name, "the stack's own "+other+" has that name, and is deleted only after the new one is made")
		} else if other, ok := made[k]; ok {
			c.collides(kind, name, other+" of the same template has that name, too")
		}
		made[k] = to
	}
}

// collides says that a name is taken, and what to do about it.
func (c *Change) collides(kind, name, why string) {
	property := table()[kind].Name
	c.Collides = fmt.Sprintf("a %s called %q is there already (%s): the update would fail with AlreadyExists, and be rolled back", Noun(kind), name, why)
	c.Avoid = append(c.Avoid, fmt.Sprintf("leave %s out and let CloudFormation name it, which it never does the same way twice", property))
}

// Named is a resource that is to be made under a hard-coded name.
type Named struct{ Type, Name string }

// named lists the names that a plan takes into use, by the key of the change.
func named(d *differ) map[string]Named {
	list := map[string]Named{}
	for id, c := range d.changes {
		to := id
		if c.NewID != "" {
			to = c.NewID
		}
		if c.Action == Changed || c.Action == Removed || c.Collides != "" {
			continue
		}
		r := d.new.Resources[to]
		if r == nil {
			continue
		}
		if name := hardCoded(r.Type, d.new.properties[to]); name != "" {
			list[id] = Named{r.Type, name}
		}
	}
	return list
}
