package repo

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"filippo.io/age/plugin"

	"github.com/tarn-backup/tarn"
)

// Recipient is one line of the list of recipients in a keys object.
type Recipient struct {
	Recipient string    `json:"recipient"`
	Direct    bool      `json:"direct,omitempty"`
	Label     string    `json:"label,omitempty"`
	Created   time.Time `json:"created"`
	// Identity is the recipient's secret, encrypted to a passphrase.
	Identity string `json:"identity,omitempty"`
}

// labelRepository marks the recipient of the repository identity.
const labelRepository = "repository"

// Repository reports whether r is that of the repository's own identity.
func (r Recipient) Repository() bool { return r.Label == labelRepository }

// ParseRecipient reads an age recipient: age1… (X25519), ssh-ed25519 …,
// ssh-rsa …, or age1<plugin>1…, for which ui is asked. Its errors repeat no secret.
func ParseRecipient(s string, ui *plugin.ClientUI) (r age.Recipient, direct bool, err error) {
	reason := ""
	switch {
	case strings.HasPrefix(strings.ToUpper(strings.TrimSpace(s)), "AGE-"):
		return nil, false, errors.New("recipient AGE-…: that is an identity, a secret; want its public key (age-keygen -y shows it)")
	case strings.Contains(s, "PRIVATE KEY"):
		return nil, false, errors.New("recipient: that is a private key, a secret; want its public key (ssh-keygen -y shows it)")
	case strings.HasPrefix(s, "ssh-"):
		r, err = agessh.ParseRecipient(s)
		direct, reason = true, "it is cut, or of a kind or size that age does not encrypt to: "
	case strings.HasPrefix(s, "age1") && strings.Count(s, "1") > 1 && !isX25519(s):
		r, err = plugin.NewRecipient(s, ui)
		reason = "it is mistyped or cut: "
	default:
		r, err = age.ParseX25519Recipient(s)
		direct = true
		if strings.HasPrefix(s, "age1") {
			reason = "it is mistyped or cut: "
		}
	}
	if err != nil { // in words for whoever wrote a codec
		return nil, false, fmt.Errorf("recipient %.80q: %swant age1…, ssh-ed25519 …, ssh-rsa … or a plugin's recipient", s, reason)
	}
	return r, direct, nil
}

func isX25519(s string) bool {
	_, err := age.ParseX25519Recipient(s)
	return err == nil
}

// newPassphrase makes the recipient of a passphrase: a fresh X25519 identity
// that is encrypted to it.
func newPassphrase(passphrase, label string, now time.Time) (Recipient, error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return Recipient{}, err
	}
	scrypt, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return Recipient{}, err
	}
	sealed, err := armored([]byte(id.String()+"\n"), scrypt)
	return Recipient{Recipient: id.Recipient().String(), Direct: true, Label: label, Created: now, Identity: sealed}, err
}

// openPassphrase gives the identity of a recipient that newPassphrase made.
func openPassphrase(r Recipient, passphrase string) (*age.X25519Identity, error) {
	scrypt, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	scrypt.SetMaxWorkFactor(20) // a planted one shall not take minutes
	plain, err := unarmored(r.Identity, scrypt)
	if err != nil {
		return nil, err
	}
	return age.ParseX25519Identity(strings.TrimSpace(string(plain)))
}

// armored encrypts a small text.
func armored(plain []byte, to ...age.Recipient) (string, error) {
	var buf bytes.Buffer
	a := armor.NewWriter(&buf)
	w, err := age.Encrypt(a, to...)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(plain); err != nil {
		return "", err
	}
	if err := errors.Join(w.Close(), a.Close()); err != nil {
		return "", err
	}
	return buf.String(), nil
}

func unarmored(s string, ids ...age.Identity) ([]byte, error) {
	plain, err := age.Decrypt(armor.NewReader(strings.NewReader(s)), ids...)
	if err != nil {
		return nil, err
	}
	return readLimited(plain, maxKeys)
}

// noMatch reports whether err says that no identity fits.
func noMatch(err error) bool {
	return errors.As(err, new(*age.NoIdentityMatchError)) || errors.Is(err, tarn.ErrNoIdentity)
}
