package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn/internal/cloud"
	"github.com/tarn-backup/tarn/internal/machine"
)

func newCloudRotate(c *clouds) *cobra.Command {
	var n int
	var remove string
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Give this machine a new access key, and remove the old one",
		Long: `rotate makes a new access key for this machine's user, tries it, writes it into the AWS profile, and only then disables the old one and
removes it. Wherever it is killed, the profile has a key that works. A backup that is running here at that time has the old key, and
stops: run it again. With --remove it disables and removes a key that no machine uses any more: a lost one, say.` + "\n" + exitCodes,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := c.account(cmd.Context())
			if err != nil {
				return err
			}
			s, err := a.Stack(cmd.Context(), c.stack)
			if err != nil {
				return err
			}
			if s.User(n) == "" {
				return hinted{fmt.Errorf("stack %s has no %s", c.stack, cloud.MachineID(n)), "`tarn cloud status` lists its machines."}
			}
			return c.alone(s.User(n), func() error {
				if remove != "" {
					return c.removeKey(cmd.Context(), a, s.User(n), remove)
				}
				return c.rotate(cmd.Context(), a, s, n)
			})
		},
	}
	cmd.Flags().IntVar(&n, "machine", 1, "number of this machine")
	cmd.Flags().StringVar(&remove, "remove", "", "id of an access key to disable and remove, without making one")
	cmd.Flags().BoolVar(&c.yes, "yes", false, "do it without a question")
	return cmd
}

func (c *clouds) rotate(ctx context.Context, a *cloud.Account, s *cloud.Stack, n int) error {
	user := s.User(n)
	file, err := machine.AWSCredentials(c.getenv)
	if err != nil {
		return err
	}
	at, err := c.here(ctx, a)
	if err != nil {
		return err
	}
	keys, err := a.Keys(ctx, user)
	if err != nil {
		return err
	}
	own, err := c.profileOf(at, n, keys)
	if err != nil {
		return err
	}
	done, err := c.mendKeys(ctx, a, user, own.key)
	if err != nil {
		return err
	}
	if done {
		return c.sayRotated(user, own.key, "", own.name)
	}
	if err := c.onlyKey(ctx, a, user, n, own); err != nil {
		return err
	}
	o, err := c.has(ctx, a)
	if err != nil {
		return err
	}
	if err := c.agree(fmt.Sprintf("Make a new access key for %s, and remove %s?", user, own.key)); err != nil {
		return err
	}
	of := keyFor{user: user, bucket: s.Bucket(), prefix: o.Prefix, at: at, machine: n, own: own, replaces: own.key}
	key, err := c.newKey(ctx, a, file, of, func() error { return a.DropKey(ctx, user, own.key) })
	if err != nil {
		return err
	}
	return c.sayRotated(user, key.ID, own.key, own.name)
}

// sayRotated says which key this machine has now; old is empty if it went before.
func (c *clouds) sayRotated(user, key, old, profile string) error {
	if c.json {
		return c.printJSON(map[string]any{"type": "rotated", "user": user, "profile": profile, "access_key": key, "removed": old})
	}
	if old == "" {
		c.say("The AWS profile %s has the new access key %s of a rotation that was interrupted: it is finished now", profile, key)
	} else {
		c.say("The AWS profile %s has the new access key %s; %s is removed", profile, key, old)
	}
	return nil
}

// onlyKey sees to it that a user has this machine's key and no other, so that
// there is room for a new one. One that is disabled is what a rotation has left that
// was interrupted, and goes.
func (c *clouds) onlyKey(ctx context.Context, a *cloud.Account, user string, n int, own ownProfile) error {
	keys, err := a.Keys(ctx, user)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(keys, func(k cloud.Key) bool { return k.ID == own.key }) {
		return hinted{fmt.Errorf("the profile %s on this machine has no access key of %s", own.name, user), fmt.Sprintf("Run it on the machine that has it, or name another one by --machine; `tarn cloud deploy --machine %d` makes a first key.", n)}
	}
	for _, k := range keys {
		switch {
		case k.ID == own.key:
		case k.Active:
			return hinted{fmt.Errorf("user %s: %w: %s is another one that works", user, cloud.ErrTooManyKeys, k.ID), fmt.Sprintf("If no machine uses it, `tarn cloud rotate --machine %d --remove %s` removes it.", n, k.ID)}
		default:
			if err := a.RemoveKey(ctx, user, k.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// has returns the options that the deployed stack was made from.
func (c *clouds) has(ctx context.Context, a *cloud.Account) (cloud.Options, error) {
	text, err := a.Template(ctx, c.stack)
	if err != nil {
		return cloud.Options{}, err
	}
	o, ok, err := cloud.ReadOptions(text)
	if err == nil && !ok {
		err = hinted{fmt.Errorf("stack %s: tarn has not made it", c.stack), "Name another one by --stack."}
	}
	return o, err
}

// removeKey disables a key and removes it.
func (c *clouds) removeKey(ctx context.Context, a *cloud.Account, user, id string) error {
	keys, err := a.Keys(ctx, user)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(keys, func(k cloud.Key) bool { return k.ID == id }) {
		return hinted{fmt.Errorf("user %s has no access key %s", user, printable(id)), "`tarn cloud status` lists those that there are; --machine names another user."}
	}
	if err := c.agree(fmt.Sprintf("Remove the access key %s of %s? What uses it stops working.", id, user)); err != nil {
		return err
	}
	if err := a.DropKey(ctx, user, id); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(map[string]any{"type": "removed", "user": user, "removed": id})
	}
	c.say("Removed the access key %s of %s", id, user)
	return nil
}
