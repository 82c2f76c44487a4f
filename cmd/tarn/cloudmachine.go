package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cloud"
	"github.com/tarn-backup/tarn/internal/machine"
)

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if notExist(err) {
		return false, nil
	}
	return err == nil, err
}

// ensureKey sees to it that this machine has an access key of its user. One that
// it has already is left as it is.
func (c *clouds) ensureKey(ctx context.Context, a *cloud.Account, user, bucket, prefix string, n int) error {
	file, err := machine.AWSCredentials(c.getenv)
	if err != nil {
		return err
	}
	name := c.profileName(n)
	mine, err := file.AccessKey(name)
	if err != nil {
		return err
	}
	if _, err := c.mendKeys(ctx, a, user, mine); err != nil {
		return err
	}
	keys, err := a.Keys(ctx, user)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.ID == mine {
			c.say("The AWS profile %s has the access key %s of %s already", name, k.ID, user)
			return nil
		}
	}
	if len(keys) > 0 {
		return hinted{fmt.Errorf("user %s has the access key %s already, and the profile %s on this machine does not", user, keys[0].ID, name),
			fmt.Sprintf("If that is another machine's, set this one up as a further one: --users %d --machine %d. If it is lost, `tarn cloud rotate --machine %d --remove %s` removes it.", n+1, n+1, n, keys[0].ID)}
	}
	if err := c.otherStack(name); err != nil {
		return err
	}
	key := keyFor{user: user, bucket: bucket, prefix: prefix, machine: n}
	if _, err := c.newKey(ctx, a, file, key, nil); err != nil {
		return err
	}
	c.say("Made an access key for %s; it is in the AWS profile %s, in %s, which only you can read", user, name, file)
	return nil
}

// otherStack refuses a profile that another stack has on this machine: the second
// machine of the stack home and the first of the stack home-2 have the same.
func (c *clouds) otherStack(profile string) error {
	dirs, err := machine.UserDirs(c.getenv)
	if err != nil {
		return err
	}
	settings, err := dirs.Settings()
	for _, access := range settings.Storages {
		if access.Profile == profile && access.Stack != "" && access.Stack != c.stack {
			return hinted{fmt.Errorf("the AWS profile %s has the access key of the stack %s", profile, access.Stack), "Name this machine's number otherwise, by --machine, or make a stack of another name, by --stack."}
		}
	}
	return err
}

// keyFor is what a new access key is for.
type keyFor struct {
	user, bucket, prefix string
	machine              int
	replaces             string // the key that it is made in the place of; "" for none
}

// newKey makes an access key and writes it into this machine's profile once it
// works; then it does what is to follow. If the key can't be written it is removed
// again: nobody else has its secret.
func (c *clouds) newKey(ctx context.Context, a *cloud.Account, file machine.Credentials, of keyFor, then func() error) (*cloud.NewKey, error) {
	if err := file.Check(); err != nil {
		return nil, hinted{err, "Make it writable, or name another file in AWS_SHARED_CREDENTIALS_FILE."}
	}
	dirs, err := machine.UserDirs(c.getenv)
	if err != nil {
		return nil, err
	}
	if err := c.keyBegun(dirs, of.user, "", of.replaces); err != nil {
		return nil, err
	}
	key, err := a.NewKey(ctx, of.user)
	if err != nil {
		return nil, err
	}
	if err = c.keyBegun(dirs, of.user, key.ID, of.replaces); err == nil {
		err = a.TryKey(ctx, key, of.bucket, of.prefix)
	}
	if err == nil {
		err = file.Save(machine.Profile{Name: c.profileName(of.machine), AccessKey: key.ID, Secret: key.Secret.Reveal(), Region: a.Region})
	}
	if err != nil {
		return nil, errors.Join(err, a.RemoveKey(context.WithoutCancel(ctx), of.user, key.ID))
	}
	if then != nil {
		if err := then(); err != nil {
			return nil, err
		}
	}
	return key, c.keyDone(dirs, of.user)
}

// firstCheck makes the repository if it is not there, and checks it: with the
// machine's own key, not with that of who deploys.
func (c *clouds) firstCheck(ctx context.Context, dirs machine.Dirs, location string, o cloud.Options) error {
	mine := *c.globals
	settings, err := dirs.Settings()
	if err != nil {
		return err
	}
	access := settings.Storages[location]
	mine.repo, mine.profile, mine.region, mine.endpoint = location, access.Profile, access.Region, access.Endpoint
	opened, err := mine.openOrCreate(ctx, true, false, string(o.Class))
	if errors.Is(err, tarn.ErrNoIdentity) {
		return hinted{fmt.Errorf("opening the repository of the other machines: %w", err),
			"Copy the identity file of a machine that has it into " + dirs.Config + "/identities, and run the same command again."}
	}
	if err != nil {
		return err
	}
	return errors.Join(mine.check(ctx, opened, 0, readFlags{}), opened.Close())
}
