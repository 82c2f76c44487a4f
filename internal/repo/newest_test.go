package repo

import (
	"errors"
	"slices"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// TestPlantedNamesSetNoClock: the newest snapshot is the newest authentic one,
// and for a machine without an identity none from the future.
func TestPlantedNamesSetNoClock(t *testing.T) {
	v := newVictim(t)
	now := v.snapshot.ID.Time().Add(time.Hour)
	at := func(d time.Duration, n byte) tarn.SnapshotID {
		return tarn.SnapshotID(tarn.FormatID(now.Add(d), [8]byte{n}))
	}
	evil := v.attacker()
	forged, _ := commitOne(t, evil, "s", now.Add(2*time.Hour))
	for id, data := range map[tarn.SnapshotID][]byte{
		at(2*time.Hour, 9):                       evil.storage.(*storagetest.Memory).Bytes(evil.snapshotKey(forged.ID)),
		at(time.Hour, 9):                         []byte("garbage"),
		at(-time.Minute, 9):                      nil,
		"99991231T235959Z-" + "ffffffffffffffff": []byte("x"),
	} {
		v.store.Plant(v.repo.snapshotKey(id), data)
	}
	ids, err := v.repo.SnapshotIDs(t.Context())
	if err != nil || len(ids) != 5 {
		t.Fatal(ids, err)
	}
	for name, open := range v.machines() {
		r, err := open()
		if err != nil {
			t.Fatal(err)
		}
		r.now = func() time.Time { return now }
		if id, err := r.Newest(t.Context(), ids); err != nil || id != v.snapshot.ID {
			t.Errorf("%s: newest is %s, %v; want %s", name, id, err, v.snapshot.ID)
		}
	}
	// Without an identity nothing tells what is planted: only what is not from the future counts.
	known := v.repo.Known()
	sealed, err := Open(t.Context(), v.store, Options{Known: &known, Identities: func() ([]age.Identity, error) { return nil, nil }})
	if err != nil {
		t.Fatal(err)
	}
	sealed.now = func() time.Time { return now }
	if id, err := sealed.Newest(t.Context(), ids); err != nil || id != at(-time.Minute, 9) {
		t.Errorf("without an identity: newest is %s, %v", id, err)
	}
	ahead := at(skew, 1)
	if id, err := sealed.Newest(t.Context(), append(slices.Clone(ids[:2]), ahead)); err != nil || id != ahead {
		t.Errorf("a clock that is a little ahead: newest is %s, %v", id, err)
	}
	broken := errors.New("the network is gone")
	v.store.SetHook(func(storagetest.Request) storagetest.Fault {
		return storagetest.Fault{Kind: storagetest.FailBefore, Err: broken}
	})
	r := v.repo
	if id, err := r.Newest(t.Context(), ids); !errors.Is(err, broken) {
		t.Errorf("a snapshot that can't be read now: newest is %s, %v", id, err)
	}
}

// TestNoIDBeyond9999: a name of five digits of the year would sort before all others.
func TestNoIDBeyond9999(t *testing.T) {
	far := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	s, r, _ := newRepository(t, false)
	before := s.Keys()
	err := r.putSnapshot(t.Context(), &Snapshot{ID: tarn.SnapshotID(tarn.FormatID(far, [8]byte{1}))})
	if err == nil || !slices.Equal(s.Keys(), before) {
		t.Errorf("a snapshot of the year 10000: %v", err)
	}
	empty := storagetest.NewMemory()
	_, err = Create(t.Context(), empty, CreateOptions{
		Encrypt: true, SaveIdentity: func(*age.X25519Identity, string, string) error { return nil },
		Options: Options{Now: func() time.Time { return far }},
	})
	if err == nil || len(empty.Keys()) > 0 {
		t.Errorf("keys of the year 10000: %v, %q", err, empty.Keys())
	}
}
