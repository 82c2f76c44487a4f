package price_test

import (
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/price"
)

// step is something that an action does: to a usage, and by a sum that knows
// nothing of the package but the prices of the design, written out again.
type step struct {
	do   func(p *price.Prices, u *price.Usage)
	cost *big.Rat
	out  int64
}

// naive are dollars: storage, PUT and GET for 1,000, retrieval; then what is billed at least.
var naive = map[tarn.Class]struct {
	storage, put, get, retrieval string
	parts                        string
	least, extra, extraStandard  int64
}{
	tarn.Standard:    {"0.023", "0.005", "0.0004", "0", "0.005", 0, 0, 0},
	tarn.StandardIA:  {"0.0125", "0.01", "0.001", "0.01", "0.01", 131072, 0, 0},
	tarn.OneZoneIA:   {"0.01", "0.01", "0.001", "0.01", "0.01", 131072, 0, 0},
	tarn.GlacierIR:   {"0.004", "0.02", "0.01", "0.03", "0.02", 131072, 0, 0},
	tarn.Glacier:     {"0.0036", "0.03", "0.0004", "0", "0.005", 0, 32768, 8192},
	tarn.DeepArchive: {"0.00099", "0.05", "0.0004", "0", "0.005", 0, 32768, 8192},
}

var naiveThaw = map[tarn.Class]map[price.Tier][2]string{ // GiB, 1,000
	tarn.Glacier:     {price.Expedited: {"0.03", "10"}, price.Normal: {"0.01", "0.05"}, price.Bulk: {"0", "0"}},
	tarn.DeepArchive: {price.Normal: {"0.02", "0.1"}, price.Bulk: {"0.0025", "0.025"}},
}

// times multiplies a price by n and divides by per.
func times(usd string, n, per int64) *big.Rat {
	r, ok := new(big.Rat).SetString(usd)
	if !ok {
		panic(usd)
	}
	r.Mul(r, new(big.Rat).SetInt64(n))
	return r.Mul(r, big.NewRat(1, per))
}

func sum(list ...*big.Rat) *big.Rat {
	all := new(big.Rat)
	for _, r := range list {
		all.Add(all, r)
	}
	return all
}

var classNames = []tarn.Class{tarn.Standard, tarn.StandardIA, tarn.OneZoneIA, tarn.GlacierIR, tarn.Glacier, tarn.DeepArchive}

func drawStep(t *rapid.T) step {
	class := rapid.SampledFrom(classNames).Draw(t, "class")
	c := naive[class]
	n := rapid.Int64Range(0, 100_000).Draw(t, "n")
	bytes := rapid.Int64Range(0, 1<<45).Draw(t, "bytes")
	hours := rapid.Int64Range(0, 5*8760).Draw(t, "hours")
	kept := time.Duration(hours) * time.Hour
	switch rapid.SampledFrom([]string{"upload", "read", "store", "thaw", "copy", "list", "out", "metadata"}).Draw(t, "action") {
	case "upload":
		each := rapid.Int64Range(0, 100).Draw(t, "parts")
		begun := int64(0)
		if each > 1 {
			begun = n * (each + 1)
		}
		return step{func(_ *price.Prices, u *price.Usage) { u.Upload(class, n, each) }, sum(times(c.put, n, 1000), times(c.parts, begun, 1000)), 0}
	case "read":
		return step{func(_ *price.Prices, u *price.Usage) { u.Read(class, n, bytes) }, sum(times(c.get, n, 1000), times(c.retrieval, bytes, gib)), 0}
	case "store":
		size := bytes >> 20
		billed := max(size, c.least)
		cost := sum(times(c.storage, billed, gib), times(c.storage, c.extra, gib), times("0.023", c.extraStandard, gib))
		cost.Mul(cost, new(big.Rat).SetInt64(n))
		cost.Mul(cost, big.NewRat(hours, 730))
		return step{func(p *price.Prices, u *price.Usage) {
			if err := p.Store(u, class, n, size, kept); err != nil {
				t.Fatal(err)
			}
		}, cost, 0}
	case "thaw":
		class := rapid.SampledFrom([]tarn.Class{tarn.Glacier, tarn.DeepArchive}).Draw(t, "cold class")
		for tier, usd := range naiveThaw[class] { // any one
			return step{func(_ *price.Prices, u *price.Usage) { u.Thaw(class, tier, n, bytes) }, sum(times(usd[0], bytes, gib), times(usd[1], n, 1000)), 0}
		}
	case "copy":
		cost := times("0.023", bytes, gib)
		return step{func(_ *price.Prices, u *price.Usage) { u.Copy(bytes, kept) }, cost.Mul(cost, big.NewRat(hours, 730)), 0}
	case "metadata":
		cost := times("0.023", bytes, gib)
		return step{func(_ *price.Prices, u *price.Usage) { u.Metadata(bytes, kept) }, cost.Mul(cost, big.NewRat(hours, 730)), 0}
	case "list":
		return step{func(_ *price.Prices, u *price.Usage) { u.Request(price.ListObjects, class, n) }, times("0.005", n, 1000), 0}
	}
	return step{func(_ *price.Prices, u *price.Usage) { u.TransferOut(bytes) }, new(big.Rat), bytes}
}

// TestBillExact: whatever an action does, its bill is the sum of an independent
// count, to the last digit; parts of it add up, and more of it never costs less.
func TestBillExact(t *testing.T) {
	p := virginia(t)
	rapid.Check(t, func(t *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(drawStep), 0, 30).Draw(t, "steps")
		cut := rapid.IntRange(0, len(steps)).Draw(t, "cut")
		used := rapid.Int64Range(0, 200*gib).Draw(t, "already out")
		var first, second price.Usage
		want, out := new(big.Rat), int64(0)
		for i, s := range steps {
			if i < cut {
				s.do(p, &first)
			} else {
				s.do(p, &second)
			}
			want.Add(want, s.cost)
			out += s.out
		}
		want.Add(want, times("0.09", max(0, out-max(0, 100*gib-used)), gib))
		all := first.Clone()
		all.Add(second)
		b := bill(t, p, all, used)
		if b.Total.Rat().Cmp(want) != 0 {
			t.Fatalf("bill %s, want %s", b.Total.Rat(), want)
		}
		var lines, groups price.Money
		for _, l := range b.Lines {
			lines = lines.Add(l.Amount)
		}
		for _, g := range price.Groups {
			groups = groups.Add(b.Sum(g))
		}
		if lines.Cmp(b.Total) != 0 || groups.Cmp(b.Total) != 0 {
			t.Fatalf("lines %s, groups %s, total %s", lines.Exact(), groups.Exact(), b.Total.Exact())
		}
		one, two := bill(t, p, first, used), bill(t, p, second, used+transferred(steps[:cut]))
		if one.Total.Add(two.Total).Cmp(b.Total) != 0 {
			t.Fatalf("%s and %s are not %s", one.Total.Exact(), two.Total.Exact(), b.Total.Exact())
		}
		if one.Total.Cmp(b.Total) > 0 {
			t.Fatalf("less costs %s, more %s", one.Total.Exact(), b.Total.Exact())
		}
		if tripled := bill(t, p, all.Times(big.NewRat(3, 1)), 1<<60); tripled.Total.Cmp(bill(t, p, all, 1<<60).Total.Times(big.NewRat(3, 1))) != 0 {
			t.Fatal("three times as much does not cost three times as much")
		}
	})
}

func transferred(steps []step) (out int64) {
	for _, s := range steps {
		out += s.out
	}
	return out
}
