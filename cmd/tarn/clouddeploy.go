package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn/internal/cloud"
	"github.com/tarn-backup/tarn/internal/machine"
	"github.com/tarn-backup/tarn/internal/storage/s3"
)

// deployFlags are those of `tarn cloud deploy`.
type deployFlags struct {
	stack     stackFlags
	given     func(name string) bool
	role      string
	machine   int
	onlyStack bool
}

func newCloudDeploy(c *clouds) *cobra.Command {
	var f deployFlags
	cmd := &cobra.Command{
		Use:   "deploy",
		Short: "Make or change the bucket and its users, and set this machine up",
		Long: `deploy shows what CloudFormation would do, asks, has it done, and shows it happen. Then it sets this machine up: it makes an access key
for the machine's user, writes it into an AWS profile of its own, makes the repository, and checks it. The next command is
` + "`tarn backup`" + `. Run again, it changes what the flags say and leaves the rest of the stack and of this machine as they are.

On a further machine, first copy the identity file from the first one, into the configuration folder's identities, since both back up into
one repository; then deploy with --users 2 --machine 2, and on a third with --users 3 --machine 3.

With fewer users than there are, somebody has to type the name of each that goes with an access key in force. Nothing that holds data is
ever replaced or removed.

Users and roles of the stack have a permissions boundary, a policy outside of the stack that deploy makes if it may; where it may not,
an administrator does, once (` + "`tarn cloud policy --boundary --apply`" + `).

A run that was killed is made good by the next: it waits for what CloudFormation is doing, and removes a key that nobody has.` + "\n" + exitCodes,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.given = cmd.Flags().Changed
			return c.deploy(cmd.Context(), f)
		},
	}
	f.stack.register(cmd.Flags())
	cmd.Flags().StringVar(&f.role, "role", "", "ARN of the role that CloudFormation works with, as of \"tarn cloud bootstrap\" (default: your own rights)")
	cmd.Flags().IntVar(&f.machine, "machine", 1, "number of this machine")
	cmd.Flags().BoolVar(&f.onlyStack, "only-stack", false, "leave this machine as it is")
	cmd.Flags().BoolVar(&c.yes, "yes", false, "do it without a question")
	return cmd
}

func (c *clouds) deploy(ctx context.Context, f deployFlags) error {
	if err := c.checkDeploy(f); err != nil {
		return err
	}
	a, err := c.account(ctx)
	if err != nil {
		return err
	}
	who, err := a.Identity(ctx)
	if err != nil {
		return err
	}
	c.say("Account %s, region %s, as %s", who.Account, a.Region, who.ARN)
	if err := c.settle(ctx, a); err != nil {
		return err
	}
	o, err := c.wanted(ctx, a, f)
	if err != nil {
		return err
	}
	if !f.onlyStack && f.machine > o.Users {
		return hinted{fmt.Errorf("machine %d: the stack has %s", f.machine, formatCount(int64(o.Users), "user", "users")), fmt.Sprintf("Add --users %d, or name another by --machine.", f.machine)}
	}
	text, err := o.Template()
	if err != nil {
		return err
	}
	if err := c.change(ctx, a, cloud.Proposal{Stack: c.stack, Template: text, Role: f.role}); err != nil {
		return err
	}
	if f.onlyStack {
		return nil
	}
	s, err := a.Stack(ctx, c.stack)
	if err != nil {
		return err
	}
	return c.setUp(ctx, a, s, o, f.machine)
}

// checkDeploy refuses what can't be, before any request.
func (c *clouds) checkDeploy(f deployFlags) error {
	if err := cloud.CheckRole(f.role); err != nil {
		return hinted{err, "`tarn cloud bootstrap --json` prints the ARN of the one that it makes."}
	}
	if f.role != "" {
		if err := c.checkExecution(); err != nil {
			return err
		}
	}
	if f.machine < 1 {
		return hinted{fmt.Errorf("machine %d: want a number from 1", f.machine), "Name this machine's number by --machine."}
	}
	if err := f.stack.check(f.given); err != nil || f.onlyStack {
		return err
	}
	dirs, err := machine.UserDirs(c.getenv)
	if err == nil {
		_, err = dirs.Settings() // which this machine is to be set up in
	}
	if err != nil {
		return err
	}
	file, err := machine.AWSCredentials(c.getenv)
	if err != nil {
		return err
	}
	return checkFile(file)
}

// wanted is what the flags want over what the stack has.
func (c *clouds) wanted(ctx context.Context, a *cloud.Account, f deployFlags) (cloud.Options, error) {
	o := cloud.DefaultOptions()
	text, err := a.Template(ctx, c.stack)
	switch {
	case errors.Is(err, cloud.ErrNoStack):
		return f.stack.over(o, f.given)
	case err != nil:
		return o, err
	}
	has, ok, err := cloud.ReadOptions(text)
	if err != nil {
		return o, err
	}
	if !ok {
		return o, hinted{fmt.Errorf("stack %s: tarn has not made it", c.stack), "Name another one by --stack: this one would lose what it has."}
	}
	o, err = f.stack.over(has, f.given)
	if err == nil {
		c.warnOfClass(has, o)
	}
	if err == nil {
		err = c.notCutOff(has, o)
	}
	return o, err
}

// notCutOff refuses what would cut every machine off from what it has stored.
func (c *clouds) notCutOff(has, wanted cloud.Options) error {
	switch {
	case wanted.Prefix != has.Prefix:
		return hinted{fmt.Errorf("stack %s: its prefix is %s, and to make it %s would cut every machine off from its repository", c.stack, has.Prefix, wanted.Prefix),
			fmt.Sprintf("Leave --prefix %s as it is, or make another stack for the other one: --stack NAME --prefix %s.", has.Prefix, wanted.Prefix)}
	case has.KMS && !wanted.KMS: // and a key that comes back later is another one
		return hinted{fmt.Errorf("stack %s: all that is in its bucket is encrypted with its KMS key, and to take that away would cut every machine off from its repository", c.stack),
			"Leave out --kms=false: the key stays. For a bucket without one make another stack, --stack NAME, and back up into that; or copy the objects there with credentials that may read them and use the key, as an administrator's."}
	}
	return nil
}

// change brings the stack to what is proposed, if the gate lets it.
func (c *clouds) change(ctx context.Context, a *cloud.Account, p cloud.Proposal) error {
	set, err := a.Propose(ctx, p)
	if errors.Is(err, cloud.ErrNoChange) {
		if err := c.bound(ctx, a); err != nil { // which is outside of the stack, and may have changed
			return err
		}
		c.say("The stack %s is as it should be", p.Stack)
		return nil
	} else if err != nil {
		return err
	}
	users, err := c.accept(ctx, a, set)
	if err != nil {
		return errors.Join(err, a.Discard(context.WithoutCancel(ctx), set))
	}
	free := func(ctx context.Context) error { return c.freeUsers(ctx, a, users) }
	if err := a.Execute(ctx, set, free, c.tell); err != nil {
		return err
	}
	c.say("The stack %s is done", p.Stack)
	return nil
}

// accept has a change set looked at, and agreed to, before anything of it is
// carried out. Users are those that go by it.
func (c *clouds) accept(ctx context.Context, a *cloud.Account, set *cloud.ChangeSet) (users []string, err error) {
	if err := c.gate(ctx, a, set); err != nil {
		return nil, err
	}
	if users, err = goingUsers(ctx, a, set); err != nil {
		return nil, err
	}
	if err := c.letUsersGo(ctx, a, users); err != nil {
		return nil, err
	}
	return users, c.bound(ctx, a)
}

// setUp makes this machine ready to back up.
func (c *clouds) setUp(ctx context.Context, a *cloud.Account, s *cloud.Stack, o cloud.Options, n int) error {
	user, bucket := s.User(n), s.Bucket()
	if user == "" || bucket == "" {
		return hinted{fmt.Errorf("stack %s has no %s or no %s", c.stack, cloud.BucketID, cloud.MachineID(n)), "`tarn cloud status` shows what it has."}
	}
	dirs, err := machine.UserDirs(c.getenv)
	if err != nil {
		return err
	}
	at, err := c.here(ctx, a)
	if err != nil {
		return err
	}
	profile, made, err := c.ensureKey(ctx, a, keyFor{user: user, bucket: bucket, prefix: o.Prefix, at: at, machine: n})
	if err != nil {
		return err
	}
	location := schemeS3 + bucket + "/" + o.Prefix
	used, err := c.remembers(dirs, location, machine.Access{Profile: profile, Region: at.Region, Endpoint: at.Endpoint, Stack: at.Stack, Account: at.Account})
	if err != nil {
		return err
	}
	err = c.firstCheck(ctx, dirs, location, o, made)
	if errors.Is(err, s3.ErrNoBucket) {
		return hinted{err, hintCloud(cloud.ErrNoBucket)}
	}
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(map[string]any{"type": "ready", "repository": location, "profile": profile, "user": user, "region": a.Region, "default": used})
	}
	if used {
		c.say("Ready: `tarn backup FOLDER` backs up into %s", location)
	} else {
		c.say("Ready: `tarn backup -r %s FOLDER` backs up into it; without -r it is your other repository, as before", location)
	}
	return nil
}

// remembers writes the settings. Whoever has a repository already goes on with it
// where none is named, unless it is of a stack that was removed.
func (c *clouds) remembers(dirs machine.Dirs, location string, access machine.Access) (used bool, err error) {
	local, err := exists(dirs.DefaultRepository())
	if err != nil {
		return false, err
	}
	err = dirs.ChangeSettings(func(s *machine.Settings) {
		if s.Repository == "" && !local || s.Storages[s.Repository].Gone != "" {
			s.Repository = location
		}
		used = s.Repository == location
		s.Storages[location] = access
	})
	return used, err
}
