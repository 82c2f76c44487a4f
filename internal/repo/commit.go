package repo

import (
	"context"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// Archive is an archive in the making, which Commit stores while it is written.
type Archive struct {
	ID    tarn.ArchiveID
	Key   string
	Class tarn.Class
	// MaxSize bounds the object's size in bytes, for the parts of its upload.
	MaxSize int64
	// Body gives the object's bytes; an error of it ends the run. It is closed
	// with the error of the upload, so that its writer does not wait for ever.
	Body *io.PipeReader
	// Index returns the finished index; it is called after Body has ended.
	Index func() (*Index, error)
	// Stored is called when the archive and its index are in the repository.
	Stored func(*Index) error
}

// Run is what a backup gives to Commit.
type Run struct {
	// Archives are stored at the same time, as they come, until it is closed.
	Archives <-chan *Archive
	// Trees returns the trees that the snapshot names, all in the cache, and
	// of which those that are new. It is called once, when no archive is missing.
	Trees func() ([]tarn.TreeID, error)
	// Snapshot returns the snapshot, with its ID set.
	Snapshot func() (*Snapshot, error)
	// Acknowledged is called as bytes of archives arrive in the storage.
	Acknowledged func(n int64)
}

// Commit stores one run, in the order that makes it safe to kill it anywhere:
// whatever an object names is there before it.
func (r *Repo) Commit(ctx context.Context, run Run) error {
	group, gctx := errgroup.WithContext(ctx)
	for a := range run.Archives {
		group.Go(func() error {
			if _, err := tarn.ParseArchiveID(string(a.ID)); err != nil {
				a.Body.CloseWithError(err)
				return fmt.Errorf("storing an archive: %w", err)
			}
			// 1. The archive. Nothing names it yet: killed here, it is an
			// orphan that costs its bytes and harms nothing.
			obj, err := r.storage.Put(gctx, a.Key, a.Body, storage.PutOptions{
				Class: a.Class, MaxSize: a.MaxSize, Acknowledged: run.Acknowledged,
			})
			a.Body.CloseWithError(err)
			if err != nil {
				return fmt.Errorf("storing archive %s: %w", a.ID, err)
			}
			ix, err := a.Index()
			if err != nil {
				return fmt.Errorf("indexing archive %s: %w", a.ID, err)
			}
			if err := agree(ix, obj); err != nil {
				return err
			}
			// 2. Its index. From here on its contents are never uploaded
			// again, whatever becomes of this run.
			if err := r.putIndex(gctx, ix); err != nil {
				return err
			}
			return a.Stored(ix)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	// 3. The trees. All content that they name is in an index: either it was
	// before, or it is in an archive of this run, and those are all stored.
	trees, err := run.Trees()
	if err != nil {
		return err
	}
	if err := r.putTrees(ctx, trees); err != nil {
		return err
	}
	// 4. The snapshot, which alone makes the run exist. Its trees are there.
	s, err := run.Snapshot()
	if err != nil {
		return err
	}
	return r.putSnapshot(ctx, s)
}

// agree compares what the storage received with what was written.
func agree(ix *Index, obj storage.Object) error {
	if obj.Size != ix.Layout.Stored || obj.Checksum.Known && obj.Checksum.Sum != ix.Layout.CRC64NVME {
		return fmt.Errorf("archive %s arrived as %d bytes with CRC64NVME %s, not as %d with %s: %w",
			ix.Archive, obj.Size, hex16(obj.Checksum.Sum), ix.Layout.Stored, hex16(ix.Layout.CRC64NVME), tarn.ErrDamaged)
	}
	return nil
}

func (r *Repo) putIndex(ctx context.Context, ix *Index) error {
	f, err := r.cache.Open(indexName(ix.Archive))
	if err != nil {
		return fmt.Errorf("reading index of %s from the cache: %w", ix.Archive, err)
	}
	defer f.Close()
	if err := r.put(ctx, r.indexKey(ix.Archive), f, 0); err != nil {
		return fmt.Errorf("storing index of %s: %w", ix.Archive, err)
	}
	return nil
}

func (r *Repo) putTrees(ctx context.Context, ids []tarn.TreeID) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, id := range ids {
		group.Go(func() error { return r.putTree(ctx, id) })
	}
	return group.Wait()
}

func (r *Repo) putSnapshot(ctx context.Context, s *Snapshot) error {
	if err := r.Writable(); err != nil {
		return err
	}
	if _, err := tarn.ParseSnapshotID(string(s.ID)); err != nil { // as of a clock in the year 10000
		return fmt.Errorf("storing a snapshot: %w", err)
	}
	s.Format, s.Repository = Format, r.Config.ID
	data, err := s.encode(r.key)
	if err == nil && len(data) > maxSnapshot {
		err = fmt.Errorf("%d bytes for %d splits, limit %d: choose a smaller --split-depth", len(data), len(s.Splits), maxSnapshot)
	}
	if err != nil {
		return fmt.Errorf("encoding snapshot %s: %w", s.ID, err)
	}
	if err := r.putBytes(ctx, r.snapshotKey(s.ID), data); err != nil {
		return fmt.Errorf("storing snapshot %s: %w", s.ID, err)
	}
	// The cache is a convenience: a snapshot that is stored is stored.
	if err := r.cacheBytes(snapshotPrefix+string(s.ID)+".json", data); err != nil {
		r.log.Warn("keeping a copy of the snapshot", "snapshot", s.ID, "error", err)
	}
	return nil
}
