package catalog

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/durable"
)

// LargeSize is the size in bytes from which HasSize answers.
const LargeSize = 8 << 20

const (
	flushAt  = 1 << 16 // records in memory before they become a run
	maxRuns  = 8       // runs before they are merged
	manifest = "contents.json"
)

// Contents finds where a content lies by its hash, in bounded memory. Its
// methods may be called at the same time; one process at a time may write.
type Contents struct {
	dir      string
	mu       sync.RWMutex
	archives []tarn.ArchiveID // by number
	number   map[tarn.ArchiveID]uint32
	runs     []*run
	names    []string                    // of the runs
	dirty    bool                        // archives that the manifest does not name
	fresh    map[tarn.ContentHash]record // not in a run yet
	again    []record                    // further places of fresh contents
	sizes    map[int64]struct{}          // large ones of fresh
}

// manifestJSON names the runs that are whole, and the archives in them.
type manifestJSON struct {
	Archives []tarn.ArchiveID `json:"archives"`
	Runs     []string         `json:"runs"`
}

// OpenContents opens the look-up in dir. One that is damaged is begun anew,
// empty; the caller adds the archives that are missing.
func OpenContents(dir string) (*Contents, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the catalog: %w", err)
	}
	c := &Contents{dir: dir}
	c.clear()
	if err := c.load(); err != nil {
		c.closeRuns()
		c.clear()
	}
	return c, nil
}

func (c *Contents) clear() {
	c.archives, c.runs, c.names, c.dirty = nil, nil, nil, false
	c.number = map[tarn.ArchiveID]uint32{}
	c.fresh, c.again = map[tarn.ContentHash]record{}, nil
	c.sizes = map[int64]struct{}{}
}

func (c *Contents) load() error {
	data, err := os.ReadFile(filepath.Join(c.dir, manifest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	var m manifestJSON
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	for _, name := range m.Runs {
		r, err := openRun(filepath.Join(c.dir, filepath.Base(name)))
		if err != nil {
			return err
		}
		c.runs, c.names = append(c.runs, r), append(c.names, name)
	}
	for i, id := range m.Archives {
		c.number[id] = uint32(i)
	}
	c.archives = m.Archives
	return nil
}

// Has reports whether the archive's contents were added.
func (c *Contents) Has(id tarn.ArchiveID) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	_, ok := c.number[id]
	return ok
}

// Archives returns the archives whose contents were added.
func (c *Contents) Archives() []tarn.ArchiveID {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Clone(c.archives)
}

// Latest returns the greatest archive id; "" if there is none.
func (c *Contents) Latest() tarn.ArchiveID {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if len(c.archives) == 0 {
		return ""
	}
	return slices.Max(c.archives)
}

// Adder takes the contents of one archive. They count when Done is called, all
// of them or, if it is not, none.
type Adder struct {
	c       *Contents
	id      tarn.ArchiveID
	records []record
}

// Add begins the contents of an archive whose index is in the repository.
func (c *Contents) Add(id tarn.ArchiveID) *Adder { return &Adder{c: c, id: id} }

// Content adds a content of the archive.
func (a *Adder) Content(h tarn.ContentHash, offset, size int64) {
	a.records = append(a.records, record{hash: h, offset: offset, size: size})
}

// Done makes the contents known.
func (a *Adder) Done() error {
	c := a.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.number[a.id]; ok {
		return nil
	}
	n := uint32(len(c.archives))
	c.archives = append(c.archives, a.id)
	c.number[a.id] = n
	c.dirty = true
	for _, r := range a.records {
		r.archive = n
		if first, ok := c.fresh[r.hash]; ok {
			if first.archive != n { // one place of an archive will do
				c.again = append(c.again, r)
			}
			continue
		}
		c.fresh[r.hash] = r
		if r.size >= LargeSize {
			c.sizes[r.size] = struct{}{}
		}
	}
	if len(c.fresh)+len(c.again) >= flushAt {
		return c.flush()
	}
	return nil
}

// Lookup finds a place of a content; Locations finds all.
func (c *Contents) Lookup(h tarn.ContentHash) (loc tarn.Location, ok bool, err error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	rec, ok := c.fresh[h]
	for i := 0; !ok && i < len(c.runs); i++ {
		if rec, ok, err = c.runs[i].lookup(&h); err != nil {
			return loc, false, err
		}
	}
	if !ok {
		return loc, false, nil
	}
	loc, err = c.location(rec)
	return loc, err == nil, err
}

// location is where a record says. The lock is held.
func (c *Contents) location(rec record) (loc tarn.Location, err error) {
	if int(rec.archive) >= len(c.archives) {
		return loc, fmt.Errorf("catalog names archive number %d of %d: %w (tarn rebuild makes it anew)", rec.archive, len(c.archives), tarn.ErrDamaged)
	}
	return tarn.Location{Archive: c.archives[rec.archive], Offset: rec.offset, Size: rec.size}, nil
}

// Locations returns one place of a content in each archive that has it, first
// those that were added first. Two machines that back up at once store a
// content twice, and a file that is as it was before is stored again.
func (c *Contents) Locations(h tarn.ContentHash) (list []tarn.Location, err error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var recs []record
	if rec, ok := c.fresh[h]; ok {
		recs = append(recs, rec)
	}
	for _, rec := range c.again {
		if rec.hash == h {
			recs = append(recs, rec)
		}
	}
	for _, r := range c.runs {
		more, err := r.all(&h)
		if err != nil {
			return nil, err
		}
		recs = append(recs, more...)
	}
	slices.SortStableFunc(recs, func(a, b record) int { return cmp.Compare(a.archive, b.archive) })
	for i, rec := range recs {
		if i > 0 && recs[i-1].archive == rec.archive {
			continue
		}
		loc, err := c.location(rec)
		if err != nil {
			return nil, err
		}
		list = append(list, loc)
	}
	return list, nil
}

// HasSize reports whether a content of that size, which is at least LargeSize,
// is known.
func (c *Contents) HasSize(size int64) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if _, ok := c.sizes[size]; ok {
		return true
	}
	for _, r := range c.runs {
		if r.hasLarge(size) {
			return true
		}
	}
	return false
}

// flush turns the fresh records into a run, merges if there are too many, and
// writes the manifest. The lock is held.
func (c *Contents) flush() error {
	if len(c.fresh) > 0 {
		recs := append(slices.Collect(maps.Values(c.fresh)), c.again...)
		slices.SortFunc(recs, compareRecords)
		i := 0
		next := func() (record, bool, error) {
			if i == len(recs) {
				return record{}, false, nil
			}
			i++
			return recs[i-1], true, nil
		}
		if err := c.addRun(int64(len(recs)), next); err != nil {
			return fmt.Errorf("writing the catalog: %w", err)
		}
		clear(c.fresh)
		c.again = nil
		clear(c.sizes)
	}
	var old []string
	if len(c.runs) > maxRuns {
		var err error
		if old, err = c.mergeSmall(); err != nil {
			return fmt.Errorf("merging the catalog: %w", err)
		}
	}
	data, err := json.Marshal(manifestJSON{Archives: c.archives, Runs: c.names})
	if err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(c.dir, manifest), data, 0o600); err != nil {
		return fmt.Errorf("writing the catalog: %w", err)
	}
	c.dirty = false
	for _, name := range old {
		os.Remove(filepath.Join(c.dir, name)) // a run that stays only takes room
	}
	return nil
}

func (c *Contents) addRun(most int64, next func() (record, bool, error)) error {
	// A random name, so that two processes never write one file.
	name := rand.Text() + ".run"
	path := filepath.Join(c.dir, name)
	if err := writeRun(path, most, next); err != nil {
		return err
	}
	r, err := openRun(path)
	if err != nil {
		return err
	}
	c.runs, c.names = append(c.runs, r), append(c.names, name)
	return nil
}

// mergeSmall merges the small runs into one, and returns the names of those
// that it replaces. A run much larger than all smaller ones together stays, so that
// each record is rewritten a logarithmic number of times.
func (c *Contents) mergeSmall() (old []string, err error) {
	order := make([]int, len(c.runs))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(c.runs[a].count, c.runs[b].count) })
	var sum int64
	n := 0
	for ; n < len(order) && (n < 2 || c.runs[order[n]].count <= 2*sum); n++ {
		sum += c.runs[order[n]].count
	}
	chosen := order[:n]
	slices.Sort(chosen)
	var merged []*run
	for _, i := range chosen {
		merged, old = append(merged, c.runs[i]), append(old, c.names[i])
	}
	if err := c.addRun(sum, merge(merged)); err != nil {
		return nil, err
	}
	for _, i := range slices.Backward(chosen) {
		c.runs, c.names = slices.Delete(c.runs, i, i+1), slices.Delete(c.names, i, i+1)
	}
	for _, r := range merged {
		r.file.Close() // read only
	}
	return old, nil
}

// Reset forgets everything.
func (c *Contents) Reset() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.names
	c.closeRuns()
	c.clear()
	err := os.Remove(filepath.Join(c.dir, manifest))
	for _, name := range old {
		os.Remove(filepath.Join(c.dir, name))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Close writes what is not on disk yet.
func (c *Contents) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	if c.dirty {
		err = c.flush()
	}
	c.closeRuns()
	return err
}

func (c *Contents) closeRuns() {
	for _, r := range c.runs {
		r.file.Close() // read only
	}
}
