package drill

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/repo"
)

// Config says what is proven.
type Config struct {
	Repo     *repo.Repo
	Contents *catalog.Contents // in step with the repository's indexes
	Snapshot *repo.Snapshot
	Record   *Record
	// Object says what the storage lists of an archive; cold.Missing if nothing.
	Object func(tarn.ArchiveID) cold.Object
	// Since is the time before which proofs count no more; the zero time lets
	// all of them count.
	Since time.Time
	Now   func() time.Time
	// Save keeps the record. It is called with each change, one call at a time.
	Save func(*Record) error
	// Progress, if set, is called with the bytes of content that were read; from
	// several goroutines.
	Progress func(bytes int64)
}

// Share is what of a snapshot was proven. Files without content are not
// counted; one that is there twice counts twice.
type Share struct {
	Files    int64 `json:"files"`
	Bytes    int64 `json:"bytes"`
	Archives int64 `json:"archives"`
	// Proven are those of which all was proven.
	ProvenFiles    int64 `json:"proven_files"`
	ProvenBytes    int64 `json:"proven_bytes"`
	ProvenArchives int64 `json:"proven_archives"`
	// Oldest is the time of the oldest proof that counts.
	Oldest time.Time `json:"oldest,omitzero"`
	Newest time.Time `json:"newest,omitzero"`
}

// Damaged is a file whose content in an archive was found damaged, or is gone.
type Damaged struct {
	Path    string
	Archive tarn.ArchiveID // empty if no archive has the content
	// Elsewhere says that another archive has the content, too.
	Elsewhere bool
}

// Survey is what of a snapshot was proven, and what is left.
type Survey struct {
	Share
	Damaged []Damaged // files, in order

	cfg    Config
	proofs map[tarn.ArchiveID]*proofs
	left   map[tarn.ArchiveID]*left
	whole  map[tarn.ArchiveID]bool // archives that the snapshot needs, and whether all of that was proven
}

// left is what a snapshot needs of an archive that was not proven.
type left struct {
	bytes   int64 // of files
	offsets []int64
}

// proofs are those of an archive that count.
type proofs struct {
	list    []dated
	damaged []Span
}

// dated is a span and when it was read.
type dated struct {
	Span
	at time.Time
}

// Look finds out what of the snapshot was proven, from trees and the catalog alone.
func Look(ctx context.Context, cfg Config) (*Survey, error) {
	s := &Survey{cfg: cfg, proofs: map[tarn.ArchiveID]*proofs{}, left: map[tarn.ArchiveID]*left{}, whole: map[tarn.ArchiveID]bool{}}
	for id, a := range cfg.Record.Archives {
		s.proofs[id] = a.since(cfg.Since)
	}
	for e, err := range cfg.Repo.Entries(ctx, cfg.Snapshot, nil) {
		if err != nil {
			return nil, fmt.Errorf("looking at what is proven: %w", err)
		}
		if e.Type != tarn.TypeFile || e.Size == 0 {
			continue
		}
		if err := s.file(e); err != nil {
			return nil, fmt.Errorf("looking at what is proven: %w", err)
		}
	}
	for _, whole := range s.whole {
		s.Archives++
		if whole {
			s.ProvenArchives++
		}
	}
	return s, nil
}

// since returns the proofs of an archive that are not older than a time.
func (a *Archive) since(since time.Time) *proofs {
	p := &proofs{}
	for _, each := range a.Proven {
		if each.At.Before(since) {
			continue
		}
		for _, s := range merged(each.Spans) {
			p.list = append(p.list, dated{s, each.At})
		}
	}
	slices.SortFunc(p.list, func(a, b dated) int { return compareSpans(a.Span, b.Span) })
	for _, each := range a.Damaged {
		p.damaged = append(p.damaged, each.Spans...)
	}
	p.damaged = merged(p.damaged)
	return p
}

// proven returns when a content was proven. Contents that lie beside each other
// may have been read at several times.
func (p *proofs) proven(offset, size int64) (at time.Time, ok bool) {
	if p == nil {
		return at, false
	}
	i := sort.Search(len(p.list), func(i int) bool { return p.list[i].Span[1] > offset })
	if i == len(p.list) || p.list[i].Span[0] > offset || size > p.list[i].Span[1]-offset {
		return at, false
	}
	return p.list[i].at, true
}

// file counts a file.
func (s *Survey) file(e *tarn.Entry) error {
	s.Files++
	s.Bytes += e.Size
	all := true
	for _, x := range extentsOf(e) {
		ok, err := s.extent(e.Path, x)
		if err != nil {
			return err
		}
		all = all && ok
	}
	if all {
		s.ProvenFiles++
	}
	return nil
}

// extentsOf returns the stretches of contents that a file consists of.
func extentsOf(e *tarn.Entry) []tarn.Extent {
	if len(e.Extents) == 0 {
		return []tarn.Extent{{Content: e.Content, Length: e.Size}}
	}
	return e.Extents
}

// extent counts a part of a file, and reports whether it was proven.
func (s *Survey) extent(path string, x tarn.Extent) (bool, error) {
	places, err := s.cfg.Contents.Locations(x.Content)
	if err != nil {
		return false, err
	}
	for _, at := range places {
		if when, ok := s.proofs[at.Archive].proven(at.Offset, at.Size); ok {
			s.ProvenBytes += x.Length
			if s.Oldest.IsZero() || when.Before(s.Oldest) {
				s.Oldest = when
			}
			if when.After(s.Newest) {
				s.Newest = when
			}
			if _, ok := s.whole[at.Archive]; !ok {
				s.whole[at.Archive] = true
			}
			return true, nil
		}
	}
	good := slices.DeleteFunc(slices.Clone(places), s.bad)
	for _, at := range places {
		if s.bad(at) {
			s.Damaged = append(s.Damaged, Damaged{path, at.Archive, len(good) > 0})
			s.whole[at.Archive] = false
		}
	}
	if len(places) == 0 {
		s.Damaged = append(s.Damaged, Damaged{Path: path})
	}
	if len(good) == 0 {
		return false, nil
	}
	s.wanted(slices.MinFunc(good, s.nearer), x.Length)
	return false, nil
}

// bad reports whether a content is known to be damaged where it lies, or its archive gone.
func (s *Survey) bad(at tarn.Location) bool {
	if p := s.proofs[at.Archive]; p != nil && covers(p.damaged, at.Offset, at.Size) {
		return true
	}
	return s.cfg.Object(at.Archive).Lost()
}

// nearer compares places as restore does: what can be read, then what is needed anyway.
func (s *Survey) nearer(a, b tarn.Location) int {
	unwanted := func(id tarn.ArchiveID) int {
		if s.left[id] != nil {
			return 0
		}
		return 1
	}
	return cmp.Or(cold.Nearer(s.cfg.Object(a.Archive).State, s.cfg.Object(b.Archive).State), unwanted(a.Archive)-unwanted(b.Archive))
}

// wanted notes what is left to be proven.
func (s *Survey) wanted(at tarn.Location, length int64) {
	l := s.left[at.Archive]
	if l == nil {
		l = new(left)
		s.left[at.Archive] = l
	}
	l.bytes += length
	l.offsets = append(l.offsets, at.Offset)
	s.whole[at.Archive] = false
}

// Left is what of the snapshot is left to be drawn, in archives.
func (s *Survey) Left() int { return len(s.left) }
