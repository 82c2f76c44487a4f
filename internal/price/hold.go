package price

import (
	"time"

	"github.com/tarn-backup/tarn"
)

// Inventory is what lies in a storage, object by object.
type Inventory struct {
	p     *Prices
	month Usage
}

// Inventory returns an empty one.
func (p *Prices) Inventory() *Inventory {
	return &Inventory{p: p}
}

// Add adds objects of a size with content in a class.
func (i *Inventory) Add(class tarn.Class, objects, size int64) error {
	return i.p.Store(&i.month, class, objects, size, Month)
}

// AddMetadata adds bytes of objects that are not content, and lie in STANDARD.
func (i *Inventory) AddMetadata(bytes int64) { i.month.Metadata(bytes, Month) }

// Month returns what it costs to keep all of it for a month. Groups part
// content, overhead and metadata; the lines of a group part the classes.
func (i *Inventory) Month() (Bill, error) { return i.p.Bill(i.month, 0) }

// Owed is what deleting an object, or writing over it, still costs at an age:
// the rest of the minimum days, of the bytes that are billed of it with its
// overhead at the rate of the class. The part that lies in STANDARD is not owed.
func (p *Prices) Owed(class tarn.Class, objects, size int64, age time.Duration) (Usage, error) {
	c, err := p.class(class)
	if err != nil {
		return Usage{}, err
	}
	var u Usage
	left := days(c.MinimumDays) - max(age, 0)
	u.add(item{what: stored, class: class}, over(objects, left))
	for i, n := range u.counts {
		u.counts[i] = n.Mul(n, over(max(size, c.MinimumBytes)+c.Overhead, time.Hour))
	}
	return u, nil
}
