package repo_test

import (
	"bytes"
	"crypto/sha256"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/machine"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/restore"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
	"github.com/tarn-backup/tarn/internal/warm"
)

// load puts a folder into a storage.
func load(t *testing.T, dir string) *storagetest.Memory {
	t.Helper()
	s := storagetest.NewMemory()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil {
			s.Plant(filepath.ToSlash(strings.TrimPrefix(path, dir+string(filepath.Separator))), data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Keys()) < 7 {
		t.Fatalf("%s holds %q", dir, s.Keys())
	}
	return s
}

// TestGoldenRepository reads repositories that zstd, age, GNU tar and a
// script made: every entry, and every byte of their files.
func TestGoldenRepository(t *testing.T) {
	for _, kind := range []string{"plain", "age"} {
		t.Run(kind, func(t *testing.T) {
			dir := filepath.Join("testdata", "golden", kind)
			var opts repo.Options
			if kind == "age" {
				ids, fingerprints, err := machine.LoadIdentities(dir+".identity.txt", machine.Ask{})
				if err != nil {
					t.Fatal(err)
				}
				opts.Identities = func() ([]age.Identity, error) { return ids, nil }
				opts.Fingerprint = func(id string) string { return fingerprints[id] }
			}
			r, err := repo.Open(t.Context(), load(t, dir), opts)
			if err != nil {
				t.Fatal(err)
			}
			if r.Config.StorageClass != tarn.Glacier || r.Encrypted() != (kind == "age") || len(r.ObjectRecipients()) > 1 {
				t.Errorf("%+v with %d recipients", r.Config, len(r.ObjectRecipients()))
			}
			goldenSnapshot(t, r)
			lost := load(t, dir)
			lost.Drop("tarn.json")
			if by, err := repo.Open(t.Context(), lost, opts); err != nil || by.Config != r.Config {
				t.Errorf("without tarn.json: %v", err)
			} else if _, err := by.Mend(t.Context()); err != nil || !bytes.Equal(lost.Bytes("tarn.json"), load(t, dir).Bytes("tarn.json")) {
				t.Errorf("mending tarn.json: %v", err)
			}
		})
	}
}

func goldenSnapshot(t *testing.T, r *repo.Repo) {
	ids, err := r.SnapshotIDs(t.Context())
	if err != nil || len(ids) != 1 {
		t.Fatal(ids, err)
	}
	s, err := r.Snapshot(t.Context(), ids[0])
	if err != nil {
		t.Fatal(err)
	}
	want := repo.Counts{Files: 7, Dirs: 2, Others: 2, Bytes: 2*12 + 2*10240 + 6 + 4006}
	if s.Host != "tarnhost" || s.Time.Nanosecond() != 123456789 || len(s.Sources) != 1 || s.Sources[0].Path != "/home/ann/Bilder \xff" ||
		s.ErrorCount != 1 || s.Total() != want || s.Options["excludes"] != "*.tmp" {
		t.Errorf("snapshot %+v, total %+v", s, s.Total())
	}
	contents, err := catalog.OpenContents(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer contents.Close()
	if res, err := warm.Sync(t.Context(), r, contents, nil); err != nil || res.Added != 1 {
		t.Fatalf("%+v, %v", res, err)
	}
	var b []byte
	for i := range 10240 {
		b = append(b, byte(i))
	}
	hello := "hello, lake\n"
	files := map[string]string{
		"Pictures/a.txt": hello, "Pictures/z.txt": hello, "Pictures/2010/b.bin": string(b), "Pictures/2010/hard": string(b), "Pictures/2010/caf\xe9": "café\n",
		"Pictures/2010/empty": "", "Pictures/2010/joined": string(b[100:4100]) + hello[:5] + "\x00",
	}
	var order []string
	for e, err := range r.Entries(t.Context(), s, nil) {
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, e.Path)
		if e.Path == "Pictures/2010/link" && e.Target != "../a.txt" {
			t.Errorf("link to %q", e.Target)
		}
		if e.Type != tarn.TypeFile {
			continue
		}
		var got bytes.Buffer
		if err := restore.Cat(t.Context(), restore.Config{Repo: r, Contents: contents}, e, &got); err != nil {
			t.Error(err)
		}
		if got.String() != files[e.Path] || e.Size > 0 && e.Content != sha256.Sum256(got.Bytes()) || e.MTime.Nsec != 5e8 {
			t.Errorf("%q: %d bytes, %+v", e.Path, got.Len(), e)
		}
		delete(files, e.Path)
	}
	if len(files) != 0 {
		t.Errorf("no entries of %q", files)
	}
	if got := strings.Join(order, " "); got != "Pictures Pictures/2010 Pictures/2010/b.bin Pictures/2010/caf\xe9 Pictures/2010/empty Pictures/2010/hard "+
		"Pictures/2010/joined Pictures/2010/link Pictures/2010/sub Pictures/a.txt Pictures/z.txt" {
		t.Errorf("order of entries: %s", got)
	}
}
