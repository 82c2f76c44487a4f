package price_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/price"
)

func virginia(t interface{ Fatal(...any) }) *price.Prices {
	p, err := price.Embedded().Find(price.AWS, "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestBookNumbers holds the book against the design's table, written out again.
func TestBookNumbers(t *testing.T) {
	p := virginia(t)
	for class, want := range map[tarn.Class]struct {
		storage, put, get, retrieval string
		days, bytes, overhead        int64
	}{
		tarn.Standard:           {"0.023", "0.005", "0.0004", "0", 0, 0, 0},
		tarn.StandardIA:         {"0.0125", "0.01", "0.001", "0.01", 30, 128 << 10, 0},
		tarn.OneZoneIA:          {"0.01", "0.01", "0.001", "0.01", 30, 128 << 10, 0},
		tarn.IntelligentTiering: {"0.023", "0.005", "0.0004", "0", 0, 0, 0},
		tarn.GlacierIR:          {"0.004", "0.02", "0.01", "0.03", 90, 128 << 10, 0},
		tarn.Glacier:            {"0.0036", "0.03", "0.0004", "0", 90, 0, 40 << 10},
		tarn.DeepArchive:        {"0.00099", "0.05", "0.0004", "0", 180, 0, 40 << 10},
	} {
		c := p.Classes[class]
		got := []string{c.Storage.Exact(), c.Put.Exact(), c.Get.Exact(), c.Retrieval.Exact()}
		if strings.Join(got, " ") != strings.Join([]string{want.storage, want.put, want.get, want.retrieval}, " ") {
			t.Errorf("%s: %v, want %+v", class, got, want)
		}
		if c.MinimumDays != want.days || c.MinimumBytes != want.bytes || c.Overhead+c.OverheadStandard != want.overhead {
			t.Errorf("%s: %+v, want %+v", class, c.Rules, want)
		}
		if c.PartsAsStandard != class.Cold() || (len(c.Thaw) > 0) != class.Cold() {
			t.Errorf("%s: parts as STANDARD %v, tiers %v", class, c.PartsAsStandard, c.Thaw)
		}
	}
	for _, want := range []struct {
		class           tarn.Class
		tier            price.Tier
		bytes, requests string
		from, to        time.Duration
	}{
		{tarn.Glacier, price.Expedited, "0.03", "10", time.Minute, 5 * time.Minute},
		{tarn.Glacier, price.Normal, "0.01", "0.05", 3 * time.Hour, 5 * time.Hour},
		{tarn.Glacier, price.Bulk, "0", "0", 5 * time.Hour, 12 * time.Hour},
		{tarn.DeepArchive, price.Normal, "0.02", "0.1", 0, 12 * time.Hour},
		{tarn.DeepArchive, price.Bulk, "0.0025", "0.025", 0, 48 * time.Hour},
	} {
		c := p.Classes[want.class]
		got, wait := c.Thaw[want.tier], c.Waits[want.tier]
		if got.Bytes.Exact() != want.bytes || got.Requests.Exact() != want.requests || wait != (price.Wait{From: want.from, To: want.to}) {
			t.Errorf("%s %s: %s, %s, %v", want.class, want.tier, got.Bytes.Exact(), got.Requests.Exact(), wait)
		}
	}
	if p.List.Exact() != "0.005" || p.Transfer.Exact() != "0.09" || p.FreeTransfer != 100<<30 {
		t.Errorf("LIST %s, transfer %s, %d bytes free", p.List.Exact(), p.Transfer.Exact(), p.FreeTransfer)
	}
	if n := len(p.Classes[tarn.DeepArchive].Thaw); n != 2 {
		t.Errorf("DEEP_ARCHIVE has %d tiers: there is no Expedited", n)
	}
}

func TestForHost(t *testing.T) {
	b := price.Embedded()
	for _, test := range []struct {
		host, region string
		want         string // provider/region; "" for no prices
		about        string // of the error
	}{
		{"", "us-east-1", "aws/us-east-1", ""},
		{"", "us-west-2", "aws/us-west-2", ""},
		{"", "eu-central-1", "", "aws/eu-central-1"},
		{"", "", "", "aws/"},
		{"s3.us-east-2.amazonaws.com", "", "aws/us-east-2", ""},
		{"S3.US-EAST-2.amazonaws.com.", "", "aws/us-east-2", ""},
		{"bucket.s3.dualstack.us-east-2.amazonaws.com", "us-east-1", "aws/us-east-2", ""},
		{"s3.amazonaws.com", "us-east-1", "aws/us-east-1", ""},
		{"s3.cn-north-1.amazonaws.com.cn", "", "", "amazonaws.com.cn"},
		{"s3.fr-par.scw.cloud", "", "", "scaleway/fr-par"},
		{"s3.gra.io.cloud.ovh.net", "us-east-1", "", "ovh/gra"},
		{"amazonaws.com.example.org", "us-east-1", "", "example.org"},
		{"evilamazonaws.com", "us-east-1", "", "evilamazonaws.com"},
		{"127.0.0.1:9444", "us-east-1", "", "127.0.0.1:9444"},
		{"[::1]:9444", "us-east-1", "", "[::1]:9444"},
		{"s3.us-east-2.amazonaws.com:443", "", "aws/us-east-2", ""},
	} {
		p, err := b.ForHost(test.host, test.region)
		if test.want == "" {
			if !errors.Is(err, price.ErrNoPrices) || !strings.Contains(err.Error(), test.about) {
				t.Errorf("%q, %q: %v, %v", test.host, test.region, p, err)
			}
		} else if err != nil || p.Provider+"/"+p.Region != test.want {
			t.Errorf("%q, %q: %+v, %v; want %s", test.host, test.region, p, err, test.want)
		}
	}
	for name, p := range b.Providers {
		for region := range p.Regions {
			if found, err := b.Find(name, region); err != nil || len(found.Classes) != len(tarn.Classes) || found.Date == "" || found.Source == "" {
				t.Errorf("%s/%s: %+v, %v", name, region, found, err)
			}
		}
	}
}

const small = `{"providers":{"x":{"endpoints":[".example.org"],"regions":{"r":{"date":"2026-01-01","source":"me","list":0.1,"transfer":"0",
"classes":{"STANDARD":{"storage":"1.5","put":1e-3,"get":0,"retrieval":0}}}}}}}`

// TestOver: what a user's book says goes before what the binary has, and takes nothing else away.
func TestOver(t *testing.T) {
	top, err := price.ReadBook(strings.NewReader(strings.Replace(small, `"x":{`, `"aws":{"free_transfer_gib":1,`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := price.Embedded().Over(top).Encode()
	if err != nil {
		t.Fatal(err)
	}
	b, err := price.ReadBook(strings.NewReader(string(encoded)))
	if err != nil {
		t.Fatal(err)
	}
	mine, err := b.ForHost("s3.r.example.org", "")
	if err != nil || mine.Classes[tarn.Standard].Put.Exact() != "0.001" || mine.FreeTransfer != 1<<30 {
		t.Errorf("%+v, %v", mine, err)
	}
	same, err := b.Find(price.AWS, "us-east-1")
	if err != nil || len(price.Changes(virginia(t), same)) > 0 || same.Classes[tarn.Glacier].MinimumDays != 90 {
		t.Errorf("%+v, %v: %v", same, err, price.Changes(virginia(t), same))
	}
	if _, err := price.Embedded().Find(price.AWS, "r"); err == nil {
		t.Error("the book below was changed")
	}
	other, err := price.ReadBook(strings.NewReader(small))
	if err != nil {
		t.Fatal(err)
	}
	if p, err := (&price.Book{}).Over(other).Find("x", "r"); err != nil || len(p.Classes) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestReadBookRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty":             "",
		"unknown member":    strings.Replace(small, `"date"`, `"dote"`, 1),
		"trailing":          small + "{}",
		"null provider":     `{"providers":{"x":null}}`,
		"null region":       `{"providers":{"x":{"regions":{"r":null}}}}`,
		"negative price":    strings.Replace(small, `"1.5"`, `"-1.5"`, 1),
		"no price":          strings.Replace(small, `"storage":"1.5",`, ``, 1),
		"no STANDARD":       strings.Replace(small, `"STANDARD"`, `"GLACIER_IR"`, 1),
		"unknown class":     strings.Replace(small, `"classes":{`, `"classes":{"FROZEN":{"storage":1,"put":1,"get":0,"retrieval":0},`, 1),
		"cold but no tier":  strings.Replace(small, `"classes":{`, `"classes":{"GLACIER":{"storage":1,"put":1,"get":0,"retrieval":0},`, 1),
		"tier but not cold": strings.Replace(small, `"get":0`, `"get":0,"thaw":{"Bulk":{"bytes":0,"requests":0}}`, 1),
		"steps back":        strings.Replace(small, `"get":0`, `"get":0,"steps":[{"after_days":9,"storage":1},{"after_days":9,"storage":1}]`, 1),
		"as and prices":     strings.Replace(small, `"list"`, `"as":"q","list"`, 1),
		"endpoint":          strings.Replace(small, `".example.org"`, `"org"`, 1),
		"minimum":           strings.Replace(small, `"endpoints"`, `"rules":{"GLACIER":{"minimum_days":-1}},"endpoints"`, 1),
		"wait":              strings.Replace(small, `"endpoints"`, `"rules":{"GLACIER":{"waits":{"Bulk":{"from":"5h","to":"1h"}}}},"endpoints"`, 1),
		"tier of rules":     strings.Replace(small, `"endpoints"`, `"rules":{"GLACIER":{"waits":{"Fast":{"from":"5h","to":"6h"}}}},"endpoints"`, 1),
	} {
		if name != "empty" && text == small {
			t.Errorf("%s: the test changes nothing", name)
		}
		if b, err := price.ReadBook(strings.NewReader(text)); err == nil {
			t.Errorf("%s: %+v", name, b)
		}
	}
	if _, err := price.ReadBook(strings.NewReader(small)); err != nil {
		t.Error(err)
	}
}

// TestAs: a region that has the prices of one that isn't there has none.
func TestAs(t *testing.T) {
	for _, as := range []string{"nowhere", "r"} {
		b, err := price.ReadBook(strings.NewReader(`{"providers":{"x":{"regions":{"r":{"as":"` + as + `"}}}}}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Find("x", "r"); !errors.Is(err, price.ErrNoPrices) {
			t.Errorf("as %s: %v", as, err)
		}
	}
}
