package repo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
)

// IndexIDs yields the archives that have an index, in order.
func (r *Repo) IndexIDs(ctx context.Context) iter.Seq2[tarn.ArchiveID, error] {
	return func(yield func(tarn.ArchiveID, error) bool) {
		for obj, err := range r.storage.List(ctx, indexesPrefix) {
			if err != nil {
				yield("", fmt.Errorf("listing indexes: %w", err))
				return
			}
			name, ok := strings.CutSuffix(strings.TrimPrefix(obj.Key, indexesPrefix), ".jsonl.zst"+r.suffix())
			if id, err := tarn.ParseArchiveID(name); ok && err == nil && !yield(id, nil) {
				return
			}
		}
	}
}

// FetchIndex brings an index into the cache, if it is not there, after its MAC
// was found right. A copy that was damaged since is replaced.
func (r *Repo) FetchIndex(ctx context.Context, id tarn.ArchiveID) error {
	err := r.CheckCachedIndex(id)
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		r.log.Warn("cached index is unusable, reading the repository's", "archive", id, "error", err)
	}
	if err := r.fetch(ctx, r.indexKey(id), indexName(id), r.verifyIndex); err != nil {
		return fmt.Errorf("index of %s: %w", id, err)
	}
	return nil
}

// indexLine is any line of an index as encoding/json sees it.
type indexLine struct {
	Type      string           `json:"type"`
	Format    int              `json:"format"`
	Archive   tarn.ArchiveID   `json:"archive"`
	Key       string           `json:"key"`
	Split     string           `json:"split"`
	SplitRaw  string           `json:"split_raw"`
	Created   time.Time        `json:"created"`
	Rebuilt   bool             `json:"rebuilt"`
	Content   tarn.ContentHash `json:"content"`
	Offset    int64            `json:"offset"`
	Size      int64            `json:"size"`
	Path      string           `json:"path"`
	PathRaw   string           `json:"path_raw"`
	Frames    json.RawMessage  `json:"frames"` // a table in "frames", a number in "end"
	Stored    int64            `json:"stored"`
	CRC64NVME string           `json:"crc64nvme"`
	Contents  int64            `json:"contents"`
	Header    []byte           `json:"header"`
}

// Index reads the index of an archive: it calls content, if not nil, with each
// content, and returns the rest, checked: the layout agrees with itself and
// each content lies inside of the archive.
func (r *Repo) Index(ctx context.Context, id tarn.ArchiveID, content func(Content) error) (*Index, error) {
	if err := r.FetchIndex(ctx, id); err != nil {
		return nil, err
	}
	f, err := r.cache.Open(indexName(id))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ix, err := parseIndex(f, content)
	if err == nil && (ix.Archive != id || ix.Key != r.ArchiveKey(ix.Split, id)) {
		err = fmt.Errorf("it was written for %.60s: %w", ix.Key, tarn.ErrDamaged)
	}
	if err != nil {
		return nil, fmt.Errorf("index of %s: %w", id, err)
	}
	return ix, nil
}

func parseIndex(src io.Reader, content func(Content) error) (*Index, error) {
	z, err := newDecoder(src)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	p := indexParser{content: content}
	for line, err := range lines(io.LimitReader(z, maxIndex)) {
		if err != nil {
			return nil, err
		}
		if err := p.line(line); err != nil {
			return nil, err
		}
	}
	if !p.ended {
		return nil, fmt.Errorf("its end is missing: %w", tarn.ErrDamaged)
	}
	return &p.ix, nil
}

// indexParser takes the lines of an index in their order.
type indexParser struct {
	ix      Index
	content func(Content) error
	started bool
	ended   bool
	high    int64 // end of the last content
	size    int64 // of the frames so far
}

func (p *indexParser) line(b []byte) error {
	var l indexLine
	if p.started && !p.ended && parseContent(b, &l) {
		return p.contentLine(&l)
	}
	if err := json.Unmarshal(b, &l); err != nil {
		return fmt.Errorf("%w: %w", tarn.ErrDamaged, err)
	}
	bad := func(what string) error { return fmt.Errorf("%s: %w", what, tarn.ErrDamaged) }
	if (l.Type == "archive") == p.started || p.ended && l.Type != "mac" {
		return bad("lines out of order")
	}
	switch l.Type {
	case "archive":
		return p.archive(&l)
	case "content":
		return p.contentLine(&l)
	case "frames":
		var table [][2]uint32
		if err := json.Unmarshal(l.Frames, &table); err != nil || len(p.ix.Layout.Frames)+len(table) > maxFrames {
			return bad("frame table")
		}
		for _, f := range table {
			p.ix.Layout.Frames = append(p.ix.Layout.Frames, archive.Frame{Compressed: f[0], Uncompressed: f[1]})
			p.size += int64(f[1])
		}
	case "end":
		return p.end(&l)
	}
	return nil
}

func (p *indexParser) archive(l *indexLine) (err error) {
	p.started = true
	if l.Format > Format {
		return fmt.Errorf("format %d is newer than this program reads: use a newer tarn", l.Format)
	}
	p.ix.Archive, p.ix.Key, p.ix.Created, p.ix.Rebuilt = l.Archive, l.Key, l.Created, l.Rebuilt
	if p.ix.Split, err = fromRaw(l.Split, l.SplitRaw); err != nil {
		return fmt.Errorf("%w: %w", tarn.ErrDamaged, err)
	}
	return nil
}

func (p *indexParser) contentLine(l *indexLine) error {
	path, err := fromRaw(l.Path, l.PathRaw)
	if err != nil {
		return fmt.Errorf("%w: %w", tarn.ErrDamaged, err)
	}
	if l.Offset < p.high || l.Size <= 0 || l.Size > 1<<62-l.Offset || l.Content.IsZero() || !tarn.ValidPath(path) {
		return fmt.Errorf("content of %.80q: offset %d, size %d: %w", path, l.Offset, l.Size, tarn.ErrDamaged)
	}
	p.high = l.Offset + l.Size
	p.ix.Contents++
	if p.content == nil {
		return nil
	}
	return p.content(Content{Hash: l.Content, Offset: l.Offset, Size: l.Size, Path: path})
}

func (p *indexParser) end(l *indexLine) error {
	crc, err := strconv.ParseUint(l.CRC64NVME, 16, 64)
	var frames int
	if err == nil {
		err = json.Unmarshal(l.Frames, &frames)
	}
	if err != nil || l.Size != p.size || l.Size < p.high || frames != len(p.ix.Layout.Frames) || l.Contents != p.ix.Contents || l.Stored < 0 {
		return fmt.Errorf("its end does not agree with its lines: %w", tarn.ErrDamaged)
	}
	p.ended = true
	p.ix.Layout.Size, p.ix.Layout.Stored, p.ix.Layout.CRC64NVME, p.ix.Layout.Header = l.Size, l.Stored, crc, l.Header
	return nil
}
