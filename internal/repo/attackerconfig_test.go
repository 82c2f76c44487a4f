package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// TestAttackerReplacesConfig: another tarn.json, also one with the keys
// objects that go with it. The owner's keys objects hold the one that was made.
func TestAttackerReplacesConfig(t *testing.T) {
	v := newVictim(t)
	evil := NewKey()
	edit := func(change func(*Config)) []byte {
		c := v.repo.Config
		change(&c)
		data, err := c.encode()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	tests := map[string]struct {
		config []byte
		want   error
	}{
		"not encrypted":     {edit(func(c *Config) { c.Encryption, c.Key = "none", "" }), tarn.ErrNotAuthentic},
		"his key":           {edit(func(c *Config) { c.Key = evil.Fingerprint() }), tarn.ErrNotAuthentic},
		"compression":       {edit(func(c *Config) { c.Compression = "fastest" }), tarn.ErrNotAuthentic},
		"class":             {edit(func(c *Config) { c.StorageClass = tarn.DeepArchive }), tarn.ErrNotAuthentic},
		"a space":           {append(edit(func(*Config) {}), ' '), tarn.ErrNotAuthentic},
		"encryption none":   {edit(func(c *Config) { c.Encryption = "none" }), tarn.ErrDamaged},
		"empty":             {nil, tarn.ErrDamaged},
		"huge":              {append(edit(func(*Config) {}), bytes.Repeat([]byte{' '}, maxConfig)...), tarn.ErrDamaged},
		"id with a path":    {edit(func(c *Config) { c.ID = "../../../../../../../../etc/cron.d" }), tarn.ErrDamaged},
		"id in upper case":  {edit(func(c *Config) { c.ID = strings.Repeat("AB", 16) }), tarn.ErrDamaged},
		"two JSON objects":  {append(edit(func(*Config) {}), edit(func(*Config) {})...), tarn.ErrDamaged},
		"deep JSON":         {bytes.Repeat([]byte("["), maxConfig-1), tarn.ErrDamaged},
		"numbers for texts": {[]byte(`{"format":1,"id":7}`), tarn.ErrDamaged},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			v.T = t
			was := v.store.Bytes(configName)
			defer v.store.Plant(configName, was)
			v.store.Plant(configName, test.config)
			v.readOnly(test.want)
			id, data := v.evilKeys(evil, func(k *keysObject) { k.Config = string(test.config) })
			v.store.Plant(keysKey(id), data)
			v.readOnly(test.want)
			v.store.Drop(keysKey(id))
		})
	}
	v.T = t
	v.unharmed()
	// Another id, with all that goes with it: the machine that knows the
	// repository refuses it. A fresh one can't know, by design: it is another repository.
	id := newID()
	config := edit(func(c *Config) { c.ID, c.Key = id, evil.Fingerprint() })
	v.store.Plant(configName, config)
	name, data := v.evilKeys(evil, func(k *keysObject) { k.Repository, k.Config = id, string(config) })
	v.store.Plant(keysKey(name), data)
	if r, err := v.machines()["cached"](); err != nil || r.Config != v.repo.Config || !errors.Is(r.lost, ErrReplaced) {
		t.Errorf("another id: %v", err)
	}
	for key := range v.keysObjects() {
		if key != keysKey(name) {
			v.store.Drop(key)
		}
	}
	if _, err := v.machines()["cached"](); !errors.Is(err, ErrReplaced) {
		t.Errorf("another id, and none of the owner's keys: %v", err)
	}
}

// TestColdKeys: a keys object that was put into a cold class locks nobody out.
func TestColdKeys(t *testing.T) {
	v := newVictim(t)
	id, data := v.evilKeys(NewKey(), nil)
	v.store.Plant(keysKey(id), data)
	cold := &coldKeys{v.store, keysKey(id)}
	known := v.repo.Known()
	for _, opts := range []Options{{Identities: v.keyring.load}, {Known: &known}} {
		r, err := Open(t.Context(), cold, opts)
		if err != nil {
			t.Fatal(err)
		}
		v.wantRecipients("cold", r)
	}
	broken := errors.New("the network is gone")
	v.store.SetHook(func(r storagetest.Request) storagetest.Fault {
		if r.Key == keysKey(id) {
			return storagetest.Fault{Kind: storagetest.FailBefore, Err: broken}
		}
		return storagetest.Fault{}
	})
	if _, err := Open(t.Context(), v.store, Options{Known: &known}); !errors.Is(err, broken) {
		t.Errorf("a keys object that can't be read now, may be the one in force: %v", err)
	}
}

type coldKeys struct {
	*storagetest.Memory
	key string
}

func (c *coldKeys) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if key == c.key {
		return nil, fmt.Errorf("getting %s: %w", key, tarn.ErrCold)
	}
	return c.Memory.Get(ctx, key, offset, length)
}

var _ storage.Storage = (*coldKeys)(nil)
