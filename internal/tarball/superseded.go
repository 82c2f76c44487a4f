package tarball

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// places are those that the list of an archive has: 8 bytes for each.
type places struct {
	seed   maphash.Seed
	hashes []uint64 // sorted
}

func (p *places) has(place string) bool {
	if p == nil {
		return false
	}
	_, ok := slices.BinarySearch(p.hashes, maphash.String(p.seed, place))
	return ok
}

// Superseded is what newer archives say of one that a run at another split depth has
// left.
type Superseded struct {
	By    []*Tarball // the newer ones, sorted by folder
	Files int64      // in its list; -1 where there is none that can be read
	// Left are the files of its list that none of By covers, -1 where nobody knows. They
	// were deleted since, or By lacks an archive.
	Left int64
	// Gone are the files of its list that By covers and does not have, -1 where nobody
	// knows: they were deleted since, or could not be read.
	Gone int64

	shelf shelf
	lists map[*Tarball]*places
}

// Covers reports whether newer archives say what is at a place.
func (s *Superseded) Covers(place string, dir bool) bool {
	if s == nil {
		return false
	}
	for range s.shelf.covering(place, dir, s.lists) {
		return true
	}
	return false
}

// Supersede finds, of some archives, those for whose files there are newer ones
// among others. It reads the lists of those that overlap, and of the files beside folders.
func Supersede(ctx context.Context, s storage.Storage, of, among []*Tarball) (map[*Tarball]*Superseded, error) {
	all := make([]shelved, 0, len(among))
	for _, t := range among {
		all = append(all, t.shelved())
	}
	on := newShelf(all)
	found := map[*Tarball]*Superseded{}
	r := &superseding{ctx: ctx, s: s, lists: map[*Tarball]*places{}}
	if err := r.readBeside(of, on); err != nil {
		return nil, err
	}
	for _, t := range of {
		var by []shelved
		own := t.shelved()
		for e := range on.superseding(&own, r.has) {
			by = append(by, *e)
		}
		if len(by) == 0 {
			continue
		}
		d, err := r.look(t, newShelf(by))
		if err != nil {
			return nil, err
		}
		found[t] = d
	}
	return found, nil
}

type superseding struct {
	ctx   context.Context
	s     storage.Storage
	lists map[*Tarball]*places // nil for one whose list can't be read
}

func (r *superseding) has(of *shelved, place string) bool { return r.lists[of.tarball].has(place) }

// readBeside reads the lists of the files that lie beside folders, which show where a
// folder became a file or a file a folder.
func (r *superseding) readBeside(of []*Tarball, on shelf) error {
	wanted := map[*Tarball]bool{}
	for _, t := range of {
		own := t.shelved()
		for range on.superseding(&own, func(e *shelved, _ string) bool {
			wanted[e.tarball] = true
			return false
		}) {
			continue
		}
	}
	group, ctx := errgroup.WithContext(r.ctx)
	group.SetLimit(parallel)
	var mu sync.Mutex
	for t := range wanted {
		group.Go(func() error {
			p, err := t.places(ctx, r.s)
			mu.Lock()
			defer mu.Unlock()
			r.lists[t] = p
			return err
		})
	}
	return group.Wait()
}

// look compares the list of an archive with those of newer ones.
func (r *superseding) look(t *Tarball, by shelf) (*Superseded, error) {
	d := &Superseded{shelf: by, lists: r.lists, Files: -1, Left: -1, Gone: -1}
	if d.encloses(t) {
		d.Left = 0
	}
	known := true
	for i := range by {
		d.By = append(d.By, by[i].tarball)
		if err := r.read(by[i].tarball); err != nil {
			return nil, err
		}
		known = known && r.lists[by[i].tarball] != nil
	}
	if t.List == nil {
		return d, nil
	}
	files, left, gone, err := r.count(t, by)
	if errors.Is(err, tarn.ErrDamaged) {
		return d, nil
	} else if err != nil {
		return nil, err
	}
	d.Files = files
	if known {
		d.Gone = gone
	}
	if !d.encloses(t) {
		d.Left, err = r.unlisted(t, left)
	}
	return d, err
}

// encloses reports whether the folder of an archive lies in that of a newer one, or
// where that has a file, so that nothing is left of it, whatever it has.
func (d *Superseded) encloses(t *Tarball) bool {
	own := t.shelved()
	return slices.ContainsFunc(d.shelf, func(e shelved) bool { return e.encloses(&own) })
}

// encloses reports whether an archive that supersedes another says what is where
// anything of it may be.
func (a *shelved) encloses(b *shelved) bool {
	return (!a.key.OwnFiles || a.folder != b.folder) && (a.folder == "" || tarn.Within(b.folder, a.folder))
}

// count counts the files in the list of an archive, those that no newer one covers,
// and those that the ones that cover them do not have.
func (r *superseding) count(t *Tarball, by shelf) (files, left, gone int64, err error) {
	for name, err := range t.Names(r.ctx, r.s) {
		if err == nil {
			err = r.ctx.Err()
		}
		if err != nil {
			return 0, 0, 0, err
		}
		files++
		place, covered, there := t.Place(name), false, false
		for e := range by.covering(place, false, r.lists) {
			covered, there = true, there || r.lists[e.tarball].has(place)
		}
		switch {
		case !covered:
			left++
		case !there:
			gone++
		}
	}
	return files, left, gone, nil
}

// unlisted is how many files are left of an archive where none of its list are: those
// with a newline in the name may be anywhere.
func (r *superseding) unlisted(t *Tarball, left int64) (int64, error) {
	look, ok := r.s.(storage.Overwriter)
	if !ok || left > 0 {
		return left, nil
	}
	in, err := look.Inspect(r.ctx, t.Body.Key)
	if err == nil && unlistedIn(in) > 0 {
		left = -1
	}
	return left, err
}

// read reads the list of a newer archive, once.
func (r *superseding) read(t *Tarball) (err error) {
	if _, ok := r.lists[t]; !ok {
		r.lists[t], err = t.places(r.ctx, r.s)
	}
	return err
}

// places reads the list of an archive; nil if there is none that can be read.
func (a *Tarball) places(ctx context.Context, s storage.Storage) (*places, error) {
	if a.List == nil {
		return nil, nil
	}
	p := &places{seed: maphash.MakeSeed()}
	for name, err := range a.Names(ctx, s) {
		if err == nil {
			err = ctx.Err()
		}
		if errors.Is(err, tarn.ErrDamaged) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		p.hashes = append(p.hashes, maphash.String(p.seed, a.Place(name)))
	}
	slices.Sort(p.hashes)
	return p, nil
}
