package repo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"filippo.io/age"

	"github.com/tarn-backup/tarn"
)

// Recipients returns the recipients in force, the repository identity's first;
// nil if the repository is not encrypted.
func (r *Repo) Recipients() []Recipient {
	if r.keys == nil {
		return nil
	}
	return slices.Clone(r.keys.Recipients)
}

// Rekey is a change of the recipients. Objects that are stored are not
// touched: a recipient that is added reads them through the secret, one that is
// removed could read them before, and has what it copied.
type Rekey struct {
	Add        []string // recipients
	Passphrase string   // a recipient to add, if not empty
	Label      string   // of what is added
	Remove     []string // recipients
	// Save keeps a new repository identity where the user will find it. A
	// removal makes one, since whoever is removed knows the old one.
	New  bool
	Save func(id *age.X25519Identity, repository, fingerprint string) error
}

// Rekey writes a newer keys object, on the ground of the one that is in force
// by now, whoever wrote it. It needs an identity. The repository that is open
// goes on encrypting to the recipients that it was opened with; those in force
// from now on are returned.
func (r *Repo) Rekey(ctx context.Context, change Rekey) ([]Recipient, error) {
	if !r.Encrypted() {
		return nil, fmt.Errorf("changing the recipients of %s: it is not encrypted", r.storage.Location())
	}
	if err := r.Writable(); err != nil {
		return nil, err
	}
	latest, ids, err := r.latestKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("changing the recipients: %w", err)
	}
	lines := slices.Clone(latest.Recipients)
	if lines, err = r.removeRecipients(lines, change.Remove); err != nil {
		return nil, err
	}
	if lines, err = r.addRecipients(lines, change); err != nil {
		return nil, err
	}
	if change.New || len(change.Remove) > 0 {
		if lines, ids, err = r.renew(lines, ids, change); err != nil {
			return nil, err
		}
	}
	k := keysObject{Repository: r.Config.ID, Config: r.config, Previous: latest.ID, Recipients: lines}
	now := r.now()
	// The newer object has the greater id, whatever the clock says, and a later
	// time than each copy of the older.
	if least := latest.ID.Time().Add(time.Second); now.Before(least) {
		now = least
	}
	if k, err = makeKeys(k, r.key, ids, r.ui, now); err != nil {
		return nil, err
	}
	if err := putKeys(ctx, r.storage, r.key, k); err != nil {
		return nil, err
	}
	return lines, nil
}

// latestKeys returns the keys object in force and the identities in it.
func (r *Repo) latestKeys(ctx context.Context) (*storedKeys, []*age.X25519Identity, error) {
	all, err := r.listKeys(ctx)
	if err != nil {
		return nil, nil, err
	}
	latest, err := r.inForce(ctx, all)
	if err != nil {
		return nil, nil, err
	}
	if latest.id == r.keys.id {
		ids, err := r.identities()
		return latest, ids, err
	}
	ids, err := r.openSecret(latest)
	return latest, ids, err
}

func (r *Repo) removeRecipients(lines []Recipient, remove []string) ([]Recipient, error) {
	for _, text := range remove {
		i := slices.IndexFunc(lines, func(l Recipient) bool { return l.Recipient == text || l.Label == text })
		if i < 0 {
			return nil, fmt.Errorf("removing the recipient %.80q: it is not one (see `tarn key list`)", text)
		}
		if lines[i].Label == labelRepository {
			return nil, fmt.Errorf("removing the recipient %.80q: it is that of the repository's own identity (`tarn key new` replaces it)", text)
		}
		lines = slices.Delete(lines, i, i+1)
	}
	return lines, nil
}

func (r *Repo) addRecipients(lines []Recipient, change Rekey) ([]Recipient, error) {
	if change.Label == labelRepository {
		return nil, fmt.Errorf("adding recipients: the label %q is that of the repository's own identity", change.Label)
	}
	now := r.now().UTC()
	for _, text := range change.Add {
		_, direct, err := ParseRecipient(text, r.ui.plugin())
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(lines, func(l Recipient) bool { return l.Recipient == text }) {
			return nil, fmt.Errorf("adding the recipient %.80q: it is one already", text)
		}
		lines = append(lines, Recipient{Recipient: text, Direct: direct, Label: change.Label, Created: now})
	}
	if change.Passphrase != "" {
		label := change.Label
		if label == "" {
			label = "passphrase"
		}
		line, err := newPassphrase(change.Passphrase, label, now)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// renew makes a new repository identity and puts it in the place of the old.
func (r *Repo) renew(lines []Recipient, ids []*age.X25519Identity, change Rekey) ([]Recipient, []*age.X25519Identity, error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, nil, err
	}
	if err := change.Save(id, r.Config.ID, r.Config.Key); err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(lines, func(l Recipient) bool { return l.Label == labelRepository })
	if i < 0 {
		return nil, nil, fmt.Errorf("keys have no repository identity: %w", tarn.ErrDamaged)
	}
	lines[i] = Recipient{Recipient: id.Recipient().String(), Direct: true, Label: labelRepository, Created: r.now().UTC()}
	return lines, append([]*age.X25519Identity{id}, ids...), nil
}
