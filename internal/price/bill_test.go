package price_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/price"
)

const (
	mib = int64(1) << 20
	gib = int64(1) << 30
	tib = int64(1) << 40
	day = 24 * time.Hour
)

func bill(t interface{ Fatal(...any) }, p *price.Prices, u price.Usage, out int64) price.Bill {
	b, err := p.Bill(u, out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFigures are sums that others have published, or that are quickly done on paper.
func TestFigures(t *testing.T) {
	p := virginia(t)
	store := func(class tarn.Class, objects, size int64, kept time.Duration) price.Usage {
		var u price.Usage
		if err := p.Store(&u, class, objects, size, kept); err != nil {
			t.Fatal(err)
		}
		return u
	}
	usage := func(f func(u *price.Usage)) price.Usage {
		var u price.Usage
		f(&u)
		return u
	}
	for _, test := range []struct {
		name  string
		usage price.Usage
		out   int64 // already transferred
		want  string
	}{
		{"nothing", price.Usage{}, 0, "0"},
		{"a TiB in GLACIER, and 40 KiB", store(tarn.Glacier, 1, tib, price.Month), 0, "3.686400285339"},
		{"a TiB in STANDARD", store(tarn.Standard, 1, tib, price.Month), 0, "23.552"},
		{"a year is twelve months", store(tarn.Standard, 1, gib, 365*day), 0, "0.276"},
		{"small objects of IA are billed as 128 KiB", store(tarn.StandardIA, 8192, 1, price.Month), 0, "0.0125"},
		{"larger ones as they are", store(tarn.StandardIA, 4096, 256<<10, price.Month), 0, "0.0125"},
		{"overhead: 2^15 empty objects are a GiB in cold, a quarter in STANDARD", store(tarn.DeepArchive, 1<<15, 0, price.Month), 0, "0.00674"},
		{"monitoring", store(tarn.IntelligentTiering, 8192, 128<<10, price.Month), 0, "0.04348"},
		{"but not of small objects", store(tarn.IntelligentTiering, 16384, 64<<10, price.Month), 0, "0.023"},
		// The provider's own example: 15 million objects, 100 TiB.
		{"thaw, Standard", usage(func(u *price.Usage) { u.Thaw(tarn.Glacier, price.Normal, 15_000_000, 100*tib) }), 0, "1774"},
		{"thaw, Expedited", usage(func(u *price.Usage) { u.Thaw(tarn.Glacier, price.Expedited, 15_000_000, 100*tib) }), 0, "153072"},
		{"thaw, Bulk", usage(func(u *price.Usage) { u.Thaw(tarn.Glacier, price.Bulk, 15_000_000, 100*tib) }), 0, "0"},
		{"thaw of a TiB, DEEP_ARCHIVE Bulk", usage(func(u *price.Usage) { u.Thaw(tarn.DeepArchive, price.Bulk, 2048, tib) }), 0, "2.6112"},
		{"a copy of a GiB for 73 of 730 hours", usage(func(u *price.Usage) { u.Copy(gib, 73*time.Hour) }), 0, "0.0023"},
		{"99 GiB out are free", usage(func(u *price.Usage) { u.TransferOut(99 * gib) }), 0, "0"},
		{"a TiB out", usage(func(u *price.Usage) { u.TransferOut(tib) }), 0, "83.16"},
		{"a TiB out, 60 GiB used", usage(func(u *price.Usage) { u.TransferOut(tib) }), 60 * gib, "88.56"},
		{"a TiB out, all used", usage(func(u *price.Usage) { u.TransferOut(tib) }), 500 * gib, "92.16"},
		{"reading of IA", usage(func(u *price.Usage) { u.Read(tarn.StandardIA, 1000, 10*gib) }), 0, "0.101"},
		{"reading of GIR", usage(func(u *price.Usage) { u.Read(tarn.GlacierIR, 1000, 10*gib) }), 0, "0.31"},
		{"reading of a thawed copy", usage(func(u *price.Usage) { u.Read(tarn.DeepArchive, 1000, 10*gib) }), 0, "0.0004"},
	} {
		if got := bill(t, p, test.usage, test.out); got.Total.Exact() != test.want {
			t.Errorf("%s: %s, want %s\n%+v", test.name, got.Total.Exact(), test.want, got)
		}
	}
}

// TestTebibyte: the two figures that the project names on its first page.
func TestTebibyte(t *testing.T) {
	p := virginia(t)
	for class, want := range map[tarn.Class]string{tarn.Glacier: "$3.69", tarn.DeepArchive: "$1.01"} {
		inv := p.Inventory()
		if err := inv.Add(class, 2048, 512*mib); err != nil {
			t.Fatal(err)
		}
		inv.AddMetadata(200 * mib)
		b, err := inv.Month()
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Sum(price.GroupStorage).String(); got != want {
			t.Errorf("%s: %s, want %s", class, got, want)
		}
		if sum := b.SumClass(class).Add(b.SumClass(tarn.Standard)); sum.Cmp(b.Total) != 0 || b.SumClass(tarn.Standard).Cmp(b.Sum(price.GroupMetadata)) != 0 {
			t.Errorf("%s: the classes sum up to %s, not %s", class, sum.Exact(), b.Total.Exact())
		}
		if b.Sum(price.GroupOverhead).Free() || b.Sum(price.GroupMetadata).String() != "$0.0045" || len(b.Lines) != 4 {
			t.Errorf("%s: %+v", class, b.Lines)
		}
	}
}

// TestPhotos: a TiB of photos in 2,048 archives of 512 MiB, uploaded in parts of 32 MiB.
func TestPhotos(t *testing.T) {
	p := virginia(t)
	var u price.Usage
	u.Upload(tarn.DeepArchive, 2048, 16)
	if got := bill(t, p, u, 0).Total.Exact(); got != "0.27648" {
		t.Errorf("requests of the archives: %s", got)
	}
	u.Upload(tarn.Standard, 2048, 1) // an index each
	if got := bill(t, p, u, 0).Total; got.Exact() != "0.28672" || got.Cmp(money(t, "0.40")) >= 0 {
		t.Errorf("with indexes: %s", got.Exact())
	}
}

// TestRequests: what each request is to the bill.
func TestRequests(t *testing.T) {
	p := virginia(t)
	for _, test := range []struct {
		op    price.Operation
		class tarn.Class
		want  string // 1,000 of it
	}{
		{price.PutObject, tarn.DeepArchive, "0.05"},
		{price.CopyObject, tarn.Glacier, "0.03"},
		{price.CompleteMultipartUpload, tarn.DeepArchive, "0.05"},
		{price.CreateMultipartUpload, tarn.DeepArchive, "0.005"},
		{price.UploadPart, tarn.DeepArchive, "0.005"},
		{price.UploadPart, tarn.Glacier, "0.005"},
		{price.UploadPart, tarn.GlacierIR, "0.02"},
		{price.UploadPart, tarn.Standard, "0.005"},
		{price.AbortMultipartUpload, tarn.DeepArchive, "0"},
		{price.DeleteObject, tarn.Glacier, "0"},
		{price.ListObjects, tarn.DeepArchive, "0.005"},
		{price.HeadObject, tarn.DeepArchive, "0.0004"},
		{price.GetObject, tarn.StandardIA, "0.001"},
		{price.Transition, tarn.DeepArchive, "0.05"},
		{price.Transition, tarn.GlacierIR, "0.02"},
	} {
		var u price.Usage
		if err := u.Request(test.op, test.class, 1000); err != nil {
			t.Fatal(err)
		}
		b := bill(t, p, u, 0)
		if b.Total.Exact() != test.want || len(b.Lines) != 1 || b.Lines[0].Group != price.GroupRequests {
			t.Errorf("%s of %s: %+v, want %s", test.op, test.class, b, test.want)
		}
	}
	var one, many price.Usage
	one.Upload(tarn.GlacierIR, 3, 1)
	many.Upload(tarn.GlacierIR, 3, 2)
	if a, b := bill(t, p, one, 0), bill(t, p, many, 0); a.Total.Exact() != "0.00006" || b.Total.Exact() != "0.00024" {
		t.Errorf("%s in one request, %s in two parts", a.Total.Exact(), b.Total.Exact())
	}
	if err := new(price.Usage).Request("RestoreObject", tarn.Glacier, 1); err == nil {
		t.Error("a thaw has no price without its tier")
	}
}

// TestNoPrice: what has no price is never free.
func TestNoPrice(t *testing.T) {
	p := virginia(t)
	for name, fill := range map[string]func(u *price.Usage){
		"Expedited of DEEP_ARCHIVE": func(u *price.Usage) { u.Thaw(tarn.DeepArchive, price.Expedited, 1, 1) },
		"thaw of STANDARD":          func(u *price.Usage) { u.Thaw(tarn.Standard, price.Bulk, 1, 1) },
		"an unknown class":          func(u *price.Usage) { u.Read("FROZEN", 1, 1) },
		"transition into STANDARD":  func(u *price.Usage) { u.Request(price.Transition, tarn.Standard, 1) },
	} {
		var u price.Usage
		fill(&u)
		if b, err := p.Bill(u, 0); !errors.Is(err, price.ErrNoPrices) {
			t.Errorf("%s: %+v, %v", name, b, err)
		}
	}
	if err := p.Store(new(price.Usage), "FROZEN", 1, 1, day); !errors.Is(err, price.ErrNoPrices) {
		t.Error(err)
	}
}

// TestNothingNegative: less than nothing is nothing, and no rebate.
func TestNothingNegative(t *testing.T) {
	p := virginia(t)
	var u price.Usage
	u.Upload(tarn.Glacier, -1, 5)
	u.Read(tarn.StandardIA, -5, -5)
	u.Thaw(tarn.Glacier, price.Normal, -1, -1)
	u.Copy(-gib, day)
	u.Copy(gib, -day)
	u.Metadata(-1, day)
	u.TransferOut(-gib)
	if err := p.Store(&u, tarn.StandardIA, 5, -5, -day); err != nil {
		t.Fatal(err)
	}
	if b := bill(t, p, u, -gib); len(b.Lines) != 0 || !b.Total.Free() {
		t.Errorf("%+v", b)
	}
}

// TestBillLines: a line says how its amount came about, and JSON says the same.
func TestBillLines(t *testing.T) {
	p := virginia(t)
	var u price.Usage
	u.Thaw(tarn.DeepArchive, price.Normal, 3, 3*gib/2)
	u.TransferOut(101 * gib)
	b := bill(t, p, u, 0)
	for _, l := range b.Lines {
		want := l.Price.Times(new(big.Rat).Quo(l.Quantity.Rat(), big.NewRat(l.Per, 1)))
		if want.Cmp(l.Amount) != 0 {
			t.Errorf("%+v is not %s", l, want.Exact())
		}
	}
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{"group":"requests","what":"thaw","class":"DEEP_ARCHIVE","tier":"Standard","quantity":3,"unit":"requests","price":0.1,"per":1000,"amount":0.0003}`,
		`"what":"thawed","class":"DEEP_ARCHIVE","tier":"Standard","quantity":1.5,"unit":"GiB","price":0.02,"per":1,"amount":0.03}`,
		`"what":"transfer out, free","quantity":100,`, `"what":"transfer out","quantity":1,"unit":"GiB","price":0.09,"per":1,"amount":0.09}`, `"total":0.1203}`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s\nhas no %s", text, want)
		}
	}
	if got := b.Lines[1].Quantity.String(); got != "1.500" {
		t.Errorf("quantity %s", got)
	}
}
