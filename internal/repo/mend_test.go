package repo

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// flipped is data with one bit of a byte changed.
func flipped(data []byte, at, bit int) []byte {
	data = bytes.Clone(data)
	data[at] ^= 1 << bit
	return data
}

// TestConfigFlipped: no changed bit of tarn.json locks the owner out, or has
// the repository opened as another one.
func TestConfigFlipped(t *testing.T) {
	v := newVictim(t)
	was := v.store.Bytes(configName)
	for at := range was {
		for bit := range 8 {
			v.store.Plant(configName, flipped(was, at, bit))
			for name, opts := range map[string]Options{"identity": {Identities: v.keyring.load}, "named": {Identities: v.keyring.load, Fingerprint: v.keyring.of}} {
				r, err := Open(t.Context(), v.store, opts)
				if err != nil || r.Config != v.repo.Config || !errors.Is(r.Writable(), ErrConfigLost) {
					t.Fatalf("%s: bit %d of byte %d (%q): %v", name, bit, at, was[max(0, at-9):at+1], err)
				}
			}
		}
	}
}

// TestKeysFlipped: no changed byte of one keys object locks the owner out, and
// it is called damaged, not forged.
func TestKeysFlipped(t *testing.T) {
	v := newVictim(t)
	key := keysKey(v.repo.keys.id)
	was := v.store.Bytes(key)
	for at := 0; at < len(was); at += 5 {
		v.store.Plant(key, flipped(was, at, at%8))
		var log strings.Builder
		r, err := Open(t.Context(), v.store, Options{Identities: v.keyring.load, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil || r.Writable() != nil || r.keys.id == v.repo.keys.id {
			t.Fatalf("byte %d (%q): %v", at, was[max(0, at-9):at+1], err)
		}
		if strings.Count(log.String(), "WARN") != 1 || !strings.Contains(log.String(), "a keys object that is damaged") {
			t.Fatalf("byte %d: %s", at, log.String())
		}
	}
}

// TestMend: what is lost of tarn.json and the keys is there again, as it was,
// and once.
func TestMend(t *testing.T) {
	for _, encrypt := range []bool{false, true} {
		s, made, owner := newRepository(t, encrypt)
		commitOne(t, made, "s", time.Unix(1795488400, 0))
		whole := s.Clone()
		var twins []string
		for _, key := range s.Keys() {
			if strings.HasPrefix(key, keysPrefix) {
				twins = append(twins, key)
			}
		}
		if len(twins) != KeysCopies {
			t.Fatalf("%q", twins)
		}
		for name, test := range map[string]struct {
			lose   []string
			stored int
		}{
			"nothing": {nil, 0}, "config": {[]string{configName}, 1}, "one": {twins[:1], 1}, "other": {twins[1:], 1}, "both": {[]string{configName, twins[0]}, 2},
		} {
			s := whole.Clone()
			for _, key := range test.lose {
				s.Drop(key)
			}
			r, err := openBy(t, s, must(owner.load())...)
			if err != nil {
				t.Fatalf("encrypted=%v, %s: %v", encrypt, name, err)
			}
			stored, err := r.Mend(t.Context())
			if err != nil || len(stored) != test.stored || r.Writable() != nil {
				t.Errorf("encrypted=%v, %s: stored %q, %v", encrypt, name, stored, err)
			}
			if !bytes.Equal(s.Bytes(configName), whole.Bytes(configName)) {
				t.Errorf("encrypted=%v, %s: tarn.json is not what it was", encrypt, name)
			}
			r = mustOpen(t, s, must(owner.load())...)
			if _, n, err := r.wholeKeys(t.Context()); n != KeysCopies || err != nil || r.lost != nil {
				t.Errorf("encrypted=%v, %s: %d copies, %v", encrypt, name, n, err)
			}
			if stored, err := r.Mend(t.Context()); len(stored) > 0 || err != nil {
				t.Errorf("encrypted=%v, %s: stored %q again, %v", encrypt, name, stored, err)
			}
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestMendRekeyed: the copy that is stored again is of the keys in force.
func TestMendRekeyed(t *testing.T) {
	s, r, owner := newRepository(t, true)
	added := identity(t)
	if _, err := r.Rekey(t.Context(), Rekey{Add: []string{added.Recipient().String()}}); err != nil {
		t.Fatal(err)
	}
	s.Drop(keysKey(mustOpen(t, s, owner.ids[0]).keys.id))
	if stored, err := mustOpen(t, s, owner.ids[0]).Mend(t.Context()); err != nil || len(stored) != 1 {
		t.Fatalf("%q, %v", stored, err)
	}
	if got := mustOpen(t, s, added).Recipients(); len(got) != 2 {
		t.Errorf("recipients %+v", got)
	}
}

// TestKilledCreate: an init that ends at any of its requests, having taken
// effect or not, leaves nothing, or what can be completed. No other is made over it.
func TestKilledCreate(t *testing.T) {
	broken := errors.New("killed")
	for _, kind := range []storagetest.Kind{storagetest.FailBefore, storagetest.FailAfter} {
		for _, encrypt := range []bool{false, true} {
			for n := range 4 {
				s, owner, puts := storagetest.NewMemory(), &keyring{}, 0
				s.SetHook(func(q storagetest.Request) storagetest.Fault {
					if q.Op != storagetest.OpPut {
						return storagetest.Fault{}
					}
					if puts++; puts <= n {
						return storagetest.Fault{}
					}
					return storagetest.Fault{Kind: kind, Err: broken}
				})
				opts := CreateOptions{Encrypt: encrypt, SaveIdentity: owner.save}
				name := fmt.Sprintf("encrypted=%v, put %d, kind %v", encrypt, n, kind)
				if _, err := Create(t.Context(), s, opts); !errors.Is(err, broken) {
					t.Fatalf("%s: %v", name, err)
				}
				s.SetHook(nil)
				if len(s.Keys()) == 0 {
					if _, err := openBy(t, s); !errors.Is(err, ErrNoRepository) {
						t.Errorf("%s: %v", name, err)
					}
					continue
				}
				if _, err := Create(t.Context(), s, opts); !errors.Is(err, ErrConfigLost) && !errors.Is(err, fs.ErrExist) {
					t.Errorf("%s: made another: %v", name, err)
				}
				r := mustOpen(t, s, must(owner.load())...)
				if unfinished, err := r.Unfinished(t.Context()); err != nil || unfinished != (r.lost != nil) {
					t.Errorf("%s: unfinished %v, %v", name, unfinished, err)
				}
				if _, err := r.Mend(t.Context()); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				r = mustOpen(t, s, must(owner.load())...)
				commitOne(t, r, "s", time.Unix(1795488400, 0))
			}
		}
	}
}

// TestTwoRepositories: where tarn.json is lost, and keys/ opens for two
// repositories, the one is taken that the identity file names, or none.
func TestTwoRepositories(t *testing.T) {
	v := newVictim(t)
	other := storagetest.NewMemory()
	if _, err := Create(t.Context(), other, CreateOptions{Encrypt: true, Recipients: []string{v.keyring.ids[0].Recipient().String()}}); err != nil {
		t.Fatal(err)
	}
	for _, key := range other.Keys() {
		if strings.HasPrefix(key, keysPrefix) {
			v.store.Plant(key, other.Bytes(key))
		}
	}
	v.unharmed()
	v.store.Drop(configName)
	v.unharmed()
	if _, err := openBy(t, v.store, v.keyring.ids[0]); !errors.Is(err, tarn.ErrNotAuthentic) || !strings.Contains(err.Error(), v.repo.Config.ID[:8]) {
		t.Errorf("no file names the key: %v", err)
	}
	for key := range v.keysObjects() {
		v.store.Drop(key)
	}
	if _, err := openBy(t, v.store, v.keyring.ids[0]); !errors.Is(err, ErrNoCopy) {
		t.Errorf("nothing has a copy: %v", err)
	}
}
