package repo

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/plugin"

	"github.com/tarn-backup/tarn"
)

// keysObject is keys/<id>.json (docs/format.md, "The repository's key and keys/").
// That of an unencrypted repository only keeps the text of tarn.json.
type keysObject struct {
	Format     int         `json:"format"`
	ID         tarn.KeysID `json:"id"`
	Created    time.Time   `json:"created"`
	Repository string      `json:"repository"`
	Config     string      `json:"config"` // the text of tarn.json
	Previous   tarn.KeysID `json:"previous,omitempty"`
	Recipients []Recipient `json:"recipients,omitempty"`
	Secret     string      `json:"secret,omitempty"`
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

// storedKeys is a keys object with its bytes up to the sum, whose MAC is over them.
type storedKeys struct {
	keysObject
	id     tarn.KeysID // in the name
	sealed []byte
}

// ErrKeysLost says that every keys object is missing or damaged, so that an
// identity finds nothing to open.
var ErrKeysLost = fmt.Errorf("every object in keys/ is missing or %w", tarn.ErrDamaged)

// warnKeys reports a keys object that is not used. Whoever can write to the
// storage can put one there, and it must not lock the owner out.
func (r *Repo) warnKeys(name string, err error) {
	what := "ignoring a keys object that is damaged (`tarn rebuild` stores it again)"
	switch {
	case errors.Is(err, ErrColdMetadata):
		what = "ignoring a keys object that has become cold"
	case errors.Is(err, ErrForeignKeys):
		what = "ignoring a keys object of another repository"
	case errors.Is(err, tarn.ErrNotAuthentic):
		what = "ignoring a keys object that somebody without the repository's key wrote"
	case !errors.Is(err, tarn.ErrDamaged):
		what = "ignoring a keys object that can't be used"
	}
	if _, said := r.warned.LoadOrStore(name, true); !said {
		r.log.Warn(what, "name", name, "error", err)
	}
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

// parseKeys reads a keys object as far as that needs no key.
func parseKeys(id tarn.KeysID, data []byte) (*storedKeys, error) {
	sealed, err := checkSum(data)
	if err != nil {
		return nil, err
	}
	k := &storedKeys{id: id, sealed: sealed}
	if err := json.Unmarshal(sealed, &k.keysObject); err != nil {
		return nil, fmt.Errorf("%w: %w", tarn.ErrDamaged, err)
	}
	return k, nil
}

// loadKeys reads a keys object. It returns nil for one that can't be used
// whatever the key is, after a warning. One at a time is held in memory, since
// anybody may have put many there.
func (r *Repo) loadKeys(ctx context.Context, id tarn.KeysID) (*storedKeys, error) {
	data, err := readSmall(ctx, r.storage, keysKey(id), maxKeys)
	var k *storedKeys
	if err == nil {
		k, err = parseKeys(id, data)
	}
	if err == nil {
		return k, nil
	}
	if Worthless(err) || Unverified(err) {
		if errors.Is(err, ErrColdMetadata) {
			r.coldKeys = err
		}
		r.warnKeys(keysKey(id), err)
		return nil, nil
	}
	return nil, err
}

// inForce returns the newest authentic keys object.
func (r *Repo) inForce(ctx context.Context, all []tarn.KeysID) (*storedKeys, error) {
	result := ErrKeysLost
	for _, id := range slices.Backward(all) {
		k, err := r.loadKeys(ctx, id)
		if err != nil {
			return nil, err
		} else if k == nil {
			continue
		}
		switch err := r.checkKeys(k); {
		case err == nil:
			return k, nil
		case errors.Is(err, ErrConfigChanged):
			return nil, err
		default:
			r.warnKeys(keysKey(id), err)
			result = fmt.Errorf("no object in keys/ is authentic: %w", tarn.ErrNotAuthentic)
		}
	}
	return nil, r.noKeys(result)
}

// noKeys is the error of a repository without keys that can be used. Cold ones
// are not lost, which says more.
func (r *Repo) noKeys(result error) error {
	if result == ErrKeysLost && r.coldKeys != nil {
		result = r.coldKeys
	}
	return fmt.Errorf("opening the keys of %s: %w", r.storage.Location(), result)
}

// ErrForeignKeys says that a keys object names another repository, as the one
// does that a killed init has left. It is never used, whoever wrote it.
var ErrForeignKeys = errors.New("keys of another repository")

// ErrConfigChanged says that an authentic keys object has another tarn.json
// than the repository was opened by. Of the two the keys object is right.
var ErrConfigChanged = fmt.Errorf("%s is not what it was made as: %w", configName, tarn.ErrNotAuthentic)

// checkKeys refuses a keys object that was not written for this repository by
// a holder of its key.
func (r *Repo) checkKeys(k *storedKeys) error {
	if k.Repository != r.Config.ID {
		return fmt.Errorf("%w: %w", ErrForeignKeys, tarn.ErrNotAuthentic)
	}
	if err := checkSeal(r.key, labelKeys, k.sealed); err != nil {
		return err
	}
	if k.ID != k.id {
		return fmt.Errorf("it was written under another name: %w", tarn.ErrNotAuthentic)
	}
	if k.Config != r.config {
		return ErrConfigChanged
	}
	return nil
}

// makeKeys builds a keys object: the repository identities are ids, newest
// first, and the secret is encrypted to all recipients. Without recipients, of
// an unencrypted repository, there is none.
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
	if len(to) == 0 {
		// Nothing is secret.
	} else if k.Secret, err = armored(plain, to...); err != nil {
		if missing, ok := errors.AsType[*plugin.NotFoundError](err); ok { // without the layers around it
			err = &plugin.NotFoundError{Name: missing.Name, Err: exec.ErrNotFound}
		}
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
		err = misfit(err, given)
	}
	if errors.Is(err, tarn.ErrNoIdentity) {
		switch id, asked := k.askPassphrase(ui); {
		case asked == nil:
			plain, err = unarmored(k.Secret, id)
		case asked != tarn.ErrNoIdentity: // which says less than err
			err = asked
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

// misfit says what it means that the given identities don't open a secret: they
// are others', or one of those that ask a plugin or a person has failed. Else the
// secret is no good.
func misfit(err error, given []age.Identity) error {
	switch {
	case err == nil:
		return nil
	case noMatch(err) && len(given) == 1:
		return fmt.Errorf("%w: the one at hand is not one of its", tarn.ErrNoIdentity)
	case noMatch(err):
		return fmt.Errorf("%w: none of the %d at hand is one of its", tarn.ErrNoIdentity, len(given))
	}
	for _, id := range given {
		if _, native := id.(*age.X25519Identity); !native {
			return fmt.Errorf("%w: one at hand can't be used: %w", tarn.ErrNoIdentity, err)
		}
	}
	return err
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
