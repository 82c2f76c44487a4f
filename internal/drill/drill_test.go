package drill_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/drill"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// TestUntilAllIsProven: round by round the share grows to all of the backup, no
// content is read twice, and nothing is left to be drawn in the end. A later
// snapshot has what was proven, too.
func TestUntilAllIsProven(t *testing.T) {
	for _, encrypt := range []bool{false, true} {
		w := newWorld(t, encrypt)
		s := w.many(6, 10)
		all := w.look(s)
		if all.Files != 60 || all.ProvenFiles != 0 || all.Archives != 6 || all.Left() != 6 || !all.Oldest.IsZero() {
			t.Fatalf("before: %+v", all.Share)
		}
		var contents, read int64
		before := all.Share
		rounds := 0
		for ; w.look(s).Left() > 0; rounds++ {
			if rounds == 100 {
				t.Fatalf("after 100 rounds: %+v", before)
			}
			w.now = w.now.Add(24 * time.Hour)
			drawn := w.round(s, uint64(rounds), 10<<20)
			out := w.prove(s)
			if len(drawn.Parts) == 0 || out.Contents != drawn.Contents || out.Bytes != drawn.Bytes || len(out.Bad) != 0 {
				t.Fatalf("round %d: drew %d contents, %d bytes; read %+v", rounds, drawn.Contents, drawn.Bytes, out)
			}
			contents, read = contents+out.Contents, read+out.Bytes
			now := w.look(s).Share
			if now.ProvenBytes != before.ProvenBytes+out.Bytes || now.ProvenFiles != before.ProvenFiles+out.Contents {
				t.Fatalf("round %d: %+v, then %+v", rounds, before, now)
			}
			before = now
		}
		if rounds < 5 || contents != 60 || read != all.Bytes || before.ProvenArchives != 6 || before.Newest.Sub(before.Oldest) != time.Duration(rounds-1)*24*time.Hour {
			t.Errorf("after %d rounds: %d contents, %d of %d bytes, %+v", rounds, contents, read, all.Bytes, before)
		}
		if cfg := w.config(s); cfg.Record.Round != nil {
			t.Errorf("a round is left: %+v", cfg.Record.Round)
		}
		w.Write(map[string]string{"00/new": "that nobody has read", "01/000": ""})
		later := w.look(w.Backup(w.repo, w.contents))
		if later.Files != 60 || later.ProvenFiles != 59 || later.Left() != 1 {
			t.Errorf("the next snapshot: %+v", later.Share)
		}
		cfg := w.config(s)
		cfg.Since = w.now // all but the last round is too old
		old, err := drill.Look(t.Context(), cfg)
		if err != nil || old.ProvenFiles == 0 || old.ProvenFiles > 20 || !old.Oldest.Equal(w.now) {
			t.Errorf("with old proofs expired: %+v, %v", old.Share, err)
		}
	}
}

// TestDraw: the same number draws the same, another one something else; what is drawn
// keeps to the limit and uses it; and each byte has about the same chance.
func TestDraw(t *testing.T) {
	w := newWorld(t, false)
	s := w.many(10, 5)
	survey := w.look(s)
	draw := func(seed uint64, limit int64) *drill.Drawn {
		t.Helper()
		d, err := survey.Draw(t.Context(), seed, upTo(limit))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if a, b := draw(7, 15<<20), draw(7, 15<<20); len(a.Parts) != len(b.Parts) || a.Bytes != b.Bytes || a.Parts[0].Archive != b.Parts[0].Archive {
		t.Errorf("the same number draws %+v and %+v", a, b)
	}
	const rounds = 400
	var first [10]int
	keys := map[tarn.ArchiveID]int{}
	for i, key := range w.archives() {
		id, err := w.repo.ArchiveOf(key)
		if err != nil {
			t.Fatal(err)
		}
		keys[id] = i
	}
	for seed := range uint64(rounds) {
		const limit = 15 << 20
		d := draw(seed, limit)
		var fetched int64
		for _, a := range d.Archives {
			fetched += a.Fetched
		}
		if fetched > limit || fetched < limit-9<<20 { // a content more may take two frames
			t.Fatalf("seed %d: %d bytes of %d, %+v", seed, fetched, limit, d.Parts)
		}
		first[keys[d.Parts[0].Archive]]++
	}
	for _, i := range keys {
		size := float64(len(w.Store.Bytes(w.archives()[i])))
		want := rounds * size / float64(survey.Bytes)
		if got := float64(first[i]); math.Abs(got-want) > 5*math.Sqrt(want) {
			t.Errorf("archive %d of %.0f bytes came first %.0f times, want about %.0f", i, size, got, want)
		}
	}
	if d := draw(1, 100); len(d.Parts) != 0 {
		t.Errorf("with a limit that is too small: %+v", d)
	}
	a, err := survey.Cheapest(t.Context(), 1)
	if err != nil || a.Gets != 1 || a.Fetched < 200_000 {
		t.Errorf("the least: %+v, %v", a, err)
	}
	if d := draw(1, math.MaxInt64); len(d.Parts) != 10 || d.Bytes != survey.Bytes || d.Contents != 50 {
		t.Errorf("without a limit: %d archives, %d contents", len(d.Parts), d.Contents)
	}
}

// TestKilled: a run that is killed at any request has its proofs kept, and the
// next goes on with what is left; one that was proven is not read again.
func TestKilled(t *testing.T) {
	w := newWorld(t, false)
	s := w.many(5, 3)
	want := w.round(s, 1, math.MaxInt64)
	w.Store.ResetRequests()
	var contents int64
	for kill := 1; ; kill++ {
		cfg := w.config(s)
		if cfg.Record.Round == nil {
			break
		}
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		save := cfg.Save
		cfg.Save = func(r *drill.Record) error {
			if n++; n == 2 {
				cancel()
			}
			return save(r)
		}
		out, err := drill.Prove(ctx, cfg, cfg.Record.Round.Parts)
		cancel()
		contents += out.Contents
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if kill > 10 {
			t.Fatalf("after %d runs: %+v", kill, cfg.Record.Round)
		}
	}
	if got := w.look(s); got.ProvenFiles != 15 || contents != want.Contents || w.gets() > 5+4*5 {
		t.Errorf("%+v; %d contents of %d, %d requests", got.Share, contents, want.Contents, w.gets())
	}
	if w.saves < 5 {
		t.Errorf("saved %d times", w.saves)
	}
}

// TestDamage: each content that is damaged is named, no other one is taken for
// damaged, and it is not drawn again. A bit that flips on its way once is no damage.
func TestDamage(t *testing.T) {
	w := newWorld(t, false)
	s := w.many(2, 8)
	key := w.archives()[0]
	sound := w.Store.Bytes(key)
	target := storagetest.Content(5, sizeOf(0, 5))[:64] // of 00/005, which is stored as it is
	at := bytes.Index(sound, target)
	if at < 0 {
		t.Fatal("the content is not stored as it is")
	}
	w.Store.SetHook(func(r storagetest.Request) storagetest.Fault {
		if r.Op == storagetest.OpGet && r.Key == key && w.gets() < 2 {
			return storagetest.Fault{Kind: storagetest.FlipBit, At: int64(at)}
		}
		return storagetest.Fault{}
	})
	w.Store.ResetRequests()
	w.round(s, 1, math.MaxInt64)
	if out := w.prove(s); len(out.Bad) != 0 || out.Contents != 16 {
		t.Errorf("with a bit that flips on its way: %+v", out)
	}
	w.Store.SetHook(nil)

	w.kept = nil
	bad := bytes.Clone(sound)
	bad[at] ^= 1
	w.Store.Plant(key, bad)
	w.round(s, 1, math.MaxInt64)
	out := w.prove(s)
	got := w.look(s)
	if len(out.Bad) == 0 || out.Bad[0].Key != key || !errors.Is(out.Bad[0].Err, tarn.ErrDamaged) || out.Contents+int64(len(out.Bad)) != 16 {
		t.Errorf("a damaged content: %+v", out)
	}
	if len(got.Damaged) != len(out.Bad) || got.ProvenFiles != out.Contents || got.Left() != 0 || got.ProvenArchives != 1 {
		t.Errorf("%+v, %+v", got.Share, got.Damaged)
	}
	found := false
	for _, d := range got.Damaged {
		found = found || d.Path == "src/00/005" && !d.Elsewhere
	}
	if !found {
		t.Errorf("the file is not named: %+v", got.Damaged)
	}

	// An archive that is gone costs all of its contents, and is no chance of the draw.
	w.kept = nil
	w.Store.Plant(key, sound)
	w.round(s, 1, math.MaxInt64)
	w.Store.Drop(key)
	if out := w.prove(s); out.Contents != 8 || len(out.Bad) != 8 {
		t.Errorf("an archive that is gone: %+v", out)
	}
	if got := w.look(s); got.Left() != 0 || len(got.Damaged) != 8 {
		t.Errorf("%+v", got.Share)
	}
}

// TestFrozen: an archive whose copy ends on the way stays in the round, and what
// is cold is never read.
func TestFrozen(t *testing.T) {
	w := newWorld(t, false)
	w.Class = tarn.DeepArchive
	s := w.many(3, 4)
	w.Store.SetCold()
	w.Store.SetNow(func() time.Time { return w.now })
	w.round(s, 1, math.MaxInt64)
	out := w.prove(s)
	if out.Contents != 0 || len(out.Frozen) != 3 || len(out.Bad) != 0 || w.config(s).Record.Round == nil {
		t.Fatalf("frozen: %+v", out)
	}
	for _, key := range w.archives()[:2] {
		if err := w.Store.Thaw(t.Context(), key, storage.ThawOptions{Days: 1, Tier: storage.Bulk}); err != nil {
			t.Fatal(err)
		}
	}
	w.now = w.now.Add(48 * time.Hour)
	out = w.prove(s)
	if out.Contents != 8 || len(out.Frozen) != 1 {
		t.Errorf("two thawed: %+v", out)
	}
	cfg := w.config(s)
	if len(cfg.Record.Round.Parts) != 1 || cfg.Object(cfg.Record.Round.Parts[0].Archive).State != cold.Frozen {
		t.Fatalf("%+v", cfg.Record.Round)
	}
	list, err := drill.Costs(t.Context(), cfg, cfg.Record.Round.Parts)
	if err != nil || len(list) != 1 || list[0].Gets != 1 || list[0].Fetched < 8000 {
		t.Errorf("what is left costs %+v, %v", list, err)
	}
	cfg.Record.Drop(cfg.Record.Round.Parts[0].Archive)
	if cfg.Record.Round != nil || w.look(s).Left() != 1 {
		t.Errorf("given up: %+v", cfg.Record.Round)
	}
}

// TestRecord: what is not this repository's record is none, and transfer counts by the month.
func TestRecord(t *testing.T) {
	for _, bad := range []string{"", "{", `{"repository":"other"}`, `[]`} {
		if _, err := drill.ParseRecord([]byte(bad), "r"); err == nil {
			t.Errorf("%q is a record", bad)
		}
	}
	r, err := drill.ParseRecord([]byte(`{"repository":"r","archives":{"x":null}}`), "r")
	if err != nil || len(r.Archives) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	november := time.Date(2026, 11, 30, 23, 59, 0, 0, time.UTC)
	r.Sent(november, 5)
	r.Sent(november, 7)
	if got := r.AlreadyOut(november); got != 12 {
		t.Errorf("%d bytes", got)
	}
	if got := r.AlreadyOut(november.Add(time.Minute)); got != 0 {
		t.Errorf("%d bytes of the next month", got)
	}
}
