package rebuild_test

import (
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/warm"
)

// TestArchivesLost: archives that are gone or have another size are reported
// with what helps, until their contents are stored again.
func TestArchivesLost(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Write(files)
		w.backup()
		keys := w.Keys("archives/")
		w.Store.Drop(keys[0])
		w.Store.Plant(keys[1], w.Store.Bytes(keys[1])[1:])
		res := w.rebuild(w.machine)
		if len(res.Problems) != 2 {
			t.Fatalf("%+v", res.Problems)
		}
		for i, want := range []string{"is missing", "bytes, not the"} {
			if p := res.Problems[i]; p.Key != keys[i] || !strings.Contains(p.Err.Error(), want) || !strings.Contains(p.Advice, "tarn backup") {
				t.Errorf("%+v, want %s %s", p, keys[i], want)
			}
		}
		synced, err := warm.SyncArchives(t.Context(), w.machine.repo, w.machine.contents, quiet)
		if err != nil || len(synced.Lost) != 2 {
			t.Fatalf("%+v, %v", synced, err)
		}
		for _, l := range synced.Lost {
			w.Lost = append(w.Lost, l.Archive)
		}
		w.backup()
		if res := w.rebuild(w.machine); len(res.Problems) > 0 {
			t.Errorf("after a backup: %+v", res.Problems)
		}
	})
}
