package main

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn/internal/cloud"
)

// ownCommand is a command that a message names and that goes to AWS.
var ownCommand = regexp.MustCompile("`tarn cloud (bootstrap|deploy|destroy|plan|policy|rotate|status)\\b[^`]*`")

// aim gives the commands in a message the flags by which they go to the stack that
// this one is about: without them they would do something else to another.
func (c *clouds) aim(message string) string {
	return ownCommand.ReplaceAllStringFunc(message, func(command string) string {
		command = strings.TrimSuffix(command, "`")
		add := func(flag, value string) {
			if value != "" && !strings.Contains(command, " "+flag+" ") {
				command += " " + flag + " " + shellWord(value)
			}
		}
		if c.stack != cloud.DefaultStack {
			add("--stack", c.stack)
		}
		add("--region", c.region)
		if !strings.HasPrefix(command, "`tarn cloud policy") { // which somebody else runs, who has more rights
			add("--profile", c.profile)
		}
		add("--endpoint", withoutPassword(c.endpoint))
		return command + "`"
	})
}

// aimErrors has the hints of a command's errors name the stack that it is about.
func (c *clouds) aimErrors(cmd *cobra.Command) {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := run(cmd, args)
		if err == nil {
			return nil
		}
		hint := hintFor(err)
		if aimed := c.aim(hint); aimed != hint {
			return hinted{err, aimed}
		}
		return err
	}
}

// plainWord is what no shell reads as anything else.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9@%+=:,./_-]+$`)

// shellWord writes a word so that a shell takes it for one.
func shellWord(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(printable(word), "'", `'\''`) + "'"
}
