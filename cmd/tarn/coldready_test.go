package main

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/price"
)

// What is thawed and paid for is fetched whether more is thawed or not.
func TestColdReady(t *testing.T) {
	for _, args := range [][]string{{}, {"--ready"}, {"--tier", "bulk"}} {
		p := newColdPerson(t, "GLACIER")
		p.code(exitDone, "thaw", "latest", "src/a", "--tier", "expedited", "--yes")
		p.advance(10 * time.Minute)
		out := p.code(exitProblems, append([]string{"restore", "latest", "--target", "back"}, args...)...)
		if !strings.Contains(out, "2 archives are frozen") || !strings.Contains(out, "wrote 2 files") || len(p.requests("RestoreObject")) != 1 {
			t.Errorf("%v: it says\n%s", args, out)
		}
		p.same("back", "a")
	}
	p := newColdPerson(t, "GLACIER")
	out := p.code(exitProblems, "restore", "latest", "--target", "back", "--ready", "--json")
	if !strings.Contains(out, `"frozen":3`) || len(p.requests("RestoreObject")) != 0 {
		t.Errorf("nothing is ready: it says\n%s", out)
	}
	p.code(exitFailed, "restore", "latest", "--target", "back", "--ready", "--wait")
}

// What is read of some classes costs by the byte: without a yes, nothing is.
func TestColdRetrieval(t *testing.T) {
	for _, class := range []string{"GLACIER_IR", "STANDARD_IA", "ONEZONE_IA"} {
		p := newColdPerson(t, class)
		for _, args := range [][]string{{}, {"--ready"}, {"--wait"}} {
			out := p.code(exitFailed, append([]string{"restore", "latest", "--target", "back"}, args...)...)
			if !strings.Contains(out, "for retrieval, and nothing was spent") || !strings.Contains(out, "Add --yes") || !strings.Contains(out, "costs") {
				t.Errorf("%s: it says\n%s", class, out)
			}
		}
		if _, err := os.Stat(p.path("back")); err == nil || len(p.requests("GetObject")) != 0 {
			t.Errorf("%s: it read without a yes", class)
		}
		if out := p.must("restore", "latest", "--target", "back", "--yes"); !strings.Contains(out, "cost: ") {
			t.Errorf("%s: it says\n%s", class, out)
		}
		p.same("back", "a", "b", "c")
	}
	p := newColdPerson(t, "STANDARD")
	p.must("restore", "latest", "--target", "back")
}

// The same holds for commands that read content without a restore.
func TestColdRetrievalElsewhere(t *testing.T) {
	p := newColdPerson(t, "GLACIER_IR")
	for _, args := range [][]string{
		{"cat", "latest", "src/a/one"}, {"dump", "latest", "src/a"}, {"dump", "latest", "src/a", "--max-cost", "0.0000001", "--yes"},
		{"check", "--read-data"}, {"check", "--read-data=40%"}, {"check", "--read-data", "--max-cost", "0.0000001", "--yes"},
	} {
		before := len(p.requests("GetObject"))
		out := p.code(exitFailed, args...)
		if !strings.Contains(out, "Add --yes") && !strings.Contains(out, "more than --max-cost allows") || len(p.requests("GetObject")) != before {
			t.Errorf("tarn %s: it says\n%s", strings.Join(args, " "), out)
		}
		out = p.must(append(args[:len(args):len(args)], "--yes", "--max-cost", "0.10")...)
		if len(p.requests("GetObject")) == before {
			t.Errorf("tarn %s: it says\n%s", strings.Join(args, " "), out)
		}
	}
	p.must("check")
	p.code(exitFailed, "cat", "latest", "src/a/one", "--max-cost", "much")
}

// keys are those with a prefix that the lab was given.
func (p *coldPerson) keys(prefix string) (list []string) {
	p.t.Helper()
	for e, err := range p.lab.Events() {
		if err != nil {
			p.t.Fatal(err)
		}
		if e.Kind == "created" && strings.HasPrefix(e.Key, prefix) {
			list = append(list, e.Key)
		}
	}
	return list
}

// An archive whose index is lost is thawed by its name; where reading it is billed, rebuild
// wants a yes.
func TestColdRebuild(t *testing.T) {
	for _, class := range []string{"DEEP_ARCHIVE", "GLACIER_IR"} {
		p := newColdPerson(t, class)
		p.must("check")
		for _, key := range p.keys("p/indexes/") {
			p.send("DELETE", key, nil)
		}
		p.env = append(p.env, "XDG_CACHE_HOME="+p.path("cache2"))
		out := p.code(exitProblems, "rebuild")
		if class == "GLACIER_IR" {
			if !strings.Contains(out, "3 archives are not read") || !strings.Contains(out, "$0.0009") || len(p.requests("GetObject")) > 0 {
				t.Errorf("it says\n%s", out)
			}
			p.must("rebuild", "--yes")
			p.must("restore", "latest", "--target", "back", "--yes")
			p.same("back", "a", "b", "c")
			continue
		}
		if !strings.Contains(out, "tarn thaw --archive") {
			t.Errorf("it says\n%s", out)
		}
		p.code(exitFailed, "thaw", "--archive", "archives/none.tar.zst.age", "--yes")
		p.code(exitFailed, "thaw", "latest", "--archive", "archives/none.tar.zst.age", "--yes")
		thaw := []string{"thaw"}
		for _, key := range p.keys("p/archives/") {
			thaw = append(thaw, "--archive", strings.TrimPrefix(key, "p/"))
		}
		if out := p.code(exitFailed, thaw...); !strings.Contains(out, "3 archives: 3 frozen") || len(p.requests("RestoreObject")) > 0 {
			t.Errorf("it says\n%s", out)
		}
		p.must(append(thaw, "--tier", "standard", "--yes")...)
		p.must(append(thaw, "--status")...)
		p.advance(13 * time.Hour)
		p.must("rebuild")
		p.must("restore", "latest", "--target", "back", "--yes")
		p.same("back", "a", "b", "c")
	}
}

// What is frozen is left out of a tar without a request for it, and the way out is named.
func TestColdDump(t *testing.T) {
	p := newColdPerson(t, "GLACIER")
	p.code(exitDone, "thaw", "latest", "src/b", "--tier", "expedited", "--yes")
	p.advance(10 * time.Minute)
	out := p.code(exitProblems, "dump", "latest")
	if !strings.Contains(out, "3 files are not in the tar") || !strings.Contains(out, "tarn thaw") || strings.Contains(out, "src/a/one: ") {
		t.Errorf("it says %.300q", out[max(0, len(out)-300):])
	}
	if got := len(p.requests("GetObject")); got != 1 {
		t.Errorf("%d requests for archives, want 1", got)
	}
	p.code(exitFailed, "cat", "latest", "src/a/one")
	if got := len(p.requests("GetObject")); got != 1 {
		t.Errorf("%d requests for archives, want 1", got)
	}
}

// Nothing is asked for when the target can't be written.
func TestColdTarget(t *testing.T) {
	p := newColdPerson(t, "GLACIER")
	if err := os.WriteFile(p.path("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	targets := map[string]string{p.path("file", "x"): "not a directory"}
	if runtime.GOOS == "linux" {
		targets["/proc/x"] = "nothing was asked for or spent"
	}
	for target, want := range targets {
		out := p.code(exitFailed, "restore", "latest", "--target", target, "--yes")
		if !strings.Contains(out, want) || len(p.requests("RestoreObject")) != 0 {
			t.Errorf("to %s it says\n%s", target, out)
		}
	}
	p.code(exitProblems, "restore", "latest", "--target", p.path("new", "x"), "--yes")
	if _, err := os.Stat(p.path("new")); err == nil {
		t.Error("a target was made before anything could be read")
	}
}

// A thaw that is to come sooner is asked for once. Nobody but S3 knows that it is in
// the tier already: that answer is billed, so there are two of them at most.
func TestColdFasterOnce(t *testing.T) {
	p := newColdPerson(t, "GLACIER")
	p.code(exitDone, "thaw", "latest", "--tier", "bulk", "--yes")
	out := p.code(exitDone, "thaw", "latest", "--tier", "expedited", "--yes")
	if !strings.Contains(out, "--faster asks for them in the tier expedited, too") || len(p.requests("RestoreObject")) != 3 {
		t.Errorf("without --faster it says\n%s", out)
	}
	out = p.code(exitDone, "thaw", "latest", "--tier", "expedited", "--faster", "--yes")
	if !strings.Contains(out, "asked for the thaw of 3 archives") || len(p.requests("RestoreObject")) != 6 {
		t.Errorf("it says\n%s", out)
	}
	out = p.code(exitDone, "thaw", "latest", "--tier", "expedited", "--faster", "--yes")
	if !strings.Contains(out, "3 archives are being thawed already") || !strings.Contains(out, "2 requests, which S3 bills") || len(p.requests("RestoreObject")) != 8 {
		t.Errorf("again, after %d requests, it says\n%s", len(p.requests("RestoreObject")), out)
	}
}

// Two thaws at once on one machine ask for each archive once.
func TestColdTwoAtOnce(t *testing.T) {
	p := newColdPerson(t, "GLACIER")
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			if code, out, errs := p.run("thaw", "latest", "--tier", "expedited", "--yes"); code != exitDone {
				t.Errorf("exit code %d\n%s%s", code, out, errs)
			}
		})
	}
	group.Wait()
	if n := len(p.requests("RestoreObject")); n < 3 || n > 5 { // one may have looked before, and not waited
		t.Errorf("%d requests for 3 archives", n)
	}
}

// What a plan says while all is being thawed, and what a limit says of a dry run.
func TestColdPlanWords(t *testing.T) {
	p := newColdPerson(t, "GLACIER")
	for _, cmd := range [][]string{{"restore", "latest", "--target", "x"}, {"thaw", "latest"}} {
		p.code(exitFailed, append(cmd, "--dry-run", "--max-cost", "0.0000001")...)
		p.code(exitFailed, append(cmd, "--dry-run", "--max-cost", "0.01", "--tier", "expedited")...)
		p.code(exitDone, append(cmd, "--dry-run", "--max-cost", "0.01")...)
	}
	if doc := p.code(exitDone, "restore", "latest", "--target", "x", "--dry-run", "--json"); !strings.Contains(doc, `"frozen":4`) {
		t.Errorf("a dry run says\n%s", doc)
	}
	out := p.code(exitProblems, "restore", "latest", "--target", "x", "--yes", "--tier", "standard")
	if !strings.Contains(out, "Run the same command again after 20") {
		t.Errorf("it says\n%s", out)
	}
	out = p.code(exitProblems, "restore", "latest", "--target", "x")
	if !strings.Contains(out, "5 hours in the tier standard") && !strings.Contains(out, "5 h in the tier standard") && !strings.Contains(out, "5h0m") || strings.Contains(out, "none") {
		t.Errorf("the next run says\n%s", out)
	}
	if out = p.code(exitDone, "thaw", "latest"); !strings.Contains(out, "3 archives are being thawed already, and nothing else is frozen") {
		t.Errorf("a thaw says\n%s", out)
	}
	if err := p.lab.Expedited(false); err != nil {
		t.Fatal(err)
	}
	if out = p.code(exitFailed, "thaw", "latest", "--faster", "--tier", "expedited", "--yes"); strings.Contains(out, "What was asked for before") {
		t.Errorf("a refused tier says\n%s", out)
	}
}

// The lab's clock is the server's, and what is billed by time goes by it.
func TestColdServerClock(t *testing.T) {
	p := newPlainPerson(t, "GLACIER")
	p.advance(60*24*time.Hour + time.Hour)
	if out := p.must("cost"); !strings.Contains(out, "(30 days)") {
		t.Errorf("after 60 days:\n%s", out)
	}
	// A copy that ends within a day is made to last longer.
	p.code(exitDone, "thaw", "latest", "src/a", "--tier", "expedited", "--days", "1", "--yes")
	p.advance(24 * time.Hour)
	if out := p.code(exitDone, "thaw", "latest", "src/a", "--days", "5", "--yes"); !strings.Contains(out, "asked for the thaw of 1 archive") {
		t.Errorf("a copy that ends soon:\n%s", out)
	}
	// The plan counts from the lab's time of day, as the bill does.
	p = newColdPerson(t, "DEEP_ARCHIVE")
	p.advance(5 * time.Hour)
	args := []string{"restore", "latest", "--target", "back", "--tier", "bulk", "--days", "1", "--yes", "--json"}
	plan := p.planOf(p.code(exitProblems, args...))
	p.advance(48 * time.Hour)
	p.code(exitDone, args...)
	p.advance(30 * 24 * time.Hour)
	p.compareBill(&plan, "DEEP_ARCHIVE", "bulk", false)
}

// A question names the price, whatever else is not printed, and an empty answer is a no.
func TestQuestionNamesThePrice(t *testing.T) {
	prices, err := price.Embedded().Find("aws", "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	archives := []cold.Archive{{Object: cold.Object{Key: "archives/a", Size: 10 << 30, Class: tarn.Glacier, State: cold.Frozen}, Gets: 1, Fetched: 10 << 30}}
	p, err := cold.NewPlan(cold.Request{Archives: archives, Days: 1, Now: time.Unix(0, 0)}, prices)
	if err != nil {
		t.Fatal(err)
	}
	for answer, tier := range map[string]string{"expedited\n": "Expedited", "bulk\n": "Bulk", "\n": "", "no\n": ""} {
		g, out := here(t, nil)
		g.quiet, g.stdin = true, strings.NewReader(answer)
		g.password = func(string) ([]byte, error) { return nil, nil } // there is a terminal
		o, err := g.accept(&coldView{money: &money{prices: prices}}, p, thawFlags{days: 1})
		if _, no := errors.AsType[*declined](err); no != (tier == "") || err == nil && string(o.Tier) != tier {
			t.Errorf("%q: %s, %v", answer, o.Tier, err)
		}
		for _, o := range p.Offers {
			if !strings.Contains(out.String(), strings.ToLower(string(o.Tier))+" for "+o.Bill.Total.String()) {
				t.Errorf("%s is not in %q", o.Tier, out)
			}
		}
	}
}
