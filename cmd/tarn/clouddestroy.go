package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cloud"
	"github.com/tarn-backup/tarn/internal/cloud/guard"
)

func newCloudDestroy(c *clouds) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "destroy",
		Short: "Remove the stack and its users; the bucket and what is in it stay",
		Long: `destroy removes the users of the stack with their access keys, and everything else in it but what holds data: the bucket stays with all
that is in it, and so does its KMS key. It says before what that goes on costing, and empties nothing.

What stays is what the template that is deployed says. Should it not retain something that holds data, somebody has to type the
name of that, for each; --yes does not do that. A stack that tarn has not made is refused.

This machine keeps in mind that the repository is gone, and backs up nowhere else in silence.` + "\n" + exitCodes,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.destroy(cmd.Context()) },
	}
	cmd.Flags().BoolVar(&c.yes, "yes", false, "do it without a question, unless data would be lost")
	return cmd
}

func (c *clouds) destroy(ctx context.Context) error {
	a, err := c.account(ctx)
	if err != nil {
		return err
	}
	s, err := a.Stack(ctx, c.stack)
	if errors.Is(err, cloud.ErrNoStack) {
		return c.forgetGone(ctx, a, err)
	}
	if err != nil {
		return err
	}
	if s.Planned() {
		return c.destroyPlanned(ctx, a, s)
	}
	plan, list, err := c.agreeToEnd(ctx, a, s)
	if err != nil {
		return err
	}
	at, err := c.here(ctx, a)
	if err != nil {
		return err
	}
	if err := c.end(ctx, a, s, at, list); err != nil {
		return err
	}
	if err := c.forget(at, list); err != nil {
		return err
	}
	c.sayBoundaryStays(ctx, a)
	if c.json {
		return c.printJSON(map[string]any{"type": "destroyed", "stack": s.Name, "kept_bucket": keptBucket(plan, s)})
	}
	c.say("The stack %s is removed", s.Name)
	return nil
}

// agreeToEnd says what of a stack stays and what goes, and asks before anything does.
func (c *clouds) agreeToEnd(ctx context.Context, a *cloud.Account, s *cloud.Stack) (*guard.Plan, []machineState, error) {
	plan, err := c.whatGoes(ctx, a)
	if err != nil {
		return nil, nil, err
	}
	if s.Protected {
		return nil, nil, fmt.Errorf("stack %s: %w: nothing was removed", s.Name, cloud.ErrProtected)
	}
	list, err := c.machines(ctx, a, s)
	if err != nil {
		return nil, nil, err
	}
	if err := c.sayWhatStays(ctx, a, s, plan); err != nil {
		return nil, nil, err
	}
	if err := c.sayWhatGoes(plan.Unkept(), list); err != nil {
		return nil, nil, err
	}
	for _, note := range plan.Notes {
		c.warn("%s", note)
	}
	return plan, list, c.letGo(plan.Unkept())
}

// whatGoes judges the deletion of the stack by the template that it has now,
// which has to be tarn's.
func (c *clouds) whatGoes(ctx context.Context, a *cloud.Account) (*guard.Plan, error) {
	text, err := a.Template(ctx, c.stack)
	if err != nil {
		return nil, err
	}
	_, ok, err := cloud.ReadOptions(text)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, hinted{fmt.Errorf("stack %s: tarn has not made it, and nothing was removed", c.stack), "Name tarn's own by --stack. Another's stack is not tarn's to remove."}
	}
	return guard.Deletion(ctx, a.Asker(), c.stack)
}

// stays reports whether a plan keeps a resource in the account.
func stays(plan *guard.Plan, id string) bool {
	return slices.ContainsFunc(plan.Changes, func(r guard.Change) bool { return r.ID == id && r.Stays() })
}

// keptBucket returns the bucket that a plan keeps; "" if it keeps none.
func keptBucket(plan *guard.Plan, s *cloud.Stack) string {
	if stays(plan, cloud.BucketID) {
		return s.Bucket()
	}
	return ""
}

// sayWhatGoes says what is removed: users with their keys, and what holds data
// with what is lost.
func (c *clouds) sayWhatGoes(plan *guard.Plan, list []machineState) error {
	keys := map[string]int{}
	for _, m := range list {
		keys[m.user] = len(m.keys)
	}
	for _, r := range plan.Changes {
		n, machine := keys[r.Name]
		switch {
		case c.json:
			if err := c.printJSON(map[string]any{"type": "goes", "id": r.ID, "of": r.Type, "name": r.Name, "loses": r.Loses}); err != nil {
				return err
			}
		case machine:
			c.say("Goes:  the user %s, with %s", r.Name, formatCount(int64(n), "access key", "access keys"))
		case r.Dangerous():
			c.say("GOES:  the %s %s, which the template does not retain. Lost: %s", guard.Noun(r.Type), r.Called(), r.Loses)
		default:
			c.say("Goes:  %s %s (%s)", guard.Noun(r.Type), printable(r.Called()), r.ID)
		}
	}
	return nil
}

// letGo asks before a stack is removed: for the name of each thing whose data
// would be lost, whatever the flags are.
func (c *clouds) letGo(plan *guard.Plan) error {
	if len(plan.Dangers()) == 0 {
		return c.agree(fmt.Sprintf("Remove the stack %s?", plan.Stack))
	}
	if err := plan.Consent(c.typist()); err != nil {
		return hinted{err, "`tarn cloud deploy` brings back the template that retains what holds data."}
	}
	return nil
}

// sayWhatStays says what is not removed, and what it costs.
func (c *clouds) sayWhatStays(ctx context.Context, a *cloud.Account, s *cloud.Stack, plan *guard.Plan) error {
	for _, r := range plan.Changes {
		switch {
		case !r.Stays() || r.ID == cloud.BucketID:
		case c.json:
			if err := c.printJSON(map[string]any{"type": "stays", "id": r.ID, "of": r.Type, "name": r.Name}); err != nil {
				return err
			}
		case r.Type == "AWS::KMS::Key":
			c.say("Stays: the KMS key %s (%s), without which nothing in the bucket can be read: about $1 a month", r.Name, r.ID)
		default:
			c.say("Stays: the %s %s", guard.Noun(r.Type), printable(r.Called()))
		}
	}
	if keptBucket(plan, s) == "" {
		return nil
	}
	w, err := a.Weigh(ctx, s.Bucket())
	if errors.Is(err, cloud.ErrNoBucket) {
		return nil
	} else if err != nil {
		return err
	}
	month, err := c.monthOf(w, a, s.Bucket())
	if err != nil {
		month = "at a price that is not known (" + printableError(err) + ")"
	}
	old := ""
	if w.Old > 0 {
		old = fmt.Sprintf(", and %s of what was deleted from it (%s)", formatCount(w.Old, "version", "versions"), formatBytes(w.OldBytes))
	}
	if c.json {
		return c.printJSON(map[string]any{"type": "stays", "bucket": s.Bucket(), "objects": w.Objects, "bytes": w.Bytes, "old_versions": w.Old, "old_bytes": w.OldBytes, "month": month})
	}
	c.say("Stays: the bucket %s with %s (%s)%s: %s", s.Bucket(), formatCount(w.Objects, "object", "objects"), formatBytes(w.Bytes), old, month)
	if w.Objects > 0 {
		c.say("       Without its users only an administrator of the account can read it; the identity that decrypts it stays on this machine.")
	}
	return nil
}

// monthOf is what keeping the bucket costs.
func (c *clouds) monthOf(w *cloud.Weight, a *cloud.Account, bucket string) (string, error) {
	location := schemeS3 + bucket
	if e := a.Endpoint(); e != "" {
		location += " at " + e
	}
	prices, err := c.prices(location, a.Region)
	if err != nil {
		return "", err
	}
	inventory := prices.Inventory()
	err = w.Versions(func(class tarn.Class, count, size int64) error { return inventory.Add(class, count, size) })
	if err != nil {
		return "", err
	}
	bill, err := inventory.Month()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s a month", bill.Total), nil
}
