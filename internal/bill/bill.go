package bill

import (
	"maps"
	"slices"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/storage"
)

// Objects are objects of one size in one class.
type Objects struct {
	Class tarn.Class
	Count int64
	Size  int64 // in bytes, of each
}

// Stored is what an action adds to a storage.
type Stored struct {
	Archives []Objects
	Metadata int64 // bytes of all other objects, which lie in STANDARD
}

// Cost is what an action costs: once, and from then on.
type Cost struct {
	Requests int64 `json:"requests"` // that are billed
	Up       int64 `json:"bytes_up"` // of objects
	Down     int64 `json:"bytes_down"`
	// Once is the bill of the requests, of what they read and of what leaves
	// the provider; Month that of keeping for a month what was stored.
	Once  price.Bill `json:"once"`
	Month price.Bill `json:"month"`
	// Owed is what the minimum days cost of what was stored, even if it is
	// deleted at once, and Days the longest of them.
	Owed price.Money `json:"owed"`
	Days int64       `json:"minimum_days"`
}

// Committed is what can't be taken back: what is paid once, and the minimum days.
func (c *Cost) Committed() price.Money { return c.Once.Total.Add(c.Owed) }

// Of prices what a storage has counted, and what was stored by it.
func Of(p *price.Prices, m storage.Metered, s Stored) (*Cost, error) {
	u, err := Usage(m)
	if err != nil {
		return nil, err
	}
	c := &Cost{Requests: m.Count(), Down: m.Down}
	for _, n := range m.Stored {
		c.Up += n
	}
	if c.Once, err = p.Bill(u, 0); err != nil {
		return nil, err
	}
	return c, c.keep(p, s)
}

// keep adds what it costs to keep what is stored.
func (c *Cost) keep(p *price.Prices, s Stored) error {
	month := p.Inventory()
	month.AddMetadata(s.Metadata)
	var owed price.Usage
	for _, a := range s.Archives {
		if err := month.Add(a.Class, a.Count, a.Size); err != nil {
			return err
		}
		u, err := p.Owed(a.Class, a.Count, a.Size, 0)
		if err != nil {
			return err
		}
		owed.Add(u)
		c.Days = max(c.Days, p.Classes[a.Class].MinimumDays)
	}
	b, err := p.Bill(owed, 0)
	if err != nil {
		return err
	}
	c.Owed = b.Total
	c.Month, err = month.Month()
	return err
}

// Plan is what a backup would store.
type Plan struct {
	Stored
	// Trees and Snapshots are the objects beside the archives, of which each
	// has an index.
	Trees, Snapshots int64
}

// usualPart is the size of a part of an upload, and maxParts the most that one has.
const (
	usualPart = 32 << 20
	maxParts  = 10_000
)

// Parts is the number of requests that send the content of an object.
func Parts(size int64) int64 { return min(max((size+usualPart-1)/usualPart, 1), maxParts) }

// Estimate prices a plan: m is what making it has counted, since whoever carries
// it out looks at the storage in the same way.
func Estimate(p *price.Prices, m storage.Metered, plan Plan) (*Cost, error) {
	all := m.Clone()
	all.Requests = orEmpty(all.Requests)
	all.Stored = orEmpty(all.Stored)
	add := func(op string, class tarn.Class, n int64) {
		all.Requests[storage.Request{Operation: op, Class: class}] += n
	}
	others := plan.Trees + plan.Snapshots
	for _, a := range plan.Archives {
		others += a.Count // their indexes
		all.Stored[a.Class] += a.Count * a.Size
		n := Parts(a.Size)
		if n == 1 {
			add("PutObject", a.Class, a.Count)
			continue
		}
		add("CreateMultipartUpload", a.Class, a.Count)
		add("UploadPart", a.Class, a.Count*n)
		add("CompleteMultipartUpload", a.Class, a.Count)
	}
	add("PutObject", tarn.Standard, others)
	all.Stored[tarn.Standard] += plan.Metadata
	return Of(p, all, plan.Stored)
}

func orEmpty[K comparable](m map[K]int64) map[K]int64 {
	if m == nil {
		return map[K]int64{}
	}
	return maps.Clone(m)
}

// longEnough is how long an archive is taken to stay: a backup is kept for years,
// and in one the difference between the classes shows.
const longEnough = 12 * price.Month

// Chooser returns the class for an archive of a size: the wanted class, or a
// warmer one if that is cheaper for so small an archive.
func Chooser(p *price.Prices, want tarn.Class) func(size int64) tarn.Class {
	return func(size int64) tarn.Class {
		class, err := p.CheapestClass(want, price.Archive{Size: size, Parts: Parts(size), Keep: longEnough})
		if err != nil {
			return want // its provider has no price of it, and may have it all the same
		}
		return class
	}
}

// Sum counts objects that are alike together, in the order of their classes.
func Sum(list []Objects) []Objects {
	type kind struct {
		class tarn.Class
		size  int64
	}
	counts := map[kind]int64{}
	for _, o := range list {
		counts[kind{o.Class, o.Size}] += o.Count
	}
	var sum []Objects
	for k, n := range counts {
		sum = append(sum, Objects{k.class, n, k.size})
	}
	slices.SortFunc(sum, func(a, b Objects) int {
		if d := slices.Index(tarn.Classes, a.Class) - slices.Index(tarn.Classes, b.Class); d != 0 {
			return d
		}
		return int(min(max(a.Size-b.Size, -1), 1))
	})
	return sum
}
