package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/machine"
	"github.com/tarn-backup/tarn/internal/repo"
)

// initFlags say what a new repository is.
type initFlags struct {
	plain        bool
	recipients   []string
	passphrase   bool
	identityFile string
	class        string
	compression  string
}

func newInit(g *globals) *cobra.Command {
	var f initFlags
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a repository",
		Long: `init makes a repository, which must not be there yet. Unless told otherwise it is encrypted to a new age identity, which is
saved in your configuration folder.` + "\n" + exitCodes,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dirs, location, err := g.where()
			if err != nil {
				return err
			}
			o, err := g.create(cmd.Context(), dirs, location, f)
			if err != nil {
				return err
			}
			return o.Close()
		},
	}
	cmd.Flags().BoolVar(&f.plain, "no-encryption", false, "do not encrypt: whoever reads the storage reads the files")
	cmd.Flags().StringArrayVar(&f.recipients, "recipient", nil, "encrypt to this age or SSH recipient instead of a new identity (repeatable)")
	cmd.Flags().BoolVar(&f.passphrase, "passphrase", false, "encrypt to a passphrase, which is asked for (or TARN_PASSPHRASE)")
	cmd.Flags().StringVar(&f.identityFile, "identity-file", "", "where to save the new identity (default: in the configuration folder)")
	cmd.Flags().StringVar(&f.class, "storage-class", string(tarn.Standard), "storage class of archives: "+fmt.Sprint(tarn.Classes))
	cmd.Flags().StringVar(&f.compression, "compression", archive.Auto.String(), "default compression: fastest, default, better, best, or auto: as hard as a run leaves time for")
	return cmd
}

// create makes a repository and opens it.
func (g *globals) create(ctx context.Context, dirs machine.Dirs, location string, f initFlags) (*opened, error) {
	class, err := tarn.ParseClass(f.class)
	if err != nil {
		return nil, err
	}
	if _, err := archive.ParseLevel(f.compression); err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	if err := g.checkIdentities(); err != nil {
		return nil, err
	}
	opts := repo.CreateOptions{
		Encrypt: !f.plain, Recipients: f.recipients, StorageClass: class, Compression: f.compression, Options: g.options(dirs),
	}
	if f.passphrase {
		if opts.Passphrase, err = g.newPassphrase(); err != nil {
			return nil, err
		}
	}
	var saved string
	opts.SaveIdentity = func(id *age.X25519Identity, repository, fingerprint string) error {
		saved = f.identityFile
		if saved == "" {
			saved = dirs.Identity(repository)
		}
		return machine.SaveIdentity(saved, id, repository, fingerprint, g.now().UTC().Format(time.RFC3339))
	}
	s, err := g.storage(ctx, location, true)
	if err != nil {
		return nil, err
	}
	r, err := repo.Create(ctx, s, opts)
	if errors.Is(err, fs.ErrExist) {
		return nil, hinted{err, "It is left as it is. Use it, or name another place with --repo."}
	} else if errors.Is(err, repo.ErrConfigLost) {
		return nil, fmt.Errorf("making a repository in %s: %w", location, err)
	} else if err != nil {
		return nil, err
	}
	files, err := catalog.OpenFiles(dirs.Catalog(r.Config.ID))
	if err != nil {
		return nil, err
	}
	r.UseCache(files)
	contents, err := catalog.OpenContents(filepath.Join(dirs.Catalog(r.Config.ID), "contents"))
	if err != nil {
		return nil, err
	}
	g.created(location, r, saved)
	return &opened{r, dirs, location, contents}, g.remember(dirs, location, r, nil)
}

// check refuses what can't be done, before anything is made.
func (f initFlags) check() error {
	others := len(f.recipients) > 0 || f.passphrase
	switch {
	case f.plain && others:
		return errors.New("--no-encryption does not go with --recipient or --passphrase")
	case f.identityFile != "" && (f.plain || others):
		return errors.New("--identity-file is for the new identity, which is made without --recipient, --passphrase and --no-encryption only")
	case f.identityFile != "":
		if err := machine.CheckIdentityFile(f.identityFile); err != nil {
			return hinted{fmt.Errorf("--identity-file: %w", err), "Name a file that is not there yet, or one with age identities."}
		}
	}
	if err := checkRecipients(f.recipients); err != nil {
		return hinted{fmt.Errorf("--recipient: %w", err), hintFor(err)}
	}
	return nil
}

// created tells the user what was made, and what losing the identity means.
func (g *globals) created(location string, r *repo.Repo, identity string) {
	if g.json {
		doc := repositoryDoc(location, r)
		doc["type"], doc["identity_file"], doc["recipients"] = "repository", identity, recipientDocs(r.Recipients())
		g.printJSON(doc)
		return
	}
	if g.quiet {
		return
	}
	fmt.Fprintf(g.stdout, "Made the repository %s\n", location)
	switch {
	case !r.Encrypted():
		fmt.Fprintln(g.stdout, "It is NOT encrypted: whoever can read the storage can read your files.")
	case identity != "":
		fmt.Fprintf(g.stdout, `It is encrypted. The identity that decrypts it is in
    %s
Keep a copy of that file somewhere else: on paper, in a password manager. If this machine is lost and
the file with it, nobody can read the backup any more, you included. Whoever has it can read everything.
`, identity)
	default:
		fmt.Fprintf(g.stdout, "It is encrypted to the recipients that you named; only their identities read it.\nIts key is %s: a machine that opens it first should show the same.\n", r.Config.Key[:16])
	}
}

// newPassphrase asks for a new passphrase twice.
func (g *globals) newPassphrase() (string, error) {
	if g.password == nil {
		if p := g.getenv("TARN_PASSPHRASE"); p != "" {
			return p, nil
		}
		return "", errors.New("there is no terminal to ask for a passphrase: set TARN_PASSPHRASE")
	}
	a, err := g.password("New passphrase: ")
	if err != nil {
		return "", err
	}
	b, err := g.password("Once more: ")
	if err != nil {
		return "", err
	}
	if string(a) != string(b) {
		return "", errors.New("the two passphrases are not the same")
	}
	if len(a) == 0 {
		return "", errors.New("an empty passphrase protects nothing")
	}
	return string(a), nil
}
