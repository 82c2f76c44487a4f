package drill

import (
	"cmp"
	"context"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cold"
)

// Drawn is what was drawn.
type Drawn struct {
	Parts    []Part
	Archives []cold.Archive // with what reading the parts takes
	Of       int            // archives that could have been drawn
	Contents int64
	Bytes    int64 // of them
}

// Draw draws archives by chance, each as likely as the bytes in it are many that
// were not proven, so that each of these bytes has the same chance. Of an archive all
// is read that the snapshot needs and that was not proven; of the last one, in
// which not all of it fits, as many contents one after the other as do, from one
// drawn by chance on. It ends at the first that does not fit: to go on with
// smaller ones would prove these only. fits says whether reading archives, which
// have been drawn so far, is allowed.
func (s *Survey) Draw(ctx context.Context, seed uint64, fits func([]cold.Archive) (bool, error)) (*Drawn, error) {
	rnd := rand.New(rand.NewPCG(seed, 0))
	d := &draw{ctx: ctx, s: s, order: s.order(rnd), fits: fits}
	n, err := most(len(d.order), func(k int) (bool, error) {
		if err := d.open(k); err != nil {
			return false, err
		}
		return fits(d.costs[:k])
	})
	if err != nil {
		return nil, err
	}
	drawn := &Drawn{Of: len(d.order)}
	for i := range n {
		drawn.add(d.order[i], d.archives[i].items, d.costs[i])
	}
	if n == len(d.order) {
		return drawn, nil
	}
	return drawn, d.part(drawn, n, rnd)
}

// draw is one drawing.
type draw struct {
	ctx      context.Context // of the one call
	s        *Survey
	order    []tarn.ArchiveID // as drawn
	archives []*opened        // the first of them
	costs    []cold.Archive
	fits     func([]cold.Archive) (bool, error)
}

// order draws all archives one after the other.
func (s *Survey) order(rnd *rand.Rand) []tarn.ArchiveID {
	ids := slices.Sorted(maps.Keys(s.left))
	keys := map[tarn.ArchiveID]float64{}
	for _, id := range ids { // the smallest of such keys is of each with the chance of its weight
		keys[id] = -math.Log(1-rnd.Float64()) / float64(max(s.left[id].bytes, 1))
	}
	slices.SortStableFunc(ids, func(a, b tarn.ArchiveID) int { return cmp.Compare(keys[a], keys[b]) })
	return ids
}

// open opens the first k archives.
func (d *draw) open(k int) error {
	for i := len(d.archives); i < k; i++ {
		id := d.order[i]
		offsets := d.s.left[id].offsets
		slices.Sort(offsets)
		o, err := open(d.ctx, &d.s.cfg, id, at(offsets))
		if err != nil {
			return err
		}
		d.archives = append(d.archives, o)
		d.costs = append(d.costs, o.cost(d.s.cfg.Object(id), o.items))
	}
	return nil
}

// part draws a part of the archive that does not fit whole.
func (d *draw) part(drawn *Drawn, n int, rnd *rand.Rand) error {
	if err := d.open(n + 1); err != nil {
		return err
	}
	o, obj := d.archives[n], d.costs[n].Object
	if len(o.items) == 0 {
		return nil
	}
	from := rnd.IntN(len(o.items))
	first := func(k int) []item {
		end := from + k
		if end <= len(o.items) {
			return o.items[from:end]
		}
		return slices.Concat(o.items[:end-len(o.items)], o.items[from:])
	}
	k, err := most(len(o.items), func(k int) (bool, error) {
		return d.fits(append(slices.Clone(d.costs[:n]), o.cost(obj, first(k))))
	})
	if err == nil && k > 0 {
		drawn.add(d.order[n], first(k), o.cost(obj, first(k)))
	}
	return err
}

// add adds contents of an archive.
func (d *Drawn) add(id tarn.ArchiveID, items []item, cost cold.Archive) {
	for _, it := range items {
		d.Contents++
		d.Bytes += it.size
	}
	d.Parts = append(d.Parts, Part{Archive: id, Spans: spansOf(items)})
	d.Archives = append(d.Archives, cost)
}

// Cheapest is what the first archive that would be drawn takes for one content,
// to say what a budget that is too small would have to be.
func (s *Survey) Cheapest(ctx context.Context, seed uint64) (cold.Archive, error) {
	rnd := rand.New(rand.NewPCG(seed, 0))
	d := &draw{ctx: ctx, s: s, order: s.order(rnd)}
	if err := d.open(1); err != nil {
		return cold.Archive{}, err
	}
	return d.archives[0].cost(d.costs[0].Object, d.archives[0].items[:min(1, len(d.archives[0].items))]), nil
}

// Costs is what reading the parts of a round takes that are left, as the
// archives are now.
func Costs(ctx context.Context, cfg Config, parts []Part) (list []cold.Archive, err error) {
	for _, p := range parts {
		spans := merged(p.Spans)
		o, err := open(ctx, &cfg, p.Archive, within(spans))
		if err != nil {
			return nil, err
		}
		list = append(list, o.cost(cfg.Object(p.Archive), o.items))
	}
	return list, nil
}
