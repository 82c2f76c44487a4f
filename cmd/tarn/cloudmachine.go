package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cloud"
	"github.com/tarn-backup/tarn/internal/machine"
	"github.com/tarn-backup/tarn/internal/storage/s3"
)

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if notExist(err) {
		return false, nil
	}
	return err == nil, err
}

// ensureKey sees to it that this machine has an access key of its user, and
// returns the name of the profile that has it. One that is there is left as it is, and
// is not made.
func (c *clouds) ensureKey(ctx context.Context, a *cloud.Account, of keyFor) (profile string, made bool, err error) {
	err = c.alone(of.user, func() error {
		profile, made, err = c.ensureKeyAlone(ctx, a, of)
		return err
	})
	return profile, made, err
}

// ensureKeyAlone is ensureKey while no other run does the same.
func (c *clouds) ensureKeyAlone(ctx context.Context, a *cloud.Account, of keyFor) (profile string, made bool, err error) {
	file, err := machine.AWSCredentials(c.getenv)
	if err != nil {
		return "", false, err
	}
	keys, err := a.Keys(ctx, of.user)
	if err != nil {
		return "", false, err
	}
	if of.own, err = c.profileOf(of.at, of.machine, keys); err != nil {
		return "", false, err
	}
	if _, err := c.mendKeys(ctx, a, of.user, of.own.key); err != nil {
		return "", false, err
	}
	if keys, err = a.Keys(ctx, of.user); err != nil {
		return "", false, err
	}
	for _, k := range keys {
		if k.ID == of.own.key {
			c.say("The AWS profile %s has the access key %s of %s already", of.own.name, k.ID, of.user)
			return of.own.name, false, nil
		}
	}
	if len(keys) > 0 {
		n := of.machine
		return "", false, hinted{fmt.Errorf("user %s has the access key %s already, and no profile on this machine has it", of.user, keys[0].ID),
			fmt.Sprintf("If that is another machine's, set this one up as a further one: --users %d --machine %d. If it is lost, `tarn cloud rotate --machine %d --remove %s` removes it.", n+1, n+1, n, keys[0].ID)}
	}
	if of.own.key == "" {
		if of.own.name, err = c.freeProfile(of.at, of.machine, file); err != nil {
			return "", false, err
		}
	}
	if _, err := c.newKey(ctx, a, file, of, nil); err != nil {
		return "", false, err
	}
	c.say("Made an access key for %s; it is in the AWS profile %s, in %s, which only you can read", of.user, of.own.name, file)
	return of.own.name, true, nil
}

// keyFor is what a new access key is for.
type keyFor struct {
	user, bucket, prefix string
	at                   machine.StackPlace
	machine              int
	own                  ownProfile // that it is written into
	replaces             string     // the key that it is made in the place of; "" for none
}

// trials is how often a new key has to work: where the old one goes right after,
// once is too little, as one server that knows it does not say that all do.
func (k keyFor) trials() int {
	if k.replaces != "" {
		return 4
	}
	return 1
}

// newKey makes an access key and writes it into this machine's profile once it
// works; then it does what is to follow. If the key can't be written it is removed
// again: nobody else has its secret.
func (c *clouds) newKey(ctx context.Context, a *cloud.Account, file machine.Credentials, of keyFor, then func() error) (*cloud.NewKey, error) {
	if err := checkFile(file); err != nil {
		return nil, err
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
		err = a.TryKey(ctx, key, of.bucket, of.prefix, of.trials())
	}
	if err == nil {
		err = noteProfile(dirs, of.own.name, machine.Made{StackPlace: of.at, Machine: of.machine, AccessKey: key.ID})
	}
	if err == nil {
		profile := machine.Profile{Name: of.own.name, AccessKey: key.ID, Secret: key.Secret.Reveal(), Region: a.Region}
		err = dirs.Exclusively(func() error { return file.Save(profile, of.own.key) })
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

// checkFile refuses a file of credentials that can't be written.
func checkFile(file machine.Credentials) error {
	if err := file.Check(); err != nil {
		return hinted{err, "Make it writable, or name another file in AWS_SHARED_CREDENTIALS_FILE."}
	}
	return nil
}

// firstCheck makes the repository if it is not there, and checks it: with the
// machine's own key, not with that of who deploys.
//
// A key that was just made is known to some of the servers before others: what one
// of them does not know is tried again for a while.
func (c *clouds) firstCheck(ctx context.Context, dirs machine.Dirs, location string, o cloud.Options, made bool) error {
	for end := time.Now().Add(spreading); ; {
		err := c.checkOnce(ctx, dirs, location, o)
		if !made || !errors.Is(err, s3.ErrCredentials) {
			return err
		}
		if time.Now().After(end) {
			return hinted{err, "The key was made just now, and AWS takes a while to know it everywhere: run the same command again in a minute."}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// spreading is how long a new key may take to be known to all servers.
const spreading = 30 * time.Second

func (c *clouds) checkOnce(ctx context.Context, dirs machine.Dirs, location string, o cloud.Options) error {
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
