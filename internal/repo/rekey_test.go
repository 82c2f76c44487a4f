package repo

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

func identity(t testing.TB) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// openBy opens the repository on a fresh machine.
func openBy(t testing.TB, s *storagetest.Memory, ids ...age.Identity) (*Repo, error) {
	return Open(t.Context(), s, Options{Identities: func() ([]age.Identity, error) { return ids, nil }})
}

func mustOpen(t testing.TB, s *storagetest.Memory, ids ...age.Identity) *Repo {
	t.Helper()
	r, err := openBy(t, s, ids...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantSnapshots(t testing.TB, r *Repo, list ...*Snapshot) {
	t.Helper()
	for _, s := range list {
		got, err := r.Snapshot(t.Context(), s.ID)
		if err != nil {
			t.Errorf("%s: %v", s.ID, err)
			continue
		}
		if _, err := readTree(t.Context(), r, got.Splits[0]); err != nil {
			t.Errorf("%s: %v", s.ID, err)
		}
	}
}

// TestAddAndRemove: who is added reads what was written before and after, who
// is removed nothing that is written after.
func TestAddAndRemove(t *testing.T) {
	s, r, owner := newRepository(t, true)
	old, _ := commitOne(t, r, "s", time.Unix(1e9, 0))
	friend := identity(t)
	if _, err := r.Rekey(t.Context(), Rekey{Add: []string{friend.Recipient().String()}, Label: "friend"}); err != nil {
		t.Fatal(err)
	}
	r = mustOpen(t, s, owner.ids[0])
	during, _ := commitOne(t, r, "s", time.Unix(1e9+1, 0))
	wantSnapshots(t, mustOpen(t, s, friend), old, during)
	wantSnapshots(t, r, old, during)
	if plain, err := age.Decrypt(bytes.NewReader(s.Bytes(r.snapshotKey(during.ID))), friend); err != nil {
		t.Errorf("by hand: %v, %v", plain, err) // age alone, with the friend's own key
	}
	asFriend := mustOpen(t, s, friend)
	theirs, err := asFriend.Identities()
	if err != nil {
		t.Fatal(err)
	}

	if _, err := r.Rekey(t.Context(), Rekey{Remove: []string{"friend"}, Save: owner.save}); err != nil {
		t.Fatal(err)
	}
	if len(owner.ids) != 2 {
		t.Fatalf("%d identities saved; a removal makes a new one", len(owner.ids))
	}
	r = mustOpen(t, s, owner.ids[0])
	after, _ := commitOne(t, r, "s", time.Unix(1e9+2, 0))
	wantSnapshots(t, r, old, during, after)
	wantSnapshots(t, mustOpen(t, s, owner.ids[0]), old, during, after)
	// The friend knows his own identity and all that the secret held before.
	for _, key := range []string{r.snapshotKey(after.ID), r.treeKey(after.Splits[0].Tree)} {
		if bytes.Equal(s.Bytes(key), nil) {
			t.Fatalf("no %s", key)
		}
		if key == r.treeKey(old.Splits[0].Tree) {
			continue // an unchanged tree is the old object
		}
		if _, err := age.Decrypt(bytes.NewReader(s.Bytes(key)), append(theirs, friend, owner.ids[1])...); err == nil {
			t.Errorf("who was removed reads %s", key)
		}
	}
	late, err := openBy(t, s, append(theirs, friend)...)
	if err == nil {
		_, err = late.Snapshot(t.Context(), after.ID)
	}
	if !errors.Is(err, tarn.ErrNoIdentity) && !errors.Is(err, tarn.ErrDamaged) {
		t.Errorf("who was removed opens the snapshot: %v", err)
	}
	if _, err := late.Rekey(t.Context(), Rekey{Add: []string{friend.Recipient().String()}}); !errors.Is(err, tarn.ErrNoIdentity) {
		t.Errorf("who was removed adds himself again: %v", err)
	}
}

// TestNewIdentity: the new one reads all, the old one nothing that comes after.
func TestNewIdentity(t *testing.T) {
	s, r, owner := newRepository(t, true)
	old, _ := commitOne(t, r, "s", time.Unix(1e9, 0))
	if _, err := r.Rekey(t.Context(), Rekey{New: true, Save: owner.save}); err != nil {
		t.Fatal(err)
	}
	r = mustOpen(t, s, owner.ids[0])
	fresh, _ := commitOne(t, r, "u", time.Unix(1e9+1, 0))
	wantSnapshots(t, mustOpen(t, s, owner.ids[0]), old, fresh)
	for _, key := range []string{r.snapshotKey(fresh.ID), r.treeKey(fresh.Splits[0].Tree)} {
		if _, err := age.Decrypt(bytes.NewReader(s.Bytes(key)), owner.ids[1]); err == nil {
			t.Errorf("the old identity reads %s", key)
		}
	}
	refusal := errors.New("no room")
	before := s.Keys()
	_, err := r.Rekey(t.Context(), Rekey{New: true, Save: func(*age.X25519Identity, string, string) error { return refusal }})
	if !errors.Is(err, refusal) || !slices.Equal(s.Keys(), before) {
		t.Errorf("an identity that can't be saved was used: %v", err)
	}
}

// TestKindsOfRecipients: SSH keys and a passphrase open the repository, read
// what was there before them, and what is written after.
func TestKindsOfRecipients(t *testing.T) {
	s, r, owner := newRepository(t, true)
	old, _ := commitOne(t, r, "s", time.Unix(1e9, 0))
	edPublic, edPrivate, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaPrivate, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ed, err := agessh.NewEd25519Identity(edPrivate)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := agessh.NewRSAIdentity(rsaPrivate)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, public := range []any{edPublic, &rsaPrivate.PublicKey} {
		p, err := ssh.NewPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(p))))
	}
	if _, err := r.Rekey(t.Context(), Rekey{Add: lines, Passphrase: "correct horse"}); err != nil {
		t.Fatal(err)
	}
	r = mustOpen(t, s, owner.ids[0])
	if got := r.Recipients(); len(got) != 4 || !got[1].Direct || !got[3].Direct || got[3].Identity == "" {
		t.Errorf("recipients %+v", got)
	}
	fresh, _ := commitOne(t, r, "s", time.Unix(1e9+1, 0))
	for _, id := range []age.Identity{ed, rs} {
		wantSnapshots(t, mustOpen(t, s, id), old, fresh)
		if _, err := age.Decrypt(bytes.NewReader(s.Bytes(r.snapshotKey(fresh.ID))), id); err != nil {
			t.Errorf("by hand: %v", err)
		}
	}
	asked := 0
	ui := &UI{Passphrase: func() (string, error) { asked++; return "correct horse", nil }}
	by, err := Open(t.Context(), s, Options{UI: ui})
	if err != nil {
		t.Fatal(err)
	}
	wantSnapshots(t, by, old, fresh)
	if asked != 1 {
		t.Errorf("asked for the passphrase %d times", asked)
	}
	wrong := 0
	ui = &UI{Passphrase: func() (string, error) { wrong++; return "wrong horse", nil }}
	if _, err := Open(t.Context(), s, Options{UI: ui}); !errors.Is(err, tarn.ErrNoIdentity) || wrong != 1 {
		t.Errorf("wrong passphrase, asked %d times: %v", wrong, err)
	}
}

// TestClocks: of two changes the later one is in force, within one second, with
// one open repository or two, and when the clock goes back by years.
func TestClocks(t *testing.T) {
	s, r, owner := newRepository(t, true)
	now := time.Date(2026, 11, 23, 1, 2, 3, 4e8, time.UTC)
	var added []string
	change := func(r *Repo) {
		t.Helper()
		r.now = func() time.Time { return now }
		id := identity(t).Recipient().String()
		if _, err := r.Rekey(t.Context(), Rekey{Add: []string{id}}); err != nil {
			t.Fatal(err)
		}
		added = append(added, id)
		var got []string
		for _, line := range mustOpen(t, s, owner.ids[0]).Recipients()[1:] {
			got = append(got, line.Recipient)
		}
		if !slices.Equal(got, added) {
			t.Fatalf("recipients %q, want %q", got, added)
		}
	}
	change(r)
	change(r)
	other := mustOpen(t, s, owner.ids[0])
	change(other)
	change(r)
	now = now.Add(-20 * 365 * 24 * time.Hour)
	change(other)
	change(r)
	now = now.Add(30 * 365 * 24 * time.Hour)
	change(r)
	if _, err := r.Rekey(t.Context(), Rekey{Add: added[:1]}); err == nil {
		t.Error("a recipient was added twice")
	}
	if _, err := r.Rekey(t.Context(), Rekey{Add: []string{identity(t).Recipient().String()}, Label: labelRepository}); err == nil {
		t.Error("a recipient was labelled as the repository's own")
	}
	if _, err := r.Rekey(t.Context(), Rekey{Remove: []string{"nobody"}}); err == nil {
		t.Error("a recipient was removed that is none")
	}
	if _, err := r.Rekey(t.Context(), Rekey{Remove: []string{labelRepository}}); err == nil {
		t.Error("the repository's own recipient was removed")
	}
}

// failing is an identity that asks a plugin or a person, in vain.
type failing struct{ err error }

// Unwrap fails.
func (f failing) Unwrap([]*age.Stanza) ([]byte, error) { return nil, f.err }

// TestWhichIdentity: an error says whether there was no identity, a wrong one,
// several, or one that can't be used; the keys themselves are whole.
func TestWhichIdentity(t *testing.T) {
	s, _, _ := newRepository(t, true)
	vain := errors.New("the card is not in the reader")
	for want, ids := range map[string][]age.Identity{
		"no identity for this repository":                   nil,
		"the one at hand is not one of its":                 {identity(t)},
		"none of the 2 at hand is one of its":               {identity(t), identity(t)},
		"can't be used: " + vain.Error():                    {failing{vain}},
		"used: " + vain.Error():                             {identity(t), failing{vain}},
		"repository: one at hand can't be used: " + "the c": {failing{vain}, identity(t)},
	} {
		_, err := Open(t.Context(), s, Options{Identities: func() ([]age.Identity, error) { return ids, nil }})
		if !errors.Is(err, tarn.ErrNoIdentity) || errors.Is(err, ErrKeysLost) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
