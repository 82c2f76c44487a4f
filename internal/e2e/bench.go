package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"filippo.io/age"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
	"github.com/tarn-backup/tarn/internal/backup"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/check"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/restore"
	"github.com/tarn-backup/tarn/internal/scan"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/warm"
)

// Bench is a machine that keeps one repository: its cache, its identity and
// what it remembers of the repository's key. Each of its runs opens all of it
// anew, as each run of the program does.
type Bench struct {
	// ArchiveSize is that of backups, in bytes; New sets 256 KiB.
	ArchiveSize int64
	// Encrypt says what Create makes; New sets it.
	Encrypt bool

	tb    testing.TB
	cache string // folder
	ids   []age.Identity
	known *repo.Known
}

// New returns a machine that knows no repository yet. Its cache ends with the test.
func New(tb testing.TB, encrypt bool) *Bench {
	tb.Helper()
	return &Bench{ArchiveSize: 256 << 10, Encrypt: encrypt, tb: tb, cache: Scratch(tb)}
}

// Stranger returns another machine that has the identity of the repository and
// nothing else of it.
func (b *Bench) Stranger() *Bench {
	b.tb.Helper()
	s := New(b.tb, b.Encrypt)
	s.ids = b.ids
	return s
}

// Amnesiac returns the same machine with an empty cache: it remembers which
// repository it knows, and has to read everything of it again.
func (b *Bench) Amnesiac() *Bench {
	b.tb.Helper()
	s := b.Stranger()
	s.known = b.known
	return s
}

// Adopt gives the machine identities, as of a repository that the program made.
func (b *Bench) Adopt(ids []age.Identity) { b.ids = ids }

// Create makes the repository.
func (b *Bench) Create(ctx context.Context, s storage.Storage) error {
	r, err := repo.Create(ctx, s, repo.CreateOptions{
		Encrypt: b.Encrypt, Compression: "fastest", StorageClass: tarn.Standard,
		SaveIdentity: func(id *age.X25519Identity, _, _ string) error {
			b.ids = []age.Identity{id}
			return nil
		},
	})
	if err != nil {
		return err
	}
	b.remember(r)
	return nil
}

func (b *Bench) remember(r *repo.Repo) {
	k := r.Known()
	b.known = &k
}

// Opened is the repository with the catalog in step.
type Opened struct {
	*repo.Repo
	Contents *catalog.Contents
	Lost     []tarn.ArchiveID // archives that are not there as their index says
}

// Open opens the repository in s and brings the catalog in step.
func (b *Bench) Open(ctx context.Context, s storage.Storage) (*Opened, error) {
	files, err := catalog.OpenFiles(b.cache)
	if err != nil {
		return nil, err
	}
	r, err := repo.Open(ctx, s, repo.Options{
		Cache: files, Known: b.known,
		Identities: func() ([]age.Identity, error) { return b.ids, nil },
	})
	if err != nil {
		return nil, err
	}
	b.remember(r)
	c, err := catalog.OpenContents(filepath.Join(b.cache, "contents"))
	if err != nil {
		return nil, err
	}
	o := &Opened{Repo: r, Contents: c}
	synced, err := warm.SyncArchives(ctx, r, c, discard())
	if err != nil {
		c.Close()
		return nil, err
	}
	for _, l := range synced.Lost {
		o.Lost = append(o.Lost, l.Archive)
	}
	return o, nil
}

// latest returns the newest snapshot, nil if there is none.
func (o *Opened) latest(ctx context.Context) (*repo.Snapshot, error) {
	ids, err := o.SnapshotIDs(ctx)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return o.Snapshot(ctx, ids[len(ids)-1])
}

// Backup backs the folder dir up as the source "src", compared with the
// newest snapshot. change, if not nil, has the last word on the run.
func (b *Bench) Backup(ctx context.Context, s storage.Storage, dir string, change func(*backup.Config)) (*backup.Result, error) {
	o, err := b.Open(ctx, s)
	if err != nil {
		return nil, err
	}
	defer o.Contents.Close()
	parent, err := o.latest(ctx)
	if err != nil {
		return nil, err
	}
	cfg := backup.Config{
		Repo: o.Repo, Contents: o.Contents, Lost: o.Lost, Parent: parent, Host: "bench", Program: "e2e",
		Sources:     []scan.Config{{Path: dir, Name: "src", SplitDepth: 1}},
		ArchiveSize: b.ArchiveSize, Level: archive.Fastest, Class: o.Config.StorageClass,
	}
	if change != nil {
		change(&cfg)
	}
	return backup.Run(ctx, cfg)
}

// Restore restores a snapshot, the newest if id is empty, into the folder
// target, so that the source is at target/src.
func (b *Bench) Restore(ctx context.Context, s storage.Storage, id tarn.SnapshotID, target string, change func(*restore.Config)) (*restore.Result, error) {
	o, err := b.Open(ctx, s)
	if err != nil {
		return nil, err
	}
	defer o.Contents.Close()
	var snap *repo.Snapshot
	if id != "" {
		snap, err = o.Snapshot(ctx, id)
	} else if snap, err = o.latest(ctx); snap == nil && err == nil {
		err = fmt.Errorf("no snapshot: %w", os.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	cfg := restore.Config{Repo: o.Repo, Contents: o.Contents, Snapshot: snap, Target: target, Overwrite: restore.Changed}
	if change != nil {
		change(&cfg)
	}
	return restore.Run(ctx, cfg)
}

// Check reads percent of the archives and all metadata, and fails the test for
// each damage. It returns what it found.
func (b *Bench) Check(ctx context.Context, s storage.Storage, percent float64) *check.Result {
	b.tb.Helper()
	o, err := b.Open(ctx, s)
	if err != nil {
		b.tb.Fatalf("opening the repository for a check: %v", err)
	}
	defer o.Contents.Close()
	res, err := check.Run(ctx, check.Config{Repo: o.Repo, Contents: o.Contents, ReadData: percent, Dir: Scratch(b.tb)})
	if err != nil {
		b.tb.Fatalf("checking: %v", err)
	}
	for _, d := range res.Damages {
		b.tb.Errorf("check: %s: %s (%d files)", d.Key, d.Problem, d.Files)
	}
	return res
}

// Stored returns the archives that hold each content, by the indexes in the
// repository.
func (b *Bench) Stored(ctx context.Context, s storage.Storage) map[tarn.ContentHash][]tarn.ArchiveID {
	b.tb.Helper()
	o, err := b.Open(ctx, s)
	if err != nil {
		b.tb.Fatal(err)
	}
	defer o.Contents.Close()
	stored := map[tarn.ContentHash][]tarn.ArchiveID{}
	for id, err := range o.IndexIDs(ctx) {
		if err != nil {
			b.tb.Fatal(err)
		}
		_, err := o.Index(ctx, id, func(c repo.Content) error {
			stored[c.Hash] = append(stored[c.Hash], id)
			return nil
		})
		if err != nil {
			b.tb.Fatal(err)
		}
	}
	return stored
}

// Restored restores the newest snapshot into a new folder, and fails the test
// if that is not the folder want.
func (b *Bench) Restored(ctx context.Context, s storage.Storage, want string) {
	b.tb.Helper()
	target := Scratch(b.tb)
	res, err := b.Restore(ctx, s, "", target, nil)
	if err != nil {
		b.tb.Errorf("restoring: %v", err)
		return
	}
	if res.Problems > 0 {
		b.tb.Errorf("restoring: %d problems", res.Problems)
	}
	b.Same(want, filepath.Join(target, "src"))
}

// Same fails the test if two folders differ.
func (b *Bench) Same(want, got string) {
	b.tb.Helper()
	if diff := Diff(ReadTree(b.tb, want), ReadTree(b.tb, got)); len(diff) > 0 {
		b.tb.Errorf("%d differences, such as %q", len(diff), slices.Compact(diff[:min(len(diff), 5)]))
	}
}
