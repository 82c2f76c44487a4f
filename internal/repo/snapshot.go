package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/tarn-backup/tarn"
)

// Snapshot is the state of the sources at one time (docs/format.md, "Snapshots").
type Snapshot struct {
	Format     int               `json:"format"`
	ID         tarn.SnapshotID   `json:"id"`
	Repository string            `json:"repository"`
	Time       time.Time         `json:"time"`
	Ended      time.Time         `json:"ended"`
	Host       string            `json:"host"`
	User       string            `json:"user,omitempty"`
	Program    string            `json:"program"`
	Tags       []string          `json:"tags,omitempty"`
	Sources    []SourceInfo      `json:"sources"`
	Splits     []Split           `json:"splits"`
	Parent     tarn.SnapshotID   `json:"parent,omitempty"`
	Errors     []EntryError      `json:"errors,omitempty"`
	ErrorCount int               `json:"error_count,omitempty"`
	Options    map[string]string `json:"options,omitempty"`
}

// SourceInfo says where a source was.
type SourceInfo struct {
	Name       string `json:"name"`
	NameRaw    string `json:"name_raw,omitempty"`
	Path       string `json:"path"`
	PathRaw    string `json:"path_raw,omitempty"`
	SplitDepth int    `json:"split_depth"`
}

// Split names the tree of one split and counts its entries.
type Split struct {
	Path    string      `json:"path"`
	PathRaw string      `json:"path_raw,omitempty"`
	Tree    tarn.TreeID `json:"tree"`
	Size    int64       `json:"size"` // of the tree's lines, in bytes
	Counts
}

// Counts are the entries of a tree by kind, and the bytes of its files.
type Counts struct {
	Files  int64 `json:"files"`
	Dirs   int64 `json:"dirs"`
	Others int64 `json:"others"`
	Bytes  int64 `json:"bytes"`
}

// Add counts an entry.
func (c *Counts) Add(e *tarn.Entry) {
	switch e.Type {
	case tarn.TypeFile:
		c.Files++
		c.Bytes += e.Size
	case tarn.TypeDir:
		c.Dirs++
	default:
		c.Others++
	}
}

// Plus returns the sums of c and d.
func (c Counts) Plus(d Counts) Counts {
	return Counts{c.Files + d.Files, c.Dirs + d.Dirs, c.Others + d.Others, c.Bytes + d.Bytes}
}

// EntryError is what was wrong with one path of a source.
type EntryError struct {
	Path    string `json:"path"`
	PathRaw string `json:"path_raw,omitempty"`
	Error   string `json:"error"`
}

// Total sums the counts of the splits.
func (s *Snapshot) Total() (c Counts) {
	for _, sp := range s.Splits {
		c = c.Plus(sp.Counts)
	}
	return c
}

// texts calls f with each text of the snapshot and its raw form.
func (s *Snapshot) texts(f func(text, raw *string)) {
	for i := range s.Sources {
		f(&s.Sources[i].Name, &s.Sources[i].NameRaw)
		f(&s.Sources[i].Path, &s.Sources[i].PathRaw)
	}
	for i := range s.Splits {
		f(&s.Splits[i].Path, &s.Splits[i].PathRaw)
	}
	for i := range s.Errors {
		f(&s.Errors[i].Path, &s.Errors[i].PathRaw)
	}
}

// encode seals the snapshot. s is not changed.
func (s *Snapshot) encode(key Key) ([]byte, error) {
	c := *s
	c.Sources, c.Splits, c.Errors = slices.Clone(s.Sources), slices.Clone(s.Splits), slices.Clone(s.Errors)
	c.texts(func(text, raw *string) { *raw = rawOf(*text) })
	return seal(key, labelSnapshot, &c)
}

// decodeSnapshot checks the seal of data and gives the snapshot, whose texts
// are raw bytes again.
func decodeSnapshot(key Key, data []byte) (*Snapshot, error) {
	s := new(Snapshot)
	if err := unseal(key, labelSnapshot, data, s); err != nil {
		return nil, err
	}
	if s.Format > Format {
		return nil, fmt.Errorf("format %d is newer than this program reads: use a newer tarn", s.Format)
	}
	var bad error
	s.texts(func(text, raw *string) {
		v, err := fromRaw(*text, *raw)
		bad = errors.Join(bad, err)
		*text, *raw = v, ""
	})
	for i, sp := range s.Splits {
		if !tarn.ValidPath(sp.Path) || sp.Size < 0 || i > 0 && tarn.ComparePaths(s.Splits[i-1].Path, sp.Path) >= 0 {
			bad = errors.Join(bad, fmt.Errorf("split %.80q: not a path, or out of order", sp.Path))
		}
	}
	if bad != nil {
		return nil, fmt.Errorf("%w: %w", tarn.ErrDamaged, bad)
	}
	return s, nil
}

// Snapshot reads one snapshot and refuses what is not authentic.
func (r *Repo) Snapshot(ctx context.Context, id tarn.SnapshotID) (*Snapshot, error) {
	name := snapshotPrefix + string(id) + ".json"
	if s, err := r.cachedSnapshot(name, id); err == nil {
		return s, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		r.log.Warn("cached snapshot is unusable, reading the repository's", "name", name, "error", err)
	}
	body, err := r.get(ctx, r.snapshotKey(id))
	if err != nil {
		return nil, err
	}
	defer body.Close()
	data, err := readLimited(body, maxSnapshot)
	if err != nil {
		return nil, fmt.Errorf("reading snapshot %s: %w", id, err)
	}
	s, err := r.decodeSnapshotOf(id, data)
	if err != nil {
		return nil, err
	}
	return s, r.cacheBytes(name, data)
}

func (r *Repo) cachedSnapshot(name string, id tarn.SnapshotID) (*Snapshot, error) {
	f, err := r.cache.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := readLimited(f, maxSnapshot)
	if err != nil {
		return nil, err
	}
	return r.decodeSnapshotOf(id, data)
}

func (r *Repo) decodeSnapshotOf(id tarn.SnapshotID, data []byte) (*Snapshot, error) {
	s, err := decodeSnapshot(r.key, data)
	if err != nil {
		return nil, fmt.Errorf("snapshot %s: %w", id, err)
	}
	if s.ID != id || s.Repository != r.Config.ID {
		return nil, fmt.Errorf("snapshot %s: it was written as %s of repository %.40s: %w", id, s.ID, s.Repository, unsealable(r.key))
	}
	return s, nil
}

func (r *Repo) cacheBytes(name string, data []byte) error {
	f, err := r.cache.Create()
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Discard())
	}
	return f.Keep(name)
}

// SnapshotIDs lists the snapshots, oldest first.
func (r *Repo) SnapshotIDs(ctx context.Context) ([]tarn.SnapshotID, error) {
	var ids []tarn.SnapshotID
	for obj, err := range r.storage.List(ctx, snapshotPrefix) {
		if err != nil {
			return nil, fmt.Errorf("listing snapshots: %w", err)
		}
		name, ok := strings.CutSuffix(strings.TrimPrefix(obj.Key, snapshotPrefix), ".json"+r.suffix())
		if !ok {
			continue
		}
		if id, err := tarn.ParseSnapshotID(name); err == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// limitedCopy copies at most limit bytes and refuses more.
func limitedCopy(dst io.Writer, src io.Reader, limit int64) (int64, error) {
	n, err := io.Copy(dst, io.LimitReader(src, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("more than %d bytes: %w", limit, tarn.ErrDamaged)
	}
	return n, err
}
