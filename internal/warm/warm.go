// Package warm brings this machine's catalog in step with the indexes of a
// repository.
package warm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/repo"
)

// fetches is how many indexes are read at once.
const fetches = 8

// Result is what Sync found.
type Result struct {
	Indexes    int // in the repository
	Added      int
	Unreadable []tarn.ArchiveID // for want of an identity, or damaged
	Lost       []Lost           // of SyncArchives alone
}

// Sync adds the indexes that the catalog lacks. An index that can't be read is
// left out and reported: its contents will be unknown here, which costs an
// upload at worst.
func Sync(ctx context.Context, r *repo.Repo, c *catalog.Contents, log *slog.Logger) (Result, error) {
	var res Result
	var missing []tarn.ArchiveID
	there := map[tarn.ArchiveID]bool{}
	for id, err := range r.IndexIDs(ctx) {
		if err != nil {
			return res, err
		}
		res.Indexes++
		there[id] = true
		if !c.Has(id) {
			missing = append(missing, id)
		}
	}
	for _, id := range c.Archives() {
		if there[id] {
			continue
		}
		// An index is gone, so nothing may refer to its contents any more:
		// the look-up can't forget one archive, it begins anew.
		if err := c.Reset(); err != nil {
			return res, fmt.Errorf("emptying the catalog: %w", err)
		}
		missing = missing[:0]
		for id := range there {
			missing = append(missing, id)
		}
		break
	}
	bad := make(chan tarn.ArchiveID, len(missing))
	var sealed atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fetches)
	for _, id := range missing {
		group.Go(func() error {
			err := add(ctx, r, c, id)
			switch {
			case foreign(err):
				sealed.Add(1)
				log.Info("can't read an index without the identity", "archive", id)
			case broken(err):
				log.Warn("can't use an index", "archive", id, "error", err)
			default:
				return err
			}
			bad <- id
			return nil
		})
	}
	err := group.Wait()
	close(bad)
	for id := range bad {
		res.Unreadable = append(res.Unreadable, id)
	}
	res.Added = len(missing) - len(res.Unreadable)
	if n := sealed.Load(); n > 0 && err == nil { // those of other machines, as a rule: no fault of theirs or this one's
		log.Warn("indexes of other machines can't be read without the identity: what they hold may be stored twice (-v names them)", "indexes", n)
	}
	return res, err
}

// foreign reports whether an index is not for this machine to read.
func foreign(err error) bool { return errors.Is(err, tarn.ErrNoIdentity) }

func broken(err error) bool {
	return errors.Is(err, tarn.ErrDamaged) || errors.Is(err, tarn.ErrNotAuthentic)
}

func add(ctx context.Context, r *repo.Repo, c *catalog.Contents, id tarn.ArchiveID) error {
	a := c.Add(id)
	_, err := r.Index(ctx, id, func(x repo.Content) error {
		a.Content(x.Hash, x.Offset, x.Size)
		return nil
	})
	if err != nil {
		return err
	}
	return a.Done()
}
