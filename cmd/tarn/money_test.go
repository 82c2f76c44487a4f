package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/s3lab"
)

// labPerson is a person with a cold lab, and what the lab has billed so far.
type labPerson struct {
	*person
	lab  *s3lab.Lab
	seen int // events
	was  *s3lab.Bill
}

func newLabPerson(t *testing.T) *labPerson {
	t.Helper()
	l, err := s3lab.Open(s3lab.LabConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.CreateBucket(t.Context(), "lab"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	p := &labPerson{person: newPerson(t), lab: l}
	p.env = append(p.env, "TARN_REPO=s3://lab/p", "AWS_ENDPOINT_URL_S3="+server.URL, "AWS_ACCESS_KEY_ID=lab", "AWS_SECRET_ACCESS_KEY=labsecret",
		"AWS_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		"TARN_PRICES=aws/us-east-1")
	p.mark()
	return p
}

// mark begins a new bill.
func (p *labPerson) mark() {
	p.t.Helper()
	b, err := p.lab.Bill()
	if err != nil {
		p.t.Fatal(err)
	}
	p.was, p.seen = b, len(p.events())
}

func (p *labPerson) events() (list []s3lab.Event) {
	p.t.Helper()
	for e, err := range p.lab.Events() {
		if err != nil {
			p.t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

// requests is what the lab bills for requests and retrieval since the mark.
func (p *labPerson) requests() *big.Rat {
	p.t.Helper()
	now, err := p.lab.Bill()
	if err != nil {
		p.t.Fatal(err)
	}
	sum := func(b *s3lab.Bill) *big.Rat {
		all := new(big.Rat)
		for _, l := range b.Lines {
			switch l.Item {
			case s3lab.ItemPut, s3lab.ItemList, s3lab.ItemGet, s3lab.ItemThaw, s3lab.ItemRetrieval:
				all.Add(all, l.Amount)
			}
		}
		return all
	}
	return new(big.Rat).Sub(sum(now), sum(p.was))
}

// kinds counts the lab's billed requests since the mark, as the bill names them.
func (p *labPerson) kinds() map[string]int64 {
	counts := map[string]int64{}
	for _, e := range p.events()[p.seen:] {
		what := map[string]string{
			"PutObject": "PUT " + e.Class, "CompleteMultipartUpload": "PUT " + e.Class, "CreateMultipartUpload": "parts of uploads", "UploadPart": "parts of uploads",
			"ListObjectsV2": "LIST", "GetObject": "GET and HEAD " + e.Class, "HeadObject": "GET and HEAD " + e.Class,
		}[e.Op]
		if e.Kind == "request" && e.Status < 500 {
			counts[what]++
		}
	}
	return counts
}

// document is the last line of JSON that a command has printed.
func document(t *testing.T, out string) map[string]any {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	d := json.NewDecoder(strings.NewReader(lines[len(lines)-1]))
	d.UseNumber()
	var doc map[string]any
	if err := d.Decode(&doc); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return doc
}

func number(t *testing.T, v any) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(fmt.Sprint(v))
	if !ok {
		t.Fatalf("%v is no number", v)
	}
	return r
}

// equals compares the bill that a command has printed with the lab's.
func (p *labPerson) equals(what string, cost map[string]any) {
	p.t.Helper()
	if got, want := number(p.t, cost["dollars"]), p.requests(); got.Cmp(want) != 0 {
		p.t.Errorf("%s: tarn says $%s, the lab bills $%s", what, got.FloatString(9), want.FloatString(9))
	}
	counts := map[string]int64{}
	for _, each := range cost["once"].([]any) {
		line := each.(map[string]any)
		if line["unit"] != "requests" {
			continue
		}
		name := fmt.Sprint(line["what"])
		if class, ok := line["class"]; ok && name != "parts of uploads" {
			name += " " + fmt.Sprint(class)
		}
		counts[name] += number(p.t, line["quantity"]).Num().Int64()
	}
	if want := p.kinds(); !maps.Equal(want, counts) {
		p.t.Errorf("%s: tarn counts %v, the lab %v", what, counts, want)
	}
	p.mark()
}

// noise is content that nothing can compress.
func noise(n int, seed string) []byte {
	data := make([]byte, 0, n+sha256.Size)
	sum := sha256.Sum256([]byte(seed))
	for len(data) < n {
		data = append(data, sum[:]...)
		sum = sha256.Sum256(sum[:])
	}
	return data[:n]
}

func (p *labPerson) write(name string, data []byte) {
	p.t.Helper()
	if err := os.WriteFile(p.path(name), data, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// TestBackupBillEqualsTheLabs: what a backup says that it did and cost is what
// the lab bills, an independent sum over its log; and the estimate before is not less.
func TestBackupBillEqualsTheLabs(t *testing.T) {
	t.Parallel()
	for _, class := range []string{"GLACIER", "DEEP_ARCHIVE", "GLACIER_IR", "STANDARD_IA", "ONEZONE_IA", "STANDARD"} {
		t.Run(class, func(t *testing.T) {
			t.Parallel()
			p := newLabPerson(t)
			p.must("init", "-q", "--storage-class", class)
			if err := os.MkdirAll(p.path("src", "many"), 0o755); err != nil {
				t.Fatal(err)
			}
			p.write("src/large", noise(40<<20, "large"))
			for i := range 100 {
				p.write(fmt.Sprintf("src/many/%d", i), noise(20<<10, fmt.Sprint(i)))
			}
			for _, step := range []string{"first", "unchanged", "1% changed"} {
				if step == "1% changed" {
					p.write("src/many/7", noise(21<<10, "new"))
				}
				before := document(t, p.must("backup", "--dry-run", "--json", "src"))["cost"].(map[string]any)
				p.mark()
				cost := document(t, p.must("backup", "--json", "src"))["cost"].(map[string]any)
				p.equals(step, cost)
				for _, member := range []string{"dollars", "month", "owed", "bytes_up"} {
					if number(t, before[member]).Cmp(number(t, cost[member])) < 0 {
						t.Errorf("%s: %s was estimated as %v and is %v", step, member, before[member], cost[member])
					}
				}
				limit := number(t, before["dollars"])
				if most := new(big.Rat).Add(number(t, cost["dollars"]), big.NewRat(1, 10_000)); limit.Cmp(most) > 0 {
					t.Errorf("%s: estimated as %s, cost %s", step, limit.FloatString(9), most.FloatString(9))
				}
			}
		})
	}
}
