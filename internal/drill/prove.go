package drill

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/repo"
)

// atOnce is how many archives are read at the same time.
const atOnce = 4

// Bad is a content that is not what its archive's index says.
type Bad struct {
	Archive tarn.ArchiveID
	Key     string // of the archive
	Content tarn.ContentHash
	Err     error
}

// Outcome is what a run has read.
type Outcome struct {
	Contents int64 // that had their hashes
	Bytes    int64 // of them
	Bad      []Bad
	Frozen   []tarn.ArchiveID // that could not be read any more
}

// Prove reads the parts of archives, which have to be readable, and compares each
// content with its hash. What it finds goes into the record, which is saved after
// each stretch, so that whoever kills it loses little. Damage is no error.
func Prove(ctx context.Context, cfg Config, parts []Part) (*Outcome, error) {
	r := &run{Config: cfg}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, p := range parts {
		group.Go(func() error {
			if gctx.Err() != nil {
				return nil // what ended the others is the error
			}
			return r.part(gctx, p)
		})
	}
	err := group.Wait()
	if err == nil {
		err = ctx.Err()
	}
	slices.SortFunc(r.out.Bad, func(a, b Bad) int { return slices.Compare(a.Content[:], b.Content[:]) })
	return &r.out, err
}

// run is one run of Prove.
type run struct {
	Config
	mu  sync.Mutex // also of the record
	out Outcome
}

// within reports what lies in spans, which are merged.
func within(spans []Span) func(repo.Content) bool {
	return func(c repo.Content) bool { return covers(spans, c.Offset, c.Size) }
}

// part reads what was drawn of one archive.
func (r *run) part(ctx context.Context, p Part) error {
	o, err := open(ctx, &r.Config, p.Archive, within(merged(p.Spans)))
	switch {
	case err != nil && damage(err) && ctx.Err() == nil:
		r.mu.Lock()
		r.out.Bad = append(r.out.Bad, Bad{Archive: p.Archive, Err: err})
		r.mu.Unlock()
		return r.over(p.Archive) // its index is what `check` and `rebuild` are for
	case err != nil:
		return err
	}
	for _, s := range o.stretches(o.items) {
		err := r.stretch(ctx, o, p.Archive, s)
		if errors.Is(err, tarn.ErrCold) || errors.Is(err, tarn.ErrThawing) {
			r.mu.Lock()
			r.out.Frozen = append(r.out.Frozen, p.Archive)
			r.mu.Unlock()
			return nil
		} else if err != nil {
			return err
		}
	}
	return r.over(p.Archive)
}

// over takes an archive off the round.
func (r *run) over(id tarn.ArchiveID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Record.Round == nil {
		return nil
	}
	r.Record.Drop(id)
	return r.Save(r.Record)
}

// damage reports whether an error says that what was stored is not there any more.
func damage(err error) bool {
	return errors.Is(err, tarn.ErrDamaged) || errors.Is(err, tarn.ErrNotAuthentic) || errors.Is(err, fs.ErrNotExist)
}

// stretch reads the contents of one stretch, and notes what was found. A frame
// that fails is tried once more, since the bytes may have changed on their way.
func (r *run) stretch(ctx context.Context, o *opened, id tarn.ArchiveID, items []item) (err error) {
	var good, bad []item
	f := &found{good: &good, bad: func(it item, err error) {
		bad = append(bad, it)
		r.mu.Lock()
		r.out.Bad = append(r.out.Bad, Bad{id, o.index.Key, it.hash, err})
		r.mu.Unlock()
	}}
	for again := false; len(items) > 0; {
		var done int
		var at int64
		done, at, err = f.read(ctx, o, items, r.Progress)
		items = items[done:]
		if err == nil || ctx.Err() != nil || !damage(err) {
			break
		}
		if again = !again || done > 0; again {
			continue
		}
		for lost := o.lostFrom(at); len(items) > 0 && (items[0].offset < lost || errors.Is(err, fs.ErrNotExist)); items = items[1:] {
			f.bad(items[0], err)
		}
		err = nil
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return errors.Join(err, r.note(o, id, good, bad))
}

// lostFrom is where the frame ends that holds a byte of the tar stream.
func (o *opened) lostFrom(at int64) (end int64) {
	for _, f := range o.index.Layout.Frames {
		if end += int64(f.Uncompressed); end > at {
			return end
		}
	}
	return end + 1
}

// note notes what was found in a stretch.
func (r *run) note(o *opened, id tarn.ArchiveID, good, bad []item) error {
	if len(good)+len(bad) == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, it := range good {
		r.out.Contents++
		r.out.Bytes += it.size
	}
	r.Record.note(id, o.sum, r.Now(), spansOf(good), spansOf(bad))
	return r.Save(r.Record)
}

// found takes what reading a stretch finds.
type found struct {
	good *[]item
	bad  func(item, error)
}

// read reads items until one can't be read, and returns how many it has found
// to be one or the other, and with an error the byte of the tar stream that it came at.
func (f *found) read(ctx context.Context, o *opened, items []item, progress func(int64)) (done int, at int64, err error) {
	at = items[0].offset
	src, err := o.Stretch(ctx, at, items[len(items)-1].end()-at)
	if err != nil {
		return 0, at, err
	}
	defer src.Close() // only read
	for _, it := range items {
		n, err := io.CopyN(io.Discard, src, it.offset-at)
		if at += n; err != nil {
			return done, at, err
		}
		h := sha256.New()
		n, err = io.CopyN(h, src, it.size)
		if at += n; err != nil {
			return done, at, err
		}
		if tarn.ContentHash(h.Sum(nil)) == it.hash {
			*f.good = append(*f.good, it)
		} else {
			f.bad(it, fmt.Errorf("it does not have its hash: %w", tarn.ErrDamaged))
		}
		if done++; progress != nil {
			progress(it.size)
		}
	}
	return done, at, nil
}
