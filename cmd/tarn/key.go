package main

import (
	"context"
	"fmt"
	"os"
	"slices"
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
		doc := repositoryDoc(o.location, o.Repo)
		doc["recipients"] = recipientDocs(o.Recipients())
		return g.printJSON(doc)
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
			if len(args) == 0 && !passphrase {
				return fmt.Errorf("name a recipient (age1…, ssh-ed25519 …), or use --passphrase")
			}
			if err := checkRecipients(args); err != nil {
				return err
			}
			change := repo.Rekey{Add: args, Label: label}
			if passphrase {
				p, err := g.newPassphrase()
				if err != nil {
					return err
				}
				change.Passphrase = p
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
		var saved string
		// The new identity goes beside the old where this machine has that; a
		// repository whose identity lives only in its secret keeps it so.
		change.Save = func(id *age.X25519Identity, repository, fingerprint string) error {
			_, err := os.Stat(path)
			alone := len(o.Recipients())-len(change.Remove)+len(change.Add) <= 1 && change.Passphrase == ""
			if notExist(err) && !alone {
				return nil
			}
			saved = path
			return machine.SaveIdentity(path, id, repository, fingerprint, g.now().UTC().Format(time.RFC3339))
		}
		before := o.Recipients()
		after, err := o.Rekey(ctx, change)
		if err != nil {
			return err
		}
		return g.rekeyed(o, rekeyed{change: change, added: without(after, before), removed: without(before, after), now: after, saved: saved})
	})
}

// rekeyed is what a change of the recipients has done.
type rekeyed struct {
	change              repo.Rekey
	added, removed, now []repo.Recipient
	saved               string // the file of the new identity; empty if it is in the repository's secret alone
}

// without returns the recipients of list that are not in other.
func without(list, other []repo.Recipient) (only []repo.Recipient) {
	for _, r := range list {
		if !slices.ContainsFunc(other, func(o repo.Recipient) bool { return o.Recipient == r.Recipient }) {
			only = append(only, r)
		}
	}
	return only
}

// rekeyed tells the user what was changed, and what follows from it.
func (g *globals) rekeyed(o *opened, d rekeyed) error {
	renewed := d.change.New || len(d.change.Remove) > 0
	if g.json {
		doc := repositoryDoc(o.location, o.Repo)
		doc["added"], doc["removed"], doc["recipients"] = recipientDocs(d.added), recipientDocs(d.removed), recipientDocs(d.now)
		doc["renewed"], doc["identity_file"] = renewed, d.saved
		return g.printJSON(doc)
	}
	if !renewed {
		for _, r := range d.added {
			g.say("Added %s", nameOf(r))
		}
		g.say("Its identity reads the whole repository, also what is there already.")
		return nil
	}
	for _, r := range d.removed {
		if !r.Repository() {
			g.say("Removed %s", nameOf(r))
		}
	}
	if len(d.change.Remove) > 0 {
		g.say("Its identity keeps what it could read, and reads nothing that is written from now on.")
	} else {
		g.say("The repository has a new identity, to which everything is encrypted from now on.")
	}
	if d.saved != "" {
		g.say("The new identity is in %s: keep a copy of that file somewhere else.", d.saved)
	}
	return nil
}

// nameOf names a recipient for people.
func nameOf(r repo.Recipient) string {
	if r.Label == "" {
		return printable(r.Recipient)
	}
	return printable(r.Label) + ": " + printable(r.Recipient)
}

// repositoryDoc is what JSON says of the repository itself.
func repositoryDoc(location string, r *repo.Repo) map[string]any {
	return map[string]any{"repository": location, "id": r.Config.ID, "encryption": r.Config.Encryption, "key": r.Config.Key}
}

// recipientDoc is a recipient in JSON, without the secret of a passphrase.
type recipientDoc struct {
	Recipient  string    `json:"recipient"`
	Label      string    `json:"label"`
	Created    time.Time `json:"created"`
	Direct     bool      `json:"direct"`
	Passphrase bool      `json:"passphrase"`
}

func recipientDocs(list []repo.Recipient) []recipientDoc {
	docs := []recipientDoc{}
	for _, r := range list {
		docs = append(docs, recipientDoc{r.Recipient, r.Label, r.Created, r.Direct, r.Identity != ""})
	}
	return docs
}

// checkRecipients refuses what is no recipient, before anything is asked or made.
func checkRecipients(list []string) error {
	for _, text := range list {
		_, _, err := repo.ParseRecipient(text, nil)
		if err == nil {
			continue
		}
		if info, statErr := os.Stat(text); statErr == nil && !info.IsDir() {
			return hinted{err, fmt.Sprintf("That is a file. Give the public key that is in it: \"$(cat %s)\"", text)}
		}
		return err
	}
	return nil
}
