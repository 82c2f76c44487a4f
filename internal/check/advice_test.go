package check_test

import (
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/check"
	"github.com/tarn-backup/tarn/internal/rebuild"
	"github.com/tarn-backup/tarn/internal/warm"
)

// heals makes the next backup on this machine, as the program makes it.
func (w *world) heals() {
	w.t.Helper()
	synced, err := warm.SyncArchives(w.t.Context(), w.repo, w.contents, quiet)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, l := range synced.Lost {
		w.Lost = append(w.Lost, l.Archive)
	}
	w.backup()
}

// TestAdvice: what the check advises for a damage mends it, where it says that
// anything does: done in this order, the repository is clean but for leftovers.
func TestAdvice(t *testing.T) {
	rebuilds := func(w *world) {
		if _, err := rebuild.Run(t.Context(), rebuild.Config{Repo: w.repo, Contents: w.contents, Dir: t.TempDir(), Log: quiet}); err != nil {
			t.Fatal(err)
		}
	}
	moves := func(w *world, key string) { w.Store.Drop(key) }
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	cut := func(b []byte) []byte { return b[:len(b)-1] }
	for name, c := range map[string]struct {
		prefix string
		harm   func([]byte) []byte // nil drops it
		advice []string            // words of it
		mend   func(w *world, key string)
	}{
		"archive gone":    {"archives/", nil, []string{"tarn backup"}, func(w *world, _ string) { w.heals() }},
		"archive cut":     {"archives/", cut, []string{"tarn backup"}, func(w *world, _ string) { w.heals() }},
		"archive flipped": {"archives/", flip, []string{"move this object away", "tarn backup"}, func(w *world, key string) { moves(w, key); w.heals() }},
		"index gone":      {"indexes/", nil, []string{"tarn rebuild"}, func(w *world, _ string) { rebuilds(w) }},
		"index flipped":   {"indexes/", flip, []string{"Move this object away", "tarn rebuild"}, func(w *world, key string) { moves(w, key); rebuilds(w) }},
		"tree gone":       {"trees/", nil, []string{"tarn rebuild"}, func(w *world, _ string) { rebuilds(w) }},
		"tree flipped":    {"trees/", flip, []string{"Move this object away", "tarn rebuild"}, func(w *world, key string) { moves(w, key); rebuilds(w) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, true)
			w.Write(map[string]string{"top": "at the top", "a/1": strings.Repeat("one ", 500), "a/2": "two", "b/1": "b one"})
			w.backup()
			key := w.Keys(c.prefix)[0]
			if c.harm == nil {
				w.Store.Drop(key)
			} else {
				w.Store.Plant(key, c.harm(w.Store.Bytes(key)))
			}
			found := w.check(check.Config{ReadData: 100}).Damages
			if len(found) != 1 || found[0].Key != key {
				t.Fatalf("%+v", found)
			}
			for _, word := range c.advice {
				if !strings.Contains(found[0].Advice, word) {
					t.Errorf("advice for %s: %q, want %q in it", found[0].Problem, found[0].Advice, word)
				}
			}
			c.mend(w, key)
			after := w.check(check.Config{ReadData: 100})
			if len(after.Damages) > 0 {
				t.Errorf("after that: %+v", after.Damages)
			}
			if leftover := strings.Contains(strings.Join(after.Notes, "\n"), "leftovers: "+key); leftover != (c.prefix == "archives/") {
				t.Errorf("after that: %q", after.Notes)
			}
		})
	}
}

// TestSnapshotAdvice: nothing mends a snapshot, and the check says so.
func TestSnapshotAdvice(t *testing.T) {
	w := newWorld(t, false)
	_, second := w.standard()
	w.Store.Plant(w.repo.SnapshotKey(second.ID), []byte("{}"))
	found := w.check(check.Config{}).Damages
	if len(found) != 1 || !strings.Contains(found[0].Advice, "Nothing brings it back") {
		t.Errorf("%+v", found)
	}
}

// TestAllIndexesLost: then the archives are no leftovers, and rebuild mends it.
func TestAllIndexesLost(t *testing.T) {
	w := newWorld(t, false)
	w.standard()
	for _, key := range w.Keys("indexes/") {
		w.Store.Drop(key)
	}
	r, err := tryOpen(w)
	if err != nil {
		t.Fatal(err)
	}
	res, err := check.Run(t.Context(), check.Config{Repo: r, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	notes := strings.Join(res.Notes, "\n")
	if len(res.Damages) != 1 || !strings.Contains(res.Damages[0].Advice, "tarn rebuild") || strings.Contains(notes, "no snapshot needs") || !strings.Contains(notes, "tarn rebuild") {
		t.Errorf("%+v, %q", res.Damages, notes)
	}
}
