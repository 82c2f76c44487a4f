package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	access          func(tarn.ArchiveID) Access // nil if all can be read
	wanted          map[tarn.ArchiveID]*Need    // that a plan has chosen already; nil without one

	mu   sync.Mutex
	open map[tarn.ArchiveID]*archive.Reader
	read map[string]*counts // by key
}

// counts are what was read of one archive.
type counts struct{ bytes, requests atomic.Int64 }

func newArchives(r *repo.Repo) *archives {
	return &archives{repo: r, open: map[tarn.ArchiveID]*archive.Reader{}, read: map[string]*counts{}}
}

// reads returns what was read, by key.
func (a *archives) reads() map[string]Read {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := map[string]Read{}
	for key, n := range a.read {
		if n.requests.Load() > 0 {
			all[key] = Read{n.requests.Load(), n.bytes.Load()}
		}
	}
	return all
}

// get returns the reader of an archive.
func (a *archives) get(ctx context.Context, id tarn.ArchiveID) (*archive.Reader, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r, ok := a.open[id]; ok {
		return r, nil
	}
	ix, err := a.repo.Index(ctx, id, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &missing{fmt.Sprintf("the index of archive %s", id), err}
	} else if err != nil {
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

// ranger reads ranges of an object. The lock is held.
func (a *archives) ranger(key string) archive.Ranger {
	n := a.read[key]
	if n == nil {
		n = new(counts)
		a.read[key] = n
	}
	return func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
		a.requests.Add(1)
		n.requests.Add(1)
		body, err := a.repo.Storage().Get(ctx, key, offset, length)
		if err != nil {
			return nil, err
		}
		return &countedBody{body, &a.bytes, &n.bytes}, nil
	}
}

type countedBody struct {
	io.ReadCloser
	all, n *atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.all.Add(int64(n))
	b.n.Add(int64(n))
	return n, err
}

// extentsOf returns the stretches of contents that a file consists of.
func extentsOf(e *tarn.Entry) []tarn.Extent {
	if len(e.Extents) == 0 && e.Size > 0 {
		return []tarn.Extent{{Content: e.Content, Length: e.Size}}
	}
	return e.Extents
}

// content writes the content of a file to w, from wherever it lies. It does
// not check the hash of the whole.
func (a *archives) content(ctx context.Context, c *catalog.Contents, e *tarn.Entry, w io.Writer) error {
	for _, x := range extentsOf(e) {
		if err := a.extent(ctx, c, x, w); err != nil {
			return err
		}
	}
	return nil
}

// extent writes a stretch of a content to w. Where one archive fails, it goes
// on in the next that has the content.
func (a *archives) extent(ctx context.Context, c *catalog.Contents, x tarn.Extent, w io.Writer) error {
	at, ok, err := a.locate(c, x.Content)
	if err != nil {
		return err
	}
	if !ok {
		return errNowhere(x.Content)
	}
	out := &sink{w: w}
	if err = a.copy(ctx, at, x, out); err == nil || out.err != nil || fatal(ctx, err) {
		return err
	}
	others, lookupErr := c.Locations(x.Content)
	if lookupErr != nil {
		return lookupErr
	}
	for _, other := range others {
		if other == at {
			continue
		}
		rest := tarn.Extent{Offset: x.Offset + out.n, Length: x.Length - out.n}
		next := a.copy(ctx, other, rest, out)
		if next == nil || out.err != nil || fatal(ctx, next) {
			return next
		}
		err = bothFailed(err, next)
	}
	return err
}

func errNowhere(h tarn.ContentHash) error {
	return fmt.Errorf("its content %s is in no archive that the repository has an index of: %w", h, tarn.ErrDamaged)
}

// bothFailed joins what was wrong with two archives that have the same content.
func bothFailed(first, next error) error {
	return fmt.Errorf("%w; another archive has it, but: %w", first, next)
}

// sink counts what was written to w, and keeps its error apart from those of
// the reader.
type sink struct {
	w   io.Writer
	n   int64
	err error
}

func (s *sink) Write(p []byte) (n int, err error) {
	n, s.err = s.w.Write(p)
	s.n += int64(n)
	return n, s.err
}

// copy writes the stretch x of the content at a location to w.
func (a *archives) copy(ctx context.Context, at tarn.Location, x tarn.Extent, w io.Writer) error {
	if x.Offset > at.Size-x.Length {
		return fmt.Errorf("archive %s has only %d bytes of the content: %w", at.Archive, at.Size, tarn.ErrDamaged)
	}
	if err := a.readable(at.Archive); err != nil {
		return err
	}
	r, err := a.get(ctx, at.Archive)
	if err != nil {
		return err
	}
	src, err := r.Stretch(ctx, at.Offset+x.Offset, x.Length)
	if err != nil {
		return archiveError(at.Archive, err)
	}
	defer src.Close()
	if _, err := io.CopyN(w, src, x.Length); err != nil {
		return archiveError(at.Archive, err)
	}
	return nil
}
