package repo

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/tarn-backup/tarn"
)

// keysObject is keys/<id>.json (docs/format.md, "The repository's key and keys/").
type keysObject struct {
	Format     int         `json:"format"`
	ID         tarn.KeysID `json:"id"`
	Created    time.Time   `json:"created"`
	Repository string      `json:"repository"`
	Config     string      `json:"config"`
	Previous   tarn.KeysID `json:"previous,omitempty"`
	Recipients []Recipient `json:"recipients"`
	Secret     string      `json:"secret"`
}

// secret is the plaintext of a keys object's secret.
type secret struct {
	Key        string   `json:"key"`
	Identities []string `json:"identities"`
}

func newSecret(key Key, ids []*age.X25519Identity) secret {
	s := secret{Key: base64.StdEncoding.EncodeToString(key[:])}
	for _, id := range ids {
		s.Identities = append(s.Identities, id.String())
	}
	return s
}

func (s *secret) open() (key Key, ids []*age.X25519Identity, err error) {
	b, err := base64.StdEncoding.DecodeString(s.Key)
	if err != nil || len(b) != len(key) {
		return key, nil, fmt.Errorf("key in the secret: want 32 bytes: %w", tarn.ErrDamaged)
	}
	copy(key[:], b)
	for _, text := range s.Identities {
		id, err := age.ParseX25519Identity(text)
		if err != nil { // whose text is a secret, and age's error may repeat it
			return key, nil, fmt.Errorf("identity in the secret: malformed: %w", tarn.ErrDamaged)
		}
		ids = append(ids, id)
	}
	return key, ids, nil
}

// storedKeys is a keys object with its bytes, whose MAC is over them.
type storedKeys struct {
	keysObject
	id   tarn.KeysID // in the name
	data []byte
}

// warnKeys reports a keys object that is not used. Whoever can write to the
// storage can put one there, and it must not lock the owner out.
func (r *Repo) warnKeys(name string, err error) {
	r.log.Warn("ignoring a keys object that is not authentic", "name", name, "error", err)
}

// listKeys lists the keys objects, oldest first.
func (r *Repo) listKeys(ctx context.Context) ([]tarn.KeysID, error) {
	var all []tarn.KeysID
	for obj, err := range r.storage.List(ctx, keysPrefix) {
		if err != nil {
			return nil, fmt.Errorf("listing keys: %w", err)
		}
		name, ok := strings.CutSuffix(strings.TrimPrefix(obj.Key, keysPrefix), ".json")
		id, err := tarn.ParseKeysID(name)
		if !ok || err != nil {
			r.warnKeys(obj.Key, fmt.Errorf("not the name of a keys object: %w", fs.ErrInvalid))
			continue
		}
		all = append(all, id)
	}
	return all, nil
}

// loadKeys reads a keys object. It returns nil for one that can't be used
// whatever the key is, after a warning. One at a time is held in memory, since
// anybody may have put many there.
func (r *Repo) loadKeys(ctx context.Context, id tarn.KeysID) (*storedKeys, error) {
	data, err := readSmall(ctx, r.storage, keysKey(id), maxKeys)
	k := &storedKeys{id: id, data: data}
	if err == nil {
		if err = json.Unmarshal(data, &k.keysObject); err == nil {
			return k, nil
		}
		err = fmt.Errorf("%w: %w", tarn.ErrDamaged, err)
	}
	for _, lost := range []error{tarn.ErrDamaged, tarn.ErrCold, tarn.ErrThawing, fs.ErrNotExist} {
		if errors.Is(err, lost) {
			r.warnKeys(keysKey(id), err)
			return nil, nil
		}
	}
	return nil, err
}

// inForce returns the newest authentic keys object.
func (r *Repo) inForce(ctx context.Context, all []tarn.KeysID) (*storedKeys, error) {
	for _, id := range slices.Backward(all) {
		k, err := r.loadKeys(ctx, id)
		if err != nil {
			return nil, err
		} else if k == nil {
			continue
		}
		if err := r.checkKeys(k); err != nil {
			r.warnKeys(keysKey(id), err)
			continue
		}
		return k, nil
	}
	return nil, fmt.Errorf("no keys object of %s is authentic: %w", r.storage.Location(), tarn.ErrNotAuthentic)
}

// ErrForeignKeys says that a keys object names another repository, as the one
// does that a killed init has left. It is never used, whoever wrote it.
var ErrForeignKeys = errors.New("keys of another repository")

// checkKeys refuses a keys object that was not written for this repository by
// a holder of its key.
func (r *Repo) checkKeys(k *storedKeys) error {
	if k.Repository != r.Config.ID {
		return fmt.Errorf("%w: %w", ErrForeignKeys, tarn.ErrNotAuthentic)
	}
	if err := checkSeal(r.key, labelKeys, k.data); err != nil {
		return err
	}
	if k.ID != k.id || k.Config != r.config {
		return fmt.Errorf("it was written for another name or configuration: %w", tarn.ErrNotAuthentic)
	}
	return nil
}

// makeKeys builds a keys object: the repository identities are ids, newest
// first, and the secret is encrypted to all recipients.
func makeKeys(k keysObject, key Key, ids []*age.X25519Identity, ui *UI, now time.Time) (keysObject, error) {
	var to []age.Recipient
	for _, line := range k.Recipients {
		rec, _, err := ParseRecipient(line.Recipient, ui.plugin())
		if err != nil {
			return k, err
		}
		to = append(to, rec)
	}
	plain, err := json.Marshal(newSecret(key, ids))
	if err != nil {
		return k, err
	}
	if k.Secret, err = armored(plain, to...); err != nil {
		return k, fmt.Errorf("encrypting the repository's key to its recipients: %w", err)
	}
	var random [8]byte
	rand.Read(random[:])
	k.Format, k.Created = Format, now.UTC()
	k.ID, err = tarn.ParseKeysID(tarn.FormatID(now, random)) // an error beyond the year 9999
	return k, err
}

// direct returns the recipients that objects are encrypted to.
func (k *keysObject) direct() ([]age.Recipient, error) {
	var to []age.Recipient
	for _, line := range k.Recipients {
		if !line.Direct {
			continue
		}
		rec, _, err := ParseRecipient(line.Recipient, nil)
		if err != nil {
			return nil, err
		}
		to = append(to, rec)
	}
	if len(to) == 0 {
		return nil, fmt.Errorf("no direct recipient in the keys: %w", tarn.ErrDamaged)
	}
	return to, nil
}

// openSecret decrypts the secret by the given identities, and if none fits and
// there are recipients with a passphrase, by asking for it.
func (k *keysObject) openSecret(given []age.Identity, ui *UI) (Key, []*age.X25519Identity, error) {
	err := error(tarn.ErrNoIdentity)
	var plain []byte
	if len(given) > 0 {
		plain, err = unarmored(k.Secret, given...)
	}
	if err != nil && noMatch(err) {
		var id age.Identity
		if id, err = k.askPassphrase(ui); err == nil {
			plain, err = unarmored(k.Secret, id)
		}
	}
	if err != nil {
		if noMatch(err) && !errors.Is(err, tarn.ErrNoIdentity) {
			err = tarn.ErrNoIdentity
		}
		return Key{}, nil, err
	}
	var s secret
	if err := json.Unmarshal(plain, &s); err != nil {
		return Key{}, nil, fmt.Errorf("secret of the keys: malformed: %w", tarn.ErrDamaged)
	}
	return s.open()
}

// askPassphrase returns an identity that a passphrase opens; without one, an
// error that wraps tarn.ErrNoIdentity.
func (k *keysObject) askPassphrase(ui *UI) (age.Identity, error) {
	if ui == nil || ui.Passphrase == nil || !slices.ContainsFunc(k.Recipients, func(r Recipient) bool { return r.Identity != "" }) {
		return nil, tarn.ErrNoIdentity
	}
	passphrase, err := ui.Passphrase()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", tarn.ErrNoIdentity, err)
	}
	for _, r := range k.Recipients {
		if r.Identity == "" {
			continue
		}
		if id, err := openPassphrase(r, passphrase); err == nil {
			return id, nil
		}
	}
	return nil, fmt.Errorf("%w: the passphrase is not one of its", tarn.ErrNoIdentity)
}
