package price

import (
	"fmt"
	"maps"
	"math/big"
	"time"

	"github.com/tarn-backup/tarn"
)

// HoursPerMonth is a twelfth of a year of 365 days.
const HoursPerMonth = 730

// Month is the month that storage is priced by.
const Month = HoursPerMonth * time.Hour

// Operation is a request, by S3's name of it.
type Operation string

// The requests that a bill counts by the class of their object. Those that a
// server refuses with a 4xx are billed, too; those that it fails with a 5xx are not.
const (
	PutObject               Operation = "PutObject"
	CopyObject              Operation = "CopyObject"
	CreateMultipartUpload   Operation = "CreateMultipartUpload"
	UploadPart              Operation = "UploadPart"
	CompleteMultipartUpload Operation = "CompleteMultipartUpload"
	AbortMultipartUpload    Operation = "AbortMultipartUpload" // free
	ListObjects             Operation = "ListObjects"          // the same in all classes
	GetObject               Operation = "GetObject"
	HeadObject              Operation = "HeadObject"
	DeleteObject            Operation = "DeleteObject" // free
	Transition              Operation = "Transition"   // by a lifecycle rule, into the class
)

// Usage is what an action uses, as the bill counts it. The zero value is
// ready. Its methods take numbers that are not negative; less counts as 0.
type Usage struct {
	counts map[item]*big.Rat
}

// item is what has a price of its own.
type item struct {
	what  what
	class tarn.Class
	tier  Tier
	step  int // of a class with steps: 0 is the first
}

// what a quantity is of.
type what int

const (
	puts        what = iota // requests
	parts                   // requests: the parts of uploads, and their beginnings
	gets                    // requests
	lists                   // requests
	transitions             // requests
	frees                   // requests
	thaws                   // requests
	thawed                  // bytes
	retrieved               // bytes
	transferred             // bytes
	stored                  // bytes and hours, as are the four below
	overhead
	overheadStandard
	metadata
	copies
	monitored // objects and hours
)

// kinds are what the operations are to the bill.
var kinds = map[Operation]what{
	PutObject: puts, CopyObject: puts, CompleteMultipartUpload: puts, CreateMultipartUpload: parts, UploadPart: parts,
	ListObjects: lists, GetObject: gets, HeadObject: gets, Transition: transitions, AbortMultipartUpload: frees, DeleteObject: frees,
}

func (u *Usage) add(i item, n *big.Rat) {
	if n.Sign() <= 0 {
		return
	}
	if u.counts == nil {
		u.counts = map[item]*big.Rat{}
	}
	if have := u.counts[i]; have != nil {
		n = new(big.Rat).Add(have, n)
	}
	u.counts[i] = n
}

func (u *Usage) addInt(i item, n int64) { u.add(i, new(big.Rat).SetInt64(n)) }

// Request counts n requests to objects of a class. What an operation is to the
// bill, Bill says; one that S3 does not have is an error.
func (u *Usage) Request(op Operation, class tarn.Class, n int64) error {
	kind, ok := kinds[op]
	if !ok {
		return fmt.Errorf("request %q has no price", op)
	}
	switch kind {
	case lists, frees:
		class = "" // it makes no difference
	}
	u.addInt(item{what: kind, class: class}, n)
	return nil
}

// Upload counts what it takes to put objects that have so many parts each, 0 or
// one for those that are sent in one PutObject.
func (u *Usage) Upload(class tarn.Class, objects, partsEach int64) {
	if partsEach > 1 {
		begun := new(big.Rat).SetInt64(partsEach + 1)
		u.add(item{what: parts, class: class}, begun.Mul(begun, new(big.Rat).SetInt64(max(objects, 0))))
	}
	u.addInt(item{what: puts, class: class}, objects)
}

// Read counts GETs of objects and the bytes that they read. In classes with a
// price of retrieval these cost, too; the copies of thawed objects have none.
func (u *Usage) Read(class tarn.Class, requests, bytes int64) {
	u.addInt(item{what: gets, class: class}, requests)
	u.addInt(item{what: retrieved, class: class}, bytes)
}

// Thaw counts requests that thaw cold objects of so many bytes in total.
func (u *Usage) Thaw(class tarn.Class, tier Tier, objects, bytes int64) {
	u.addInt(item{what: thaws, class: class, tier: tier}, objects)
	u.addInt(item{what: thawed, class: class, tier: tier}, bytes)
}

// Copy counts the copies of thawed objects, which lie in STANDARD as long as
// they are kept.
func (u *Usage) Copy(bytes int64, kept time.Duration) {
	u.add(item{what: copies, class: tarn.Standard}, over(bytes, kept))
}

// TransferOut counts bytes that leave the provider.
func (u *Usage) TransferOut(bytes int64) { u.addInt(item{what: transferred}, bytes) }

// Metadata counts bytes in STANDARD that are not content.
func (u *Usage) Metadata(bytes int64, kept time.Duration) {
	u.add(item{what: metadata, class: tarn.Standard}, over(bytes, kept))
}

// Add adds all of v.
func (u *Usage) Add(v Usage) {
	for i, n := range v.counts {
		u.add(i, n)
	}
}

// Times returns the usage of so many such actions.
func (u Usage) Times(x *big.Rat) Usage {
	var all Usage
	for i, n := range u.counts {
		all.add(i, new(big.Rat).Mul(n, x))
	}
	return all
}

// Clone returns a copy.
func (u Usage) Clone() Usage { return Usage{maps.Clone(u.counts)} }

// over returns units times hours.
func over(units int64, kept time.Duration) *big.Rat {
	hours := big.NewRat(int64(max(kept, 0)), int64(time.Hour))
	return hours.Mul(hours, new(big.Rat).SetInt64(max(units, 0)))
}

// Store counts objects of one size in a class, as long as they are kept: at
// least the bytes that are billed of each, and its overhead. An object of a class with steps counts
// as read just now: the first step is the dearest.
func (p *Prices) Store(u *Usage, class tarn.Class, objects, size int64, kept time.Duration) error {
	c, err := p.class(class)
	if err != nil {
		return err
	}
	c.store(u, class, c.held(objects, size), kept, 0)
	return nil
}

// held are objects that are alike to the bill.
type held struct {
	objects, bytes *big.Rat // bytes that are billed
	monitored      bool
}

// held returns objects of one size.
func (c Class) held(objects, size int64) held {
	n := new(big.Rat).SetInt64(max(objects, 0))
	bytes := new(big.Rat).SetInt64(max(size, c.MinimumBytes, 0))
	return held{n, bytes.Mul(bytes, n), c.monitors(size)}
}

// monitors reports whether objects of a size are monitored, and go down steps.
func (c Class) monitors(size int64) bool { return c.Monitoring.known() && size >= c.MonitoredFrom }

// store counts what is held for so long after so many steps.
func (c Class) store(u *Usage, class tarn.Class, h held, kept time.Duration, step int) {
	hours := over(1, kept)
	add := func(what what, n *big.Rat, times int64, step int) {
		n = new(big.Rat).Mul(n, hours)
		u.add(item{what: what, class: class, step: step}, n.Mul(n, new(big.Rat).SetInt64(times)))
	}
	if !h.monitored {
		step = 0
	} else {
		add(monitored, h.objects, 1, 0)
	}
	add(stored, h.bytes, 1, step)
	add(overhead, h.objects, c.Overhead, 0)
	add(overheadStandard, h.objects, c.OverheadStandard, 0)
}
