package price_test

import (
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/price"
)

// TestThawPlans: a TiB for a week, all of it fetched, none of the free transfer used.
func TestThawPlans(t *testing.T) {
	p := virginia(t)
	// The copy: 1024 × .023 × 168 / 730. Transfer: 924 × .09. GETs: 2 × .0004.
	for class, want := range map[tarn.Class][]struct {
		tier                      price.Tier
		to                        time.Duration
		requests, retrieval, copy string
		total                     string
	}{
		tarn.Glacier: {
			{price.Bulk, 12 * time.Hour, "0.0008", "0", "$5.42", "$88.58"},
			{price.Normal, 5 * time.Hour, "0.1032", "10.24", "$5.42", "$98.92"},
			{price.Expedited, 5 * time.Minute, "20.4808", "30.72", "$5.42", "$139.78"},
		},
		tarn.DeepArchive: {
			{price.Bulk, 48 * time.Hour, "0.052", "2.56", "$5.42", "$91.19"},
			{price.Normal, 12 * time.Hour, "0.2056", "20.48", "$5.42", "$109.27"},
		},
	} {
		plans, err := p.ThawPlans(price.ThawRequest{Class: class, Objects: 2048, Bytes: tib, Days: 7, Gets: 2000, Fetched: tib})
		if err != nil || len(plans) != len(want) {
			t.Fatalf("%s: %+v, %v", class, plans, err)
		}
		for i, w := range want {
			got := plans[i]
			if got.Tier != w.tier || got.Wait.To != w.to || got.Bill.Sum(price.GroupRequests).Exact() != w.requests ||
				got.Bill.Sum(price.GroupRetrieval).Exact() != w.retrieval || got.Bill.Sum(price.GroupCopy).String() != w.copy ||
				got.Bill.Sum(price.GroupTransfer).String() != "$83.16" || got.Bill.Total.String() != w.total {
				t.Errorf("%s: %+v\nwant %+v", class, got, w)
			}
		}
		if best := price.Cheapest(plans); best.Tier != price.Bulk {
			t.Errorf("%s: the cheapest is %s", class, best.Tier)
		}
	}
	if plans, err := p.ThawPlans(price.ThawRequest{Class: tarn.GlacierIR, Objects: 1}); err == nil {
		t.Errorf("a warm class: %+v", plans)
	}
	tie := []price.ThawPlan{{Tier: price.Bulk, Wait: price.Wait{To: 2}}, {Tier: price.Normal, Wait: price.Wait{To: 1}}}
	if got := price.Cheapest(tie).Tier; got != price.Normal {
		t.Errorf("of two that cost the same: %s", got)
	}
}

func TestOwed(t *testing.T) {
	p := virginia(t)
	for _, test := range []struct {
		class         tarn.Class
		objects, size int64
		age           time.Duration
		want          string // dollars × 730; a cold object owes its 32 KiB, too
	}{
		{tarn.DeepArchive, 1, gib - 32<<10, 0, "4.2768"},        // .00099 × 4320 hours
		{tarn.DeepArchive, 2, gib - 32<<10, 90 * day, "4.2768"}, // 2 × half
		{tarn.DeepArchive, 1, gib - 32<<10, 180*day - time.Hour, "0.00099"},
		{tarn.DeepArchive, 1, gib, 180 * day, "0"},
		{tarn.DeepArchive, 1, gib, 1000 * day, "0"},
		{tarn.Glacier, 1, gib - 32<<10, 30 * day, "5.184"}, // .0036 × 1440
		{tarn.GlacierIR, 1, gib, 30 * day, "5.76"},
		{tarn.StandardIA, 1, gib, 10 * day, "6"},                  // .0125 × 480
		{tarn.StandardIA, 8192, 1, 10 * day, "6"},                 // billed as a GiB
		{tarn.DeepArchive, 1, gib - 32<<10, -time.Hour, "4.2768"}, // a clock that is behind
		{tarn.Standard, 1, gib, 0, "0"},
	} {
		u, err := p.Owed(test.class, test.objects, test.size, test.age)
		if err != nil {
			t.Fatal(err)
		}
		if got := bill(t, p, u, 0).Total.Times(big.NewRat(730, 1)).Exact(); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}

func TestCheapestClass(t *testing.T) {
	p := virginia(t)
	year := 365 * day
	for _, test := range []struct {
		want tarn.Class
		a    price.Archive
		get  tarn.Class
	}{
		{tarn.DeepArchive, price.Archive{Size: 512 * mib, Parts: 16, Keep: year}, tarn.DeepArchive},
		{tarn.DeepArchive, price.Archive{Size: 512 * mib, Parts: 16, Keep: 20 * day}, tarn.DeepArchive}, // 180 days of it cost 0.003, 20 of STANDARD 0.0075
		{tarn.DeepArchive, price.Archive{Size: 10 << 10, Keep: year}, tarn.Standard},
		{tarn.DeepArchive, price.Archive{Size: 0, Keep: year}, tarn.Standard},
		{tarn.DeepArchive, price.Archive{Size: 512 * mib, Parts: 16, Keep: day}, tarn.Standard},
		{tarn.Glacier, price.Archive{Size: 10 << 10, Keep: year}, tarn.Standard},
		{tarn.Glacier, price.Archive{Size: 512 * mib, Parts: 16, Keep: 10 * year}, tarn.Glacier}, // DEEP_ARCHIVE is colder than wanted
		{tarn.Glacier, price.Archive{Size: 512 * mib, Parts: 16, Keep: 30 * day}, tarn.Glacier},  // ONEZONE_IA would cost less
		{tarn.GlacierIR, price.Archive{Size: 512 * mib, Parts: 16, Keep: year}, tarn.GlacierIR},
		{tarn.Standard, price.Archive{Size: 512 * mib, Keep: 100 * year}, tarn.Standard},
		{tarn.OneZoneIA, price.Archive{Size: 512 * mib, Parts: 16, Keep: year}, tarn.OneZoneIA},
		{tarn.IntelligentTiering, price.Archive{Size: 1, Keep: year}, tarn.IntelligentTiering}, // as dear as STANDARD
	} {
		got, err := p.CheapestClass(test.want, test.a)
		if err != nil || got != test.get {
			t.Errorf("%s, %+v: %s, %v; want %s", test.want, test.a, got, err, test.get)
		}
	}
	if got, err := p.CheapestClass("FROZEN", price.Archive{}); err == nil {
		t.Errorf("FROZEN: %s", got)
	}
}

// TestCheapestClassRapid: the choice is no dearer than any class that could have
// been taken, and it is never colder than wanted.
func TestCheapestClassRapid(t *testing.T) {
	p := virginia(t)
	rank := map[tarn.Class]int{}
	for i, c := range tarn.Classes {
		rank[c] = i
	}
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SampledFrom(classNames).Draw(t, "wanted")
		a := price.Archive{Size: rapid.Int64Range(0, 1<<rapid.IntRange(1, 40).Draw(t, "bits")).Draw(t, "size"), Keep: time.Duration(rapid.IntRange(1, 3650).Draw(t, "days")) * day}
		got, err := p.CheapestClass(want, a)
		if err != nil || rank[got] > rank[want] {
			t.Fatalf("%s: %s, %v", want, got, err)
		}
		cost := func(class tarn.Class) price.Money {
			var u price.Usage
			u.Upload(class, 1, a.Parts)
			if err := p.Store(&u, class, 1, a.Size, max(a.Keep, time.Duration(p.Classes[class].MinimumDays)*day)); err != nil {
				t.Fatal(err)
			}
			return bill(t, p, u, 0).Total
		}
		for _, class := range classNames {
			if rank[class] <= rank[want] && class != tarn.OneZoneIA && cost(class).Cmp(cost(got)) < 0 {
				t.Fatalf("%s costs %s, %s costs %s", got, cost(got).Exact(), class, cost(class).Exact())
			}
		}
	})
}
