package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn/internal/cloud"
)

// policyFlags are those of `tarn cloud policy`.
type policyFlags struct {
	kinds     map[cloud.Kind]*bool
	account   string
	bucket    string
	prefix    string
	key       string
	qualifier string
	apply     bool
}

func newCloudPolicy(c *clouds) *cobra.Command {
	f := policyFlags{kinds: map[cloud.Kind]*bool{}}
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Print the IAM policies of least privilege",
		Long: `policy prints the IAM policy that is just enough for one of those who have to do with the stack: the person who deploys,
CloudFormation's execution role, and machines that back up, restore, do both, or prune.

A deployer's key is as strong as the execution role, which makes the users of machines and writes their policies. So that this gives no
rights but over the stack's bucket, there is a permissions boundary (--boundary): users and roles of the stack have nothing beyond it,
and the execution role can make none without it, nor take it off or change it. An administrator applies it once.

Over the bucket itself that key has power: IAM can't tell a lifecycle that keeps old versions from one that deletes everything in a
day, and the template needs one. plan and deploy ask for the bucket's name before a lifecycle deletes sooner, but who has the key need
not use them. What holds against that is Object Lock in the mode compliance (--object-lock DAYS --object-lock-mode compliance): no
lifecycle deletes a locked version. The mode governance does not: a policy of the bucket, which the key writes, too, can let somebody
bypass it. And nothing keeps who has the key from having new backups encrypted with a KMS key that is taken away later, or from
letting others into the bucket by its policy, beyond the boundary. Keep the key off the machines that back up.

The account's number is asked of AWS, unless --account and --region are given. --apply makes the policy in the account, or a new
version of it; of the five versions that IAM keeps the oldest goes, if there is no room.` + "\n" + exitCodes,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.policy(cmd.Context(), f) },
	}
	help := map[cloud.Kind]string{
		cloud.Backup: "for a machine that only backs up", cloud.Restore: "for a machine that only gets files back",
		cloud.Machine: "for a machine that does both, as the stack's users do", cloud.Prune: "for who may delete",
		cloud.Deployer: "for the person who deploys", cloud.Execution: "for CloudFormation's execution role",
		cloud.Boundary: "what users and roles of the stack may have at most: their permissions boundary",
	}
	var names []string
	for _, kind := range cloud.Kinds {
		f.kinds[kind] = cmd.Flags().Bool(string(kind), false, help[kind])
		names = append(names, string(kind))
	}
	cmd.MarkFlagsMutuallyExclusive(names...)
	cmd.MarkFlagsOneRequired(names...)
	cmd.Flags().BoolVar(&f.apply, "apply", false, "make the managed policy in the account, or a new version of it")
	cmd.Flags().StringVar(&f.account, "account", "", "number of the account (default: that of the credentials)")
	cmd.Flags().StringVar(&f.bucket, "bucket", "", "name of the bucket (default: as CloudFormation names the stack's)")
	cmd.Flags().StringVar(&f.prefix, "prefix", cloud.DefaultPrefix, "prefix of the repository in the bucket")
	cmd.Flags().StringVar(&f.key, "kms-key", "", "ARN of the bucket's own KMS key, if it has one")
	cmd.Flags().StringVar(&f.qualifier, "qualifier", "", "qualifier of \"tarn cloud bootstrap\", which names the execution role (default: of the stack's name)")
	return cmd
}

func (c *clouds) policy(ctx context.Context, f policyFlags) error {
	var kind cloud.Kind
	for k, wanted := range f.kinds {
		if *wanted {
			kind = k
		}
	}
	if kind == cloud.Execution {
		if err := c.checkExecution(); err != nil {
			return err
		}
	}
	place, a, err := c.policyPlace(ctx, f)
	if err != nil {
		return err
	}
	if f.apply {
		return c.apply(ctx, a, place, kind)
	}
	doc, err := place.Policy(kind)
	if err != nil {
		return err
	}
	text, err := doc.JSON()
	if err != nil {
		return err
	}
	_, err = c.stdout.Write(text)
	return err
}

// checkExecution refuses a stack that no execution role can be for.
func (c *clouds) checkExecution() error {
	if err := cloud.CheckExecution(c.stack); err != nil {
		return hinted{err, "Name another stack by --stack, or deploy without --role."}
	}
	return nil
}

// apply makes a managed policy, and says what became of it.
func (c *clouds) apply(ctx context.Context, a *cloud.Account, place cloud.Place, kind cloud.Kind) error {
	done, err := a.Apply(ctx, place, kind)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(map[string]any{"type": "policy", "kind": kind, "arn": done.ARN, "version": done.Version, "made": done.Made, "changed": done.Changed, "removed_version": done.Removed})
	}
	switch {
	case done.Made:
		c.say("Made the policy %s", done.ARN)
	case !done.Changed:
		c.say("The policy %s is as it should be (%s)", done.ARN, done.Version)
	default:
		c.say("The policy %s has the new version %s", done.ARN, done.Version)
	}
	if done.Removed != "" {
		c.say("Its oldest version, %s, was removed: IAM keeps five", done.Removed)
	}
	return nil
}

// policyPlace is where things are as the flags say, and AWS where they don't. The
// account is nil if it was not needed.
func (c *clouds) policyPlace(ctx context.Context, f policyFlags) (place cloud.Place, a *cloud.Account, err error) {
	if err := cloud.CheckPrefix(f.prefix); err != nil {
		return place, nil, err
	}
	if f.qualifier != "" {
		if err := cloud.CheckQualifier(f.qualifier); err != nil {
			return place, nil, err
		}
	}
	if f.account != "" {
		err = cloud.CheckAccount(f.account)
	}
	if f.bucket != "" {
		err = errors.Join(err, checkBucket(f.bucket))
	}
	if err != nil {
		return place, nil, err
	}
	if f.account != "" && c.region != "" && !f.apply {
		if err := errors.Join(cloud.CheckStack(c.stack), cloud.CheckRegion(c.region)); err != nil {
			return place, nil, err
		}
		if err := cloud.CheckPartition(c.region); err != nil {
			return place, nil, hinted{err, "Look at the name in --region. If it is right, leave --account out: then AWS is asked."}
		}
		place = cloud.NewPlace(c.region, f.account, c.stack)
	} else {
		if a, err = c.account(ctx); err != nil {
			return place, nil, err
		}
		if place, err = c.place(ctx, a); err != nil {
			return place, nil, err
		}
	}
	if f.account != "" && place.Account != f.account {
		return place, nil, hinted{fmt.Errorf("account %s: the credentials are of account %s", f.account, place.Account), "Leave --account out, or name a profile of that account by --profile."}
	}
	if err := place.CheckKey(f.key); err != nil {
		return place, nil, err
	}
	place.Prefix, place.Key, place.Qualifier = f.prefix, f.key, cmp.Or(f.qualifier, place.Qualifier)
	if f.bucket == "" {
		return place, a, nil
	}
	place.Bucket = "arn:" + place.Partition + ":s3:::" + f.bucket
	return place, a, nil
}
