package guard

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// shares are types whose names need not be the only ones of their kind, or are so
// in what is named in more ways than one.
var shares = []string{
	"AWS::EMR::Cluster", "AWS::HealthImaging::Datastore", "AWS::HealthLake::FHIRDatastore", "AWS::Route53::HostedZone", "AWS::S3Vectors::Index", "AWS::SageMaker::Domain",
}

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

// bucketPolicy is the type of which a bucket has one at most: CloudFormation makes no
// second one ("The bucket policy already exists on bucket").
const bucketPolicy = "AWS::S3::BucketPolicy"

// calledBy returns what a resource is told apart by from others of its type in the
// same place, if its properties give it: its name, and for a bucket's policy the bucket.
func calledBy(kindOf string, properties map[string]any) string {
	if bucket := properties["Bucket"]; kindOf == bucketPolicy && len(references(bucket)) > 0 {
		return show(bucket)
	}
	return hardCoded(kindOf, properties)
}

// within are types whose names are the only ones in something alone, and the
// property that says in what.
var within = map[string]string{
	"AWS::CodeArtifact::Repository":    "DomainName",
	"AWS::Cassandra::Table":            "KeyspaceName",
	"AWS::EC2::SecurityGroup":          "VpcId",
	"AWS::ECS::Service":                "Cluster",
	"AWS::Events::Rule":                "EventBusName",
	"AWS::FSx::StorageVirtualMachine":  "FileSystemId",
	"AWS::Glue::Table":                 "DatabaseName",
	"AWS::Lambda::Alias":               "FunctionName",
	"AWS::Logs::LogStream":             "LogGroupName",
	"AWS::MSK::Topic":                  "ClusterArn",
	"AWS::OpenSearchServerless::Index": "CollectionEndpoint",
	bucketPolicy:                       "Bucket",
	"AWS::S3Outposts::Bucket":          "OutpostId",
	"AWS::Scheduler::Schedule":         "GroupName",
	"AWS::Timestream::Table":           "DatabaseName",
	"AWS::WAFv2::WebACL":               "Scope",
}

// holder is a resource that has a hard-coded name, or is to have it.
type holder struct {
	side   *side
	id     string
	parent any
}

func holderOf(s *side, id string) holder {
	parent := s.properties[id][within[s.Resources[id].Type]]
	if parent == nil && within[s.Resources[id].Type] != "" {
		parent = "default" // which is what AWS calls it where there is one
	}
	return holder{s, id, parent}
}

// meet reports whether two names are in the same place; known is false if that is
// not sure, or whether both are there at once.
func (d *differ) meet(a, b holder) (same, known bool) {
	known = !a.side.unsure[a.id] && !b.side.unsure[b.id]
	if reflect.DeepEqual(a.parent, b.parent) {
		if a.side == b.side {
			return true, known
		}
		// The same words, but of another thing if it is replaced.
		return !slices.ContainsFunc(references(a.parent), d.goes), known
	}
	_, _, callA := call(a.parent)
	_, _, callB := call(b.parent)
	if !callA && !callB {
		return false, true
	}
	if of, other := references(a.parent), references(b.parent); len(of) == 1 && len(other) == 1 && of[0] != other[0] && d.made(of[0]) && d.made(other[0]) {
		return false, true // two resources are two
	}
	return true, false
}

// made reports whether a name is that of a resource of either template.
func (d *differ) made(id string) bool {
	return d.old.Resources[id] != nil || d.new.Resources[id] != nil
}

// collide finds what is made under a name that something has that is there
// still, since CloudFormation makes all that is new before it deletes anything.
func (d *differ) collide() {
	type key struct{ kind, name string }
	taken := map[key][]holder{}
	for _, id := range slices.Sorted(maps.Keys(d.old.properties)) {
		kind := d.old.Resources[id].Type
		if name := calledBy(kind, d.old.properties[id]); name != "" {
			taken[key{kind, name}] = append(taken[key{kind, name}], holderOf(d.old, id))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(d.changes)) {
		c := d.changes[id]
		to := cmp.Or(c.NewID, id)
		properties, is := d.new.properties[to]
		if !is || c.Action == Changed || c.Action == MayReplace {
			continue
		}
		kind := d.new.Resources[to].Type
		name := calledBy(kind, properties)
		if name == "" {
			continue
		}
		k, mine := key{kind, name}, holderOf(d.new, to)
		has := " has that name"
		if kind == bucketPolicy {
			has = " is that bucket's"
		}
		for _, other := range taken[k] {
			why := "the stack's own " + other.id + has + ", and is deleted only after the new one is made"
			if other.side == d.new {
				why = other.id + " of the same template" + has + ", too"
			}
			if same, known := d.meet(other, mine); same && known {
				c.collides(kind, name, why)
				break
			} else if same {
				c.look(table()[kind].Name, "%s; if both are there at once, and in the same place, the update fails with AlreadyExists", why)
				break
			}
		}
		taken[k] = append(taken[k], mine)
	}
}

// collides says that a name is taken, and what to do about it.
func (c *Change) collides(kind, name, why string) {
	if kind == bucketPolicy {
		c.Collides = fmt.Sprintf("the bucket %s has a policy already (%s): the update would fail with AlreadyExists, and be rolled back", name, why)
		c.Avoid = append(c.Avoid, "put all statements into one policy, and keep its logical id")
		return
	}
	property := table()[kind].Name
	c.Collides = fmt.Sprintf("a %s called %q is there already (%s): the update would fail with AlreadyExists, and be rolled back", Noun(kind), name, why)
	c.Avoid = append(c.Avoid, fmt.Sprintf("leave %s out and let CloudFormation name it, which it never does the same way twice", property))
}

// Named is a resource that is to be made under a hard-coded name.
type Named struct {
	Type, Name string
	// ID is what the Cloud Control API knows it by; "" where that is not known before.
	ID string
}

// identifier is what the Cloud Control API knows a resource by: its name, but for
// types where that is not the only one of its kind, or the service makes another.
func identifier(kind, name string, properties map[string]any) string {
	var parts []string
	for _, property := range table()[kind].ID {
		part, ok := properties[property].(string)
		if !ok {
			return ""
		}
		parts = append(parts, part)
	}
	return cmp.Or(strings.Join(parts, "|"), name)
}

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
			list[id] = Named{r.Type, name, identifier(r.Type, name, d.new.properties[to])}
		}
	}
	return list
}
