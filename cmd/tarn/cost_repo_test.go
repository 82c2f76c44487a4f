package main

import (
	"fmt"
	"math/big"
	"os"
	"strings"
	"testing"
)

// dollars is an independent price: bytes at a rate for a GiB and month, for hours of one of 730.
func dollars(bytes int64, rate string, hours int64) *big.Rat {
	r, ok := new(big.Rat).SetString(rate)
	if !ok {
		panic(rate)
	}
	r.Mul(r, big.NewRat(bytes, 1<<30))
	return r.Mul(r, big.NewRat(hours, 730))
}

// about compares what was printed with 12 digits after the point.
func about(t *testing.T, what string, got any, want *big.Rat) {
	t.Helper()
	diff := new(big.Rat).Sub(number(t, got), want)
	if diff.Abs(diff).Cmp(big.NewRat(1, 1_000_000_000)) > 0 {
		t.Errorf("%s: %v, want %s", what, got, want.FloatString(12))
	}
}

// TestCostOfTheRepository: what it costs a month, and what deleting costs, is an
// independent sum over what the lab has.
func TestCostOfTheRepository(t *testing.T) {
	t.Parallel()
	p := newLabPerson(t)
	for _, dir := range []string{"src/one", "src/two"} {
		if err := os.MkdirAll(p.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p.must("init", "-q", "--storage-class", "DEEP_ARCHIVE", "--no-encryption")
	p.write("src/one/a", noise(3<<20, "a"))
	p.write("src/two/b", noise(2<<20, "b"))
	p.must("backup", "-q", "src")
	p.write("src/one/a", noise(4<<20, "c"))
	p.must("backup", "-q", "src")

	month := new(big.Rat)
	var archives, metadata, newest int64
	for _, e := range p.events() {
		switch {
		case e.Kind != "created":
		case e.Class == "DEEP_ARCHIVE":
			archives++
			newest = e.Size
			month.Add(month, dollars(e.Size+32<<10, "0.00099", 730))
			month.Add(month, dollars(8<<10, "0.023", 730))
		default:
			metadata += e.Size
			month.Add(month, dollars(e.Size, "0.023", 730))
		}
	}
	doc := document(t, p.must("cost", "--json"))
	about(t, "a month", doc["month"], month)
	rows := doc["rows"].([]any)
	if len(rows) != 2 || fmt.Sprint(rows[0].(map[string]any)["objects"]) != fmt.Sprint(archives) || fmt.Sprint(rows[1].(map[string]any)["bytes"]) != fmt.Sprint(metadata) {
		t.Errorf("%d archives, %d bytes of metadata: %v", archives, metadata, rows)
	}
	text := p.must("cost")
	for _, want := range []string{"DEEP_ARCHIVE", "STANDARD, metadata", "(180 days)", "STILL OWED"} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in\n%s", want, text)
		}
	}

	// The second snapshot alone needs one archive, the first one another; two/b is of both.
	only := document(t, p.must("cost", "delete", "latest", "--json"))
	if list := only["archives"].([]any); len(list) != 1 || fmt.Sprint(only["contents"]) != "1" || fmt.Sprint(only["content_bytes"]) != fmt.Sprint(4<<20) {
		t.Errorf("the latest alone needs %v", only)
	}
	about(t, "owed", only["owed"], dollars(newest+32<<10, "0.00099", 180*24))
	first := document(t, p.must("cost", "delete", "latest~1", "--json"))
	if list := first["archives"].([]any); len(list) != 1 || fmt.Sprint(first["content_bytes"]) != fmt.Sprint(3<<20) {
		t.Errorf("the first alone needs %v", first)
	}
	// With another snapshot of the same, nothing is.
	p.must("backup", "-q", "src")
	again := document(t, p.must("cost", "delete", "latest", "--json"))
	if list := again["archives"].([]any); len(list) != 0 || fmt.Sprint(again["contents"]) != "0" || number(t, again["owed"]).Sign() != 0 {
		t.Errorf("what two snapshots have: %v", again)
	}
}

// TestCostOfARestore: the plan names the archives of the paths alone, in each
// tier of their class, and a thaw of just these bills so.
func TestCostOfARestore(t *testing.T) {
	t.Parallel()
	p := newLabPerson(t)
	for _, dir := range []string{"src/one", "src/two"} {
		if err := os.MkdirAll(p.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p.must("init", "-q", "--storage-class", "GLACIER", "--no-encryption")
	p.write("src/one/a", noise(3<<20, "a"))
	p.write("src/two/b", noise(2<<20, "b"))
	p.must("backup", "-q", "src")
	_, size := archiveIn(t, p.lab, "one")
	doc := document(t, p.must("cost", "restore", "latest", "src/one", "--days", "3", "--json"))
	if got := fmt.Sprintf("%v %v %v", doc["archives"], doc["files"], doc["archive_bytes"]); got != fmt.Sprintf("1 1 %d", size) {
		t.Errorf("one folder needs %v, of %d bytes", doc, size)
	}
	plans := doc["plans"].([]any)
	want := map[string][2]string{"Bulk": {"0", "0"}, "Standard": {"0.01", "0.05"}, "Expedited": {"0.03", "10"}}
	if len(plans) != len(want) {
		t.Fatalf("%d tiers", len(plans))
	}
	for _, each := range plans {
		plan := each.(map[string]any)
		rates := want[fmt.Sprint(plan["tier"])]
		tier := fmt.Sprint(plan["tier"])
		about(t, tier+", retrieval", sumOf(t, plan["bill"], "retrieval", ""), dollars(size, rates[0], 730))
		requests := new(big.Rat).Quo(number(t, rates[1]), big.NewRat(1000, 1))
		about(t, tier+", requests", sumOf(t, plan["bill"], "requests", "GLACIER"), requests.Add(requests, big.NewRat(4, 10_000_000))) // and a GET
		copies := number(t, sumOf(t, plan["bill"], "copy", ""))
		if copies.Cmp(dollars(size, "0.023", 3*24)) < 0 || copies.Cmp(dollars(size, "0.023", 4*24)) > 0 {
			t.Errorf("%s: the copy costs %s", tier, copies.FloatString(12))
		}
		more := new(big.Rat).Sub(number(t, plan["most"].(map[string]any)["total"]), number(t, plan["bill"].(map[string]any)["total"]))
		if more.Cmp(new(big.Rat).Sub(dollars(size, "0.023", 4*24), copies)) < 0 {
			t.Errorf("%s: at most %s more", tier, more.FloatString(12))
		}
	}
	if out := p.must("cost", "restore", "latest"); !strings.Contains(out, "2 files (5.0 MiB) in 2 archives: 2 frozen") || !strings.Contains(out, "expedited") {
		t.Errorf("all of it:\n%s", out)
	}
}

// sumOf is the sum of a group's lines in a bill, of those of a class if one is named.
func sumOf(t *testing.T, bill any, group, class string) string {
	t.Helper()
	sum := new(big.Rat)
	for _, each := range bill.(map[string]any)["lines"].([]any) {
		line := each.(map[string]any)
		if line["group"] == group && (class == "" || line["class"] == class) {
			sum.Add(sum, number(t, line["amount"]))
		}
	}
	return sum.FloatString(15)
}
