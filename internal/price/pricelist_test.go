package price_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/price"
)

func testdata(t testing.TB, name string) string {
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func parseLists(t testing.TB, texts ...string) *price.PriceList {
	all := new(price.PriceList)
	for _, text := range texts {
		l, err := price.ParsePriceList(iotest.OneByteReader(strings.NewReader(text)))
		if err != nil {
			t.Fatal(err)
		}
		all.Merge(l)
	}
	return all
}

const frankfurt = "eu-central-1"

// TestPriceList: each price of the files, as they have them, in any order of the files.
func TestPriceList(t *testing.T) {
	texts := []string{testdata(t, "s3.json"), testdata(t, "deep.json"), testdata(t, "transfer.json")}
	for range 3 {
		texts = append(texts[1:], texts[0])
		l := parseLists(t, texts...)
		if got := l.Regions(); !slices.Equal(got, []string{frankfurt}) {
			t.Fatalf("regions %v", got)
		}
		r, err := l.Region(frankfurt)
		if err != nil {
			t.Fatal(err)
		}
		if r.Date != "2026-07-28" || !strings.Contains(r.Source, "AWSDataTransfer") {
			t.Errorf("date %q, source %q", r.Date, r.Source)
		}
		p := withRegion(t, r)
		var got []string
		for _, e := range p.Entries() {
			got = append(got, fmt.Sprintf("%s %s %s", e.Class, e.What, e.Price.Exact()))
		}
		if strings.Join(got, "\n") != strings.TrimSpace(wantEntries) {
			t.Errorf("%s", strings.Join(got, "\n"))
		}
		if p.FreeTransfer != 100*gib {
			t.Errorf("%d bytes are free", p.FreeTransfer)
		}
		if c := p.Classes[tarn.DeepArchive]; c.MinimumDays != 180 || c.Overhead != 32<<10 || !c.PartsAsStandard {
			t.Errorf("the rules are lost: %+v", c.Rules)
		}
	}
}

// withRegion puts the prices of a region over the book, through its JSON.
func withRegion(t testing.TB, r *price.Region) *price.Prices {
	top := &price.Book{Providers: map[string]*price.Provider{price.AWS: {Regions: map[string]*price.Region{frankfurt: r}}}}
	text, err := top.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if top, err = price.ReadBook(strings.NewReader(string(text))); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	p, err := price.Embedded().Over(top).Find(price.AWS, frankfurt)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const wantEntries = `
STANDARD storage, GiB and month 0.0245
STANDARD 1,000 PUT 0.0054
STANDARD 1,000 GET 0.00043
STANDARD retrieval, GiB 0
STANDARD_IA storage, GiB and month 0.0135
STANDARD_IA 1,000 PUT 0.01
STANDARD_IA 1,000 GET 0.001
STANDARD_IA retrieval, GiB 0.01
ONEZONE_IA storage, GiB and month 0.0108
ONEZONE_IA 1,000 PUT 0.01
ONEZONE_IA 1,000 GET 0.001
ONEZONE_IA retrieval, GiB 0.01
INTELLIGENT_TIERING storage, GiB and month 0.0245
INTELLIGENT_TIERING storage after 30 days, GiB and month 0.0135
INTELLIGENT_TIERING storage after 90 days, GiB and month 0.005
INTELLIGENT_TIERING 1,000 PUT 0.0054
INTELLIGENT_TIERING 1,000 GET 0.00043
INTELLIGENT_TIERING retrieval, GiB 0
INTELLIGENT_TIERING monitoring, 1,000 objects and month 0.0025
GLACIER_IR storage, GiB and month 0.005
GLACIER_IR 1,000 PUT 0.02
GLACIER_IR 1,000 GET 0.01
GLACIER_IR retrieval, GiB 0.03
GLACIER storage, GiB and month 0.00405
GLACIER 1,000 PUT 0.036
GLACIER 1,000 GET 0.00043
GLACIER retrieval, GiB 0
GLACIER 1,000 lifecycle transitions 0.036
GLACIER bulk thaw, GiB 0
GLACIER bulk thaw, 1,000 objects 0
GLACIER standard thaw, GiB 0.012
GLACIER standard thaw, 1,000 objects 0.06
GLACIER expedited thaw, GiB 0.036
GLACIER expedited thaw, 1,000 objects 12
DEEP_ARCHIVE storage, GiB and month 0.0018
DEEP_ARCHIVE 1,000 PUT 0.06
DEEP_ARCHIVE 1,000 GET 0.00043
DEEP_ARCHIVE retrieval, GiB 0
DEEP_ARCHIVE 1,000 lifecycle transitions 0.06
DEEP_ARCHIVE bulk thaw, GiB 0.005
DEEP_ARCHIVE bulk thaw, 1,000 objects 0.03
DEEP_ARCHIVE standard thaw, GiB 0.024
DEEP_ARCHIVE standard thaw, 1,000 objects 0.12
 1,000 LIST 0.0054
 transfer out, GiB 0.091
`

// TestPriceListMissing leaves one product out of the files after the other:
// either it is none of ours, or what is missing is named, and no other price takes its place.
func TestPriceListMissing(t *testing.T) {
	whole := parseLists(t, testdata(t, "s3.json"), testdata(t, "deep.json"), testdata(t, "transfer.json"))
	want, err := whole.Region(frankfurt)
	if err != nil {
		t.Fatal(err)
	}
	full := withRegion(t, want)
	named, same, optional := 0, 0, 0
	for _, file := range []string{"s3.json", "deep.json", "transfer.json"} {
		lines := strings.Split(testdata(t, file), "\n")
		for i, line := range lines {
			usage := between(line, `"usagetype": "EUC1-`, `"`)
			if usage == "" {
				continue
			}
			cut := slices.Clone(lines)
			cut[i] = strings.ReplaceAll(line, "EUC1-", "Global-")
			texts := []string{strings.Join(cut, "\n")}
			for _, other := range []string{"s3.json", "deep.json", "transfer.json"} {
				if other != file {
					texts = append(texts, testdata(t, other))
				}
			}
			got, err := parseLists(t, texts...).Region(frankfurt)
			var missing *price.MissingError
			switch {
			case errors.As(err, &missing):
				if !strings.Contains(err.Error(), usage) || !strings.Contains(err.Error(), frankfurt) {
					t.Errorf("without %s: %v", usage, err)
				}
				named++
			case err != nil:
				t.Errorf("without %s: %v", usage, err)
			default:
				switch changes := price.Changes(full, withRegion(t, got)); {
				case len(changes) == 0:
					same++
				case len(changes) == 1 && changes[0].After == nil && strings.Contains(changes[0].What, "lifecycle"):
					optional++
				default:
					t.Errorf("without %s: %+v", usage, changes)
				}
			}
		}
	}
	// Of DEEP_ARCHIVE, two prices are in two files and two under two operations.
	if named != 35 || optional != 2 || same == 0 {
		t.Errorf("%d are named, %d are optional, %d make no difference", named, optional, same)
	}
}

func between(s, begin, end string) string {
	_, rest, ok := strings.Cut(s, begin)
	if !ok {
		return ""
	}
	middle, _, _ := strings.Cut(rest, end)
	return middle
}

func TestPriceListOneFile(t *testing.T) {
	_, err := parseLists(t, testdata(t, "s3.json")).Region(frankfurt)
	var missing *price.MissingError
	if !errors.As(err, &missing) || len(missing.Missing) != 5 || !strings.Contains(err.Error(), "storage in DEEP_ARCHIVE (TimedStorage-GDA-ByteHrs of AmazonS3GlacierDeepArchive is not there)") {
		t.Errorf("%v", err)
	}
	if _, err := parseLists(t, testdata(t, "s3.json")).Region("us-east-1"); !errors.As(err, &missing) || len(missing.Missing) < 30 {
		t.Errorf("%v", err)
	}
	if regions := new(price.PriceList).Regions(); len(regions) != 0 {
		t.Errorf("%v", regions)
	}
}

// TestPriceListAmbiguous: of two prices for one thing none is taken.
func TestPriceListAmbiguous(t *testing.T) {
	rest := []string{testdata(t, "deep.json"), testdata(t, "transfer.json")}
	for name, change := range map[string][3]string{ // old, new, what the error says
		"another unit":         {`"unit": "GB-Mo"`, `"unit": "GB-Hr"`, `is for "GB-Hr", not for "GB-Mo"`},
		"two regions' prefix":  {`EUC1-Retrieval-ZIA`, `EUC1-Retrieval-SIA`, "Retrieval-ZIA of AmazonS3 is not there"},
		"two prices":           {`EUC1-TimedStorage-GIR-ByteHrs`, `EUC1-TimedStorage-SIA-ByteHrs`, "TimedStorage-SIA-ByteHrs of AmazonS3 has several prices"},
		"only another op":      {`"operation": "PutObject"`, `"operation": "S3-Other"`, "PUT requests of GLACIER (Requests-GLACIER-Tier1 of AmazonS3 is not there)"},
		"a currency not USD":   {`"USD": "0.0135000000"`, `"CNY": "0.0135000000"`, "storage in STANDARD_IA"},
		"a region of no name":  {`"regionCode": "eu-central-1"`, `"regionCode": "EU\u001b[2J"`, "storage in STANDARD"},
		"a local zone's usage": {`EUC1-Retrieval-GIR`, `EUC1-HAM1-Retrieval-GIR`, "Retrieval-GIR"},
	} {
		text := strings.ReplaceAll(testdata(t, "s3.json"), change[0], change[1])
		_, err := parseLists(t, append(rest, text)...).Region(frankfurt)
		var missing *price.MissingError
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), change[2]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What moves elsewhere than to the internet has prices of its own.
	for _, change := range [][2]string{{`"toLocation": "External"`, `"toLocation": "EU (Paris)"`}, {`"AWS Outbound"`, `"AWS Inbound"`}, {`"AWS Region"`, `"AWS Local Zone"`}} {
		lines := strings.Split(rest[1], "\n")
		i := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, `"AWSDT0001": {"sku"`) })
		lines[i] = strings.ReplaceAll(lines[i], change[0], change[1])
		text := strings.ReplaceAll(strings.Join(lines, "\n"), `"USD": "0.0000000000"`, `"USD": "0.0500000000"`)
		r, err := parseLists(t, rest[0], text, testdata(t, "s3.json")).Region(frankfurt)
		if err != nil || r.Transfer.Exact() != "0.091" {
			t.Errorf("%q: %+v, %v", change[1], r, err)
		}
	}
	// The same file twice says nothing new.
	if _, err := parseLists(t, append(rest, testdata(t, "s3.json"), testdata(t, "s3.json"))...).Region(frankfurt); err != nil {
		t.Error(err)
	}
	// But another price of another day does.
	other := strings.ReplaceAll(testdata(t, "s3.json"), "0.0135000000", "0.0136000000")
	if _, err := parseLists(t, append(rest, testdata(t, "s3.json"), other)...).Region(frankfurt); err == nil || !strings.Contains(err.Error(), "several prices") {
		t.Errorf("%v", err)
	}
}

func TestPriceListRefuses(t *testing.T) {
	text := testdata(t, "deep.json")
	for name, bad := range map[string]string{
		"empty":              "",
		"no object":          "[]",
		"no offer":           "{}",
		"a book":             small,
		"another service":    strings.Replace(text, `"offerCode": "AmazonS3GlacierDeepArchive"`, `"offerCode": "AmazonEC2"`, 1),
		"terms first":        `{"terms":{"OnDemand":{}},"products":{}}`,
		"twice":              `{"products":{},"products":{},"terms":{}}`,
		"trailing":           text + "x",
		"two":                text + text,
		"a price of letters": strings.Replace(text, `"USD": "0.0018000000"`, `"USD": "cheap"`, 1),
		"a range of letters": strings.Replace(text, `"beginRange": "0"`, `"beginRange": "first"`, 1),
		"products as a list": `{"products":[],"terms":{}}`,
		"nothing but zeros":  string(make([]byte, 100)),
	} {
		if l, err := price.ParsePriceList(strings.NewReader(bad)); err == nil {
			t.Errorf("%s: %+v", name, l)
		}
	}
	trimmed := strings.TrimSpace(text)
	for n := range len(trimmed) {
		if _, err := price.ParsePriceList(strings.NewReader(trimmed[:n])); err == nil {
			t.Fatalf("cut at byte %d it is taken for whole", n)
		}
	}
}

// TestPriceListMemory: a file of 64 MB of products of others takes no more than
// one that is small, and one value as large is refused.
func TestPriceListMemory(t *testing.T) {
	product := `,"%08d":{"sku":"x","attributes":{"servicecode":"AmazonS3","regionCode":"eu-central-1","usagetype":"EUC1-Other","note":"` + strings.Repeat("x", 900) + `"}}`
	entries := (64 << 20) / len(product)
	stream := func(begin, each, end string) io.Reader {
		read, write := io.Pipe()
		go func() {
			_, err := io.WriteString(write, begin)
			for i := 0; i < entries && err == nil; i++ {
				_, err = fmt.Fprintf(write, each, i)
			}
			if err == nil {
				_, err = io.WriteString(write, end)
			}
			write.CloseWithError(err)
		}()
		return read
	}
	most := heapWhile(func() {
		if _, err := price.ParsePriceList(stream(`{"products":{"a":{}`, product, `},"terms":{}}`)); err != nil {
			t.Error(err)
		}
	})
	if most > 24<<20 {
		t.Errorf("%d MiB in use", most>>20)
	}
	r := stream(`{"products":{"a":{"x":"`, strings.Repeat("x", 1000)+"%08d", `"}},"terms":{}}`)
	if _, err := price.ParsePriceList(r); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("%v", err)
	}
	r.(io.Closer).Close()
}

// heapWhile returns by how much the heap has grown, which it does not give back.
func heapWhile(f func()) uint64 {
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	if after.HeapSys < before.HeapSys {
		return 0
	}
	return after.HeapSys - before.HeapSys
}

func TestChanges(t *testing.T) {
	p := virginia(t)
	all := price.Changes(nil, p)
	if len(all) != len(p.Entries()) || all[0].Before != nil || all[0].After.Exact() != "0.023" {
		t.Errorf("%+v", all)
	}
	if none := price.Changes(p, virginia(t)); len(none) != 0 {
		t.Errorf("%+v", none)
	}
	other := virginia(t)
	c := other.Classes[tarn.Glacier]
	c.Storage = money(t, "0.004")
	other.Classes[tarn.Glacier] = c
	delete(other.Classes, tarn.OneZoneIA)
	got := price.Changes(p, other)
	if len(got) != 6 || got[0].Class != tarn.Glacier || got[0].Before.Exact() != "0.0036" || got[0].After.Exact() != "0.004" || got[5].After != nil {
		t.Errorf("%+v", got)
	}
}

func FuzzPriceList(f *testing.F) {
	// Small ones, since the fuzzer is slow with large ones.
	const begin, terms = `{"offerCode":"AmazonS3","publicationDate":"2026-07-28T13:10:00Z","products":{`, `"unit":"GB","pricePerUnit":{"USD":"0.09"}}}}}}}}`
	f.Add([]byte(begin + `"a":{"attributes":{"regionCode":"eu-central-1","usagetype":"TimedStorage-ByteHrs"}}},"terms":{"OnDemand":{"a":{"b":{"priceDimensions":{"c":{"beginRange":"0",` + terms))
	f.Add([]byte(begin + `"a":{"attributes":{"fromRegionCode":"eu-west-1","usagetype":"EU-DataTransfer-Out-Bytes","transferType":"AWS Outbound","toLocation":"External"}}},"terms":{"Reserved":[],"OnDemand":{"a":{"b":{"priceDimensions":{"c":{` + terms))
	f.Add([]byte(`{"products":{},"terms":{},"x":[1,{"y":null}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := price.ParsePriceList(strings.NewReader(string(b)))
		if err != nil {
			return
		}
		l.Merge(l)
		for _, name := range l.Regions() {
			if r, err := l.Region(name); err == nil {
				withRegion(t, r) // what is taken can be written, and read again
			}
		}
	})
}

func FuzzBook(f *testing.F) {
	f.Add([]byte(small)) // small, since the fuzzer is slow with large ones
	f.Add([]byte(`{"providers":{"x":{"rules":{"GLACIER":{"minimum_days":9,"overhead_bytes":1,"waits":{"Bulk":{"from":"1h","to":"2h"}}}},"regions":{"r":{"list":1,"transfer":1,"classes":{
"STANDARD":{"storage":1,"put":1,"get":1,"retrieval":1,"steps":[{"after_days":30,"storage":0.1}],"monitoring":1},"GLACIER":{"storage":1,"put":1,"get":1,"retrieval":0,"thaw":{"Bulk":{"bytes":1,"requests":1}}}}},"q":{"as":"r"}}}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		book, err := price.ReadBook(strings.NewReader(string(b)))
		if err != nil {
			return
		}
		for name, p := range price.Embedded().Over(book).Providers {
			for region := range p.Regions {
				prices, err := price.Embedded().Over(book).Find(name, region)
				if err != nil {
					continue
				}
				price.Changes(virginia(t), prices)
				for class := range prices.Classes {
					if _, err := prices.CheapestClass(class, price.Archive{Size: mib, Keep: day}); err != nil {
						t.Fatalf("%s/%s, %s: %v", name, region, class, err)
					}
				}
				few := photos()
				few.Archives = few.Archives[:2]
				if _, err := prices.Compare(few); err != nil {
					t.Fatalf("%s/%s: %v", name, region, err)
				}
			}
		}
		again, err := book.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := price.ReadBook(strings.NewReader(string(again))); err != nil {
			t.Fatalf("%v\n%s", err, again)
		}
	})
}
