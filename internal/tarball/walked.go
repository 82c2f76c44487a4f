package tarball

import (
	"context"
	"hash/maphash"
	"slices"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/scan"
	"github.com/tarn-backup/tarn/internal/storage"
)

// Walked is the files that the walk of a source comes to: 8 bytes for each.
type Walked struct {
	seed   maphash.Seed
	hashes []uint64 // of paths, sorted
}

// Walk walks a source. What can't be read is none of its files.
func Walk(ctx context.Context, cfg scan.Config) (*Walked, error) {
	source, err := scan.Open(cfg)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	w := &Walked{seed: maphash.MakeSeed()}
	for sp, err := range source.Splits(ctx) {
		if err != nil {
			continue
		}
		for e, err := range source.Entries(ctx, sp) {
			if err == nil && e.Type == tarn.TypeFile {
				w.hashes = append(w.hashes, maphash.String(w.seed, e.Path))
			}
		}
	}
	slices.Sort(w.hashes)
	return w, ctx.Err()
}

// Has reports whether the walk has come to a file, by its path with the source's name.
func (w *Walked) Has(path string) bool {
	_, ok := slices.BinarySearch(w.hashes, maphash.String(w.seed, path))
	return ok
}

// LeftOut tells the files of the archive's list that a walk does not come to. They
// lie below the folder that the list's names are relative to, where Place has them; top is what
// leads from the source's name to that folder.
func (a *Tarball) LeftOut(ctx context.Context, s storage.Storage, w *Walked, top string, tell func(place string) error) error {
	for name, err := range a.Names(ctx, s) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil && !w.Has(top+a.Place(name)) {
			err = tell(a.Place(name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
