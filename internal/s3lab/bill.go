package s3lab

import (
	"cmp"
	"iter"
	"maps"
	"math/big"
	"slices"
	"time"
)

// A month of storage has 730 hours, as in AWS's calculator, whatever the
// calendar says. The month of the free transfer is the calendar's, in UTC.
const (
	day   = 24 * time.Hour
	month = 730 * time.Hour
)

// Bill is what the requests and the storage of a lab would have cost on S3,
// from its first event up to a time. Amounts are exact.
type Bill struct {
	From, To time.Time
	Lines    []Line
	Total    *big.Rat // dollars
}

// Line is a line of a bill: quantity times price.
type Line struct {
	Item        Item
	Class, Tier string // empty where the price does not depend on it
	Quantity    *big.Rat
	Unit        string
	Price       *big.Rat // dollars a unit
	Amount      *big.Rat // dollars
}

// MakeBill sums the events of a log up to a time. It knows nothing but them.
func MakeBill(events iter.Seq2[Event, error], to time.Time) (*Bill, error) {
	t := tally{sums: map[lineKey]*big.Int{}, objects: map[place]*life{}, uploads: map[string]*parts{}, out: map[string]int64{}}
	b := &Bill{To: to, Total: new(big.Rat)}
	for e, err := range events {
		if err != nil {
			return nil, err
		}
		if b.From.IsZero() {
			b.From = e.Time
		}
		t.event(e)
	}
	t.end(to)
	for _, key := range slices.SortedFunc(maps.Keys(t.sums), compareLines) {
		if t.sums[key].Sign() == 0 {
			continue
		}
		price, unit, per := key.price()
		l := Line{Item: key.item, Class: key.class, Tier: key.tier, Quantity: new(big.Rat).SetFrac(t.sums[key], per), Unit: unit, Price: price}
		l.Amount = new(big.Rat).Mul(l.Quantity, l.Price)
		b.Total.Add(b.Total, l.Amount)
		b.Lines = append(b.Lines, l)
	}
	return b, nil
}

func compareLines(a, b lineKey) int {
	return cmp.Or(
		cmp.Compare(slices.Index(items, a.item), slices.Index(items, b.item)),
		cmp.Compare(slices.Index(classes, a.class), slices.Index(classes, b.class)),
		cmp.Compare(slices.Index(tiers, a.tier), slices.Index(tiers, b.tier)),
		cmp.Compare(stepNamed(a.tier), stepNamed(b.tier)),
	)
}

// tally adds events up.
type tally struct {
	sums    map[lineKey]*big.Int // in small units: requests, bytes, byte-nanoseconds
	objects map[place]*life
	uploads map[string]*parts
	out     map[string]int64 // bytes, by month
}

// life is an object from its creation, or from its move to the class, on.
type life struct {
	class string
	size  int64
	from  time.Time
	read  time.Time // of one that goes down steps by itself: when its storage is counted up to
	copy  *thaw     // its temporary copy, if one was asked for
}

// parts are those of an upload that is not complete, by number, and the class
// that they bill at.
type parts struct {
	class string
	lie   map[int]life
}

func (t *tally) add(key lineKey, n *big.Int) {
	if t.sums[key] == nil {
		t.sums[key] = new(big.Int)
	}
	t.sums[key].Add(t.sums[key], n)
}

// hold adds bytes that were kept for a time.
func (t *tally) hold(key lineKey, bytes int64, d time.Duration) {
	if d > 0 {
		t.add(key, new(big.Int).Mul(big.NewInt(bytes), big.NewInt(int64(d))))
	}
}

func (t *tally) event(e Event) {
	switch e.Kind {
	case eventRequest:
		for _, c := range e.charges() {
			t.add(c.lineKey, big.NewInt(c.n))
		}
		if o := t.objects[e.place()]; o != nil && e.Op == "GetObject" && e.Status < 300 {
			t.descends(o, e.Time)
		}
		if e.billed() {
			t.out[e.Time.UTC().Format("2006-01")] += e.Out
		}
	case eventCreated:
		t.over(e.place(), e.Time)
		t.objects[e.place()] = &life{class: e.Class, size: e.Size, from: e.Time}
		t.ended(e.Upload, e.Time)
	case eventRemoved:
		t.over(e.place(), e.Time)
	case eventMoved:
		t.moved(e)
	case eventThaw:
		if o := t.objects[e.place()]; o != nil {
			if o.copy != nil && !e.Time.Before(o.copy.expiry) {
				t.copied(o, e.Time)
			}
			o.copy = &thaw{ready: e.Ready, expiry: e.Expiry}
		}
	case eventUpload:
		t.uploads[e.Upload] = &parts{class: partClass(cmp.Or(e.Class, standard)), lie: map[int]life{}}
	case eventPart:
		if u := t.uploads[e.Upload]; u != nil {
			t.part(u.class, u.lie[e.Part], e.Time)
			u.lie[e.Part] = life{size: e.Size, from: e.Time}
		}
	case eventAborted:
		t.ended(e.Upload, e.Time)
	}
}

func (t *tally) moved(e Event) {
	o := t.objects[e.place()]
	if o == nil {
		return
	}
	t.over(e.place(), e.Time)
	t.add(lineKey{item: ItemTransition, class: e.Class}, big.NewInt(1))
	t.objects[e.place()] = &life{class: e.Class, size: o.size, from: e.Time}
}

// over ends the life of an object: what it was kept for, and what its class
// wants for the days that it was not.
func (t *tally) over(p place, at time.Time) {
	o := t.objects[p]
	if o == nil {
		return
	}
	t.kept(o, at)
	r := ratesOf(o.class)
	least := time.Duration(r.days) * day
	t.hold(lineKey{item: ItemEarly, class: o.class}, o.paid()+o.overhead(), least-at.Sub(o.from))
	delete(t.objects, p)
}

// paid is the size that an object is paid for.
func (o *life) paid() int64 { return max(o.size, ratesOf(o.class).least) }

// overhead is what a cold object takes besides, at the rate of its class.
func (o *life) overhead() int64 {
	if cold(o.class) {
		return coldOverhead
	}
	return 0
}

// kept adds what an object has cost so far.
func (t *tally) kept(o *life, at time.Time) {
	d := at.Sub(o.from)
	if !t.descends(o, at) {
		t.hold(lineKey{item: ItemStorage, class: o.class}, o.paid(), d)
	}
	if cold(o.class) {
		t.hold(lineKey{item: ItemOverhead, class: o.class}, o.overhead(), d)
		t.hold(lineKey{item: ItemOverhead, class: standard}, warmOverhead, d)
	}
	if o.class == intelligent && o.size >= monitorLeast {
		t.hold(lineKey{item: ItemMonitoring, class: o.class}, 1, d)
	}
	t.copied(o, at)
}

// descends counts an object of INTELLIGENT_TIERING up to a time at which it is read, or
// its life ends. It goes down a step when it was not read for so long.
func (t *tally) descends(o *life, at time.Time) bool {
	if o.class != intelligent || o.size < monitorLeast {
		return false
	}
	began := o.from
	if !o.read.IsZero() {
		began = o.read
	}
	for i, step := range steps {
		until := at.Sub(began)
		if i+1 < len(steps) {
			until = min(until, steps[i+1].after)
		}
		t.hold(lineKey{item: ItemStorage, class: o.class, tier: step.name}, o.size, until-step.after)
	}
	o.read = at
	return true
}

// copied adds the temporary copy, which is STANDARD from when it is ready.
func (t *tally) copied(o *life, at time.Time) {
	if o.copy == nil {
		return
	}
	if o.copy.expiry.Before(at) {
		at = o.copy.expiry
	}
	t.hold(lineKey{item: ItemCopy, class: standard}, o.size, at.Sub(o.copy.ready))
	o.copy = nil
}

// ended ends an upload, whose parts were kept until then.
func (t *tally) ended(id string, at time.Time) {
	if u := t.uploads[id]; u != nil {
		for _, p := range u.lie {
			t.part(u.class, p, at)
		}
	}
	delete(t.uploads, id)
}

func (t *tally) part(class string, p life, at time.Time) {
	t.hold(lineKey{item: ItemParts, class: class}, p.size, at.Sub(p.from))
}

// end adds what is still there, and the transfer beyond the free.
func (t *tally) end(to time.Time) {
	for _, o := range t.objects {
		t.kept(o, to)
	}
	for id := range t.uploads {
		t.ended(id, to)
	}
	for _, n := range t.out {
		t.add(lineKey{item: ItemTransfer}, big.NewInt(max(0, n-transferFree)))
	}
}
