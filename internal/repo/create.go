package repo

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"filippo.io/age"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

//go:embed RECOVERY.txt
var recoveryText []byte

// CreateOptions say what a new repository is.
type CreateOptions struct {
	Encrypt      bool
	Recipients   []string // age recipients; none means that the repository identity is the user's
	Passphrase   string   // an additional recipient, if not empty
	Compression  string
	StorageClass tarn.Class
	// SaveIdentity keeps the repository identity where the user will find it,
	// before anything is encrypted to it. It is called if neither Recipients
	// nor a Passphrase is given.
	SaveIdentity func(id *age.X25519Identity, repository, fingerprint string) error
	Options      // Cache, Log, Now and UI of the repository that is returned
}

// ErrConfigLost says that there are objects of a repository, and no tarn.json
// that goes with them.
var ErrConfigLost = errors.New(configName + " is lost")

// Create makes a repository in s, which must not hold one (fs.ErrExist), nor
// what is left of one (ErrConfigLost). tarn.json comes last, so that a killed
// Create leaves no repository.
func Create(ctx context.Context, s storage.Storage, opts CreateOptions) (*Repo, error) {
	if _, err := s.Stat(ctx, configName); err == nil {
		return nil, fmt.Errorf("%s holds a repository already: %w", s.Location(), fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("looking for a repository in %s: %w", s.Location(), err)
	}
	if left, err := leftover(ctx, s); err != nil {
		return nil, err
	} else if left != "" {
		return nil, fmt.Errorf("%w: %s is there without it", ErrConfigLost, left)
	}
	now := time.Now
	if opts.Now != nil {
		now = opts.Now
	}
	cfg := Config{
		Format: Format, ID: newID(), Created: now().UTC().Truncate(time.Second), Encryption: "none",
		Compression: opts.Compression, StorageClass: opts.StorageClass,
	}
	var key Key
	if opts.Encrypt {
		key = NewKey()
		cfg.Encryption, cfg.Key = "age", key.Fingerprint()
	}
	data, err := cfg.encode()
	if err != nil {
		return nil, err
	}
	if opts.Encrypt {
		if err := createKeys(ctx, s, &cfg, data, key, opts, now()); err != nil {
			return nil, err
		}
	}
	_, err = s.Put(ctx, recoveryName, bytes.NewReader(recoveryText), storage.PutOptions{MaxSize: int64(len(recoveryText))})
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if _, err := s.Put(ctx, configName, bytes.NewReader(data), storage.PutOptions{MaxSize: int64(len(data))}); err != nil {
		return nil, err
	}
	o := opts.Options
	o.Known = &Known{ID: cfg.ID, Key: key}
	return Open(ctx, s, o)
}

// leftover names an object of the content of a repository; "" if there is none.
// Keys alone are what a killed Create leaves.
func leftover(ctx context.Context, s storage.Storage) (string, error) {
	for _, prefix := range []string{snapshotPrefix, archivesPrefix, indexesPrefix, treesPrefix} {
		for obj, err := range s.List(ctx, prefix) {
			if err != nil {
				return "", fmt.Errorf("looking for a repository in %s: %w", s.Location(), err)
			}
			return obj.Key, nil
		}
	}
	return "", nil
}

// createKeys makes the first keys object.
func createKeys(ctx context.Context, s storage.Storage, cfg *Config, config []byte, key Key, opts CreateOptions, now time.Time) error {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	lines := []Recipient{{Recipient: id.Recipient().String(), Direct: true, Label: labelRepository, Created: now.UTC()}}
	for _, text := range opts.Recipients {
		_, direct, err := ParseRecipient(text, opts.UI.plugin())
		if err != nil {
			return err
		}
		lines = append(lines, Recipient{Recipient: text, Direct: direct, Created: now.UTC()})
	}
	if opts.Passphrase != "" {
		line, err := newPassphrase(opts.Passphrase, "passphrase", now.UTC())
		if err != nil {
			return err
		}
		lines = append(lines, line)
	}
	if len(lines) == 1 {
		if err := opts.SaveIdentity(id, cfg.ID, cfg.Key); err != nil {
			return err
		}
	}
	k, err := makeKeys(keysObject{Repository: cfg.ID, Config: digest(config), Recipients: lines}, key, []*age.X25519Identity{id}, opts.UI, now)
	if err != nil {
		return err
	}
	return putKeys(ctx, s, key, k)
}

func putKeys(ctx context.Context, s storage.Storage, key Key, k keysObject) error {
	data, err := seal(key, labelKeys, &k)
	if err != nil {
		return err
	}
	_, err = s.Put(ctx, keysKey(k.ID), bytes.NewReader(data), storage.PutOptions{MaxSize: int64(len(data))})
	return err
}
