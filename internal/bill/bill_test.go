package bill_test

import (
	"math/big"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/bill"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/storage"
)

func prices(t *testing.T) *price.Prices {
	t.Helper()
	p, err := price.Embedded().Find(price.AWS, "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// is compares an amount with one worked out by hand.
func is(t *testing.T, what string, got price.Money, want string) {
	t.Helper()
	r, ok := new(big.Rat).SetString(want)
	if !ok {
		t.Fatalf("no number: %s", want)
	}
	if got.Rat().Cmp(r) != 0 {
		t.Errorf("%s: %s, want %s", what, got.Exact(), want)
	}
}

// TestEstimate: by the design's prices, by hand. Two archives of 100 MiB are four
// parts each, at the rate of STANDARD; their completions are cold, their indexes not.
func TestEstimate(t *testing.T) {
	plan := bill.Plan{Stored: bill.Stored{Archives: []bill.Objects{{tarn.Glacier, 2, 100 << 20}, {tarn.Standard, 1, 1 << 10}}, Metadata: 1 << 20}, Trees: 3, Snapshots: 1}
	looked := storage.Metered{Requests: map[storage.Request]int64{{Operation: "ListObjectsV2", Class: tarn.Standard}: 5, {Operation: "HeadObject", Class: tarn.Standard}: 10}}
	c, err := bill.Estimate(prices(t), looked, plan)
	if err != nil {
		t.Fatal(err)
	}
	// (2 begun + 8 parts + 1 small + 3 indexes + 3 trees + 1 snapshot + 5 LIST) × .005, 2 × .03, 10 × .0004, for 1,000
	is(t, "once", c.Once.Total, "0.000179")
	if want := int64(2 + 8 + 2 + 1 + 3 + 3 + 1 + 15); c.Requests != want || c.Up != 200<<20+1<<10+1<<20 || c.Days != 90 {
		t.Errorf("%d requests, want %d; %d bytes, %d days", c.Requests, want, c.Up, c.Days)
	}
	// 200 MiB for 90 days of 24 hours in months of 730
	is(t, "owed", c.Owed, ratOf(200<<20+64<<10, "0.0036", 90*24))
	sum, _ := new(big.Rat).SetString("0")
	for _, part := range []string{ratOf(200<<20, "0.0036", 730), ratOf(64<<10, "0.0036", 730), ratOf(16<<10, "0.023", 730), ratOf(1<<10, "0.023", 730), ratOf(1<<20, "0.023", 730)} {
		r, _ := new(big.Rat).SetString(part)
		sum.Add(sum, r)
	}
	is(t, "a month", c.Month.Total, sum.RatString())
	is(t, "committed", c.Committed(), new(big.Rat).Add(c.Once.Total.Rat(), c.Owed.Rat()).RatString())
	if len(looked.Requests) != 2 {
		t.Error("the reading was changed")
	}
}

// ratOf is bytes for hours at a rate for a GiB and a month of 730 hours.
func ratOf(bytes int64, rate string, hours int64) string {
	r, _ := new(big.Rat).SetString(rate)
	r.Mul(r, big.NewRat(bytes, 1<<30))
	return r.Mul(r, big.NewRat(hours, 730)).RatString()
}

// TestUsage: what S3 calls a request, and what it bills as.
func TestUsage(t *testing.T) {
	m := storage.Metered{Requests: map[storage.Request]int64{
		{Operation: "GetObjectAttributes", Class: tarn.GlacierIR}:                   1000,
		{Operation: "ListObjectsV2", Class: tarn.Standard}:                          1000,
		{Operation: "DeleteObject", Class: tarn.Standard}:                           1000,
		{Operation: "RestoreObject", Class: tarn.DeepArchive, Tier: storage.Normal}: 1000,
		{Operation: "CompleteMultipartUpload", Class: tarn.DeepArchive}:             1000,
		{Operation: "UploadPart", Class: tarn.DeepArchive}:                          1000,
		{Operation: "AbortMultipartUpload", Class: tarn.DeepArchive}:                1000,
	}, Retrieved: map[tarn.Class]int64{tarn.GlacierIR: 1 << 30}, Down: 101 << 30}
	u, err := bill.Usage(m)
	if err != nil {
		t.Fatal(err)
	}
	b, err := prices(t).Bill(u, 0)
	if err != nil {
		t.Fatal(err)
	}
	is(t, "requests", b.Sum(price.GroupRequests), "0.17") // .01 + .005 + 0 + .10 + .05 + .005 + 0
	is(t, "retrieval", b.Sum(price.GroupRetrieval), "0.03")
	is(t, "transfer", b.Sum(price.GroupTransfer), "0.09")
	if _, err := bill.Usage(storage.Metered{Requests: map[storage.Request]int64{{Operation: "SelectObjectContent"}: 1}}); err == nil {
		t.Error("a request without a price has one")
	}
}

// TestHolding: minimum days are owed by age, and only for what has some.
func TestHolding(t *testing.T) {
	h := bill.NewHolding(prices(t))
	const day = 24 * time.Hour
	for _, thing := range []bill.Thing{
		{Class: tarn.DeepArchive, Size: 1 << 30, Age: 30 * day},
		{Class: tarn.DeepArchive, Size: 1 << 30, Age: 200 * day},
		{Class: tarn.Standard, Size: 1 << 20},
		{Class: tarn.Standard, Size: 1 << 30, Metadata: true},
		{Class: tarn.Standard, Size: 1 << 30, Metadata: true},
		{Class: tarn.Glacier, Size: 1 << 30, Metadata: true},
	} {
		if err := h.Add(thing); err != nil {
			t.Fatal(err)
		}
	}
	rows, month, owed, err := h.Rows()
	if err != nil || len(rows) != 4 {
		t.Fatalf("%+v, %v", rows, err)
	}
	is(t, "owed", rows[1].Owed, ratOf(1<<30+32<<10, "0.00099", 150*24))
	if rows[1].Days != 150 || rows[1].Objects != 2 || rows[0].Class != tarn.Standard || !rows[2].Metadata || rows[3].Class != tarn.Glacier {
		t.Errorf("%+v", rows)
	}
	is(t, "metadata", rows[2].Month, "0.046")
	is(t, "overhead", rows[1].Overhead, new(big.Rat).Add(rat(ratOf(64<<10, "0.00099", 730)), rat(ratOf(16<<10, "0.023", 730))).RatString())
	sums := [2]price.Money{}
	for _, r := range rows {
		sums[0], sums[1] = sums[0].Add(r.Month), sums[1].Add(r.Owed)
	}
	if sums[0].Cmp(month) != 0 || sums[1].Cmp(owed) != 0 {
		t.Errorf("the rows sum up to %s and %s, not %s and %s", sums[0], sums[1], month, owed)
	}
}

func rat(s string) *big.Rat {
	r, _ := new(big.Rat).SetString(s)
	return r
}

// TestChooser: small archives go to a warmer class, never to a colder one or to
// one that keeps less safe.
func TestChooser(t *testing.T) {
	for want, of := range map[tarn.Class]map[int64]tarn.Class{
		tarn.Standard:    {1: tarn.Standard, 1 << 40: tarn.Standard},
		tarn.Glacier:     {1: tarn.Standard, 1 << 20: tarn.GlacierIR, 4 << 20: tarn.Glacier, 1 << 30: tarn.Glacier},
		tarn.DeepArchive: {1: tarn.Standard, 500 << 10: tarn.GlacierIR, 1 << 20: tarn.DeepArchive, 1 << 30: tarn.DeepArchive},
		tarn.StandardIA:  {1: tarn.Standard, 1 << 20: tarn.StandardIA},
	} {
		choose := bill.Chooser(prices(t), want)
		for size, class := range of {
			if got := choose(size); got != class {
				t.Errorf("%d bytes for %s go to %s, want %s", size, want, got, class)
			}
		}
	}
	if got := bill.Chooser(&price.Prices{}, tarn.Glacier)(1); got != tarn.Glacier {
		t.Errorf("without prices: %s", got)
	}
}
