package rebuild_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
	"github.com/tarn-backup/tarn/internal/rebuild"
	"github.com/tarn-backup/tarn/internal/repo"
)

// plant stores an archive as somebody makes it who can write to the storage and
// knows its recipients.
func (w *world) plant(split string, at time.Time, path, content string) tarn.ArchiveID {
	w.t.Helper()
	id := tarn.ArchiveID(tarn.FormatID(at, [8]byte{0xff, 0xff, 0xff, 0xff}))
	var b bytes.Buffer
	a := must[*archive.Writer](w.t)(archive.NewWriter(&b, archive.WriterConfig{Level: archive.Fastest, Recipients: w.machine.repo.ObjectRecipients()}))
	e := tarn.Entry{Path: path, Type: tarn.TypeFile, Mode: 0o644, Size: int64(len(content)), MTime: tarn.TimespecOf(at)}
	must[int64](w.t)(a.AddBytes(&e, []byte(content)))
	must[archive.Layout](w.t)(a.Close())
	w.Store.Plant(w.machine.repo.ArchiveKey(split, id), b.Bytes())
	return id
}

// loseTree loses the tree of src/a in the newest snapshot.
func (w *world) loseTree() {
	w.t.Helper()
	for _, sp := range w.Last.Splits {
		if sp.Path == "src/a" {
			w.Store.Drop(w.machine.repo.TreeKey(sp.Tree))
			return
		}
	}
	w.t.Fatal("no split src/a")
}

// TestPlantedArchive: a rebuild makes an index of an archive that a stranger
// put there, and takes no file from it into a snapshot, now or in a later run, unless
// the person says so. The index passes for one of a rebuild only.
func TestPlantedArchive(t *testing.T) {
	w := newWorld(t, true)
	w.Write(files)
	w.backup()
	if err := os.Chmod(filepath.Join(w.Source, "a/1"), 0o600); err != nil { // which no archive tells
		t.Fatal(err)
	}
	s := w.backup()
	id := w.plant("src/a", s.ID.Time(), "src/a/2", "planted")
	w.loseTree()
	before := w.Store.Clone()
	for range 2 { // the second finds the index of the first
		m := w.open()
		res := w.rebuild(m)
		ix := must[*repo.Index](t)(m.repo.Index(t.Context(), id, nil))
		if !ix.Rebuilt || ix.Contents != 1 || !slices.Equal(res.Unproven, []string{ix.Key}) {
			t.Errorf("%+v, %+v", ix, res)
		}
		for _, r := range res.Replaced {
			if got := w.restored(m, r.New)["a/2"]; got != "two" {
				t.Errorf("a/2 of the rebuilt snapshot is %q", got)
			}
		}
	}
	if n := len(w.Keys("snapshots/")); n != 3 {
		t.Errorf("%d snapshots, want two and what stands in for the second", n)
	}
	w.Store = before
	m := w.open()
	res := must[*rebuild.Result](t)(rebuild.Run(t.Context(), rebuild.Config{Repo: m.repo, Contents: m.contents, Dir: t.TempDir(), TrustArchives: true}))
	if len(res.Unproven) > 0 || len(res.Replaced) != 1 || w.restored(m, res.Replaced[0].New)["a/2"] != "planted" {
		t.Errorf("%+v", res)
	}
}

// TestPlantedBesideWhole: a planted archive does not keep the very tree that
// was lost from coming back.
func TestPlantedBesideWhole(t *testing.T) {
	w := newWorld(t, true)
	w.Write(files)
	s := w.backup()
	w.plant("src/a", s.ID.Time(), "src/a/2", "planted")
	w.loseTree()
	m := w.open()
	if res := w.rebuild(m); len(res.Trees) != 1 || res.Trees[0].Outcome != rebuild.Exact || len(res.Unproven) > 0 {
		t.Errorf("%+v", res)
	}
	if got := w.restored(m, s.ID); !maps.Equal(got, files) {
		t.Errorf("restored %v", got)
	}
}
