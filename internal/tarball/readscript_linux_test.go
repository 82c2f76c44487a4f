package tarball_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/restore"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
	"github.com/tarn-backup/tarn/internal/tarball"
)

// readCase is a folder, and how deep it is split.
type readCase struct {
	path  string
	depth int
}

// TestReadsBack restores whole backups that the script and tarn have made, at
// each split depth, and verifies them: all files come back where they were, and each
// archive is proved by its hash.
func TestReadsBack(t *testing.T) {
	t.Parallel()
	many := filepath.Join(t.TempDir(), "many")
	if err := os.MkdirAll(filepath.Join(many, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 5000 {
		name := fmt.Sprintf("folder/a photo with a long name, as cameras make them %05d.jpg", i)
		if err := os.WriteFile(filepath.Join(many, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	odd, all := oddTree(t), storagetest.All(t)
	for server, start := range map[string]func(testing.TB) storagetest.Endpoint{"versitygw": storagetest.Versitygw, "moto": storagetest.Moto} {
		if server == "moto" && !all {
			continue
		}
		s := newScripted(t, start(t))
		for i, c := range []readCase{{odd, 0}, {odd, 1}, {odd, 2}, {odd, 3}, {many, 0}, {many, 1}} {
			if server == "moto" && c.depth != 1 {
				continue // the second opinion, which is slow
			}
			if !all && c != (readCase{odd, 1}) && c != (readCase{many, 0}) {
				continue
			}
			t.Run(fmt.Sprintf("%s, %s, depth %d", server, filepath.Base(c.path), c.depth), func(t *testing.T) {
				s := &scripted{t, s.e, s.store}
				byScript, byTarn := fmt.Sprint("script", i), fmt.Sprint("tarn", i)
				s.script(byScript, c.path, c.depth, tarn.Standard)
				s.tarn(tarball.Config{Name: byTarn, Path: c.path, SplitDepth: c.depth, Class: tarn.Standard})
				want := backedUp(t, c.path, c.depth)
				glued := s.readsBack(byScript, want)
				if (c.path == many) != (glued > 0) {
					t.Errorf("%d of the script's archives are several tars", glued)
				}
				if glued := s.readsBack(byTarn, want); glued > 0 {
					t.Errorf("%d of tarn's archives are several tars", glued)
				}
			})
		}
	}
}

// backedUp are the contents of files that a backup of path holds, by where they are
// restored to.
func backedUp(t *testing.T, path string, depth int) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, content := range contents(e2e.ReadTree(t, path)) {
		parts := strings.Split(name, "/")
		skipped := false
		for _, dir := range parts[:min(depth, len(parts)-1)] {
			for _, bin := range []string{"$RECYCLE.BIN", ".Trash-1000", "System Volume Information"} {
				skipped = skipped || strings.HasSuffix(dir, bin)
			}
		}
		switch {
		case skipped:
		case depth == 0:
			all[filepath.Base(path)+"/"+name] = content
		default:
			all[name] = content
		}
	}
	return all
}

// readsBack restores and verifies all archives of a backup, and returns how many
// are several tars.
func (s *scripted) readsBack(name string, want map[string]string) (glued int) {
	s.Helper()
	b, err := tarball.Look(s.Context(), s.store, name, time.Now())
	if err != nil || len(b.Archives) == 0 {
		s.Fatalf("%+v, %v", b, err)
	}
	dir := s.TempDir()
	for _, a := range b.Archives {
		to, err := restore.OpenTarget(dir, restore.TargetOptions{Replace: true})
		if err != nil {
			s.Fatal(err)
		}
		res, err := tarball.Restoring{
			Storage: s.store, Tarball: a, Target: target{to}, Overwrite: tarball.Changed, Now: time.Now,
			Problem: func(path string, err error) { s.Errorf("%s: %v", path, err) },
		}.Restore(s.Context())
		if err != nil || !res.Proved {
			s.Errorf("%s: proved %v, %v", a.Body.Key, res.Proved, err)
		}
		if err := to.FinishDirs(s.Context()); err != nil {
			s.Error(err)
		}
		to.Close()
	}
	if got := contents(e2e.ReadTree(s, dir)); !maps.Equal(got, want) {
		s.Errorf("%s: %d files came back, want %d", name, len(got), len(want))
	}
	res, err := tarball.Verifying{
		Storage: s.store, Bucket: b, Tarballs: b.Archives, Data: true,
		Report: func(d tarball.Damage) { s.Errorf("%+v", d) },
	}.Verify(s.Context())
	if err != nil || res.Proved != len(b.Archives) || res.Files != int64(len(want)) {
		s.Errorf("%+v, %v", res, err)
	}
	return res.Glued
}
