package guard

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// pair is a resource that goes and one of its type that comes: the same thing,
// as a person sees it, by another logical id.
type pair struct {
	old, new  string
	construct bool    // the CDK calls both the same, but for where they are
	same      float64 // share of the properties that are equal
}

// rename finds what is removed and added by another logical id, and makes one
// change of the two.
func (d *differ) rename() {
	var pairs []pair
	removed := d.withAction(Removed)
	for _, from := range removed {
		for _, to := range d.withAction(Added) {
			if d.changes[from].Type != d.changes[to].Type {
				continue
			}
			p := pair{from, to, sameConstruct(d.old.resource(from).Path, d.new.resource(to).Path), d.similarity(from, to)}
			if p.construct || p.same >= 0.5 || d.alone(p) {
				pairs = append(pairs, p)
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int {
		if a.construct != b.construct {
			return map[bool]int{true: -1, false: 1}[a.construct]
		}
		return cmp.Or(cmp.Compare(b.same, a.same), cmp.Compare(affinity(b.old, b.new), affinity(a.old, a.new)))
	})
	for _, p := range pairs {
		c, ok := d.changes[p.old]
		if _, free := d.changes[p.new]; !ok || !free || c.NewID != "" {
			continue
		}
		d.join(c, p)
	}
}

func (d *differ) withAction(a Action) (ids []string) {
	for _, id := range slices.Sorted(maps.Keys(d.changes)) {
		if d.changes[id].Action == a {
			ids = append(ids, id)
		}
	}
	return ids
}

// similarity is the share of properties that are the same; of two without
// properties, all. References count as the same whatever they refer to: what
// moves in a refactoring moves together.
func (d *differ) similarity(from, to string) float64 {
	a, b := d.old.properties[from], d.new.properties[to]
	if a == nil && b == nil {
		return 1
	}
	all := names(a, b)
	if len(all) == 0 {
		return 1
	}
	same := 0
	for _, name := range all {
		if reflect.DeepEqual(a[name], b[name]) || len(references(a[name])) > 0 && len(references(b[name])) > 0 {
			same++
		}
	}
	return float64(same) / float64(len(all))
}

// alone reports whether the two are the only ones of their type that go and come.
func (d *differ) alone(p pair) bool {
	n := 0
	for _, c := range d.changes {
		if c.Type == d.changes[p.old].Type && (c.Action == Removed || c.Action == Added) {
			n++
		}
	}
	return n == 2
}

// affinity is the number of letters that the beginnings or the ends of two
// logical ids have in common, without the eight digits that the CDK adds.
func affinity(a, b string) int {
	a, b = stem(a), stem(b)
	head, tail := 0, 0
	for head < min(len(a), len(b)) && a[head] == b[head] {
		head++
	}
	for tail < min(len(a), len(b)) && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	return max(head, tail)
}

// stem cuts the hash off that the CDK ends logical ids with.
func stem(id string) string {
	if n := len(id) - 8; n > 0 && strings.Trim(id[n:], "0123456789ABCDEF") == "" {
		return id[:n]
	}
	return id
}

// join makes one change of a removal and an addition.
func (d *differ) join(c *Change, p pair) {
	added := d.changes[p.new]
	delete(d.changes, p.new)
	c.Action, c.NewID = Replaced, p.new
	was, will := d.old.resource(p.old), d.new.resource(p.new)
	why := fmt.Sprintf("the logical id changes from %s to %s, so for CloudFormation it is another resource: it makes %s first, and deletes %s after that", p.old, p.new, p.new, p.old)
	if moved := movedTo(was.Path, will.Path); moved != "" {
		why = fmt.Sprintf("%s, so the CDK makes another logical id of it (%s, not %s), and for CloudFormation it is another resource", moved, p.new, p.old)
	}
	if p.same < 1 {
		why += "; some of its properties change, too"
	}
	c.Why = []string{why}
	d.weaker(c, added)
	pin := "keep the old logical id " + p.old + " in the template"
	if will.Path != "" {
		pin += fmt.Sprintf(" (in the CDK: (construct.node.defaultChild as CfnResource).overrideLogicalId('%s'))", p.old)
	}
	c.Avoid = append(c.Avoid, pin,
		fmt.Sprintf("or rename it in two steps: deploy the old template with DeletionPolicy: Retain, then one without %s, then import what stayed as %s (`aws cloudformation create-change-set --change-set-type IMPORT`); or let CloudFormation do that by a stack refactor (`aws cloudformation create-stack-refactor`)", p.old, p.new))
}

// weaker says what the new one of two that are the same thing keeps less than the old
// one did. What macros hide is not compared.
func (d *differ) weaker(c, added *Change) {
	old, new := d.old.properties[c.ID], d.new.properties[c.NewID]
	switch {
	case old == nil || new == nil:
		c.Risks = append(c.Risks, added.Risks...)
	case c.Type == bucketPolicy && !reflect.DeepEqual(old["Bucket"], new["Bucket"]):
		c.Risks = append(c.Risks, added.Risks...) // for that bucket all of it is new
	default:
		was, will := d.old.Resources[c.ID], d.new.Resources[c.NewID]
		c.policies(was, will, was.onDeletion(old), will.onDeletion(new))
		d.risks(c, old, new)
	}
}

// movedTo says what happened to a construct of the CDK, by its paths.
func movedTo(was, will string) string {
	if was == "" || will == "" || was == will {
		return ""
	}
	fromDir, from := construct(was)
	toDir, to := construct(will)
	if from == to {
		return fmt.Sprintf("the construct %s has moved from %s into %s", from, fromDir, toDir)
	}
	return fmt.Sprintf("the construct %s is called %s now", from, to)
}

// construct returns the last name of a path of the CDK that a person has given,
// and what is before it.
func construct(path string) (dir, base string) {
	parts := strings.Split(strings.TrimSuffix(path, "/Resource"), "/")
	return strings.Join(parts[:len(parts)-1], "/"), parts[len(parts)-1]
}

func sameConstruct(was, will string) bool {
	_, from := construct(was)
	_, to := construct(will)
	return was != "" && will != "" && from == to
}
