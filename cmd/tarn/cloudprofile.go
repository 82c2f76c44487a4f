package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tarn-backup/tarn/internal/cloud"
	"github.com/tarn-backup/tarn/internal/machine"
)

// A machine's key lies in an AWS profile, and AWS tells its secret this once. So a
// profile is this program's own only if its key is one of the machine's user, or
// was: then the settings say so. Any other is somebody else's, and is neither
// written to nor removed. The same name of a stack in another region or account, or a
// profile of the user's own, thus makes another name.

// ownProfile is a machine's AWS profile.
type ownProfile struct {
	name string
	key  string // its access key; "" if there is none yet
}

// here is which stack is worked with.
func (c *clouds) here(ctx context.Context, a *cloud.Account) (machine.StackPlace, error) {
	who, err := a.Identity(ctx)
	if err != nil {
		return machine.StackPlace{}, err
	}
	return machine.StackPlace{Stack: c.stack, Account: who.Account, Region: a.Region, Endpoint: a.Endpoint()}, nil
}

// profileNames are those that the profile of a machine may have; the first is
// the usual one.
func profileNames(at machine.StackPlace, n int) (names []string) {
	for _, name := range []string{"tarn-" + at.Stack, "tarn-" + at.Stack + "-" + at.Region, "tarn-" + at.Stack + "-" + at.Region + "-" + at.Account} {
		if n > 1 {
			name = fmt.Sprintf("%s-%d", name, n)
		}
		names = append(names, name)
	}
	return names
}

// profileOf finds the profile of a machine whose user has keys. If there is none
// it is the usual name.
func (c *clouds) profileOf(at machine.StackPlace, n int, keys []cloud.Key) (ownProfile, error) {
	file, err := machine.AWSCredentials(c.getenv)
	if err != nil {
		return ownProfile{}, err
	}
	dirs, err := machine.UserDirs(c.getenv)
	if err != nil {
		return ownProfile{}, err
	}
	settings, err := dirs.Settings()
	if err != nil {
		return ownProfile{}, err
	}
	names := profileNames(at, n)
	for _, name := range names {
		key, err := file.AccessKey(name)
		if err != nil {
			return ownProfile{}, err
		}
		inForce := slices.ContainsFunc(keys, func(k cloud.Key) bool { return k.ID == key })
		if key != "" && (inForce || settings.Profiles[name] == machine.Made{StackPlace: at, Machine: n, AccessKey: key}) {
			return ownProfile{name, key}, nil
		}
	}
	return ownProfile{name: names[0]}, nil
}

// freeProfile returns the first name of a machine's profile that nobody has.
func (c *clouds) freeProfile(at machine.StackPlace, n int, file machine.Credentials) (string, error) {
	dirs, err := machine.UserDirs(c.getenv)
	if err != nil {
		return "", err
	}
	settings, err := dirs.Settings()
	if err != nil {
		return "", err
	}
	names := profileNames(at, n)
	for i, name := range names {
		taken, err := file.Has(name)
		if err == nil && !taken {
			taken, err = machine.Configured(c.getenv, name)
		}
		if err != nil {
			return "", err
		}
		for _, access := range settings.Storages {
			taken = taken || access.Profile == name && !ofStack(at, access)
		}
		if taken {
			continue
		}
		if i > 0 {
			c.say("The AWS profile %s is not of this stack, and stays as it is: this machine's is %s", names[0], name)
		}
		return name, nil
	}
	return "", hinted{fmt.Errorf("the AWS profiles %s are there already, with what is not of the stack %s: no key was made", strings.Join(names, " and "), at.Stack),
		"Give one of them another name, in " + string(file) + " or ~/.aws/config, and run the same command again; or make a stack of another name, by --stack."}
}

// ofStack reports whether a repository is one that the stack was made for.
func ofStack(at machine.StackPlace, access machine.Access) bool {
	own := access.Stack == at.Stack
	if access.Stack == "" { // it was set up before stacks were noted
		own = access.Profile == "tarn-"+at.Stack
	}
	return own && access.Region == at.Region && access.Endpoint == at.Endpoint && (access.Account == "" || access.Account == at.Account)
}

// noteProfile writes down whose key a profile is about to have.
func noteProfile(dirs machine.Dirs, name string, made machine.Made) error {
	if err := dirs.ChangeSettings(func(s *machine.Settings) { s.Profiles[name] = made }); err != nil {
		return fmt.Errorf("noting the AWS profile %s: %w", name, err)
	}
	return nil
}

// dropProfiles removes the profiles of a stack that is gone from this machine,
// and returns their names. One that has got another key since stays.
func (c *clouds) dropProfiles(at machine.StackPlace, list []machineState) (names []string, err error) {
	file, err := machine.AWSCredentials(c.getenv)
	if err != nil {
		return nil, err
	}
	dirs, err := machine.UserDirs(c.getenv)
	if err != nil {
		return nil, err
	}
	settings, err := dirs.Settings()
	if err != nil {
		return nil, err
	}
	own := map[string]string{}
	for name, made := range settings.Profiles {
		if made.StackPlace == at {
			own[name] = made.AccessKey
		}
	}
	for _, m := range list {
		if m.own.key != "" {
			own[m.own.name] = m.own.key
		}
	}
	for name, key := range own {
		has, err := file.AccessKey(name)
		if err != nil {
			return nil, err
		}
		if has == key {
			names = append(names, name)
		}
		if err := dirs.Exclusively(func() error { return file.Remove(name, key) }); err != nil {
			return nil, err
		}
	}
	if len(own) == 0 {
		return nil, nil
	}
	slices.Sort(names)
	return names, dirs.ChangeSettings(func(s *machine.Settings) {
		for name := range own {
			delete(s.Profiles, name)
		}
	})
}
