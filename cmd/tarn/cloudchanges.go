package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/tarn-backup/tarn/internal/cloud"
)

// confirmChanges is the gate that every change set has to pass: it shows what
// would be done, refuses what would lose data, and asks.
func (c *clouds) confirmChanges(_ context.Context, _ *cloud.Account, set *cloud.ChangeSet) error {
	if c.json {
		if err := c.printJSON(changesDoc(set)); err != nil {
			return err
		}
	}
	verb := "change"
	if set.New {
		verb = "make"
	}
	c.say("CloudFormation would %s the stack %s:", verb, set.Stack)
	for _, change := range set.Changes {
		c.say("  %s", changeLine(change))
	}
	if lost := cloud.Losing(set); len(lost) > 0 {
		return hinted{fmt.Errorf("%w: the data in %s would be lost, or left behind with nothing pointing to it", cloud.ErrRefused, strings.Join(lost, ", ")),
			"Keep to the options that the stack has, or make another stack beside it with --stack."}
	}
	return c.agree("Go on?")
}

// changeLine is one change as a person reads it.
func changeLine(change types.ResourceChange) string {
	what := map[types.ChangeAction]string{
		types.ChangeActionAdd: "add    ", types.ChangeActionModify: "change ", types.ChangeActionRemove: "REMOVE ", types.ChangeActionImport: "import ",
	}[change.Action]
	if what == "" {
		what = strings.ToLower(string(change.Action)) + " "
	}
	if cloud.Replaces(change) {
		what = "REPLACE"
	}
	line := fmt.Sprintf("%s %-20s %s", what, aws.ToString(change.LogicalResourceId), aws.ToString(change.ResourceType))
	if id := aws.ToString(change.PhysicalResourceId); id != "" {
		line += "  (" + printable(id) + ")"
	}
	var because []string
	for _, d := range change.Details {
		if d.Target != nil && aws.ToString(d.Target.Name) != "" {
			because = append(because, aws.ToString(d.Target.Name))
		}
	}
	if len(because) > 0 {
		line += ": " + strings.Join(because, ", ")
	}
	return line
}

func changesDoc(set *cloud.ChangeSet) map[string]any {
	list := []map[string]any{}
	for _, change := range set.Changes {
		list = append(list, map[string]any{
			"action": strings.ToLower(string(change.Action)), "id": aws.ToString(change.LogicalResourceId), "type": aws.ToString(change.ResourceType),
			"physical": aws.ToString(change.PhysicalResourceId), "replacement": cloud.Replaces(change),
		})
	}
	return map[string]any{"type": "changes", "stack": set.Stack, "new": set.New, "changes": list}
}

// tell prints an event of the stack, as it happens.
func (c *clouds) tell(e cloud.Event) {
	if c.json {
		_ = c.printJSON(map[string]any{"type": "event", "time": e.Time, "id": e.ID, "of": e.Type, "status": e.Status, "reason": e.Reason}) // a full stdout is told at the end
		return
	}
	if c.quiet {
		return
	}
	line := fmt.Sprintf("%s  %-28s %-20s %s", formatTime(e.Time)[11:], e.Status, printable(e.ID), e.Type)
	if e.Reason != "" {
		line += ": " + printable(e.Reason)
	}
	fmt.Fprintln(c.stderr, line)
}
