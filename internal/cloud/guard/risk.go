package guard

import (
	"fmt"
	"reflect"
)

// policies says which attributes that keep a resource go away.
func (c *Change) policies(was, will *Resource, onDeletion, onDeletionNow string) {
	for _, p := range []struct{ name, what, was, will string }{
		{"DeletionPolicy", "a deletion", onDeletion, onDeletionNow},
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

// bucket says which changes of a bucket's settings delete objects sooner, or
// open it to the public.
func (c *Change) bucket(old, new map[string]any) {
	if c.Type != "AWS::S3::Bucket" {
		return
	}
	const block = "PublicAccessBlockConfiguration"
	for _, name := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
		a, b := lookup(old, block+"/"+name), lookup(new, block+"/"+name)
		if !reflect.DeepEqual(a, b) && !isTrue(b) {
			c.Risks = append(c.Risks, fmt.Sprintf("%s: %s changes from %s to %s: others may be let into the bucket", block, name, show(a), show(b)))
		}
	}
	if now, _ := lookup(new, "VersioningConfiguration/Status").(string); lookup(old, "VersioningConfiguration/Status") == "Enabled" && now != "Enabled" {
		c.Risks = append(c.Risks, "VersioningConfiguration: versions end: what is deleted or overwritten from then on is gone at once")
	}
	c.lock(old, new)
	c.opened(old, new)
	c.lifecycle(old[life], new[life])
}
