package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn/internal/machine"
	"github.com/tarn-backup/tarn/internal/repo"
)

func newKey(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Show and change who can read the repository",
		Long: `A recipient is a public key: age1…, ssh-ed25519 …, ssh-rsa …, an age plugin's, or a passphrase. Whoever has its identity
reads the repository. Changes write a new object in keys/, nothing is encrypted again: a recipient that is added reads what is
there already; one that is removed keeps what it could read, and reads nothing that is written after.` + "\n" + exitCodes,
	}
	cmd.AddCommand(newKeyList(g), newKeyAdd(g), newKeyRemove(g), newKeyNew(g))
	return cmd
}

func newKeyList(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the recipients", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.with(cmd.Context(), g.listKeys)
		},
	}
}

func (g *globals) listKeys(o *opened) error {
	if g.json {
		for _, r := range o.Recipients() {
			r.Identity = "" // long, and of no use here
			if err := g.printJSON(r); err != nil {
				return err
			}
		}
		return nil
	}
	if !o.Encrypted() {
		g.say("The repository is not encrypted.")
		return nil
	}
	g.say("key %s", o.Config.Key)
	w := tabwriter.NewWriter(g.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LABEL\tADDED\tRECIPIENT")
	for _, r := range o.Recipients() {
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.Label, formatTime(r.Created), r.Recipient)
	}
	return w.Flush()
}

func newKeyAdd(g *globals) *cobra.Command {
	var passphrase bool
	var label string
	cmd := &cobra.Command{
		Use: "add [RECIPIENT]...", Short: "Add recipients", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			change := repo.Rekey{Add: args, Label: label}
			if passphrase {
				p, err := g.newPassphrase()
				if err != nil {
					return err
				}
				change.Passphrase = p
			}
			if len(args) == 0 && !passphrase {
				return fmt.Errorf("name a recipient (age1…, ssh-ed25519 …), or use --passphrase")
			}
			return g.rekey(cmd.Context(), change)
		},
	}
	cmd.Flags().BoolVar(&passphrase, "passphrase", false, "add a passphrase, which is asked for (or TARN_PASSPHRASE)")
	cmd.Flags().StringVar(&label, "label", "", "label of what is added")
	return cmd
}

func newKeyRemove(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "remove RECIPIENT|LABEL...", Short: "Remove recipients, and renew the repository's identity", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.rekey(cmd.Context(), repo.Rekey{Remove: args})
		},
	}
}

func newKeyNew(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "new", Short: "Renew the repository's identity", Args: cobra.NoArgs,
		Long: `new makes a new repository identity, to which everything is encrypted from now on. Use it when the old one may have been seen.
What was written before stays readable with the old one.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.rekey(cmd.Context(), repo.Rekey{New: true})
		},
	}
}

func (g *globals) rekey(ctx context.Context, change repo.Rekey) error {
	return g.with(ctx, func(o *opened) error {
		path := o.dirs.Identity(o.Config.ID)
		// The new identity goes beside the old where this machine has that; a
		// repository whose identity lives only in its secret keeps it so.
		change.Save = func(id *age.X25519Identity, repository, fingerprint string) error {
			_, err := os.Stat(path)
			alone := len(o.Recipients())-len(change.Remove)+len(change.Add) <= 1 && change.Passphrase == ""
			if notExist(err) && !alone {
				return nil
			}
			if err := machine.SaveIdentity(path, id, repository, fingerprint, g.now().UTC().Format(time.RFC3339)); err != nil {
				return err
			}
			g.say("The new identity is in %s: keep a copy of that file somewhere else.", path)
			return nil
		}
		if err := o.Rekey(ctx, change); err != nil {
			return err
		}
		g.say("The recipients are changed, for everything that is written from now on.")
		return nil
	})
}
