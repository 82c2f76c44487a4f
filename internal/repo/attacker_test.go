package repo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// These tests play someone who can write to the bucket, replace objects in it,
// and knows the recipients, which are public, but neither the repository's key
// nor an identity. What remains possible for him by design, and
// docs/format.md says so: to delete objects, and what is the same, to put
// garbage in their place; to delete the newest keys objects or snapshots, so
// that the ones before them are the newest (rollback); to fill the bucket; and,
// before a machine that has neither the key nor an identity file that names
// it, to be taken for the owner of a whole repository of his own.

// victim is a repository with one snapshot, and the two machines that open it.
type victim struct {
	*testing.T
	store    *storagetest.Memory
	repo     *Repo
	keyring  *keyring
	snapshot *Snapshot
	archive  tarn.ArchiveID
	evil     *age.X25519Identity
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	v := &victim{T: t}
	v.store, v.repo, v.keyring = newRepository(t, true)
	v.snapshot, v.archive = commitOne(t, v.repo, "s", time.Unix(1795488400, 0))
	var err error
	if v.evil, err = age.GenerateX25519Identity(); err != nil {
		t.Fatal(err)
	}
	return v
}

// commitOne commits a snapshot with one file in one archive.
func commitOne(t testing.TB, r *Repo, split string, now time.Time) (*Snapshot, tarn.ArchiveID) {
	t.Helper()
	id := tarn.ArchiveID(tarn.FormatID(now, [8]byte{1}))
	body, in := io.Pipe()
	content := []byte(r.key.Fingerprint()[:5]) // differs by writer
	e := tarn.Entry{Path: split + "/f", Type: tarn.TypeFile, Mode: 0o644, Size: 5, Content: digestOf(content)}
	var ix *Index
	archives := make(chan *Archive, 1)
	archives <- &Archive{
		ID: id, Key: r.ArchiveKey(split, id), Class: tarn.Standard, Body: body,
		Index: func() (*Index, error) { return ix, nil }, Stored: func(*Index) error { return nil },
	}
	close(archives)
	go func() {
		in.CloseWithError(func() error {
			w, err := archive.NewWriter(in, archive.WriterConfig{Level: archive.Default, Recipients: r.ObjectRecipients(), Workers: archive.NewWorkers(1)})
			if err != nil {
				return err
			}
			offset, err := w.AddBytes(&e, content)
			if err != nil {
				return err
			}
			layout, err := w.Close()
			if err != nil {
				return err
			}
			iw, err := r.NewIndex(id, split)
			if err != nil {
				return err
			}
			if err := iw.Add(Content{Hash: e.Content, Offset: offset, Size: 5, Path: e.Path}); err != nil {
				return err
			}
			ix, err = iw.Finish(layout)
			return err
		}())
	}()
	sp := writeTree(t, r, split, []tarn.Entry{{Path: split, Type: tarn.TypeDir, Mode: 0o755}, e})
	s := &Snapshot{ID: tarn.SnapshotID(tarn.FormatID(now, [8]byte{2})), Time: now, Host: "h", Sources: []SourceInfo{{Name: split, Path: "/" + split}}, Splits: []Split{sp}}
	err := r.Commit(t.Context(), Run{
		Archives: archives, Trees: func() ([]tarn.TreeID, error) { return []tarn.TreeID{sp.Tree}, nil },
		Snapshot: func() (*Snapshot, error) { return s, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, id
}

func digestOf(b []byte) tarn.ContentHash {
	h, err := tarn.ParseContentHash(digest(b))
	if err != nil {
		panic(err)
	}
	return h
}

// machines opens the repository as two machines do: one that has the key
// cached, and a fresh one with the identity file alone.
func (v *victim) machines() map[string]func() (*Repo, error) {
	known := v.repo.Known()
	return map[string]func() (*Repo, error){
		"cached": func() (*Repo, error) {
			return Open(v.Context(), v.store, Options{Identities: v.keyring.load, Fingerprint: v.keyring.of, Known: &known})
		},
		"fresh": func() (*Repo, error) {
			return Open(v.Context(), v.store, Options{Identities: v.keyring.load, Fingerprint: v.keyring.of})
		},
	}
}

// unharmed: both machines open the repository, encrypt to its own recipient
// alone, and read the snapshot whole.
func (v *victim) unharmed() {
	v.Helper()
	for name, open := range v.machines() {
		r, err := open()
		if err != nil {
			v.Errorf("%s: %v", name, err)
			continue
		}
		v.wantRecipients(name, r)
		s, err := r.Snapshot(v.Context(), v.snapshot.ID)
		if err != nil {
			v.Errorf("%s: %v", name, err)
			continue
		}
		for _, err := range r.Entries(v.Context(), s, nil) {
			if err != nil {
				v.Errorf("%s: %v", name, err)
			}
		}
		if _, err := r.Index(v.Context(), v.archive, nil); err != nil {
			v.Errorf("%s: %v", name, err)
		}
	}
}

// wantRecipients: nothing is encrypted to anybody but the owner.
func (v *victim) wantRecipients(name string, r *Repo) {
	v.Helper()
	var got []string
	for _, rec := range r.ObjectRecipients() {
		got = append(got, fmt.Sprint(rec))
	}
	if want := []string{v.keyring.ids[0].Recipient().String()}; !slices.Equal(got, want) {
		v.Errorf("%s: encrypts to %q, want %q", name, got, want)
	}
	if err := r.putBytes(v.Context(), "probe-"+name, []byte("x")); err != nil {
		v.Error(err)
	}
	if _, err := age.Decrypt(bytes.NewReader(v.store.Bytes("probe-"+name)), v.evil); err == nil {
		v.Errorf("%s: the attacker reads what is written", name)
	}
	v.store.Drop("probe-" + name)
}

// readOnly: both machines open it as it was made, say why, and write nothing.
func (v *victim) readOnly(want error) {
	v.Helper()
	v.unharmed()
	for name, open := range v.machines() {
		r, err := open()
		if err != nil {
			v.Errorf("%s: %v", name, err)
			continue
		}
		if r.Config != v.repo.Config || !errors.Is(r.lost, want) {
			v.Errorf("%s: opened with %+v, since %v; want %v", name, r.Config, r.lost, want)
		}
		if err := r.putSnapshot(v.Context(), v.snapshot); !errors.Is(err, ErrConfigLost) {
			v.Errorf("%s: commits: %v", name, err)
		}
		if _, err := r.Rekey(v.Context(), Rekey{Add: []string{v.evil.Recipient().String()}}); !errors.Is(err, ErrConfigLost) {
			v.Errorf("%s: adds a recipient: %v", name, err)
		}
		if _, err := r.Mend(v.Context()); !errors.Is(err, ErrConfigStays) {
			v.Errorf("%s: mends: %v", name, err)
		}
	}
}

// attacker is a repository view with a key of his own, that encrypts to the
// recipients of the victim.
func (v *victim) attacker() *Repo {
	a := *v.repo
	a.key, a.cache, a.storage = NewKey(), &memoryCache{}, storagetest.NewMemory()
	return &a
}

// objects returns what the attacker has made, to plant it.
func objects(r *Repo) map[string][]byte {
	s, all := r.storage.(*storagetest.Memory), map[string][]byte{}
	for _, key := range s.Keys() {
		all[key] = s.Bytes(key)
	}
	return all
}

func TestAttackerPlantsSnapshot(t *testing.T) {
	v := newVictim(t)
	a := v.attacker()
	planted, id := commitOne(t, a, "s", time.Unix(1895488400, 0))
	for key, data := range objects(a) {
		v.store.Plant(key, data)
	}
	v.unharmed()
	for name, open := range v.machines() {
		r, err := open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Snapshot(t.Context(), planted.ID); !errors.Is(err, tarn.ErrNotAuthentic) || !strings.Contains(err.Error(), string(planted.ID)) {
			t.Errorf("%s: planted snapshot: %v", name, err)
		}
		if _, err := r.Index(t.Context(), id, func(Content) error { t.Error("a content of a planted index"); return nil }); !errors.Is(err, tarn.ErrNotAuthentic) || !strings.Contains(err.Error(), string(id)) {
			t.Errorf("%s: planted index: %v", name, err)
		}
		if got, err := readTree(t.Context(), r, planted.Splits[0]); !errors.Is(err, tarn.ErrNotAuthentic) || len(got) > 0 {
			t.Errorf("%s: planted tree: %d entries, %v", name, len(got), err)
		}
	}
}

// TestAttackerReplaces: objects of his under the names of the victim's, and
// the victim's own objects under other names.
func TestAttackerReplaces(t *testing.T) {
	v := newVictim(t)
	a := v.attacker()
	a.key = NewKey()
	evil, _ := commitOne(t, a, "s", time.Unix(1795488400, 0)) // same names, other key
	tree := v.repo.treeKey(v.snapshot.Splits[0].Tree)
	index, snapshot := v.repo.indexKey(v.archive), v.repo.snapshotKey(v.snapshot.ID)
	second, secondArchive := commitOne(t, v.repo, "s", time.Unix(1795488500, 0))
	tests := map[string]struct{ key, from string }{
		"tree": {tree, a.treeKey(evil.Splits[0].Tree)}, "index": {index, a.indexKey(v.archive)}, "snapshot": {snapshot, a.snapshotKey(evil.ID)},
	}
	for name, test := range tests {
		was := v.store.Bytes(test.key)
		v.store.Plant(test.key, objects(a)[test.from])
		v.wantDamage(name, tarn.ErrNotAuthentic)
		v.store.Plant(test.key, was)
	}
	// Replays: what is authentic, but was written as something else.
	for name, test := range map[string]struct{ key, from string }{
		"snapshot under another name": {snapshot, v.repo.snapshotKey(second.ID)},
		"index under another name":    {index, v.repo.indexKey(secondArchive)},
		"snapshot as tree":            {tree, snapshot}, "tree as snapshot": {snapshot, tree}, "tree as index": {index, tree}, "index as tree": {tree, index},
	} {
		was := v.store.Bytes(test.key)
		v.store.Plant(test.key, v.store.Bytes(test.from))
		v.wantDamage(name, nil)
		v.store.Plant(test.key, was)
	}
	v.unharmed()
}

// wantDamage: reading all of the snapshot gives an error, that of the kind if
// one is given, on both machines.
func (v *victim) wantDamage(name string, kind error) {
	v.Helper()
	for machine, open := range v.machines() {
		r, err := open()
		if err != nil {
			v.Fatal(err)
		}
		s, err := r.Snapshot(v.Context(), v.snapshot.ID)
		if err == nil {
			_, err = readTree(v.Context(), r, s.Splits[0])
		}
		if err == nil {
			_, err = r.Index(v.Context(), v.archive, nil)
		}
		if kind != nil && !errors.Is(err, kind) || !errors.Is(err, tarn.ErrNotAuthentic) && !errors.Is(err, tarn.ErrDamaged) {
			v.Errorf("%s, %s: %v", name, machine, err)
		}
	}
}

// evilKeys makes a keys object with the attacker among the recipients, sealed
// by his own key.
func (v *victim) evilKeys(key Key, change func(*keysObject)) (tarn.KeysID, []byte) {
	v.Helper()
	owner := v.keyring.ids[0]
	lines := []Recipient{
		{Recipient: owner.Recipient().String(), Direct: true, Label: labelRepository},
		{Recipient: v.evil.Recipient().String(), Direct: true},
	}
	k, err := makeKeys(keysObject{Repository: v.repo.Config.ID, Config: v.repo.config, Previous: v.repo.keys.ID, Recipients: lines}, key, []*age.X25519Identity{v.evil}, nil, time.Now().Add(time.Hour))
	if err != nil {
		v.Fatal(err)
	}
	if change != nil {
		change(&k)
	}
	data, err := sealKeys(key, &k)
	if err != nil {
		v.Fatal(err)
	}
	return k.ID, data
}

// keysObjects are those that the owner has made.
func (v *victim) keysObjects() map[string][]byte {
	all := map[string][]byte{}
	for _, key := range v.store.Keys() {
		if strings.HasPrefix(key, keysPrefix) {
			all[key] = v.store.Bytes(key)
		}
	}
	return all
}

func TestAttackerPlantsKeys(t *testing.T) {
	v := newVictim(t)
	first := keysKey(v.repo.keys.ID)
	own := v.store.Bytes(first)
	twins := v.keysObjects()
	id, his := v.evilKeys(NewKey(), nil)
	_, zero := v.evilKeys(Key{}, nil) // sealed as in a repository without a key
	other := storagetest.NewMemory()
	if _, err := Create(t.Context(), other, CreateOptions{Encrypt: true, Recipients: []string{v.keyring.ids[0].Recipient().String(), v.evil.Recipient().String()}}); err != nil {
		t.Fatal(err)
	}
	var foreign []byte
	for _, key := range other.Keys() {
		if strings.HasPrefix(key, keysPrefix) {
			foreign = other.Bytes(key)
		}
	}
	added := bytes.Replace(own, []byte(`"recipients":[`), fmt.Appendf(nil, `"recipients":[{"recipient":%q,"direct":true,"created":"2026-01-01T00:00:00Z"},`, v.evil.Recipient()), 1)
	var k keysObject
	if err := json.Unmarshal(own, &k); err != nil {
		t.Fatal(err)
	}
	// The owner's secret, so that it opens, with the attacker's list.
	_, stolen := v.evilKeys(NewKey(), func(e *keysObject) { e.Secret = k.Secret })
	for name, data := range map[string][]byte{
		"his key, recipient added": his, "no key": zero, "of another repository": foreign, "edited": added, "with the owner's secret": stolen,
		"own one under a newer name": own, "empty": {}, "not JSON": []byte("x\n"), "null": []byte("null\n"), "cut": own[:len(own)-10],
		"huge": make([]byte, maxKeys+10),
	} {
		t.Run(name, func(t *testing.T) {
			v.T = t
			v.store.Plant(keysKey(id), data)
			v.store.Plant("keys/../x.json", data)
			v.store.Plant("keys/"+strings.Repeat("9", 8)+".json", data)
			v.unharmed()
			v.store.Drop("keys/../x.json")
			// In place of the owner's, it is no source of anything.
			v.store.Drop(keysKey(id))
			for twin := range twins {
				v.store.Plant(twin, data)
			}
			if name != "own one under a newer name" {
				for machine, open := range v.machines() {
					if r, err := open(); err == nil {
						t.Errorf("%s: opened without authentic keys: %v", machine, r.Recipients())
					}
				}
			}
			for twin, own := range twins {
				v.store.Plant(twin, own)
			}
		})
	}
}
