package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn/internal/cloud"
)

func newCloudStatus(c *clouds) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the stack, its bucket, and the keys of its machines",
		Long: `status shows what the stack has, how it was made, which access keys its users have and when they were last used, and what this machine is
set up for. It changes nothing.` + "\n" + exitCodes,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.status(cmd.Context()) },
	}
}

// machineState is a machine of a stack.
type machineState struct {
	n    int
	user string
	keys []cloud.Key
	own  ownProfile // of it, on this machine
	gone bool       // there is no such user, and the stack does not know
}

func (c *clouds) status(ctx context.Context) error {
	a, err := c.account(ctx)
	if err != nil {
		return err
	}
	s, err := a.Stack(ctx, c.stack)
	if err != nil {
		return err
	}
	o, made, err := c.optionsOf(ctx, a, s)
	if err != nil {
		return err
	}
	list, err := c.machines(ctx, a, s)
	if err != nil {
		return err
	}
	if c.json {
		return c.printStatusJSON(s, o, made, list)
	}
	c.say("stack       %s in %s: %s, made %s", s.Name, a.Region, s.Status, formatTime(s.Created))
	if s.Reason != "" {
		c.say("            %s", printable(s.Reason))
	}
	if err := s.Changeable(); err != nil {
		return err
	}
	if s.Planned() {
		c.say("%s", c.aim("            it has a plan, and nothing else: `tarn cloud deploy` makes it, `tarn cloud destroy` removes the plan"))
		return nil
	}
	if s.Bucket() != "" {
		c.say("bucket      %s", s.Bucket())
	}
	if !made {
		c.say("options     none: tarn has not made this stack")
	} else {
		c.say("repository  %s%s/%s, made for archives in %s", schemeS3, s.Bucket(), o.Prefix, o.Class)
		c.say("options     %s", optionsLine(o))
	}
	for _, m := range list {
		c.printMachine(m)
	}
	return nil
}

// optionsOf returns what a stack was made from; made is false if tarn has not
// made it, or nobody has yet.
func (c *clouds) optionsOf(ctx context.Context, a *cloud.Account, s *cloud.Stack) (o cloud.Options, made bool, err error) {
	if s.Changeable() != nil || s.Planned() {
		return o, false, nil
	}
	text, err := a.Template(ctx, c.stack)
	if err != nil {
		return o, false, err
	}
	return cloud.ReadOptions(text)
}

// machines are the users of a stack with their keys.
func (c *clouds) machines(ctx context.Context, a *cloud.Account, s *cloud.Stack) (list []machineState, err error) {
	at, err := c.here(ctx, a)
	if err != nil {
		return nil, err
	}
	for _, n := range s.Machines() {
		m := machineState{n: n, user: s.User(n)}
		m.keys, err = a.Keys(ctx, m.user)
		m.gone = errors.Is(err, cloud.ErrNoUser)
		if err != nil && !m.gone {
			return nil, err
		}
		if m.own, err = c.profileOf(at, n, m.keys); err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

func optionsLine(o cloud.Options) string {
	line := fmt.Sprintf("%s, what is deleted stays %d days", formatCount(int64(o.Users), "machine", "machines"), o.KeptDays())
	if o.LockDays > 0 {
		line += fmt.Sprintf(", object lock of %d days (%s)", o.LockDays, o.LockMode)
	}
	if o.KMS {
		line += ", a KMS key of its own"
	}
	if o.AdminRole {
		line += ", a role that may delete"
	}
	if o.Budget > 0 {
		line += fmt.Sprintf(", an alarm at $%d a month", o.Budget)
	}
	return line
}

func (c *clouds) printMachine(m machineState) {
	c.say("machine %-3d %s", m.n, m.user)
	if m.gone {
		c.say("            it is not there: the user was deleted outside of CloudFormation")
		return
	}
	if len(m.keys) == 0 {
		c.say("%s", c.aim(fmt.Sprintf("            no access key: `tarn cloud deploy --machine %d` on that machine makes one", m.n)))
	}
	for _, k := range m.keys {
		state := "disabled"
		if k.Active {
			state = "in force"
		}
		used := "never used"
		if !k.Used.IsZero() {
			used = "last used " + formatTime(k.Used)
		}
		line := fmt.Sprintf("access key %s, %s, made %s, %s", k.ID, state, formatTime(k.Created), used)
		if k.ID == m.own.key {
			line += ": this machine's, in the profile " + m.own.name
		}
		c.say("            %s", line)
	}
}

func (c *clouds) printStatusJSON(s *cloud.Stack, o cloud.Options, made bool, list []machineState) error {
	machines := []map[string]any{}
	for _, m := range list {
		keys := []map[string]any{}
		for _, k := range m.keys {
			doc := map[string]any{"id": k.ID, "active": k.Active, "created": k.Created.UTC().Format(time.RFC3339), "mine": k.ID == m.own.key}
			if !k.Used.IsZero() {
				doc["used"] = k.Used.UTC().Format(time.RFC3339)
			}
			keys = append(keys, doc)
		}
		machines = append(machines, map[string]any{"machine": m.n, "user": m.user, "keys": keys, "gone": m.gone})
	}
	doc := map[string]any{"type": "stack", "stack": s.Name, "status": s.Status, "reason": s.Reason, "bucket": s.Bucket(), "machines": machines}
	if made {
		doc["repository"] = schemeS3 + s.Bucket() + "/" + o.Prefix
		doc["options"] = map[string]any{
			"storage_class": o.Class, "prefix": o.Prefix, "users": o.Users, "object_lock_days": o.LockDays, "object_lock_mode": o.LockMode,
			"kms": o.KMS, "admin_role": o.AdminRole, "budget_dollars": o.Budget, "email": o.Email, "kept_days": o.KeptDays(),
		}
	}
	return c.printJSON(doc)
}
