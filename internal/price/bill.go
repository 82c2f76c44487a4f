package price

import (
	"cmp"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/tarn-backup/tarn"
)

// Group is what lines of a bill are summed up by.
type Group string

// The groups of a bill, in its order.
const (
	GroupStorage    Group = "storage"
	GroupOverhead   Group = "overhead"
	GroupMetadata   Group = "metadata"
	GroupMonitoring Group = "monitoring"
	GroupRequests   Group = "requests" // those that thaw, too
	GroupRetrieval  Group = "retrieval"
	GroupCopy       Group = "copy" // of what is thawed
	GroupTransfer   Group = "transfer"
)

// Groups lists the groups in the order of a bill.
var Groups = []Group{GroupStorage, GroupOverhead, GroupMetadata, GroupMonitoring, GroupRequests, GroupRetrieval, GroupCopy, GroupTransfer}

// Line is one line of a bill: Quantity × Price / Per is Amount.
type Line struct {
	Group    Group      `json:"group"`
	What     string     `json:"what"`
	Class    tarn.Class `json:"class,omitempty"` // whose objects
	Tier     Tier       `json:"tier,omitempty"`
	Quantity Quantity   `json:"quantity"`
	Unit     string     `json:"unit"`
	Price    Money      `json:"price"`
	Per      int64      `json:"per"` // units that Price is for
	Amount   Money      `json:"amount"`
}

// Bill is what a usage costs.
type Bill struct {
	Lines []Line `json:"lines"`
	Total Money  `json:"total"`
}

// Sum returns the sum of a group's lines.
func (b Bill) Sum(g Group) Money { return b.sum(func(l Line) bool { return l.Group == g }) }

// SumClass returns the sum of the lines of a class, also of its overhead at the
// rate of STANDARD.
func (b Bill) SumClass(c tarn.Class) Money { return b.sum(func(l Line) bool { return l.Class == c }) }

func (b Bill) sum(of func(l Line) bool) (sum Money) {
	for _, l := range b.Lines {
		if of(l) {
			sum = sum.Add(l.Amount)
		}
	}
	return sum
}

// Quantity is an exact number of something.
type Quantity struct{ n *big.Rat }

// Rat returns a copy of the number.
func (q Quantity) Rat() *big.Rat { return Money{q.n}.Rat() }

// String writes the number, with three digits after the point if it has any.
func (q Quantity) String() string {
	if r := q.Rat(); !r.IsInt() {
		return r.FloatString(3)
	}
	return Money{q.n}.Exact()
}

// MarshalJSON writes a number.
func (q Quantity) MarshalJSON() ([]byte, error) { return Money{q.n}.MarshalJSON() }

// rate is how one kind of usage is priced.
type rate struct {
	group Group
	what  string
	unit  string
	scale int64 // of what is counted in a unit
	per   int64 // units that the price is for
}

const (
	gib      = 1 << 30
	gibMonth = gib * HoursPerMonth
)

var rates = map[what]rate{
	puts:             {GroupRequests, "PUT", "requests", 1, 1000},
	parts:            {GroupRequests, "parts of uploads", "requests", 1, 1000},
	gets:             {GroupRequests, "GET and HEAD", "requests", 1, 1000},
	lists:            {GroupRequests, "LIST", "requests", 1, 1000},
	transitions:      {GroupRequests, "lifecycle transitions", "requests", 1, 1000},
	frees:            {GroupRequests, "DELETE and abort", "requests", 1, 1000},
	thaws:            {GroupRequests, "thaw", "requests", 1, 1000},
	thawed:           {GroupRetrieval, "thawed", "GiB", gib, 1},
	retrieved:        {GroupRetrieval, "retrieved", "GiB", gib, 1},
	transferred:      {GroupTransfer, "transfer out", "GiB", gib, 1},
	stored:           {GroupStorage, "stored", "GiB-months", gibMonth, 1},
	overhead:         {GroupOverhead, "overhead of objects", "GiB-months", gibMonth, 1},
	overheadStandard: {GroupOverhead, "overhead of objects, at STANDARD", "GiB-months", gibMonth, 1},
	metadata:         {GroupMetadata, "metadata", "GiB-months", gibMonth, 1},
	copies:           {GroupCopy, "copies of thawed objects", "GiB-months", gibMonth, 1},
	monitored:        {GroupMonitoring, "monitored", "object-months", HoursPerMonth, 1000},
}

// Bill prices a usage. Of the free transfer, so many bytes of the month are
// used already. It is an error if something of it has no price.
func (p *Prices) Bill(u Usage, alreadyOut int64) (Bill, error) {
	b := Bill{Lines: []Line{}}
	for _, i := range slices.SortedFunc(maps.Keys(u.counts), compareItems) {
		price, err := p.priceOf(i)
		if err != nil {
			return Bill{}, err
		}
		n := u.counts[i]
		if i.what == transferred {
			free := new(big.Rat).SetInt64(max(p.FreeTransfer-max(alreadyOut, 0), 0))
			if free.Cmp(n) > 0 {
				free = n
			}
			b.add(i, free, "transfer out, free", Money{new(big.Rat)})
			n = new(big.Rat).Sub(n, free)
		}
		b.add(i, n, rates[i.what].what, price)
	}
	return b, nil
}

func (b *Bill) add(i item, n *big.Rat, what string, price Money) {
	if n.Sign() == 0 {
		return
	}
	r := rates[i.what]
	quantity := new(big.Rat).Mul(n, big.NewRat(1, r.scale))
	amount := price.Times(new(big.Rat).Mul(quantity, big.NewRat(1, r.per)))
	b.Lines = append(b.Lines, Line{r.group, what, i.class, i.tier, Quantity{quantity}, r.unit, price, r.per, amount})
	b.Total = b.Total.Add(amount)
}

// compareItems orders as Groups, then by kind, class, tier and step.
func compareItems(a, b item) int {
	order := func(i item) int { return slices.Index(Groups, rates[i.what].group) }
	return cmp.Or(order(a)-order(b), int(a.what-b.what), slices.Index(tarn.Classes, a.class)-slices.Index(tarn.Classes, b.class),
		slices.Index(Tiers, a.tier)-slices.Index(Tiers, b.tier), a.step-b.step, cmp.Compare(a.class, b.class), cmp.Compare(a.tier, b.tier))
}

// priceOf is where the bill's rules stand.
func (p *Prices) priceOf(i item) (Money, error) {
	class := i.class
	switch i.what {
	case lists:
		return p.List, nil
	case frees:
		return Money{new(big.Rat)}, nil
	case transferred:
		return p.Transfer, nil
	case overheadStandard, metadata, copies:
		class = tarn.Standard
	}
	c, err := p.class(class)
	if err != nil {
		return Money{}, err
	}
	var m Money
	switch i.what {
	case puts:
		m = c.Put
	case parts:
		m = c.Put
		if c.PartsAsStandard {
			m = p.Classes[tarn.Standard].Put
		}
	case gets:
		m = c.Get
	case transitions:
		m = c.Lifecycle
	case thaws:
		m = c.Thaw[i.tier].Requests
	case thawed:
		m = c.Thaw[i.tier].Bytes
	case retrieved:
		m = c.Retrieval
	case monitored:
		m = c.Monitoring
	case stored, overhead, overheadStandard, metadata, copies:
		m = c.storage(i.step)
	}
	if !m.known() {
		return Money{}, fmt.Errorf("%w for %s (%s %s) in %s/%s", ErrNoPrices, rates[i.what].what, i.class, i.tier, p.Provider, p.Region)
	}
	return m, nil
}

// storage is what a GiB and month costs after so many steps.
func (c Class) storage(step int) Money {
	if step == 0 {
		return c.Storage
	}
	return c.Steps[step-1].Storage
}
