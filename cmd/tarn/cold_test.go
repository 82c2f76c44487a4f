package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/s3lab"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// coldPerson is a person with a repository in a lab, whose clock a test moves.
type coldPerson struct {
	*person
	lab *s3lab.Lab
	// before, if set, is called with each request before the lab has it.
	before func(*http.Request)
}

// newColdPerson backs three splits up into a class; src/a has two files.
func newColdPerson(t *testing.T, class string, init ...string) *coldPerson {
	t.Helper()
	lab, err := s3lab.Open(s3lab.LabConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := lab.CreateBucket(t.Context(), "lab"); err != nil {
		t.Fatal(err)
	}
	p := &coldPerson{person: newPerson(t), lab: lab}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.before != nil {
			p.before(r)
		}
		lab.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p.env = append(p.env, "AWS_EC2_METADATA_DISABLED=true", "AWS_ENDPOINT_URL_S3="+server.URL, "AWS_CONFIG_FILE="+os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=lab", "AWS_SECRET_ACCESS_KEY=lab",
		"TARN_PRICES=aws/us-east-1", "TARN_REPO=s3://lab/p")
	for i, name := range []string{"a/one", "a/two", "b/three", "c/four"} {
		if err := os.MkdirAll(filepath.Dir(p.path("src", name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p.path("src", name), storagetest.Content(uint64(i), 6_000_000+i*1_000_001), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.must(append([]string{"init", "-q", "--storage-class", class}, init...)...)
	p.must("backup", "-q", "--split-depth", "1", "src")
	return p
}

func (p *coldPerson) advance(d time.Duration) {
	p.t.Helper()
	if err := p.lab.Advance(d); err != nil {
		p.t.Fatal(err)
	}
}

// requests returns the requests of an operation about archives so far.
func (p *coldPerson) requests(op string) (list []s3lab.Event) {
	p.t.Helper()
	for e, err := range p.lab.Events() {
		if err != nil {
			p.t.Fatal(err)
		}
		if e.Op == op && strings.HasPrefix(e.Key, "p/archives/") {
			list = append(list, e)
		}
	}
	return list
}

// code runs a command that has to end with an exit code, and returns all that it says.
func (p *coldPerson) code(want int, args ...string) string {
	p.t.Helper()
	code, out, errs := p.run(args...)
	if code != want {
		p.t.Fatalf("tarn %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, out, errs)
	}
	return out + errs
}

// same requires that part of the source is in a target as it was.
func (p *coldPerson) same(target string, parts ...string) {
	p.t.Helper()
	for _, part := range parts {
		want, err := e2e.LookAt(p.path("src", part))
		if err != nil {
			p.t.Fatal(err)
		}
		got, err := e2e.LookAt(p.path(target, "src", part))
		if err != nil {
			p.t.Fatal(err)
		}
		if diff := e2e.Diff(want, got); len(diff) > 0 {
			p.t.Errorf("%s differs: %v", part, diff)
		}
	}
}

// planDoc is what restore --json says before it does anything.
type planDoc struct {
	Type    string
	Gets    int64
	Fetched int64 `json:"fetched_bytes"`
	Ask     int
	Offers  []struct {
		Tier string
		Bill struct {
			Lines []struct {
				Group, Class string
				Amount       float64
			}
		}
		Most struct{ Total float64 }
	}
}

// sum adds up the amounts of a group in the offer of a tier; class limits it to those of a class.
func (d *planDoc) sum(t *testing.T, tier string, group price.Group, class string) (sum float64) {
	t.Helper()
	for _, o := range d.Offers {
		if !strings.EqualFold(o.Tier, tier) {
			continue
		}
		for _, l := range o.Bill.Lines {
			if l.Group == string(group) && (class == "" || l.Class == class) {
				sum += l.Amount
			}
		}
		return sum
	}
	t.Fatalf("the plan has no tier %s", tier)
	return 0
}

func (p *coldPerson) planOf(out string) (doc planDoc) {
	p.t.Helper()
	for line := range strings.Lines(out) {
		var d planDoc
		if err := json.Unmarshal([]byte(line), &d); err == nil && d.Type == "plan" {
			return d
		}
	}
	p.t.Fatalf("no plan in\n%s", out)
	return doc
}

// The bill before is the bill afterwards, by the lab's own sum over its log: for one file,
// a folder and everything, in each tier of both classes. What is compared is a
// millionth of a cent, as the same files a million times larger would show in cents.
func TestColdBill(t *testing.T) {
	tiers := map[string][]string{"GLACIER": {"Bulk", "Standard", "Expedited"}, "DEEP_ARCHIVE": {"Bulk", "Standard"}}
	for class, list := range tiers {
		for _, tier := range list {
			for what, archives := range map[string]int{"src/a/one": 1, "src/a": 1, "": 3} {
				t.Run(fmt.Sprintf("%s of %q in %s", class, what, tier), func(t *testing.T) {
					p := newColdPerson(t, class)
					args := []string{"restore", "latest", "--target", "back", "--tier", tier, "--days", "5", "--yes", "--json"}
					paths := strings.Fields(what)
					args = append(args, paths...)
					estimate := p.must(append([]string{"cost", "restore", "latest", "--days", "5", "--json"}, paths...)...)
					before := p.billed()
					asked := p.code(exitProblems, args...)
					plan := p.planOf(asked)
					p.advance(48 * time.Hour)
					fetched := p.code(exitDone, args...)
					p.advance(30 * 24 * time.Hour)
					p.compareCost(&plan, tier, before, asked+fetched, class == "GLACIER")
					p.compareEstimate(&plan, tier, document(t, estimate))
					if n := len(p.requests("RestoreObject")); n != archives || plan.Ask != archives {
						t.Errorf("%d thaws were planned, %d asked for, want %d", plan.Ask, n, archives)
					}
					p.compareBill(&plan, class, tier, class == "GLACIER")
				})
			}
		}
	}
}

// compareBill compares the lines of a plan with those of the lab. Where the wait
// varies, copies may be ready sooner than at the end of it, and be kept so much longer; or,
// with a midnight between both times, a day less.
func (p *coldPerson) compareBill(plan *planDoc, class, tier string, varies bool) {
	p.t.Helper()
	bill, err := p.lab.Bill()
	if err != nil {
		p.t.Fatal(err)
	}
	sum := func(items ...s3lab.Item) (sum float64) {
		for _, l := range bill.Lines {
			if slices.Contains(items, l.Item) && (l.Class == class || l.Item == s3lab.ItemCopy) {
				f, _ := l.Amount.Float64()
				sum += f
			}
		}
		return sum
	}
	equal := func(what string, planned, billed float64) {
		p.t.Helper()
		if math.Abs(planned-billed) > 1e-8 || billed == 0 && (what != "retrieval" || tier != "Bulk") {
			p.t.Errorf("%s: planned %.12f, billed %.12f", what, planned, billed)
		}
	}
	equal("requests", plan.sum(p.t, tier, price.GroupRequests, class), sum(s3lab.ItemThaw, s3lab.ItemGet))
	equal("retrieval", plan.sum(p.t, tier, price.GroupRetrieval, ""), sum(s3lab.ItemRetrieval))
	planned, billed := plan.sum(p.t, tier, price.GroupCopy, ""), sum(s3lab.ItemCopy)
	if !varies {
		equal("copies", planned, billed)
	} else if billed == 0 || math.Abs(planned-billed) > planned/5 { // of at least five days
		p.t.Errorf("copies: planned %.12f, billed %.12f", planned, billed)
	}
	var out int64
	gets := p.requests("GetObject")
	for _, e := range gets {
		out += e.Out
	}
	if int64(len(gets)) != plan.Gets || out != plan.Fetched || out == 0 {
		p.t.Errorf("planned %d requests for %d bytes, made %d for %d", plan.Gets, plan.Fetched, len(gets), out)
	}
}

// billed is what the lab has billed so far for all but keeping objects, and how
// much of that is for copies.
func (p *coldPerson) billed() (sum struct{ all, copies float64 }) {
	p.t.Helper()
	bill, err := p.lab.Bill()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, l := range bill.Lines {
		f, _ := l.Amount.Float64()
		switch l.Item {
		case s3lab.ItemStorage, s3lab.ItemOverhead, s3lab.ItemParts:
			continue
		case s3lab.ItemCopy:
			sum.copies += f
		}
		sum.all += f
	}
	return sum
}

// compareCost compares what the runs of a restore say that they have cost, all
// requests included, with what the lab bills, and that with the most that was planned.
func (p *coldPerson) compareCost(plan *planDoc, tier string, before struct{ all, copies float64 }, out string, varies bool) {
	p.t.Helper()
	var said, copies float64
	runs := 0
	for line := range strings.Lines(out) {
		var doc struct {
			Type  string
			Total float64
			Lines []struct {
				Group  string
				Amount float64
			}
		}
		if err := json.Unmarshal([]byte(line), &doc); err != nil || doc.Type != "cost" {
			continue
		}
		runs++
		said += doc.Total
		for _, l := range doc.Lines {
			if l.Group == string(price.GroupCopy) {
				copies += l.Amount
			}
		}
	}
	now := p.billed()
	got, want := said-copies, now.all-now.copies-(before.all-before.copies)
	if runs != 2 || math.Abs(got-want) > 1e-9 {
		p.t.Errorf("%d runs say that they cost %.12f beside copies, the lab bills %.12f", runs, got, want)
	}
	if diff := math.Abs(copies - (now.copies - before.copies)); diff > 1e-8 && (!varies || diff > copies/5) {
		p.t.Errorf("copies: said %.12f, billed %.12f", copies, now.copies-before.copies)
	}
	for _, o := range plan.Offers {
		if strings.EqualFold(o.Tier, tier) && o.Most.Total < now.all-before.all {
			p.t.Errorf("at most %.12f was planned, and %.12f is billed", o.Most.Total, now.all-before.all)
		}
	}
}

// compareEstimate compares what cost restore says with the plan of the restore.
func (p *coldPerson) compareEstimate(plan *planDoc, tier string, doc map[string]any) {
	p.t.Helper()
	text, err := json.Marshal(map[string]any{"offers": doc["plans"]})
	if err != nil {
		p.t.Fatal(err)
	}
	var estimate planDoc
	if err := json.Unmarshal(text, &estimate); err != nil {
		p.t.Fatal(err)
	}
	for _, group := range []price.Group{price.GroupRetrieval, price.GroupCopy, price.GroupTransfer} {
		got, want := estimate.sum(p.t, tier, group, ""), plan.sum(p.t, tier, group, "")
		if math.Abs(got-want) > max(1e-12, want/1000) { // some seconds of a copy
			p.t.Errorf("%s: cost restore says %.12f, restore %.12f", group, got, want)
		}
	}
	if got := fmt.Sprint(doc["fetched_bytes"]); got != fmt.Sprint(plan.Fetched) || fmt.Sprint(doc["archives"]) != fmt.Sprint(plan.Ask) {
		p.t.Errorf("cost restore plans %v archives and %s bytes, restore %d and %d", doc["archives"], got, plan.Ask, plan.Fetched)
	}
}

// No command sends RestoreObject but thaw, restore and drill, and those only after the
// price was accepted. A command that is not in the list fails the test.
func TestNoAccident(t *testing.T) {
	p := newColdPerson(t, "DEEP_ARCHIVE")
	offline := []string{"completion", "help", "man", "version", "lab", "cost", "cloud", "tarball"} // tarball: TestTarballCold
	commands := map[string][][]string{
		"init":      {{"init", "-q"}},
		"backup":    {{"backup", "--dry-run", "src"}, {"backup", "src"}},
		"snapshots": {{"snapshots"}}, "stats": {{"stats"}}, "ls": {{"ls", "latest"}}, "find": {{"find", "one"}},
		"diff":    {{"diff", "latest", "latest"}},
		"restore": {{"restore", "latest", "--target", "x"}, {"restore", "latest", "--target", "x", "--tier", "bulk"}, {"restore", "latest", "--target", "x", "--dry-run", "--yes", "--tier", "bulk"}, {"restore", "latest", "--target", "x", "--wait"}, {"restore", "latest", "--target", "x", "--yes", "--max-cost", "0"}, {"restore", "latest", "--target", "x", "--yes", "--tier", "expedited"}},
		"thaw":    {{"thaw", "latest"}, {"thaw", "--status"}, {"thaw", "latest", "--dry-run", "--yes"}, {"thaw", "latest", "--tier", "bulk"}, {"thaw", "latest", "--yes", "--max-cost", "0"}, {"thaw", "latest", "--yes", "--tier", "expedited"}},
		"drill":   {{"drill"}, {"drill", "--status"}, {"drill", "--budget", "1"}, {"drill", "--budget", "1", "--wait"}, {"drill", "--budget", "1", "--dry-run", "--yes"}, {"drill", "--budget", "0", "--yes"}, {"drill", "--budget", "1", "--tier", "expedited", "--yes"}},
		"cat":     {{"cat", "latest", "src/a/one"}}, "dump": {{"dump", "latest"}},
		"check": {{"check"}, {"check", "--read-data"}}, "rebuild": {{"rebuild"}}, "key": {{"key", "list"}},
	}
	for _, cmd := range newRoot(&globals{env: &env{getenv: func(string) string { return "" }}}).Commands() {
		if commands[cmd.Name()] == nil && !slices.Contains(offline, cmd.Name()) {
			t.Errorf("tarn %s is not tried", cmd.Name())
		}
		for _, args := range commands[cmd.Name()] {
			p.run(args...)
			if n := len(p.requests("RestoreObject")); n != 0 {
				t.Fatalf("tarn %s sent %d requests for a thaw", strings.Join(args, " "), n)
			}
		}
	}
	if _, err := os.Stat(p.path("x")); err == nil {
		t.Error("a restore that was not accepted made its target")
	}
	p.code(exitDone, "thaw", "latest", "--yes")
	if n := len(p.requests("RestoreObject")); n != 3 {
		t.Errorf("%d requests for a thaw that was accepted", n)
	}
	for e, err := range p.lab.Events() { // what is no archive stays warm
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == "created" && !strings.HasPrefix(e.Key, "p/archives/") && e.Class != "STANDARD" {
			t.Errorf("%s lies in %s", e.Key, e.Class)
		}
	}
}

// Copies that end while their files are fetched: what was read is there, the rest is
// frozen again, which is no problem of the files', and the next run offers it anew.
func TestColdExpiresOnTheWay(t *testing.T) {
	p := newColdPerson(t, "DEEP_ARCHIVE")
	args := []string{"restore", "latest", "--target", "back"}
	p.code(exitProblems, append(args, "--yes", "--days", "1")...)
	p.advance(48 * time.Hour)
	var mu sync.Mutex
	n := 0
	p.before = func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/archives/") {
			return
		}
		if n++; n == 2 {
			time.Sleep(100 * time.Millisecond) // for the first to be answered
			p.advance(30 * 24 * time.Hour)
		}
	}
	out := p.code(exitProblems, args...)
	if !strings.Contains(out, "not readable yet") || strings.Contains(out, "problem") {
		t.Errorf("it says\n%s", out)
	}
	p.before = nil
	out = p.code(exitFailed, args...)
	if !strings.Contains(out, "2 archives are frozen, and nothing was asked for or spent") {
		t.Errorf("the next run says\n%s", out)
	}
	p.code(exitProblems, append(args, "--yes")...)
	p.advance(48 * time.Hour)
	p.code(exitDone, args...)
	p.same("back", "a", "b", "c")
	if n := len(p.requests("RestoreObject")); n != 5 {
		t.Errorf("%d requests for a thaw, want 3 and 2", n)
	}
}

// What ends first is fetched first, in whatever order the snapshot has it.
func TestColdOrder(t *testing.T) {
	p := newColdPerson(t, "DEEP_ARCHIVE")
	for part, days := range map[string]string{"src/a": "9", "src/b": "5", "src/c": "2"} {
		p.code(exitDone, "thaw", "latest", part, "--yes", "--tier", "standard", "--days", days)
	}
	var want []string // ends, the first first
	asked := p.requests("RestoreObject")
	for e, err := range p.lab.Events() {
		if err != nil {
			t.Fatal(err)
		}
		if !e.Expiry.IsZero() {
			want = append(want, e.Expiry.Format(time.RFC3339)+" "+e.Key)
		}
	}
	slices.Sort(want)
	p.advance(12 * time.Hour)
	out := p.must("restore", "latest", "--target", "back", "--dry-run")
	if !strings.Contains(out, "3 thawed") || !strings.Contains(out, "would write 4 files") {
		t.Errorf("a dry run says\n%s", out)
	}
	out = p.must("restore", "latest", "--target", "back")
	if !strings.Contains(out, "wrote 4 files (28.6 MiB), 0 were there already, 0 left") || !strings.Contains(out, "in 3 requests") {
		t.Errorf("it says\n%s", out)
	}
	p.same("back", "a", "b", "c")
	for i, e := range p.requests("GetObject") {
		if len(want) != 3 || len(asked) != 3 || !strings.HasSuffix(want[min(i, 2)], " "+e.Key) {
			t.Errorf("read %d is of %s, of %v", i, e.Key, want)
		}
	}
}

// restore --wait stays until all is back. What is thawed already comes first.
func TestColdWait(t *testing.T) {
	p := newColdPerson(t, "GLACIER")
	p.code(exitDone, "thaw", "latest", "src/b", "--yes", "--tier", "expedited", "--days", "9")
	p.advance(10 * time.Minute)
	done := make(chan string)
	go func() {
		code, out, errs := p.run("restore", "latest", "--target", "back", "--yes", "--tier", "standard", "--wait", "--poll", "20ms")
		done <- fmt.Sprint(code, "\n", out, errs)
	}()
	deadline := time.Now().Add(20 * time.Second)
	for len(p.requests("RestoreObject")) < 3 && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	for there := false; !there && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		_, err := os.Stat(p.path("back", "src", "b", "three"))
		there = err == nil
	}
	if gets := p.requests("GetObject"); len(gets) == 0 || gets[0].Key != p.requests("RestoreObject")[0].Key {
		t.Errorf("before the others were thawed, it read %+v", gets)
	}
	p.advance(5 * time.Hour)
	if out := <-done; !strings.HasPrefix(out, "0\n") {
		t.Errorf("it ended with %s", out)
	}
	p.same("back", "a", "b", "c")
	if n := len(p.requests("RestoreObject")); n != 3 {
		t.Errorf("%d requests for a thaw", n)
	}
}

// Without capacity for Expedited nothing is spent, and a thaw in a slower tier
// is left alone until a faster one is asked for.
func TestColdTiers(t *testing.T) {
	p := newColdPerson(t, "GLACIER")
	if err := p.lab.Expedited(false); err != nil {
		t.Fatal(err)
	}
	out := p.code(exitFailed, "thaw", "latest", "--yes", "--tier", "expedited")
	if !strings.Contains(out, "there is bulk and standard") || len(p.requests("RestoreObject")) != 1 {
		t.Errorf("%d requests, it says\n%s", len(p.requests("RestoreObject")), out)
	}
	p.code(exitDone, "thaw", "latest", "--yes", "--tier", "bulk")
	if err := p.lab.Expedited(true); err != nil {
		t.Fatal(err)
	}
	out = p.code(exitDone, "thaw", "latest", "--yes", "--tier", "expedited")
	if !strings.Contains(out, "3 thawing") || len(p.requests("RestoreObject")) != 4 {
		t.Errorf("it says\n%s", out)
	}
	p.code(exitDone, "thaw", "latest", "--yes", "--tier", "expedited", "--faster")
	p.advance(5 * time.Minute)
	p.must("restore", "latest", "--target", "back")
	p.same("back", "a", "b", "c")
}

// A lifecycle rule that went beyond the archives is named as what it is, and the
// way out of it, whichever objects it has moved.
func TestColdMetadata(t *testing.T) {
	for _, part := range []string{"tarn.json", "keys/", "snapshots/", "trees/", "indexes/"} {
		p := newColdPerson(t, "GLACIER")
		if moved, err := p.lab.Move("lab", "p/"+part, "GLACIER"); err != nil || moved == 0 {
			t.Fatalf("%d objects of %s moved, %v", moved, part, err)
		}
		if err := os.RemoveAll(p.path("home", "cache")); err != nil {
			t.Fatal(err)
		}
		code, out, errs := p.run("restore", "latest", "--target", "x", "--yes")
		if code == exitDone || !strings.Contains(errs, "a lifecycle rule has moved it") || !strings.Contains(errs, "limit the rule to the prefix archives/") || len(p.requests("RestoreObject")) != 0 {
			t.Errorf("with cold %s: exit code %d\n%s%s", part, code, out, errs)
		}
	}
}

// Prices that nobody knows are not AWS's: the plan says so, and --max-cost can't be kept.
func TestColdWithoutPrices(t *testing.T) {
	p := newColdPerson(t, "GLACIER")
	p.env = append(p.env, "TARN_PRICES=")
	out := p.code(exitProblems, "restore", "latest", "--target", "back", "--yes")
	if !strings.Contains(out, "no prices known for") || strings.Contains(out, "$") {
		t.Errorf("it says\n%s", out)
	}
	p = newColdPerson(t, "GLACIER")
	p.env = append(p.env, "TARN_PRICES=")
	out = p.code(exitFailed, "thaw", "latest", "--yes", "--max-cost", "100")
	if !strings.Contains(out, "no prices known for") || len(p.requests("RestoreObject")) != 0 {
		t.Errorf("it says\n%s", out)
	}
}
