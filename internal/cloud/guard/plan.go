package guard

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Action is what happens to a resource.
type Action string

// The actions, worst first.
const (
	Removed    Action = "removed"
	Replaced   Action = "replaced"
	MayReplace Action = "may be replaced" // CloudFormation finds out on its way
	Changed    Action = "changed"
	Imported   Action = "imported"
	Added      Action = "added"
)

var order = []Action{Removed, Replaced, MayReplace, Changed, Imported, Added}

// The policies of what becomes of a resource that leaves its stack.
const (
	retain         = "Retain"
	retainExceptOn = "RetainExceptOnCreate"
	snapshot       = "Snapshot"
)

// Change is what an update does to a resource.
type Change struct {
	Action Action `json:"action"`
	Type   string `json:"type"`
	ID     string `json:"id"`               // logical
	NewID  string `json:"new_id,omitempty"` // where the same thing is to go by another logical id
	Name   string `json:"name,omitempty"`   // physical, of what is there now
	// Kept is Retain or Snapshot where that is what becomes of the old resource.
	Kept       string   `json:"kept,omitempty"`
	Properties []string `json:"properties,omitempty"` // that change
	Why        []string `json:"why,omitempty"`
	Avoid      []string `json:"avoid,omitempty"`
	// Collides says why the update would fail for a name that is taken.
	Collides string `json:"collides,omitempty"`
	// Loses says what is lost; empty if nothing is.
	Loses string `json:"loses,omitempty"`
	// Risks say what loses nothing yet, but may later: somebody is to look at it.
	Risks []string `json:"risks,omitempty"`
	// emptied says that something else in the stack empties the bucket before it goes.
	emptied bool
	// Sooner says that a lifecycle would delete objects sooner: by itself, and
	// without anybody's being asked again.
	Sooner bool `json:"deletes_sooner,omitempty"`
}

// Goes reports whether the resource that is there now goes away, or may.
func (c *Change) Goes() bool {
	return c.Action == Removed || c.Action == Replaced || c.Action == MayReplace
}

// Dangerous reports whether the resource goes, and data with it, or out of the
// stack's sight; or whether it stays, and what is in it is deleted sooner. It is a
// matter of the type and its settings alone: whether a bucket is empty is not known.
func (c *Change) Dangerous() bool { return c.Goes() && stateful(c.Type) || c.Sooner }

// Called is the name that a person has to type to let a resource go: the
// physical one, else the logical id.
func (c *Change) Called() string { return cmp.Or(shortName(c.Name), c.ID) }

// shortName returns the last part of an ARN or URL; of a stack's ARN that before
// it, as the last is a number that nobody knows it by.
func shortName(name string) string {
	if m := stackARN.FindStringSubmatch(name); m != nil {
		return m[1]
	}
	if !strings.HasPrefix(name, "arn:") && !strings.Contains(name, "://") {
		return name
	}
	return name[strings.LastIndexAny(name, ":/")+1:]
}

var stackARN = regexp.MustCompile(`^arn:aws[a-z-]*:cloudformation:[^:]*:[^:]*:stack/([^/]+)/[^/]+$`)

// Plan is what an update does to a stack.
type Plan struct {
	Stack   string   `json:"stack"`
	New     bool     `json:"new"` // the stack is not there yet
	Changes []Change `json:"changes"`
	// Notes say what could not be judged.
	Notes []string `json:"notes,omitempty"`
}

// Dangers are the changes that lose data or may do so.
func (p *Plan) Dangers() (list []Change) {
	for _, c := range p.Changes {
		if c.Dangerous() {
			list = append(list, c)
		}
	}
	return list
}

// Risky are the changes that somebody is to look at, though they lose nothing yet.
func (p *Plan) Risky() (list []Change) {
	for _, c := range p.Changes {
		if len(c.Risks) > 0 {
			list = append(list, c)
		}
	}
	return list
}

// Collisions are the changes that fail for a name that is taken.
func (p *Plan) Collisions() (list []Change) {
	for _, c := range p.Changes {
		if c.Collides != "" {
			list = append(list, c)
		}
	}
	return list
}

// Count returns how many changes are of an action.
func (p *Plan) Count(a Action) (n int) {
	for _, c := range p.Changes {
		if c.Action == a {
			n++
		}
	}
	return n
}

// finish sorts the changes, dangers first, and says what each loses.
func (p *Plan) finish() {
	for i := range p.Changes {
		c := &p.Changes[i]
		if nested(c.Type) && c.Action == Changed {
			c.Risks = append(c.Risks, "what happens to the resources inside of a nested stack is not judged here, not even whether they are removed: look at the plan of its own template")
		}
		if (c.Type == "AWS::IAM::User" || c.Type == "AWS::IAM::AccessKey") && c.Goes() {
			c.Risks = append(c.Risks, "whoever uses an access key of it is cut off")
		}
		if c.Dangerous() {
			c.Loses = loses(c)
			c.Avoid = append(c.Avoid, keepAdvice(c)...)
		}
	}
	slices.SortStableFunc(p.Changes, func(a, b Change) int {
		danger := func(c Change) int {
			if c.Dangerous() {
				return 0
			}
			return 1
		}
		return cmp.Or(danger(a)-danger(b), slices.Index(order, a.Action)-slices.Index(order, b.Action), cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID))
	})
}

// nested reports whether a resource is a stack of its own. Each update may change what is
// in it, and each `cdk deploy` does so: were its name to be typed every time, it would be typed unread.
func nested(kindOf string) bool {
	return kindOf == "AWS::CloudFormation::Stack" || kindOf == "AWS::Serverless::Application"
}

// emptied reports whether the CDK has something in a template that empties a bucket.
func (t *Template) emptied(id string) bool {
	for _, r := range t.Resources {
		if r.Type == emptier && slices.Contains(references(r.Properties), id) {
			return true
		}
	}
	return false
}

func loses(c *Change) string {
	what := holds(c.Type)
	switch {
	case !c.Goes():
		return "what its lifecycle deletes sooner (\"look at this\"): S3 does that by itself within a day or two, and nobody can undo it"
	case c.Kept == retain && c.Action == Removed && c.NewID == "":
		return "nothing at once: it stays in the account with " + what + ", but outside of the stack, and goes on costing"
	case c.Kept == retain:
		return "nothing at once: the old one stays in the account with " + what + ", but outside of the stack, and goes on costing; everything in the stack uses the new, empty one"
	case c.Kept == snapshot:
		return what + ", but for a snapshot that CloudFormation makes"
	case c.Type == "AWS::S3::Bucket" && c.emptied:
		return what + ", all of them: a " + emptier + " of the stack empties it before it goes"
	case c.Type == "AWS::S3::Bucket":
		return what + ": if there are none, the bucket goes; else it stays behind, outside of the stack, since CloudFormation deletes none that is not empty"
	}
	return what
}

// keepAdvice says which attribute saves a resource that goes all the same.
func keepAdvice(c *Change) []string {
	switch {
	case !c.Goes():
		return []string{"leave LifecycleConfiguration as it is; Object Lock keeps it from what is locked"}
	case c.Kept == retain:
		return nil
	}
	attribute := "DeletionPolicy"
	if (c.Action == Replaced || c.Action == MayReplace) && c.NewID == "" {
		attribute = "UpdateReplacePolicy"
	}
	list := []string{fmt.Sprintf("if it has to go: deploy the old template with %s: Retain first, and it stays in the account", attribute)}
	if attribute == "UpdateReplacePolicy" {
		list[0] = "if it has to go: add UpdateReplacePolicy: Retain, and the old one stays in the account"
	}
	if k := kinds[c.Type]; k.snapshots && c.Kept != snapshot {
		list[0] += " (Snapshot keeps a snapshot of it)"
	}
	return list
}
