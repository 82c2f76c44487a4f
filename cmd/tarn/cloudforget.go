package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/tarn-backup/tarn/internal/cloud"
	"github.com/tarn-backup/tarn/internal/machine"
)

// What this machine has of a stack is not simply forgotten with it. Without a
// repository named anywhere, the next backup would quietly go into a new one on this
// machine's own disk. So the settings keep it as gone, which every command says.

// ofStack reports whether a repository is one that the stack was made for.
func (c *clouds) ofStack(a *cloud.Account, access machine.Access) bool {
	own := access.Stack == c.stack
	if access.Stack == "" { // it was set up before stacks were noted
		own = access.Profile == c.profileName(1)
	}
	return own && access.Region == a.Region && access.Endpoint == a.Endpoint()
}

// changeOwn changes how this machine reaches the stack's repositories; changed says
// whether there are any.
func (c *clouds) changeOwn(a *cloud.Account, change func(*machine.Access)) (changed bool, err error) {
	dirs, err := machine.UserDirs(c.getenv)
	if err != nil {
		return false, err
	}
	settings, err := dirs.Settings()
	if err != nil {
		return false, err
	}
	own := func(access machine.Access) bool { return c.ofStack(a, access) }
	if !slices.ContainsFunc(slices.Collect(maps.Values(settings.Storages)), own) {
		return false, nil
	}
	return true, dirs.ChangeSettings(func(s *machine.Settings) {
		for location, access := range s.Storages {
			if own(access) {
				access.Stack = c.stack
				change(&access)
				s.Storages[location] = access
			}
		}
	})
}

// markGone notes that the stack is being removed, with which its keys have gone.
func (c *clouds) markGone(a *cloud.Account) error {
	_, err := c.changeOwn(a, func(access *machine.Access) {
		if access.Gone == "" {
			access.Gone = formatTime(c.now())
		}
	})
	return err
}

// forget removes the keys of a stack that is gone, which no longer work, from this
// machine. The repository's identity stays.
func (c *clouds) forget(a *cloud.Account, s *cloud.Stack, list []machineState) error {
	file, err := machine.AWSCredentials(c.getenv)
	if err != nil {
		return err
	}
	some := false
	for _, m := range list {
		if m.mine == "" {
			continue
		}
		if err := file.Remove(c.profileName(m.n)); err != nil {
			return err
		}
		some = true
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
	_, err = c.changeOwn(a, func(access *machine.Access) { access.Profile = "" })
	if err == nil && some {
		c.say("Removed the profiles of the stack %s from %s", s.Name, file)
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
func (c *clouds) forgetGone(a *cloud.Account, err error) error {
	file, fileErr := machine.AWSCredentials(c.getenv)
	if fileErr != nil {
		return fileErr
	}
	profiles, listErr := c.goneProfiles(a)
	if listErr != nil {
		return listErr
	}
	if len(profiles) == 0 {
		return err
	}
	for _, name := range profiles {
		if err := file.Remove(name); err != nil {
			return err
		}
	}
	if _, err := c.changeOwn(a, func(access *machine.Access) { access.Profile = "" }); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(map[string]any{"type": "destroyed", "stack": c.stack, "kept_bucket": ""})
	}
	c.say("The stack %s is gone already; removed its profiles from %s", c.stack, file)
	return nil
}

// goneProfiles are the profiles of a stack that was being removed from here.
func (c *clouds) goneProfiles(a *cloud.Account) (list []string, err error) {
	dirs, err := machine.UserDirs(c.getenv)
	if err != nil {
		return nil, err
	}
	settings, err := dirs.Settings()
	for _, access := range settings.Storages {
		if c.ofStack(a, access) && access.Gone != "" && access.Profile != "" {
			list = append(list, access.Profile)
		}
	}
	return list, err
}

// destroyPlanned removes a stack that is but a name with a change set.
func (c *clouds) destroyPlanned(ctx context.Context, a *cloud.Account, s *cloud.Stack) error {
	if err := c.agree(fmt.Sprintf("Remove the stack %s, which was planned and never made?", s.Name)); err != nil {
		return err
	}
	if err := a.Delete(ctx, s, c.tell); err != nil {
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
