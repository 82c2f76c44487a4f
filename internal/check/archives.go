package check

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/storage"
)

// stretch is where a content lies in the tar stream of its archive.
type stretch struct {
	hash         tarn.ContentHash
	offset, size int64
	bad          bool // found so by reading it
}

// archives checks each index and the archive that it names.
func (r *run) archives(ctx context.Context) error {
	slices.Sort(r.listed.indexes)
	r.Progress.begin("archives", len(r.listed.indexes))
	chosen, err := r.choose()
	if err != nil {
		return err
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, id := range r.listed.indexes {
		group.Go(func() error {
			defer r.Progress.done.Add(1)
			return r.indexed(gctx, id, chosen[id])
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return r.unindexed(ctx)
}

// choose draws the archives to be read whole, and asks whether they may be.
func (r *run) choose() (map[tarn.ArchiveID]bool, error) {
	ids := slices.Clone(r.listed.indexes)
	rnd := rand.New(rand.NewPCG(r.Seed, 0))
	rnd.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	n := int(math.Ceil(float64(len(ids)) * min(max(r.ReadData, 0), 100) / 100))
	chosen := map[tarn.ArchiveID]bool{}
	for _, id := range ids[:n] {
		chosen[id] = true
	}
	if n > 0 && r.Reading != nil {
		return chosen, r.Reading(ids[:n])
	}
	return chosen, nil
}

// indexed checks one index and its archive.
func (r *run) indexed(ctx context.Context, id tarn.ArchiveID, read bool) error {
	var list []stretch
	ix, err := r.fresh.Index(ctx, id, func(c repo.Content) error {
		if len(list) >= maxMembers {
			return fmt.Errorf("it names more contents than an archive holds: %w", tarn.ErrDamaged)
		}
		list = append(list, stretch{hash: c.Hash, offset: c.Offset, size: c.Size})
		return nil
	})
	if err != nil {
		d, err := r.fault(ctx, r.fresh.IndexKey(id), err)
		if err != nil {
			return err
		}
		return r.remembered(ctx, id, d)
	}
	if err := r.fresh.ForgetIndex(id); err != nil {
		return err
	}
	d, err := r.archive(ctx, ix, list, read)
	if err != nil {
		return err
	}
	if d != nil {
		r.mu.Lock()
		d.leftover = true
		r.mu.Unlock()
	}
	return r.enter(id, list, d)
}

// archive looks at the archive of an index, and gives the damage if it is
// not what the index recorded. All of it is lost then, but for what a reading
// of it finds whole: the rest of list is marked.
func (r *run) archive(ctx context.Context, ix *repo.Index, list []stretch, read bool) (*damage, error) {
	r.mu.Lock()
	obj := r.listed.archives[ix.Key]
	if obj != nil {
		obj.indexed = true
	}
	r.mu.Unlock()
	whole := func(err error) (*damage, error) {
		for i := range list {
			list[i].bad = true
		}
		return r.fault(ctx, ix.Key, err)
	}
	// One that was not listed may have been stored since, by a backup that runs now.
	now, err := r.fresh.Storage().Stat(ctx, ix.Key)
	if err != nil {
		return whole(err)
	}
	listed := now.Size
	if obj != nil {
		listed = obj.Size
	}
	damage := differs(ix, listed, now.Size, now.Checksum.Known, now.Checksum.Sum)
	if read && now.Class.Cold() && !now.Thawed.After(r.now()) {
		r.cold()
		read = false
	}
	r.told(now, read || damage != nil)
	switch {
	case read:
		return r.readArchive(ctx, ix, list, damage)
	case damage != nil:
		return whole(damage)
	}
	return nil, nil
}

// told counts an archive by whether the storage tells its checksum; known says that
// nobody needs it.
func (r *run) told(o storage.Object, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case o.Checksum.Known:
		r.result.Checksums++
		r.largest = max(r.largest, o.Size)
	case !known:
		r.bare[o.Key] = o.Size
	}
}

// unverified sorts out the archives without a checksum. There are servers that keep
// none, or none of objects that were put in parts.
func (r *run) unverified() {
	var others []string
	for _, key := range slices.Sorted(maps.Keys(r.bare)) {
		if r.bare[key] <= r.largest {
			r.result.Unverified = append(r.result.Unverified, key)
		} else {
			others = append(others, key)
		}
	}
	if len(others) > 0 && r.result.Checksums > 0 {
		r.note("of %d archives the storage tells no checksum, as of none that is as large; reading them (--read-data) verifies them: %s",
			len(others), few(others[:min(len(others), maxPerList)], len(others)))
	}
}

func (r *run) cold() {
	r.mu.Lock()
	r.result.Cold++
	r.mu.Unlock()
}

// errSize is the ErrDamaged of an object whose size alone gives it away.
var errSize = fmt.Errorf("%w", tarn.ErrDamaged)

// differs compares an object with what its index recorded.
func differs(ix *repo.Index, listed, size int64, known bool, sum uint64) error {
	switch want := ix.Layout; {
	case listed != want.Stored || size != want.Stored:
		return fmt.Errorf("has %d bytes, not the %d that its index recorded: %w", size, want.Stored, errSize)
	case known && sum != want.CRC64NVME:
		return fmt.Errorf("has the CRC64NVME %016x, not %016x as its index recorded: %w", sum, want.CRC64NVME, tarn.ErrDamaged)
	}
	return nil
}

// enter adds the contents of an archive to the look-ups; d is nil if the
// archive is healthy.
func (r *run) enter(id tarn.ArchiveID, list []stretch, d *damage) error {
	lookups := [2]*catalog.Contents{r.healthy, r.suspect} // by bad
	if d != nil {
		lookups[0] = r.salvaged
	}
	var adders [2]*catalog.Adder
	whole := int64(0)
	for _, s := range list {
		i := 0
		if s.bad {
			i = 1
		} else {
			whole++
		}
		if adders[i] == nil {
			adders[i] = lookups[i].Add(id)
		}
		adders[i].Content(s.hash, s.offset, s.size)
	}
	r.mu.Lock()
	if d != nil {
		r.blame[id] = d
	}
	r.result.Contents += whole
	r.mu.Unlock()
	for _, a := range adders {
		if a == nil {
			continue
		}
		if err := a.Done(); err != nil {
			return &localError{err}
		}
	}
	return nil
}

// remembered enters the contents of an index that is missing or damaged, as
// this machine's copy names them, so that the damage can say what it costs.
func (r *run) remembered(ctx context.Context, id tarn.ArchiveID, d *damage) error {
	err := r.Repo.CheckCachedIndex(id)
	if err == nil {
		var list []stretch
		_, err = r.Repo.Index(ctx, id, func(c repo.Content) error {
			list = append(list, stretch{hash: c.Hash, offset: c.Offset, size: c.Size, bad: true})
			return nil
		})
		if err == nil {
			r.mu.Lock()
			d.say("a good copy is in this machine's cache")
			r.mu.Unlock()
			return r.enter(id, list, d)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// Without a copy, what the index named can only be guessed.
	r.mu.Lock()
	r.unknown = append(r.unknown, d)
	r.mu.Unlock()
	return nil
}

// unindexed looks at the archives that no index names: left by a killed run,
// or their index is lost.
func (r *run) unindexed(ctx context.Context) error {
	named := map[tarn.ArchiveID]bool{}
	for _, id := range r.listed.indexes {
		named[id] = true
	}
	for _, o := range r.listed.archives {
		if o.indexed || named[o.id] {
			continue
		}
		r.mu.Lock()
		d := r.found.at(r.fresh.IndexKey(o.id))
		d.pending, d.gone = true, true
		d.say("is missing: archive " + o.Key + " has no index (`tarn rebuild` makes it from the archive)")
		r.mu.Unlock()
		if err := r.remembered(ctx, o.id, d); err != nil {
			return err
		}
	}
	return nil
}

// orphans notes the archives without an index that cost nothing.
func (r *run) orphans() {
	var names []string
	for _, o := range r.listed.archives {
		if d := r.found.byKey[r.fresh.IndexKey(o.id)]; !o.indexed && d != nil && d.pending && len(d.snapshots) == 0 {
			names = append(names, o.Key)
		}
	}
	if len(names) == 0 {
		return
	}
	slices.Sort(names)
	if d := r.found.byKey[contentless]; d != nil {
		r.note("%d archives have no index, and content that snapshots need is in no index: `tarn rebuild` makes the indexes anew from the archives: %s",
			len(names), few(names[:min(len(names), maxPerList)], len(names)))
		return
	}
	r.note("%d archives have no index, as a killed run leaves them; no snapshot needs them: %s",
		len(names), few(names[:min(len(names), maxPerList)], len(names)))
}

// dead notes the archives that are damaged or gone and that cost nothing.
func (r *run) dead() {
	var names []string
	for _, d := range r.found.byKey {
		if d.dead() {
			names = append(names, d.Key+" "+d.Problem)
		}
	}
	if len(names) == 0 {
		return
	}
	slices.Sort(names)
	what := "1 archive is damaged or missing, and no snapshot needs it, or all that it needs was stored again; it and its index"
	if len(names) > 1 {
		what = fmt.Sprintf("%d archives are damaged or missing, and no snapshot needs them, or all that they need was stored again; they and their indexes", len(names))
	}
	r.note("%s are leftovers: %s", what, few(names[:min(len(names), maxPerList)], len(names)))
}

// contentless is the key of the damage that content is of which no index names an archive.
const contentless = "indexes/"

// guess returns the damage that content in no readable index belongs to: if
// one index alone is missing or damaged, it is that.
func (r *run) guess() *damage {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.unknown) == 1 {
		return r.unknown[0]
	}
	d := r.found.at(contentless)
	if d.Problem != "" {
		return d
	}
	var keys []string
	for _, u := range r.unknown {
		keys = append(keys, u.Key)
	}
	slices.Sort(keys)
	d.say("content that trees name is in no index")
	if len(keys) > 0 {
		d.say("it may be of " + few(keys[:min(len(keys), maxPerList)], len(keys)))
	}
	return d
}

// isCold reports whether err says that an object has to be thawed.
func isCold(err error) bool { return errors.Is(err, tarn.ErrCold) || errors.Is(err, tarn.ErrThawing) }
