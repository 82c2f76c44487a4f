package price_test

import (
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/price"
)

// photos is a TiB in archives of 512 MiB, all of it restored once a year.
func photos() price.Folder {
	return price.Folder{
		Archives: slices.Repeat([]int64{512 * mib}, 2048), PartSize: 32 * mib, Years: 10,
		Restores: big.NewRat(1, 1), Share: big.NewRat(1, 1), KeptThawed: 7,
	}
}

func rows(t interface{ Fatal(...any) }, f price.Folder) map[tarn.Class]price.Row {
	list, err := virginia(t).Compare(f)
	if err != nil {
		t.Fatal(err)
	}
	byClass := map[tarn.Class]price.Row{}
	for _, r := range list {
		byClass[r.Class] = r
	}
	return byClass
}

func TestCompare(t *testing.T) {
	list, err := virginia(t).Compare(photos())
	if err != nil || len(list) != len(tarn.Classes) {
		t.Fatal(list, err)
	}
	for i, want := range []struct{ storage, requests, retrieval, transfer string }{
		{"2826.24", "0.192512", "0", "$831.60"},         // STANDARD: 23.552 × 120; 2048 × (18 × .005 + 10 × .0004) / 1000
		{"1536", "0.38912", "102.4", "$831.60"},         // STANDARD_IA: 18 × .01 + 10 × .001; 10 × 10.24
		{"1228.8", "0.38912", "102.4", "$831.60"},       // ONEZONE_IA
		{"", "0.192512", "0", "$831.60"},                // INTELLIGENT_TIERING: see TestCompareSteps
		{"491.52", "0.94208", "307.2", "$831.60"},       // GLACIER_IR: 18 × .02 + 10 × .01; 10 × 30.72
		{"442.438125", "0.243712", "$54.20", "$831.60"}, // GLACIER: 17 × .005 + .03 + 10 × .0004; the copies: 10 × 23.552 × 168 / 730
		{"121.70175", "0.796672", "$79.80", "$831.60"},  // DEEP_ARCHIVE: 17 × .005 + .05 + 10 × (.025 + .0004); 25.6 + the copies
	} {
		r := list[i]
		if want.storage != "" && r.Storage.Exact() != want.storage || r.Requests.Exact() != want.requests || r.Transfer.String() != want.transfer ||
			r.Retrieval.Exact() != want.retrieval && r.Retrieval.String() != want.retrieval {
			t.Errorf("%s: storage %s, requests %s, retrieval %s %s, transfer %s; want %+v", r.Class, r.Storage.Exact(), r.Requests.Exact(), r.Retrieval, r.Retrieval.Exact(), r.Transfer, want)
		}
		if r.Cheapest != (r.Class == tarn.DeepArchive) || (r.Tier == price.Bulk) != r.Class.Cold() {
			t.Errorf("%s: %+v", r.Class, r)
		}
	}
}

// TestCompareSteps: how long an object of INTELLIGENT_TIERING lies in which step.
func TestCompareSteps(t *testing.T) {
	for _, test := range []struct {
		restores, share *big.Rat
		want            string // dollars × 730
	}{
		// 720 hours × .023 + 1440 × .0125 + 6600 × .004, and monitoring 8760 × .0000025
		{new(big.Rat), big.NewRat(1, 1), "60.9819"},
		{big.NewRat(1, 2), big.NewRat(1, 1), "60.9819"}, // not within the year
		{big.NewRat(1, 1), new(big.Rat), "60.9819"},
		{big.NewRat(1, 1), big.NewRat(1, 1), "86.9019"}, // twice 16.56 + 18 + 2220 × .004
		{big.NewRat(1, 1), big.NewRat(1, 2), "73.9419"},
		{big.NewRat(364, 1), big.NewRat(1, 1), "201.5019"}, // never down: 8760 × .023
	} {
		f := price.Folder{Archives: []int64{gib}, PartSize: 32 * mib, Years: 1, Restores: test.restores, Share: test.share}
		if got := rows(t, f)[tarn.IntelligentTiering].Storage.Times(big.NewRat(730, 1)).Exact(); got != test.want {
			t.Errorf("%s of %s: %s, want %s", test.restores, test.share, got, test.want)
		}
	}
	f := price.Folder{Archives: []int64{1}, PartSize: 1, Years: 1, Restores: new(big.Rat), Share: new(big.Rat)}
	if got, standard := rows(t, f)[tarn.IntelligentTiering], rows(t, f)[tarn.Standard]; got.Total.Cmp(standard.Total) != 0 {
		t.Errorf("a small object: %s, in STANDARD %s", got.Total.Exact(), standard.Total.Exact())
	}
}

// TestCompareTransfer: each month has its free transfer, however many restores it has.
func TestCompareTransfer(t *testing.T) {
	for _, test := range []struct {
		restores, share *big.Rat
		want            string
	}{
		{new(big.Rat), big.NewRat(1, 1), "0"},
		{big.NewRat(1, 2), big.NewRat(1, 1), "415.8"},    // 5 × 924 × .09
		{big.NewRat(1, 1), big.NewRat(1, 2), "370.8"},    // 10 × 412 × .09
		{big.NewRat(12, 1), big.NewRat(1, 1), "9979.2"},  // 120 × 924 × .09
		{big.NewRat(24, 1), big.NewRat(1, 1), "21038.4"}, // 120 × 1948 × .09
		{big.NewRat(1, 1), big.NewRat(100, 1024), "0"},   // just the free part
		{big.NewRat(1, 1), big.NewRat(101, 1024), "0.9"}, // a GiB more, ten times
	} {
		f := photos()
		f.Restores, f.Share = test.restores, test.share
		for class, r := range rows(t, f) {
			if got := r.Transfer.Exact(); got != test.want {
				t.Errorf("%s, %s of %s: %s, want %s", class, test.restores, test.share, got, test.want)
			}
		}
	}
}

// TestCompareMonotonic: keeping longer, restoring more often or more of it, and
// one more archive never cost less; and a total is what its columns say.
func TestCompareMonotonic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := price.Folder{
			Archives: rapid.SliceOfN(rapid.Int64Range(0, 2*gib), 0, 8).Draw(t, "archives"), PartSize: 32 * mib,
			Years: rapid.Int64Range(1, 20).Draw(t, "years"), KeptThawed: rapid.Int64Range(1, 30).Draw(t, "days"),
			Restores: big.NewRat(rapid.Int64Range(0, 40).Draw(t, "restores"), 4), Share: big.NewRat(rapid.Int64Range(0, 9).Draw(t, "share"), 10),
		}
		more := f
		switch rapid.IntRange(0, 3).Draw(t, "more") {
		case 0:
			more.Years++
		case 1:
			more.Restores = new(big.Rat).Add(f.Restores, big.NewRat(1, 3))
		case 2:
			more.Share = new(big.Rat).Add(f.Share, big.NewRat(1, 10))
		case 3:
			more.Archives = append(slices.Clone(f.Archives), 100*mib)
		}
		few, many := rows(t, f), rows(t, more)
		cheapest := 0
		for class, r := range few {
			if r.Cheapest {
				cheapest++
			}
			if sum := r.Storage.Add(r.Requests).Add(r.Retrieval).Add(r.Transfer); sum.Cmp(r.Total) != 0 {
				t.Fatalf("%+v sums up to %s", r, sum.Exact())
			}
			if r.Total.Cmp(many[class].Total) > 0 {
				t.Fatalf("%s: %s, and more of it %s", class, r.Total.Exact(), many[class].Total.Exact())
			}
		}
		if cheapest != 1 {
			t.Fatalf("%d are the cheapest", cheapest)
		}
	})
}

func TestCompareRefuses(t *testing.T) {
	for name, change := range map[string]func(f *price.Folder){
		"no years":          func(f *price.Folder) { f.Years = 0 },
		"many years":        func(f *price.Folder) { f.Years = 1000 },
		"back":              func(f *price.Folder) { f.Restores = big.NewRat(-1, 1) },
		"too often":         func(f *price.Folder) { f.Restores = big.NewRat(1<<40, 1) },
		"more than all":     func(f *price.Folder) { f.Share = big.NewRat(11, 10) },
		"less than nothing": func(f *price.Folder) { f.Archives = []int64{-1} },
		"too much":          func(f *price.Folder) { f.Archives = slices.Repeat([]int64{5 << 40}, 1<<20) },
		"no parts":          func(f *price.Folder) { f.PartSize = 0 },
	} {
		f := photos()
		change(&f)
		if list, err := virginia(t).Compare(f); err == nil {
			t.Errorf("%s: %+v", name, list)
		}
	}
}

func BenchmarkCompare(b *testing.B) {
	p, f := virginia(b), photos()
	for i := range f.Archives {
		f.Archives[i] -= int64(i)
	}
	for b.Loop() {
		if _, err := p.Compare(f); err != nil {
			b.Fatal(err)
		}
	}
}
