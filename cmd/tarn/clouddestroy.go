package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cloud"
	"github.com/tarn-backup/tarn/internal/machine"
)

func newCloudDestroy(c *clouds) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "destroy",
		Short: "Remove the stack and its users; the bucket and what is in it stay",
		Long: `destroy removes the users of the stack with their access keys, and everything else in it but what holds data: the bucket stays with all
that is in it, and so does its KMS key. It says before what that goes on costing, and empties nothing.` + "\n" + exitCodes,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.destroy(cmd.Context()) },
	}
	cmd.Flags().BoolVar(&c.yes, "yes", false, "do it without a question")
	return cmd
}

func (c *clouds) destroy(ctx context.Context) error {
	a, err := c.account(ctx)
	if err != nil {
		return err
	}
	s, err := a.Stack(ctx, c.stack)
	if err != nil {
		return err
	}
	list, err := c.machines(ctx, a, s)
	if err != nil {
		return err
	}
	if err := c.sayWhatStays(ctx, a, s); err != nil {
		return err
	}
	for _, m := range list {
		c.say("Goes:  the user %s, with %s", m.user, formatCount(int64(len(m.keys)), "access key", "access keys"))
	}
	if err := c.agree(fmt.Sprintf("Remove the stack %s?", s.Name)); err != nil {
		return err
	}
	for _, m := range list {
		if err := a.RemoveKeys(ctx, m.user); err != nil {
			return err
		}
	}
	if err := a.Delete(ctx, s, c.tell); err != nil {
		return err
	}
	if err := c.forget(s, list); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(map[string]any{"type": "destroyed", "stack": s.Name, "kept_bucket": s.Bucket()})
	}
	c.say("The stack %s is removed", s.Name)
	return nil
}

// sayWhatStays says what is not removed, and what it costs.
func (c *clouds) sayWhatStays(ctx context.Context, a *cloud.Account, s *cloud.Stack) error {
	for id, r := range s.Resources {
		if r.Type == "AWS::KMS::Key" {
			c.say("Stays: the KMS key %s (%s), without which nothing in the bucket can be read: about $1 a month", r.Physical, id)
		}
	}
	if s.Bucket() == "" {
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

// forget removes what this machine has of a stack that is gone: keys that no longer
// work, and the settings that lead to them. The repository's identity stays.
func (c *clouds) forget(s *cloud.Stack, list []machineState) error {
	file, err := machine.AWSCredentials(c.getenv)
	if err != nil {
		return err
	}
	gone := map[string]bool{}
	for _, m := range list {
		if m.mine == "" {
			continue
		}
		if err := file.Remove(c.profileName(m.n)); err != nil {
			return err
		}
		gone[c.profileName(m.n)] = true
	}
	dirs, err := machine.UserDirs(c.getenv)
	if err != nil || len(gone) == 0 {
		return err
	}
	err = dirs.ChangeSettings(func(settings *machine.Settings) {
		for _, location := range slices.Collect(maps.Keys(settings.Storages)) {
			if !gone[settings.Storages[location].Profile] {
				continue
			}
			delete(settings.Storages, location)
			if settings.Repository == location {
				settings.Repository = ""
			}
		}
	})
	if err == nil {
		c.say("Removed the profiles of the stack %s from %s", s.Name, file)
	}
	return err
}
