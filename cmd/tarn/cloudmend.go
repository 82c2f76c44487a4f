package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tarn-backup/tarn/internal/cloud"
	"github.com/tarn-backup/tarn/internal/durable"
	"github.com/tarn-backup/tarn/internal/machine"
)

// Making a key takes steps that can be killed between any two: AWS makes it and
// tells its secret once, the profile gets it, the old key goes. So what is being
// done is written down before, and whatever is found written down is finished, or
// undone, by the next run.

// settle waits until a stack is at rest that is being changed: as a rule by a run
// that was interrupted, after which CloudFormation goes on by itself. Of one that
// has got no further than a plan, the name and the plan are removed.
func (c *clouds) settle(ctx context.Context, a *cloud.Account) error {
	s, err := a.Find(ctx, c.stack)
	if errors.Is(err, cloud.ErrNoStack) {
		return nil
	}
	if err != nil {
		return err
	}
	if s.Planned() {
		if err := onlyOurPlans(ctx, a, s); err != nil {
			return err
		}
		c.say("The stack %s was planned and never made: removing what is left of that", c.stack)
		return a.Delete(ctx, s, nil, c.tell)
	}
	if !s.UnderWay() {
		return nil
	}
	c.say("The stack %s is being changed already (%s): waiting for that to end", c.stack, s.Status)
	return a.Follow(ctx, s, c.tell)
}

// onlyOurPlans refuses a stack that is but a plan if the plan is somebody else's.
func onlyOurPlans(ctx context.Context, a *cloud.Account, s *cloud.Stack) error {
	others, err := a.OthersPlans(ctx, s)
	if err != nil || len(others) == 0 {
		return err
	}
	return hinted{fmt.Errorf("stack %s: it was planned and never made, and tarn has not made its change set %s: nothing was removed", s.Name, printable(strings.Join(others, ", "))),
		"Name another stack by --stack. If nobody needs that plan any more, `aws cloudformation delete-stack --stack-name " + s.Name + "` removes it."}
}

// alone does something with a user's access keys while no other run does so from
// here: a key that another is making looks like what a killed one has left. Whoever is
// killed releases the lock.
func (c *clouds) alone(user string, do func() error) error {
	dirs, err := machine.UserDirs(c.getenv)
	if err != nil {
		return err
	}
	lock, err := dirs.LockKey(user)
	if errors.Is(err, durable.ErrLocked) {
		return hinted{fmt.Errorf("another tarn is changing the access keys of %s just now: %w", user, err), "Nothing was done to them here. Run the same command again once that has ended."}
	} else if err != nil {
		return err
	}
	return errors.Join(do(), lock.Unlock())
}

// slack is by how much the clocks of this machine and of AWS may differ.
const slack = 10 * time.Minute

// mendKeys finishes or undoes what a run that was killed has left of making a
// key for a user. Done says that this machine has got that key, and the one it
// replaces is gone.
func (c *clouds) mendKeys(ctx context.Context, a *cloud.Account, user, mine string) (done bool, err error) {
	dirs, err := machine.UserDirs(c.getenv)
	if err != nil {
		return false, err
	}
	settings, err := dirs.Settings()
	left, is := settings.NewKeys[user]
	if err != nil || !is {
		return false, err
	}
	keys, err := a.Keys(ctx, user)
	if err != nil {
		return false, err
	}
	written := left.ID != "" && left.ID == mine
	for _, k := range keys {
		switch {
		case written && k.ID == left.Replaces:
			if err := a.DropKey(ctx, user, k.ID); err != nil {
				return false, err
			}
			c.say("Removed the access key %s, which an interrupted run had replaced", k.ID)
		case !written && orphan(k, left, mine):
			if err := a.RemoveKey(ctx, user, k.ID); err != nil {
				return false, err
			}
			c.say("Removed the access key %s, which an interrupted run had made and not written", k.ID)
		}
	}
	return written && left.Replaces != "", c.keyDone(dirs, user)
}

// orphan reports whether a key is the one that was being made, and whose secret
// is lost. If its id is not known, as the answer never came, it is one that is new
// and was never used.
func orphan(k cloud.Key, left machine.NewKey, mine string) bool {
	if left.ID != "" {
		return k.ID == left.ID
	}
	return k.ID != mine && k.ID != left.Replaces && k.Used.IsZero() && k.Created.After(left.Begun.Add(-slack))
}

// keyBegun writes down that a key is being made for a user; id is empty until
// AWS has told it.
func (c *clouds) keyBegun(dirs machine.Dirs, user, id, replaces string) error {
	begun := c.now().UTC().Truncate(time.Second)
	err := dirs.ChangeSettings(func(s *machine.Settings) { s.NewKeys[user] = machine.NewKey{Begun: begun, ID: id, Replaces: replaces} })
	if err != nil {
		return fmt.Errorf("noting the access key that is made for %s: %w", user, err)
	}
	return nil
}

// keyDone forgets that a key was being made.
func (c *clouds) keyDone(dirs machine.Dirs, user string) error {
	return dirs.ChangeSettings(func(s *machine.Settings) { delete(s.NewKeys, user) })
}
