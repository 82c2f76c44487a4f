package restore

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/repo"
)

// maxReaders bounds the frame tables in memory.
const maxReaders = 64

// archives opens archives for reading by ranges, and counts what that reads.
type archives struct {
	repo            *repo.Repo
	bytes, requests atomic.Int64

	mu   sync.Mutex
	open map[tarn.ArchiveID]*archive.Reader
}

func newArchives(r *repo.Repo) *archives {
	return &archives{repo: r, open: map[tarn.ArchiveID]*archive.Reader{}}
}

// get returns the reader of an archive.
func (a *archives) get(ctx context.Context, id tarn.ArchiveID) (*archive.Reader, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r, ok := a.open[id]; ok {
		return r, nil
	}
	ix, err := a.repo.Index(ctx, id, nil)
	if err != nil {
		return nil, err
	}
	ids, err := a.repo.Identities()
	if err != nil {
		return nil, err
	}
	r, err := archive.NewReader(ix.Layout, a.ranger(ix.Key), ids)
	if err != nil {
		return nil, fmt.Errorf("opening archive %s: %w", id, err)
	}
	if len(a.open) >= maxReaders {
		for other := range a.open {
			delete(a.open, other)
			break
		}
	}
	a.open[id] = r
	return r, nil
}

// ranger reads ranges of an object.
func (a *archives) ranger(key string) archive.Ranger {
	return func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
		a.requests.Add(1)
		body, err := a.repo.Storage().Get(ctx, key, offset, length)
		if err != nil {
			return nil, err
		}
		return &countedBody{body, &a.bytes}, nil
	}
}

type countedBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

// content writes the content of a file to w, from wherever it lies. It does
// not check the hash of the whole.
func (a *archives) content(ctx context.Context, c *catalog.Contents, e *tarn.Entry, w io.Writer) error {
	extents := e.Extents
	if len(extents) == 0 && e.Size > 0 {
		extents = []tarn.Extent{{Content: e.Content, Length: e.Size}}
	}
	for _, x := range extents {
		at, ok, err := c.Lookup(x.Content)
		if err != nil {
			return err
		}
		if !ok || x.Offset > at.Size-x.Length {
			return fmt.Errorf("content %s is in no index, or shorter than %d bytes: %w", x.Content, x.Offset+x.Length, tarn.ErrDamaged)
		}
		if err := a.copy(ctx, at.Archive, at.Offset+x.Offset, x.Length, w); err != nil {
			return err
		}
	}
	return nil
}

func (a *archives) copy(ctx context.Context, id tarn.ArchiveID, offset, length int64, w io.Writer) error {
	r, err := a.get(ctx, id)
	if err != nil {
		return err
	}
	src, err := r.Stretch(ctx, offset, length)
	if err != nil {
		return fmt.Errorf("reading archive %s: %w", id, err)
	}
	defer src.Close()
	if _, err := io.CopyN(w, src, length); err != nil {
		return fmt.Errorf("reading archive %s: %w", id, err)
	}
	return nil
}
