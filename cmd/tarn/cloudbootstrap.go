package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn/internal/cloud"
)

func newCloudBootstrap(c *clouds) *cobra.Command {
	var qualifier string
	var run bool
	cmd := &cobra.Command{
		Use:   "bootstrap",
		Short: "Print or run the `cdk bootstrap` call whose execution role is limited to the stack",
		Long: `bootstrap prints the call of ` + "`cdk bootstrap`" + ` that gives CloudFormation a role for this stack alone, in the place of one with
AdministratorAccess; with --run it makes the policy (as ` + "`tarn cloud policy --execution --apply`" + `) and the boundary of the
stack's users (--boundary --apply), and runs the call. The qualifier, which is made of the stack's name, keeps it apart from the CDK's own. ` + "`tarn cloud deploy --role ARN`" + ` then works with that role.` + "\n" + exitCodes,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.bootstrap(cmd.Context(), qualifier, run) },
	}
	cmd.Flags().StringVar(&qualifier, "qualifier", "", "1 to 10 small letters and digits that keep it apart from other bootstraps (default: of the stack's name)")
	cmd.Flags().BoolVar(&run, "run", false, "make the policies, and run the call")
	return cmd
}

func (c *clouds) bootstrap(ctx context.Context, qualifier string, run bool) error {
	if qualifier != "" {
		if err := cloud.CheckQualifier(qualifier); err != nil {
			return err
		}
	}
	if err := c.checkExecution(); err != nil {
		return err
	}
	a, err := c.account(ctx)
	if err != nil {
		return err
	}
	place, err := c.place(ctx, a)
	if err != nil {
		return err
	}
	place.Qualifier = cmp.Or(qualifier, place.Qualifier)
	call := place.Bootstrap()
	if c.profile != "" {
		call = append(call, "--profile", c.profile)
	}
	if !run {
		if c.json {
			return c.printJSON(map[string]any{"type": "bootstrap", "command": call, "role": place.ExecutionRole()})
		}
		c.say("%s", strings.Join(call, " "))
		return nil
	}
	program, err := exec.LookPath(call[0])
	if err != nil {
		return hinted{fmt.Errorf("running cdk: %w", errors.Unwrap(err)), "Install it (`npm install -g aws-cdk`), or run what `tarn cloud bootstrap` prints where it is."}
	}
	for _, kind := range []cloud.Kind{cloud.Boundary, cloud.Execution} {
		if err := c.apply(ctx, a, place, kind); err != nil {
			return err
		}
	}
	cdk := exec.CommandContext(ctx, program, call[1:]...)
	cdk.Stdin, cdk.Stdout, cdk.Stderr = c.stdin, direct(c.stdout), c.stderr
	if err := cdk.Run(); err != nil {
		return fmt.Errorf("running cdk: %w", err)
	}
	c.say("Deploy with that role: %s", c.aim("`tarn cloud deploy --region "+a.Region+" --role "+place.ExecutionRole()+"`")) // which is of the region
	return nil
}
