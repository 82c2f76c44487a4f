package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tarn-backup/tarn/internal/cloud"
	"github.com/tarn-backup/tarn/internal/machine"
)

// What this machine has of a stack is not simply forgotten with it. Without a
// repository named anywhere, the next backup would quietly go into a new one on this
// machine's own disk. So the settings keep it as gone, which every command says.

// changeOwn changes how this machine reaches the stack's repositories; changed says
// whether there are any.
func (c *clouds) changeOwn(at machine.StackPlace, change func(*machine.Access)) (changed bool, err error) {
	dirs, err := machine.UserDirs(c.getenv)
	if err != nil {
		return false, err
	}
	settings, err := dirs.Settings()
	if err != nil {
		return false, err
	}
	own := func(access machine.Access) bool { return ofStack(at, access) }
	if !slices.ContainsFunc(slices.Collect(maps.Values(settings.Storages)), own) {
		return false, nil
	}
	return true, dirs.ChangeSettings(func(s *machine.Settings) {
		for location, access := range s.Storages {
			if own(access) {
				access.Stack, access.Account = at.Stack, at.Account
				change(&access)
				s.Storages[location] = access
			}
		}
	})
}

// markEnding notes that AWS is about to be asked to delete the stack: whoever is
// killed before the answer finds out by that which stack it was.
func (c *clouds) markEnding(at machine.StackPlace) error {
	_, err := c.changeOwn(at, func(access *machine.Access) { access.Ends = formatTime(c.now()) })
	return err
}

// markStays notes that AWS has not begun to delete the stack.
func (c *clouds) markStays(at machine.StackPlace) error {
	_, err := c.changeOwn(at, func(access *machine.Access) { access.Ends = "" })
	return err
}

// markGone notes that the stack is being deleted, and its keys with it.
func (c *clouds) markGone(at machine.StackPlace) error {
	_, err := c.changeOwn(at, func(access *machine.Access) {
		if access.Ends = ""; access.Gone == "" {
			access.Gone = formatTime(c.now())
		}
	})
	return err
}

// forget removes the keys of a stack that is gone, which no longer work, from this
// machine. The repository's identity stays.
func (c *clouds) forget(at machine.StackPlace, list []machineState) error {
	names, err := c.dropProfiles(at, list)
	if err != nil {
		return err
	}
	dirs, err := machine.UserDirs(c.getenv)
	if err != nil {
		return err
	}
	for _, m := range list {
		if err := c.forgetNewKey(dirs, m.user); err != nil {
			return err
		}
	}
	_, err = c.changeOwn(at, func(access *machine.Access) { access.Profile = "" })
	if err == nil && len(names) > 0 {
		c.say("Removed the profiles of the stack %s from this machine: %s", at.Stack, strings.Join(names, ", "))
	}
	return err
}

// forgetNewKey forgets a key of a user that is gone, if one was being made.
func (c *clouds) forgetNewKey(dirs machine.Dirs, user string) error {
	settings, err := dirs.Settings()
	if _, is := settings.NewKeys[user]; err != nil || !is {
		return err
	}
	return c.keyDone(dirs, user)
}

// forgetGone finishes what a run that was killed has left on this machine of a
// stack that is gone. If there is nothing, the stack never was: err says so.
func (c *clouds) forgetGone(ctx context.Context, a *cloud.Account, err error) error {
	at, whoErr := c.here(ctx, a)
	if whoErr != nil {
		return whoErr
	}
	half, halfErr := c.halfGone(at)
	if halfErr != nil {
		return halfErr
	}
	if !half {
		return err
	}
	if err := c.markGone(at); err != nil {
		return err
	}
	if err := c.forget(at, nil); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(map[string]any{"type": "destroyed", "stack": c.stack, "kept_bucket": ""})
	}
	c.say("The stack %s is gone already; this machine has nothing of it any more but the repository's identity", c.stack)
	return nil
}

// halfGone reports whether the removal of a stack was begun from here, and not
// finished.
func (c *clouds) halfGone(at machine.StackPlace) (bool, error) {
	dirs, err := machine.UserDirs(c.getenv)
	if err != nil {
		return false, err
	}
	settings, err := dirs.Settings()
	for _, access := range settings.Storages {
		if ofStack(at, access) && (access.Ends != "" || access.Gone != "" && access.Profile != "") {
			return true, err
		}
	}
	return false, err
}

// destroyPlanned removes a stack that is but a name with a change set.
func (c *clouds) destroyPlanned(ctx context.Context, a *cloud.Account, s *cloud.Stack) error {
	if err := onlyOurPlans(ctx, a, s); err != nil {
		return err
	}
	if err := c.agree(fmt.Sprintf("Remove the stack %s, which was planned and never made?", s.Name)); err != nil {
		return err
	}
	if err := a.Delete(ctx, s, nil, c.tell); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(map[string]any{"type": "destroyed", "stack": s.Name, "kept_bucket": ""})
	}
	c.say("The stack %s is removed: it had a plan, and nothing else", s.Name)
	return nil
}

// sayBoundaryStays says that the boundary is no part of the stack. That it costs
// nothing is why nobody has to be asked about it.
func (c *clouds) sayBoundaryStays(ctx context.Context, a *cloud.Account) {
	place, err := c.place(ctx, a)
	if err != nil {
		return // the stack is gone all the same
	}
	c.say("Stays: the policy %s, which costs nothing: a new stack of this name has it again", place.Boundary())
}
