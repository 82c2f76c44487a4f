package repo

import (
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

// Create makes a repository in s, which must not hold one (fs.ErrExist), nor
// what is left of one (ErrConfigLost). tarn.json comes last; what a killed
// Create leaves before it, Mend completes.
func Create(ctx context.Context, s storage.Storage, opts CreateOptions) (*Repo, error) {
	if _, err := s.Stat(ctx, configName); err == nil {
		return nil, fmt.Errorf("%s holds a repository already: %w", s.Location(), fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("looking for a repository in %s: %w", s.Location(), err)
	}
	if left, err := leftover(ctx, s, append(contentPrefixes, keysPrefix)); err != nil {
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
	k, err := firstKeys(&cfg, data, key, opts, now())
	if err != nil {
		return nil, err
	}
	if err := putKeys(ctx, s, key, k); err != nil {
		return nil, err
	}
	if err := putWhole(ctx, s, recoveryName, recoveryText); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := putWhole(ctx, s, configName, data); err != nil {
		return nil, err
	}
	o := opts.Options
	o.Known = &Known{ID: cfg.ID, Key: key}
	return Open(ctx, s, o)
}

// contentPrefixes are those of the objects that backups write.
var contentPrefixes = []string{snapshotPrefix, archivesPrefix, indexesPrefix, treesPrefix}

// leftover names an object below one of the prefixes; "" if there is none.
func leftover(ctx context.Context, s storage.Storage, prefixes []string) (string, error) {
	for _, prefix := range prefixes {
		for obj, err := range s.List(ctx, prefix) {
			if err != nil {
				return "", fmt.Errorf("looking for a repository in %s: %w", s.Location(), err)
			}
			return obj.Key, nil
		}
	}
	return "", nil
}

// firstKeys makes the first keys object.
func firstKeys(cfg *Config, config []byte, key Key, opts CreateOptions, now time.Time) (keysObject, error) {
	k := keysObject{Repository: cfg.ID, Config: string(config)}
	if !opts.Encrypt {
		return makeKeys(k, key, nil, nil, now)
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return k, err
	}
	lines := []Recipient{{Recipient: id.Recipient().String(), Direct: true, Label: labelRepository, Created: now.UTC()}}
	for _, text := range opts.Recipients {
		_, direct, err := ParseRecipient(text, opts.UI.plugin())
		if err != nil {
			return k, err
		}
		lines = append(lines, Recipient{Recipient: text, Direct: direct, Created: now.UTC()})
	}
	if opts.Passphrase != "" {
		line, err := newPassphrase(opts.Passphrase, "passphrase", now.UTC())
		if err != nil {
			return k, err
		}
		lines = append(lines, line)
	}
	if len(lines) == 1 {
		if err := opts.SaveIdentity(id, cfg.ID, cfg.Key); err != nil {
			return k, err
		}
	}
	k.Recipients = lines
	return makeKeys(k, key, []*age.X25519Identity{id}, opts.UI, now)
}
