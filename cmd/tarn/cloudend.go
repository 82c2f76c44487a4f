package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarn-backup/tarn/internal/cloud"
	"github.com/tarn-backup/tarn/internal/machine"
)

// end has CloudFormation delete a stack. Until AWS has accepted that, nothing is taken
// from any machine: it may refuse for reasons that nobody sees before (termination
// protection, a permission, a policy of the organization), and the machines go
// on then as if nothing had been. Once it has, the access keys go at once: CloudFormation, which
// has not made them, can't delete their users else, and does that last of all.
func (c *clouds) end(ctx context.Context, a *cloud.Account, s *cloud.Stack, at machine.StackPlace, list []machineState) error {
	if err := c.markEnding(at); err != nil {
		return err
	}
	free := func(ctx context.Context) error { return errors.Join(c.freeMachines(ctx, a, list), c.markGone(at)) }
	if s.Ending() { // AWS has accepted it before, of a run that was interrupted
		if err := free(ctx); err != nil {
			return err
		}
	}
	err := a.Delete(ctx, s, free, c.tell)
	switch {
	case errors.Is(err, cloud.ErrNotBegun) && !s.Ending():
		return errors.Join(c.stays(err), c.markStays(at))
	case cloud.HeldByKeys(err):
		// It was faster than this program, or a key was made meanwhile.
		c.say("CloudFormation could not delete a user that had an access key: that is removed now, and it tries again")
		if err := c.freeUsers(ctx, a, usersOf(list)); err != nil {
			return err
		}
		err = a.Delete(ctx, s, nil, c.tell)
	}
	return err
}

// stays says of a refusal what it means.
func (c *clouds) stays(err error) error {
	kept := fmt.Errorf("nothing was removed, and the machines of the stack %s go on: %w", c.stack, err)
	if hint := hintCloud(err); hint != "" {
		return kept
	}
	return hinted{kept, "Mend what AWS names, and run the same command again."}
}

// freeMachines removes the access keys of users that are being deleted: those that
// are known already, without a question that would take time.
func (c *clouds) freeMachines(ctx context.Context, a *cloud.Account, list []machineState) error {
	var all error
	for _, m := range list {
		for _, k := range m.keys {
			all = errors.Join(all, a.RemoveKey(ctx, m.user, k.ID))
		}
	}
	return all
}

func usersOf(list []machineState) (users []string) {
	for _, m := range list {
		users = append(users, m.user)
	}
	return users
}
