package restore_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/backup"
	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/restore"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// twice is a repository in which two machines have stored the same folder at
// the same time: each content lies in two archives. It returns the archives of the
// first, which a restore reads by itself.
func twice(t *testing.T, dir string) (m *storagetest.Memory, b *e2e.Bench, first []string) {
	t.Helper()
	m = storagetest.NewMemory()
	b = e2e.New(t, false)
	if err := b.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	// The other machine began before this one had ended.
	before := m.Clone()
	for _, s := range []*storagetest.Memory{m, before} {
		if _, err := b.Amnesiac().Backup(t.Context(), s, dir, nil); err != nil {
			t.Fatal(err)
		}
	}
	first = archivesOf(m)
	for _, key := range before.Keys() {
		if !slices.Contains(m.Keys(), key) {
			m.Plant(key, before.Bytes(key))
		}
	}
	if n := len(archivesOf(m)); n != 2*len(first) || n == 0 {
		t.Fatalf("%d archives, of which %d are the first machine's", n, len(first))
	}
	return m, b, first
}

func archivesOf(m *storagetest.Memory) (keys []string) {
	for _, key := range m.Keys() {
		if strings.HasPrefix(key, "archives/") {
			keys = append(keys, key)
		}
	}
	return keys
}

// faultsOfArchives are what may become of the archives of one machine.
var faultsOfArchives = map[string]func(m *storagetest.Memory, keys []string){
	"deleted": func(m *storagetest.Memory, keys []string) {
		for _, k := range keys {
			m.Drop(k)
		}
	},
	"truncated": func(m *storagetest.Memory, keys []string) {
		for _, k := range keys {
			data := m.Bytes(k)
			m.Drop(k)
			m.Plant(k, data[:len(data)/3])
		}
	},
	"damaged": func(m *storagetest.Memory, keys []string) {
		for _, k := range keys {
			data := slices.Clone(m.Bytes(k))
			for i := 20; i < len(data); i += 50 {
				data[i] ^= 0x55
			}
			m.Drop(k)
			m.Plant(k, data)
		}
	},
	"without an index": func(m *storagetest.Memory, keys []string) {
		for _, k := range keys {
			id := strings.Split(filepath.Base(k), ".")[0]
			m.Drop("indexes/" + id + ".jsonl.zst")
		}
	},
	"cold": func(m *storagetest.Memory, keys []string) {
		m.SetHook(func(r storagetest.Request) storagetest.Fault {
			if r.Op == storagetest.OpGet && slices.Contains(keys, r.Key) {
				return storagetest.Fault{Kind: storagetest.FailBefore, Err: tarn.ErrCold}
			}
			return storagetest.Fault{}
		})
	},
}

func TestContentOfTwoArchives(t *testing.T) {
	dir := source(t)
	for what, harm := range faultsOfArchives {
		t.Run(what, func(t *testing.T) {
			m, b, first := twice(t, dir)
			if res, err := b.Restore(t.Context(), m, "", e2e.Scratch(t), nil); err != nil || res.Problems > 0 {
				t.Fatalf("before: %+v, %v", res, err) // and the catalog has both places
			}
			all := archivesOf(m)
			for _, keys := range [][]string{first, slices.DeleteFunc(all, func(k string) bool { return slices.Contains(first, k) })} {
				one := m.Clone()
				harm(one, keys)
				target := e2e.Scratch(t)
				res, err := b.Restore(t.Context(), one, "", target, func(cfg *restore.Config) {
					cfg.Problem = func(path string, err error) { t.Errorf("%s: %v", path, err) }
				})
				if err != nil || res.Problems > 0 {
					t.Fatalf("%+v, %v", res, err)
				}
				b.Same(dir, filepath.Join(target, "src"))
				catAll(t, b, one, 0)
			}
			harm(m, archivesOf(m))
			res, err := b.Restore(t.Context(), m, "", e2e.Scratch(t), func(cfg *restore.Config) {
				cfg.Problem = func(path string, err error) {
					if text := err.Error(); !strings.Contains(text, "another archive has it, but") && !strings.Contains(text, "no archive that the repository has an index of") {
						t.Errorf("%s: %v, want both archives", path, err)
					}
				}
			})
			if err != nil || res.Problems == 0 || res.Written != 1 { // the empty file
				t.Errorf("both %s: %+v, %v", what, res, err)
			}
			catAll(t, b, m, int(res.Problems))
		})
	}
}

// catAll prints each file by itself and all as a tar, of which as many as
// fails can't be read.
func catAll(t *testing.T, b *e2e.Bench, m *storagetest.Memory, fails int) {
	t.Helper()
	o, err := b.Open(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Contents.Close()
	s := latest(t, o)
	failed := 0
	for e, err := range o.Entries(t.Context(), s, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type != tarn.TypeFile {
			continue
		}
		var buf bytes.Buffer
		if err := restore.Cat(t.Context(), restore.Config{Repo: o.Repo, Contents: o.Contents}, e, &buf); err != nil {
			failed++
		} else if int64(buf.Len()) != e.Size {
			t.Errorf("%s: %d bytes, want %d", e.Path, buf.Len(), e.Size)
		}
	}
	var dump bytes.Buffer
	skipped := 0
	err = restore.Dump(t.Context(), restore.Config{Repo: o.Repo, Contents: o.Contents, Snapshot: s}, &dump, func(string, error) { skipped++ })
	switch {
	case failed != fails:
		t.Errorf("%d files can't be printed, want %d", failed, fails)
	case err != nil && fails > 0 && errors.Is(err, tarn.ErrDamaged): // found out in the midst of a large one
	case err != nil || skipped != fails:
		t.Errorf("dump: %d skipped, want %d: %v", skipped, fails, err)
	default:
		wantTar(t, o, s, &dump, fails)
	}
}

// wantTar requires that a tar holds the files of a snapshot, each whole, but for
// as many as lack.
func wantTar(t *testing.T, o *e2e.Opened, s *repo.Snapshot, r io.Reader, lack int) {
	t.Helper()
	want := map[string]tarn.ContentHash{}
	for e, err := range o.Entries(t.Context(), s, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == tarn.TypeFile && e.Size > 0 {
			want[e.Path] = e.Content
		}
	}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		hash := sha256.New()
		if _, err := io.Copy(hash, tr); err != nil {
			t.Fatal(err)
		}
		if h.Size == 0 {
			continue
		}
		if tarn.ContentHash(hash.Sum(nil)) != want[h.Name] {
			t.Errorf("%s is not as it was", h.Name)
		}
		delete(want, h.Name)
	}
	if len(want) != lack {
		t.Errorf("%d files are not in the tar, want %d", len(want), lack)
	}
}

func latest(t *testing.T, o *e2e.Opened) *repo.Snapshot {
	t.Helper()
	ids, err := o.SnapshotIDs(t.Context())
	if err != nil || len(ids) == 0 {
		t.Fatal(len(ids), err)
	}
	s, err := o.Snapshot(t.Context(), ids[len(ids)-1])
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A writer that fails is not a reason to try another archive.
func TestCatToNobody(t *testing.T) {
	m, b, _ := twice(t, source(t))
	o, err := b.Open(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Contents.Close()
	for e, err := range o.Entries(t.Context(), latest(t, o), []string{"src/large"}) {
		if err != nil {
			t.Fatal(err)
		}
		m.ResetRequests()
		err := restore.Cat(t.Context(), restore.Config{Repo: o.Repo, Contents: o.Contents}, e, nobody{})
		if !errors.Is(err, io.ErrClosedPipe) || m.Count() > 2 {
			t.Errorf("%v after %d requests", err, m.Count())
		}
	}
}

type nobody struct{}

func (nobody) Write([]byte) (int, error) { return 0, fmt.Errorf("writing: %w", io.ErrClosedPipe) }

func TestNothingToRestore(t *testing.T) {
	m, b, _ := twice(t, source(t))
	for _, paths := range [][]string{{"src/none"}, {"other"}} {
		_, err := b.Restore(t.Context(), m, "", e2e.Scratch(t), func(cfg *restore.Config) { cfg.Paths = paths })
		if err == nil || !strings.Contains(err.Error(), paths[0]) {
			t.Errorf("%q: %v", paths, err)
		}
	}
	_, err := b.Restore(t.Context(), m, "", e2e.Scratch(t), func(cfg *restore.Config) { cfg.Snapshot = &repo.Snapshot{ID: cfg.Snapshot.ID} })
	if err == nil {
		t.Error("an empty snapshot: no error")
	}
}

// TestDumpReadsFramesOnce: files of one frame, and frames of one archive, are fetched together,
// by no more than a restore reads; what can't be read is not asked for.
func TestDumpReadsFramesOnce(t *testing.T) {
	dir := t.TempDir()
	for i := range 400 {
		e2e.Write(t, filepath.Join(dir, fmt.Sprintf("many/%03d", i)), e2e.Content(uint64(i), 20_000))
	}
	e2e.Write(t, filepath.Join(dir, "many/large"), e2e.Content(1000, 20<<20))
	m := storagetest.NewMemory()
	b := e2e.New(t, true)
	if err := b.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Backup(t.Context(), m, dir, func(c *backup.Config) { c.ArchiveSize = 256 << 20 }); err != nil {
		t.Fatal(err)
	}
	o, err := b.Open(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Contents.Close()
	s := latest(t, o)
	cfg := restore.Config{Repo: o.Repo, Contents: o.Contents, Snapshot: s}
	dump := func() (size, requests int64) {
		t.Helper()
		m.ResetRequests()
		var w bytes.Buffer
		skipped := 0
		err := restore.Dump(t.Context(), cfg, &w, func(_ string, err error) {
			if !errors.Is(err, tarn.ErrCold) {
				t.Error(err)
			}
			skipped++
		})
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Access == nil {
			wantTar(t, o, s, &w, 0)
		} else if skipped != 401 {
			t.Errorf("%d files are not in the tar, want 401", skipped)
		}
		return int64(w.Len()), int64(m.Count())
	}
	dump() // and the index is on this machine
	if size, requests := dump(); requests > 8 {
		t.Errorf("%d requests for a tar of %d bytes", requests, size)
	}
	cfg.Access = func(tarn.ArchiveID) restore.Access { return restore.Access{} }
	if _, requests := dump(); requests > 1 {
		t.Errorf("%d requests for what is frozen", requests)
	}
}
