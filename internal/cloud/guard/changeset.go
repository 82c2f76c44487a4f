package guard

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// merge adds what CloudFormation says in a change set. Where it and the
// comparison of the templates differ, the worse counts, but for what replaces a
// resource only in some cases: whether this is one of them, CloudFormation knows.
func (d *differ) merge(changes []types.ResourceChange) {
	for _, rc := range changes {
		id := aws.ToString(rc.LogicalResourceId)
		c := d.changes[id]
		if c == nil {
			c = &Change{Action: Changed, ID: id, Type: aws.ToString(rc.ResourceType)}
			if rc.Action == types.ChangeActionAdd {
				c.Action = Added
			}
			d.changes[id] = c
		}
		if name := aws.ToString(rc.PhysicalResourceId); name != "" {
			c.Name = name
		}
		switch rc.Action {
		case types.ChangeActionRemove:
			if c.Action != Removed {
				c.Action = Removed
				c.Why = append(c.Why, "CloudFormation says that it is removed")
			}
		case types.ChangeActionImport:
			c.Action = Imported
		case types.ChangeActionDynamic:
			// A nested stack that both templates have stays: only what is in it hangs on more.
			stays := nested(c.Type) && d.old.properties[id] != nil && d.new.properties[id] != nil
			if !c.Goes() && !stays {
				c.Action = MayReplace
				c.Why = append(c.Why, "what happens to it hangs on macros or nested stacks, and CloudFormation does not say more")
			}
		case types.ChangeActionModify:
			c.modify(rc)
		}
		c.policy(rc.PolicyAction)
	}
}

// modify takes over what CloudFormation says of a resource that changes.
func (c *Change) modify(rc types.ResourceChange) {
	switch {
	case rc.Replacement == types.ReplacementTrue && c.Action != Removed:
		c.Action = Replaced
	case rc.Replacement == types.ReplacementConditional && !c.Goes():
		c.Action = MayReplace
	case rc.Replacement == types.ReplacementFalse && c.Action == MayReplace:
		c.Action, c.Why, c.Avoid = Changed, nil, nil
	}
	for _, detail := range rc.Details {
		if detail.Target != nil {
			c.detail(detail)
		}
	}
	if c.Goes() && len(c.Why) == 0 {
		c.Why = []string{"CloudFormation says so, and gives no reason"}
	}
}

// detail takes over one of the reasons that CloudFormation gives.
func (c *Change) detail(detail types.ResourceChangeDetail) {
	target := detail.Target
	name := aws.ToString(target.Name)
	if path := strings.TrimPrefix(aws.ToString(target.Path), "/Properties/"); path != "" && target.Attribute == types.ResourceAttributeProperties {
		name = path
	}
	if name == "" {
		name = string(target.Attribute)
	}
	own := target.Attribute == types.ResourceAttributeProperties || target.Attribute == types.ResourceAttributeDeletionPolicy || target.Attribute == types.ResourceAttributeUpdateReplacePolicy
	if top, _, _ := strings.Cut(name, "/"); own && !slices.Contains(c.Properties, top) {
		c.Properties = append(c.Properties, top)
		if c.Type == "AWS::S3::Bucket" && top == life && c.Action == Changed { // by a value that no template has
			c.Sooner = true
			c.Risks = append(c.Risks, life+": it changes by a value that is not known here, and may delete sooner")
		} else if watched(c.Type, top) && c.Action == Changed {
			c.look(top, "it changes by a value that is not known here, and may keep less")
		}
	}
	if !c.Goes() || target.RequiresRecreation == types.RequiresRecreationNever || target.RequiresRecreation == "" {
		return
	}
	said := func(why string) bool {
		return strings.Contains(why, dotted(name)+" ") || strings.Contains(why, "("+dotted(name)+")")
	}
	if slices.ContainsFunc(c.Why, said) {
		return
	}
	why := dotted(name) + " changes"
	if target.BeforeValue != nil || target.AfterValue != nil {
		why += fmt.Sprintf(" from %s to %s", orNone(target.BeforeValue), orNone(target.AfterValue))
	}
	if cause := aws.ToString(detail.CausingEntity); cause != "" {
		why += ", since " + cause + " does"
	}
	why += ", which replaces it"
	if target.RequiresRecreation == types.RequiresRecreationConditionally {
		why += " in some cases"
	}
	c.Why = append(c.Why, why)
	c.Avoid = append(c.Avoid, "leave "+dotted(name)+" as it is")
}

func orNone(s *string) string {
	if s == nil {
		return "none"
	}
	return show(*s)
}

// policy takes over what CloudFormation says becomes of the old resource.
func (c *Change) policy(a types.PolicyAction) {
	switch a {
	case types.PolicyActionRetain, types.PolicyActionReplaceAndRetain:
		c.Kept = retain
	case types.PolicyActionSnapshot, types.PolicyActionReplaceAndSnapshot:
		c.Kept = snapshot
	case types.PolicyActionDelete, types.PolicyActionReplaceAndDelete:
		c.Kept = ""
	}
}
