package s3lab

import (
	"math/big"
	"strings"
	"time"
)

// The lab prices what it logs by a table of its own, us-east-1 in 2026, so
// that the program's price book has something to be compared with.

// rates are what a class costs, in dollars.
type rates struct {
	storage  string // a GiB-month
	put, get string // 1,000 requests
	read     string // a GiB that a GET or a copy reads
	days     int    // the least that an object is paid for
	least    int64  // the bytes that a smaller object is paid for
	tiers    map[string]tierRates
}

// tierRates are what a thaw costs.
type tierRates struct{ retrieval, requests string } // a GiB, 1,000 requests

// What else an object in a cold class takes: some of it at the class's rate,
// some of it at STANDARD's.
const (
	coldOverhead = 32 << 10
	warmOverhead = 8 << 10
)

const (
	gib = 1 << 30

	transferRate = ".09" // a GiB
	transferFree = 100 * gib
	// monitorRate is what INTELLIGENT_TIERING costs for 1,000 objects a month,
	// those from monitorLeast bytes on. Only these go down its steps.
	monitorRate  = ".0025"
	monitorLeast = 128 << 10
)

const intelligent = "INTELLIGENT_TIERING"

// steps are the access tiers of INTELLIGENT_TIERING that need no opting in, and for how
// long an object was not read by then.
var steps = []struct {
	name    string
	after   time.Duration
	storage string
}{{"", 0, ".023"}, {"Infrequent", 30 * day, ".0125"}, {"Archive Instant", 90 * day, ".004"}}

// stepNamed is the place of a step in steps; -1 if it is none.
func stepNamed(name string) int {
	for i, step := range steps {
		if step.name == name {
			return i
		}
	}
	return -1
}

var priceTable = map[string]rates{
	standard:      {storage: ".023", put: ".005", get: ".0004"},
	intelligent:   {storage: ".023", put: ".005", get: ".0004"},
	"STANDARD_IA": {storage: ".0125", put: ".01", get: ".001", read: ".01", days: 30, least: 128 << 10},
	"ONEZONE_IA":  {storage: ".01", put: ".01", get: ".001", read: ".01", days: 30, least: 128 << 10},
	"GLACIER_IR":  {storage: ".004", put: ".02", get: ".01", read: ".03", days: 90, least: 128 << 10},
	glacier: {storage: ".0036", put: ".03", get: ".0004", days: 90, tiers: map[string]tierRates{
		"Expedited": {".03", "10"}, "Standard": {".01", ".05"}, "Bulk": {"0", "0"},
	}},
	deepArchive: {storage: ".00099", put: ".05", get: ".0004", days: 180, tiers: map[string]tierRates{
		"Standard": {".02", ".10"}, "Bulk": {".0025", ".025"},
	}},
}

// ratesOf are those of a class, STANDARD's if the table does not have it.
func ratesOf(class string) rates {
	if r, ok := priceTable[class]; ok {
		return r
	}
	return priceTable[standard]
}

// dollars reads an amount of the table.
func dollars(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return new(big.Rat)
	}
	return r
}

// Item names a line of the bill.
type Item string

// The items of a bill, in the order in which it lists them.
const (
	ItemPut        Item = "PUT requests"
	ItemList       Item = "LIST requests"
	ItemGet        Item = "GET requests"
	ItemTransition Item = "lifecycle transitions"
	ItemThaw       Item = "thaw requests"
	ItemRetrieval  Item = "retrieval"
	ItemCopy       Item = "temporary copies"
	ItemTransfer   Item = "transfer out"
	ItemStorage    Item = "storage"
	ItemOverhead   Item = "overhead of cold objects"
	ItemParts      Item = "parts of unfinished uploads"
	ItemMonitoring Item = "monitoring"
	ItemEarly      Item = "minimum days not kept"
)

var items = []Item{
	ItemPut, ItemList, ItemGet, ItemTransition, ItemThaw, ItemRetrieval, ItemCopy, ItemTransfer,
	ItemStorage, ItemOverhead, ItemParts, ItemMonitoring, ItemEarly,
}

// lineKey is what has a price of its own.
type lineKey struct {
	item        Item
	class, tier string
}

// price is the price of one unit and the unit's name. Quantities are counted
// in small units, of which perUnit make one.
func (k lineKey) price() (price *big.Rat, unit string, perUnit *big.Int) {
	r := ratesOf(k.class)
	thousand := func(s string) (*big.Rat, string, *big.Int) { return dollars(s), "1,000 requests", big.NewInt(1000) }
	bytes := func(s string) (*big.Rat, string, *big.Int) { return dollars(s), "GiB", big.NewInt(gib) }
	switch k.item {
	case ItemPut, ItemList, ItemTransition:
		return thousand(r.put)
	case ItemGet:
		return thousand(r.get)
	case ItemThaw:
		return thousand(r.tiers[k.tier].requests)
	case ItemRetrieval:
		if k.tier == "" {
			return bytes(r.read)
		}
		return bytes(r.tiers[k.tier].retrieval)
	case ItemTransfer:
		return bytes(transferRate)
	case ItemMonitoring:
		return dollars(monitorRate), "1,000 object-months", new(big.Int).Mul(big.NewInt(1000), big.NewInt(int64(month)))
	}
	storage := r.storage
	if k.class == intelligent && k.item == ItemStorage {
		storage = steps[stepNamed(k.tier)].storage
	}
	return dollars(storage), "GiB-months", new(big.Int).Mul(big.NewInt(gib), big.NewInt(int64(month)))
}

// charge is a quantity of something that has a price.
type charge struct {
	lineKey
	n int64
}

// charges are what a request costs by itself. AWS bills the requests that it
// answers, also with 3xx and 4xx where they are the owner's own, and no 5xx.
// It does not bill the owner for those that it did not let in.
func (e *Event) charges() (list []charge) {
	if !e.billed() {
		return nil
	}
	add := func(item Item, class, tier string, n int64) {
		list = append(list, charge{lineKey{item, class, tier}, n})
	}
	switch op := e.Op; {
	case strings.HasPrefix(op, "Delete"), op == "AbortMultipartUpload": // free
	case writes(op):
		add(ItemPut, e.Class, "", 1)
	case op == "CreateMultipartUpload", strings.HasPrefix(op, "UploadPart"):
		add(ItemPut, partClass(e.Class), "", 1)
	case strings.HasPrefix(op, "Put"), op == "CreateBucket":
		add(ItemPut, standard, "", 1)
	case strings.HasPrefix(op, "List"):
		add(ItemList, standard, "", 1)
	case op == "RestoreObject":
		list = e.thawCharges()
	case strings.HasPrefix(op, "GetObject"), op == "HeadObject":
		add(ItemGet, e.Class, "", 1)
	default:
		add(ItemGet, standard, "", 1)
	}
	switch ok := e.Status < 300; {
	case ok && e.Op == "GetObject" && ratesOf(e.Class).read != "":
		add(ItemRetrieval, e.Class, "", e.Out)
	case ok && e.Source != "" && ratesOf(e.Source).read != "": // a copy reads its source
		add(ItemRetrieval, e.Source, "", e.Size)
	}
	return list
}

// partClass is the class that the beginning and the parts of an upload bill at, as
// requests and for as long as they lie there: the one that the upload names, but
// STANDARD for the two cold ones, whose completion alone bills as theirs.
func partClass(class string) string {
	if cold(class) {
		return standard
	}
	return class
}

// thawCharges are what a RestoreObject costs: the request by the tier that it
// names, and if a thaw began, the bytes. A longer period costs the request only,
// as the reference has it. A faster tier is paid in addition to the one that it takes
// the place of; that is how we read AWS's pages, which leave room for doubt.
func (e *Event) thawCharges() (list []charge) {
	if _, ok := ratesOf(e.Class).tiers[e.Tier]; !ok { // refused, as what can't be thawed so
		return []charge{{lineKey{ItemPut, standard, ""}, 1}}
	}
	list = append(list, charge{lineKey{ItemThaw, e.Class, e.Tier}, 1})
	if e.Status == 202 {
		list = append(list, charge{lineKey{ItemRetrieval, e.Class, e.Tier}, e.Size})
	}
	return list
}

func (e *Event) billed() bool {
	let := e.Status != 403 || e.Code == "InvalidObjectState" // the only 403 of a request that was let in
	return e.Kind == eventRequest && e.Status >= 200 && e.Status < 500 && let
}

// Price is what a request costs by itself: it and what it retrieves, without
// storage, and without transfer, the first of which in a month is free.
func (e Event) Price() *big.Rat {
	sum := new(big.Rat)
	for _, c := range e.charges() {
		sum.Add(sum, c.amount(big.NewInt(c.n)))
	}
	return sum
}

// amount is the price of n small units.
func (k lineKey) amount(n *big.Int) *big.Rat {
	price, _, per := k.price()
	return price.Mul(price, new(big.Rat).SetFrac(n, per))
}
