package drill_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/drill"
	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// world is a repository in memory with its record of drills, and a clock.
type world struct {
	*e2e.World
	t        testing.TB
	repo     *repo.Repo
	contents *catalog.Contents
	now      time.Time
	kept     []byte // the record, as it was saved last
	saves    int
}

func newWorld(t testing.TB, encrypt bool) *world {
	t.Helper()
	w := &world{World: e2e.NewWorld(t, encrypt), t: t, now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	w.repo = w.Open(w.Store, filepath.Join(t.TempDir(), "cache"))
	w.contents = e2e.Must[*catalog.Contents](t)(catalog.OpenContents(filepath.Join(t.TempDir(), "contents")))
	t.Cleanup(func() {
		if err := w.contents.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// sizeOf is the size of a file: frames of 4 MiB hold some.
func sizeOf(split, file int) int { return 200_000 + (split*7919+file*104_729)%1_500_000 }

// many backs up splits of some files each, of sizes that vary; each split is an archive.
func (w *world) many(splits, files int) *repo.Snapshot {
	w.t.Helper()
	all := map[string]string{}
	for s := range splits {
		for f := range files {
			name := fmt.Sprintf("%02d/%03d", s, f)
			all[name] = string(storagetest.Content(uint64(s*1000+f), sizeOf(s, f)))
		}
	}
	w.Write(all)
	return w.Backup(w.repo, w.contents)
}

// config is that of a run of another process: the record is what was saved.
func (w *world) config(s *repo.Snapshot) drill.Config {
	w.t.Helper()
	record := drill.NewRecord("r")
	if w.kept != nil {
		record = e2e.Must[*drill.Record](w.t)(drill.ParseRecord(w.kept, "r"))
	}
	l := e2e.Must[*cold.Listing](w.t)(cold.List(w.t.Context(), w.Store, w.now))
	byID := map[tarn.ArchiveID]cold.Object{}
	for key, obj := range l.Objects {
		if id, err := w.repo.ArchiveOf(key); err == nil {
			byID[id] = obj
		}
	}
	return drill.Config{
		Repo: w.repo, Contents: w.contents, Snapshot: s, Record: record, Now: func() time.Time { return w.now },
		Object: func(id tarn.ArchiveID) cold.Object {
			if obj, ok := byID[id]; ok {
				return obj
			}
			return cold.Object{State: cold.Missing}
		},
		Save: func(r *drill.Record) (err error) {
			w.saves++
			w.kept, err = r.Encode()
			return err
		},
	}
}

func (w *world) look(s *repo.Snapshot) *drill.Survey {
	w.t.Helper()
	return e2e.Must[*drill.Survey](w.t)(drill.Look(w.t.Context(), w.config(s)))
}

// upTo allows so many bytes to be read.
func upTo(limit int64) func([]cold.Archive) (bool, error) {
	return func(list []cold.Archive) (bool, error) {
		var sum int64
		for _, a := range list {
			sum += a.Fetched
		}
		return sum <= limit, nil
	}
}

// round draws and accepts a round.
func (w *world) round(s *repo.Snapshot, seed uint64, limit int64) *drill.Drawn {
	w.t.Helper()
	cfg := w.config(s)
	survey := e2e.Must[*drill.Survey](w.t)(drill.Look(w.t.Context(), cfg))
	drawn := e2e.Must[*drill.Drawn](w.t)(survey.Draw(w.t.Context(), seed, upTo(limit)))
	if len(drawn.Parts) > 0 {
		cfg.Record.Round = &drill.Round{Seed: seed, Began: w.now, Days: 1, Parts: drawn.Parts}
		if err := cfg.Save(cfg.Record); err != nil {
			w.t.Fatal(err)
		}
	}
	return drawn
}

// prove reads what is left of the round.
func (w *world) prove(s *repo.Snapshot) *drill.Outcome {
	w.t.Helper()
	cfg := w.config(s)
	if cfg.Record.Round == nil {
		w.t.Fatal("there is no round")
	}
	return e2e.Must[*drill.Outcome](w.t)(drill.Prove(w.t.Context(), cfg, cfg.Record.Round.Parts))
}

// archives are the keys of the repository's archives.
func (w *world) archives() []string { return w.Keys("archives/") }

// gets counts the requests that have read archives since the last reset.
func (w *world) gets() (n int) {
	for _, r := range w.Store.Requests() {
		if r.Op == storagetest.OpGet && strings.HasPrefix(r.Key, "archives/") {
			n++
		}
	}
	return n
}
