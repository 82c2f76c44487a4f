package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cloud"
)

// stackFlags say what a stack is to have.
type stackFlags struct {
	class string
	mode  string
	cloud.Options
}

// register adds the flags, of which those that are given go before what the
// stack has.
func (f *stackFlags) register(fl *pflag.FlagSet) {
	o := cloud.DefaultOptions()
	fl.StringVar(&f.class, "storage-class", string(o.Class), "storage class of archives: "+fmt.Sprint(tarn.Classes))
	fl.StringVar(&f.Prefix, "prefix", o.Prefix, "prefix of the repository in the bucket")
	fl.IntVar(&f.Users, "users", o.Users, "number of machines, each of which gets a user of its own")
	fl.IntVar(&f.LockDays, "object-lock", 0, "days for which no object can be deleted: by nobody in the mode compliance, by who may bypass it in governance")
	fl.StringVar(&f.mode, "object-lock-mode", strings.ToLower(o.LockMode), "governance, or compliance: then really nobody can, the account's owner neither")
	fl.BoolVar(&f.KMS, "kms", false, "encrypt the bucket with a KMS key of its own (about a dollar a month), which a stack keeps once it has it")
	fl.BoolVar(&f.AdminRole, "admin-role", false, "a role that may delete from the repository, with a second factor")
	fl.IntVar(&f.Budget, "budget", 0, "dollars of S3 a month before which AWS sends a warning (with --email)")
	fl.StringVar(&f.Email, "email", "", "where the warning goes")
}

// over returns the options with those of the flags that are given over them.
func (f *stackFlags) over(o cloud.Options, given func(name string) bool) (cloud.Options, error) {
	f.Class, f.LockMode = tarn.Class(f.class), strings.ToUpper(f.mode)
	for name, set := range map[string]func(){
		"storage-class": func() { o.Class = f.Class }, "prefix": func() { o.Prefix = f.Prefix }, "users": func() { o.Users = f.Users },
		"object-lock": func() { o.LockDays = f.LockDays }, "object-lock-mode": func() { o.LockMode = f.LockMode }, "kms": func() { o.KMS = f.KMS },
		"admin-role": func() { o.AdminRole = f.AdminRole }, "budget": func() { o.Budget = f.Budget }, "email": func() { o.Email = f.Email },
	} {
		if given(name) {
			set()
		}
	}
	if given("budget") && o.Budget == 0 && !given("email") {
		o.Email = "" // the alarm goes
	}
	return o, o.Check()
}

// check refuses values of flags that no stack can have, whatever else it has.
func (f *stackFlags) check(given func(name string) bool) error {
	alone := given("budget") != given("email") // the other one may be the stack's
	_, err := f.over(cloud.DefaultOptions(), func(name string) bool {
		return given(name) && !(alone && (name == "budget" || name == "email"))
	})
	return err
}

func newCloudTemplate(c *clouds) *cobra.Command {
	var f stackFlags
	var deployed bool
	cmd := &cobra.Command{
		Use:   "template",
		Short: "Print the CloudFormation template",
		Long: `template prints what ` + "`tarn cloud deploy`" + ` deploys: a private, versioned bucket that stays whatever becomes of the stack, takes TLS and new objects
only, and keeps what was deleted for as long as its class bills it anyway; and a user for each machine. It asks AWS for nothing,
unless --deployed is given: then it prints what the stack has now.` + "\n" + exitCodes,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if deployed {
				return c.deployedTemplate(cmd.Context())
			}
			o, err := f.over(cloud.DefaultOptions(), cmd.Flags().Changed)
			if err != nil {
				return err
			}
			text, err := o.Template()
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(c.stdout, text)
			return err
		},
	}
	f.register(cmd.Flags())
	cmd.Flags().BoolVar(&deployed, "deployed", false, "print the template that the stack has now")
	return cmd
}

func (c *clouds) deployedTemplate(ctx context.Context) error {
	a, err := c.account(ctx)
	if err != nil {
		return err
	}
	text, err := a.Template(ctx, c.stack)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.stdout, strings.TrimRight(text, "\n"))
	return err
}
