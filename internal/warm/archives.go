package warm

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"log/slog"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/repo"
)

// Lost is an archive of the catalog that is not there as its index says.
type Lost struct {
	Archive tarn.ArchiveID
	Key     string
	Problem string // "is missing", or what is wrong with its size or checksum
}

// SyncArchives is Sync, and at the same time lists the archives: Result.Lost
// names those that are missing or of another size than their index says.
func SyncArchives(ctx context.Context, r *repo.Repo, c *catalog.Contents, log *slog.Logger) (Result, error) {
	var res Result
	there := sizes{seed: maphash.MakeSeed(), of: map[uint64]int64{}}
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return there.list(gctx, r) })
	group.Go(func() (err error) {
		res, err = Sync(gctx, r, c, log)
		return err
	})
	if err := group.Wait(); err != nil {
		return res, err
	}
	noted, err := c.Objects()
	if err != nil {
		return res, err
	}
	l := look{r: r, news: map[tarn.ArchiveID]catalog.Object{}}
	group, gctx = errgroup.WithContext(ctx)
	group.SetLimit(fetches)
	for _, id := range c.Archives() {
		o, known := noted[id]
		if known && there.has(o) {
			continue
		}
		group.Go(func() error { return l.archive(gctx, id, o, there) })
	}
	if err := group.Wait(); err != nil {
		return res, err
	}
	res.Lost = l.lost
	return res, c.NoteObjects(l.news)
}

// sizes are those of the objects that a listing named, by hashes of their keys.
type sizes struct {
	seed maphash.Seed
	of   map[uint64]int64
}

func (s sizes) list(ctx context.Context, r *repo.Repo) error {
	for o, err := range r.Storage().List(ctx, "archives/") {
		if err != nil {
			return fmt.Errorf("listing archives: %w", err)
		}
		s.of[maphash.String(s.seed, o.Key)] = o.Size
	}
	return nil
}

func (s sizes) has(o catalog.Object) bool {
	size, ok := s.of[maphash.String(s.seed, o.Key)]
	return ok && size == o.Stored
}

// look is a closer look at archives that the listing does not show as they were noted.
type look struct {
	r    *repo.Repo
	mu   sync.Mutex
	news map[tarn.ArchiveID]catalog.Object
	lost []Lost
}

// archive decides by its index, and by a request for it alone, whether an archive is
// lost: the note may be spoiled, and the listing may be older than the index.
func (l *look) archive(ctx context.Context, id tarn.ArchiveID, noted catalog.Object, there sizes) error {
	ix, err := l.r.Index(ctx, id, nil)
	if foreign(err) || broken(err) || errors.Is(err, fs.ErrNotExist) {
		return nil // nothing is known of the archive
	} else if err != nil {
		return err
	}
	o := catalog.Object{Key: ix.Key, Stored: ix.Layout.Stored}
	problem := ""
	if !there.has(o) {
		obj, err := l.r.Storage().Stat(ctx, ix.Key)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			problem = "is missing"
		case err != nil:
			return fmt.Errorf("looking at archive %s: %w", id, err)
		case obj.Size != o.Stored:
			problem = fmt.Sprintf("has %d bytes instead of %d", obj.Size, o.Stored)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if o != noted {
		l.news[id] = o
	}
	if problem != "" {
		l.lost = append(l.lost, Lost{Archive: id, Key: ix.Key, Problem: problem})
	}
	return nil
}
