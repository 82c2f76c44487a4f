package repo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"filippo.io/age"
	"filippo.io/age/plugin"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// UI is how a repository asks the person at the terminal. Each field may be
// nil; then what needs it is an error.
type UI struct {
	// Passphrase asks for the passphrase of a recipient.
	Passphrase func() (string, error)
	// Plugin answers age plugins.
	Plugin *plugin.ClientUI
}

func (u *UI) plugin() *plugin.ClientUI {
	if u == nil || u.Plugin == nil {
		return &plugin.ClientUI{}
	}
	return u.Plugin
}

// once asks for the passphrase at most once: copies of the keys have the same.
func (u *UI) once() *UI {
	if u == nil || u.Passphrase == nil {
		return u
	}
	return &UI{Passphrase: sync.OnceValues(u.Passphrase), Plugin: u.Plugin}
}

// Known is what this machine remembers of a repository that it has seen.
type Known struct {
	ID  string // of tarn.json
	Key Key    // zero if it is not encrypted
}

// Options say how a repository is opened.
type Options struct {
	// Identities gives the identities at hand; it is called at most once, and
	// only when something has to be decrypted.
	Identities func() ([]age.Identity, error)
	// Fingerprint, if not nil, gives what an identity file says of the key of
	// the repository with that id; "" if unknown.
	Fingerprint func(repository string) string
	Known       *Known // nil if this machine has not seen the repository
	UI          *UI
	Cache       Cache
	Log         *slog.Logger
	Now         func() time.Time

	warned *sync.Map
}

// Repo is an open repository. Its methods may be called at the same time.
type Repo struct {
	Config     Config
	storage    storage.Storage
	cache      Cache
	log        *slog.Logger
	now        func() time.Time
	key        Key
	keys       *storedKeys // in force; nil if not encrypted
	config     string      // the text of tarn.json
	lost       error       // what is wrong with tarn.json, if it was opened by a copy
	warned     *sync.Map   // keys objects by name, that were warned of
	coldKeys   error       // that of a keys object which has become cold, if there is one
	recipients []age.Recipient
	ui         *UI
	given      func() ([]age.Identity, error) // of Options, once
	identities func() ([]*age.X25519Identity, error)
}

func newRepo(s storage.Storage, cfg Config, data []byte, opts Options) *Repo {
	r := &Repo{Config: cfg, storage: s, cache: opts.Cache, log: opts.Log, now: opts.Now, config: string(data), ui: opts.UI, warned: opts.warned}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.warned == nil {
		r.warned = new(sync.Map)
	}
	if r.now == nil {
		r.now = time.Now
	}
	if r.cache == nil {
		r.cache = &memoryCache{}
	}
	return r
}

// unlock finds the key, and with it the keys object in force.
func (r *Repo) unlock(ctx context.Context, opts Options) error {
	all, err := r.listKeys(ctx)
	if err != nil {
		return err
	}
	r.given = opts.Identities
	var opened *storedKeys
	var ids []*age.X25519Identity
	if opts.Known != nil {
		r.key = opts.Known.Key
	} else if opened, ids, err = r.findKey(ctx, all); err != nil {
		return err
	}
	if r.keys, err = r.inForce(ctx, all); err != nil {
		return err
	}
	if r.recipients, err = r.keys.direct(); err != nil {
		return err
	}
	r.identities = sync.OnceValues(func() ([]*age.X25519Identity, error) {
		if opened != nil && opened.Secret == r.keys.Secret {
			return ids, nil // one question for a passphrase is enough
		}
		return r.openSecret(r.keys)
	})
	return nil
}

// openSecret gives the repository identities in a keys object.
func (r *Repo) openSecret(k *storedKeys) ([]*age.X25519Identity, error) {
	list, err := r.given()
	if err != nil {
		return nil, err
	}
	_, ids, err := k.openSecret(list, r.ui)
	return ids, err
}

// findKey opens the secret of a keys object by an identity, and sets r.key. A
// planted one gives a key of another fingerprint than tarn.json names.
func (r *Repo) findKey(ctx context.Context, all []tarn.KeysID) (*storedKeys, []*age.X25519Identity, error) {
	list, err := r.given()
	if err != nil {
		return nil, nil, err
	}
	result := ErrKeysLost
	for _, id := range slices.Backward(all) {
		k, err := r.loadKeys(ctx, id)
		if err != nil {
			return nil, nil, err
		} else if k == nil || k.Repository != r.Config.ID { // as a killed init leaves one
			continue
		}
		key, ids, err := k.openSecret(list, r.ui)
		switch {
		case err == nil && key.Fingerprint() == r.Config.Key:
			r.key = key
			return k, ids, nil
		case err == nil:
			r.warnKeys(keysKey(id), fmt.Errorf("its key is not that of %s: %w", configName, tarn.ErrNotAuthentic))
			result = tarn.ErrNotAuthentic
		case errors.Is(err, tarn.ErrNoIdentity):
			if result == ErrKeysLost { // of the newest, which says more
				result = err
			}
		default:
			r.warnKeys(keysKey(id), err)
		}
	}
	return nil, nil, r.noKeys(result)
}

// Encrypted reports whether the repository is encrypted.
func (r *Repo) Encrypted() bool { return r.Config.Encryption == "age" }

// Storage returns where the repository lives.
func (r *Repo) Storage() storage.Storage { return r.storage }

// Known returns what the machine should remember of the repository.
func (r *Repo) Known() Known {
	return Known{ID: r.Config.ID, Key: r.key}
}

// ObjectRecipients returns what archives are encrypted to; nil if they are not.
func (r *Repo) ObjectRecipients() []age.Recipient { return r.recipients }

// Identities returns what decrypts the repository's objects, opening the
// secret on the first call: tarn.ErrNoIdentity if no identity fits, nil if the repository
// is not encrypted.
func (r *Repo) Identities() ([]age.Identity, error) {
	if !r.Encrypted() {
		return nil, nil
	}
	ids, err := r.identities()
	if err != nil {
		return nil, err
	}
	list := make([]age.Identity, len(ids))
	for i, id := range ids {
		list[i] = id
	}
	return list, nil
}

// UseCache sets the cache of a repository that was just made, whose id names
// the cache.
func (r *Repo) UseCache(c Cache) { r.cache = c }
