package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cloud"
	"github.com/tarn-backup/tarn/internal/cloud/guard"
)

// bound sees to it that the boundary of users and roles is there, without which
// CloudFormation can make none.
func (c *clouds) bound(ctx context.Context, a *cloud.Account) error {
	place, err := c.place(ctx, a)
	if err != nil {
		return err
	}
	made, same, err := a.Bound(ctx, place)
	switch {
	case errors.Is(err, tarn.ErrDenied) && cloud.Permission(err) == "iam:CreatePolicy":
		return hinted{fmt.Errorf("the boundary of the stack's users is not there yet: %w", err), "An administrator of the account makes it, once: `tarn cloud policy --boundary --apply --stack " + c.stack + " --region " + a.Region + "`."}
	case errors.Is(err, cloud.ErrLoose):
		return hinted{err, "An administrator of the account looks at who has put that there, and makes it right: `tarn cloud policy --boundary --apply --stack " + c.stack + " --region " + a.Region + "`."}
	case err != nil:
		return err
	case made && c.json:
		return c.printJSON(map[string]any{"type": "policy", "kind": cloud.Boundary, "arn": place.Boundary(), "made": true})
	case made:
		c.say("Made the policy %s, beyond which no user or role of the stack has rights", place.Boundary())
	case !same:
		c.warn("%s", c.aim("the policy "+place.Boundary()+" is not what this version of tarn has: `tarn cloud policy --boundary --apply` makes it so"))
	}
	return nil
}

// goingUsers are the names of the users that a change set removes.
func goingUsers(ctx context.Context, a *cloud.Account, set *cloud.ChangeSet) (list []string, err error) {
	var stack *cloud.Stack
	for _, change := range set.Changes {
		if change.Action != types.ChangeActionRemove || aws.ToString(change.ResourceType) != "AWS::IAM::User" {
			continue
		}
		name := aws.ToString(change.PhysicalResourceId)
		if name == "" { // as of servers that are not AWS
			if stack == nil {
				if stack, err = a.Stack(ctx, set.Stack); err != nil {
					return nil, err
				}
			}
			name = stack.Resources[aws.ToString(change.LogicalResourceId)].Physical
		}
		if name != "" {
			list = append(list, name)
		}
	}
	return list, nil
}

// letUsersGo has somebody type the name of each user that goes with a key in
// force: a machine that has it makes no backup any more, and nobody there is told.
func (c *clouds) letUsersGo(ctx context.Context, a *cloud.Account, users []string) error {
	ask := c.typist()
	for _, user := range users {
		keys, err := a.Keys(ctx, user)
		if err != nil && !errors.Is(err, cloud.ErrNoUser) {
			return err
		}
		for _, k := range keys {
			if !k.Active {
				continue
			}
			used := "was never used"
			if !k.Used.IsZero() {
				used = "was last used " + formatTime(k.Used)
			}
			answer, err := ask(fmt.Sprintf("The access key %s of %s %s. The machine that has it could not back up any more. To let it go, type the user's name: ", k.ID, user, used))
			if err != nil || strings.TrimSpace(answer) != user {
				return hinted{fmt.Errorf("user %s would be removed with an access key in force, and nobody has typed its name: %w", user, guard.ErrRefused),
					"Leave --users as it is, or run `tarn cloud rotate --machine N --remove " + k.ID + "` first if no machine uses that key."}
			}
			break
		}
	}
	return nil
}

// freeUsers removes the access keys of users that are being removed, since
// CloudFormation, which has not made the keys, can't remove the users else. It does
// that last of all, after the rest of the update.
func (c *clouds) freeUsers(ctx context.Context, a *cloud.Account, users []string) error {
	var all error
	for _, user := range users {
		all = errors.Join(all, a.RemoveKeys(ctx, user))
	}
	return all
}

// warnOfClass says what another storage class means for a stack that there is.
func (c *clouds) warnOfClass(has, wanted cloud.Options) {
	if has.Class == wanted.Class {
		return
	}
	c.warn("%s instead of %s: a repository that is there keeps the class that it was made with, and what lies in it stays where it is, with the minimum days that it is billed for",
		wanted.Class, has.Class)
	if has.KeptDays() != wanted.KeptDays() {
		c.warn("what is deleted would stay for %d days instead of %d, of either class", wanted.KeptDays(), has.KeptDays())
	}
}
