package check

import (
	"hash/maphash"
	"maps"
	"slices"

	"github.com/tarn-backup/tarn"
)

// Damage is one object that is not as it should be, and what that costs.
type Damage struct {
	Key     string // of the object; "indexes/" for contents that no index names, "keys/" for too few copies
	Problem string
	// Unread says that the storage failed to give the object, which need not
	// mean that the object is damaged.
	Unread bool
	// Advice is a sentence or two for a person on what mends it.
	Advice string
	// Files counts the paths whose content is lost with the object, over all
	// snapshots. Of a lost snapshot it is not known, and 0.
	Files int64
	// Snapshots lose something by it; sorted.
	Snapshots []tarn.SnapshotID
	// Costs names the first of the paths in their order, at most 20.
	Costs []Cost
}

// Cost is a path that a damage costs.
type Cost struct {
	Path string // "" with Below is the whole snapshot
	// Below says that what lies at and below the path is lost, as far as it is
	// of the split of that path.
	Below     bool
	Snapshots []tarn.SnapshotID // sorted
}

const (
	maxCosts = 20
	maxPaths = 1 << 20 // hashes of paths in memory, of all damages
)

// damage is a Damage in the making.
type damage struct {
	Damage
	pending   bool // no damage unless it costs something
	gone      bool // the object is missing
	resized   bool // of an archive: missing or of another size, so that a backup sees it
	leftover  bool // of an archive: no damage if no snapshot needs what is in it
	frozen    bool // it is metadata in a cold class
	used      bool // content that snapshots need was found whole in it, and in no healthy archive
	costs     []*cost
	snapshots map[int]struct{}
	paths     map[uint64]struct{} // counted already
	owner     *collector
}

type cost struct {
	path      string
	below     bool
	snapshots map[int]struct{}
}

// collector holds the damages. The run's lock guards it.
type collector struct {
	byKey map[string]*damage
	paths int // hashes in memory
	seed  maphash.Seed
}

// at returns the damage of an object.
func (c *collector) at(key string) *damage {
	d := c.byKey[key]
	if d == nil {
		d = &damage{Damage: Damage{Key: key}, owner: c, snapshots: map[int]struct{}{}, paths: map[uint64]struct{}{}}
		c.byKey[key] = d
	}
	return d
}

// say adds to what is wrong with the object.
func (d *damage) say(problem string) {
	switch d.Problem {
	case "":
		d.Problem = problem
	case problem:
	default:
		d.Problem += "; " + problem
	}
}

// lose records that n files at path are lost in the snapshots, which are
// given by their numbers.
func (d *damage) lose(path string, below bool, n int64, snapshots []int) {
	for _, s := range snapshots {
		d.snapshots[s] = struct{}{}
	}
	if d.first(path) {
		d.Files += n
	}
	i, found := slices.BinarySearchFunc(d.costs, path, func(c *cost, p string) int { return tarn.ComparePaths(c.path, p) })
	if !found {
		if i >= maxCosts {
			return
		}
		d.costs = slices.Insert(d.costs, i, &cost{path: path, snapshots: map[int]struct{}{}})
		d.costs = d.costs[:min(len(d.costs), maxCosts)]
	}
	c := d.costs[i]
	c.below = c.below || below
	for _, s := range snapshots {
		c.snapshots[s] = struct{}{}
	}
}

// first reports whether the path was not counted yet. Beyond a million of
// them it takes each for a new one, since memory is bounded.
func (d *damage) first(path string) bool {
	if d.owner.seed == (maphash.Seed{}) {
		d.owner.seed = maphash.MakeSeed()
	}
	h := maphash.String(d.owner.seed, path)
	if _, ok := d.paths[h]; ok {
		return false
	}
	if d.owner.paths < maxPaths {
		d.paths[h] = struct{}{}
		d.owner.paths++
	}
	return true
}

// dead reports whether a damaged archive is only a leftover: what snapshots
// need of it was stored again, or nothing.
func (d *damage) dead() bool {
	return d.leftover && !d.Unread && !d.used && len(d.snapshots) == 0
}

// damages returns what was found, sorted by key.
func (c *collector) damages(ids []tarn.SnapshotID) (list []Damage) {
	names := func(numbers map[int]struct{}) (out []tarn.SnapshotID) {
		for _, n := range slices.Sorted(maps.Keys(numbers)) {
			out = append(out, ids[n])
		}
		return out
	}
	for _, key := range slices.Sorted(maps.Keys(c.byKey)) {
		d := c.byKey[key]
		if d.pending && len(d.snapshots) == 0 || d.dead() {
			continue
		}
		out := d.Damage
		out.Advice = d.advice()
		out.Snapshots = names(d.snapshots)
		for _, x := range d.costs {
			out.Costs = append(out.Costs, Cost{Path: x.path, Below: x.below, Snapshots: names(x.snapshots)})
		}
		list = append(list, out)
	}
	return list
}
