package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// shareDoc is what drill --json says in the end.
type shareDoc struct {
	Type  string
	Share struct {
		Files, Archives int64
		Bytes           int64
		ProvenFiles     int64 `json:"proven_files"`
		ProvenBytes     int64 `json:"proven_bytes"`
		ProvenArchives  int64 `json:"proven_archives"`
	}
	DamagedFiles int64 `json:"damaged_files"`
	ToRead       int64 `json:"archives_to_read"`
}

// shareOf is the summary in what a drill has printed.
func shareOf(t *testing.T, out string) (doc shareDoc) {
	t.Helper()
	for line := range strings.Lines(out) {
		var d shareDoc
		if err := json.Unmarshal([]byte(line), &d); err == nil && d.Type == "summary" {
			return d
		}
	}
	t.Fatalf("no summary in\n%s", out)
	return doc
}

// costs adds up what runs say that they have cost.
func costs(out string) (sum float64) {
	for line := range strings.Lines(out) {
		var doc struct {
			Type  string
			Total float64
		}
		if err := json.Unmarshal([]byte(line), &doc); err == nil && doc.Type == "cost" {
			sum += doc.Total
		}
	}
	return sum
}

// began counts the thaws that began.
func (p *coldPerson) began() (n int) {
	for _, e := range p.requests("RestoreObject") {
		if e.Status == http.StatusAccepted {
			n++
		}
	}
	return n
}

// TestDrill: a drill asks for what it has drawn and no more, once, reads it when
// that is thawed, and writes nothing. What was proven stays so for the next snapshot.
func TestDrill(t *testing.T) {
	for _, class := range []string{"DEEP_ARCHIVE", "GLACIER"} {
		t.Run(class, func(t *testing.T) {
			p := newColdPerson(t, class)
			if doc := shareOf(t, p.must("drill", "--status", "--json")); doc.Share.Files != 4 || doc.Share.Archives != 3 || doc.Share.ProvenFiles != 0 {
				t.Errorf("before: %+v", doc)
			}
			before := p.billed()
			out := p.code(exitProblems, "drill", "--budget", "0.10", "--days", "2", "--yes", "--json")
			if p.began() != 3 || shareOf(t, out).ToRead != 3 {
				t.Errorf("%d thaws:\n%s", p.began(), out)
			}
			again := p.code(exitProblems, "drill", "--budget", "0.10", "--yes", "--json")
			if n := len(p.requests("RestoreObject")); n != 3 || strings.Contains(again, `"type":"drawn"`) {
				t.Errorf("while it thaws: %d requests\n%s", n, again)
			}
			if text := p.must("drill", "--status"); !strings.Contains(text, "not read yet: parts of 3 archives (0 frozen, 3 thawing)") {
				t.Errorf("the status is\n%s", text)
			}
			p.advance(48 * time.Hour)
			read := p.code(exitDone, "drill", "--json")
			doc := shareOf(t, read)
			if doc.Share.ProvenFiles != 4 || doc.Share.ProvenArchives != 3 || doc.Share.ProvenBytes != doc.Share.Bytes || doc.ToRead != 0 {
				t.Errorf("proven: %+v", doc)
			}
			p.advance(30 * 24 * time.Hour)
			now := p.billed()
			said, billed := costs(out+again+read), now.all-before.all
			// `drill --status` has been billed, too, and says nothing of it.
			if said > billed || billed-said > 0.0002 || billed > 0.10 {
				t.Errorf("it says $%.6f, the lab bills $%.6f", said, billed)
			}
			for e, err := range p.lab.Events() {
				if err != nil {
					t.Fatal(err)
				}
				if e.Kind == "created" && e.Class != "STANDARD" && !strings.HasPrefix(e.Key, "p/archives/") {
					t.Errorf("%s lies in %s", e.Key, e.Class)
				}
			}
			p.must("backup", "-q", "--split-depth", "1", "src")
			if text := p.must("drill", "--budget", "1"); !strings.Contains(text, "was proven: nothing is drawn") || !strings.Contains(text, "4 of 4 files (100%)") || !strings.Contains(text, "3 of 3 archives whole, on ") {
				t.Errorf("of the next snapshot it says\n%s", text)
			}
			if len(p.requests("RestoreObject")) != 3 {
				t.Error("it thaws again what was proven")
			}
		})
	}
}

// TestDrillBudget: no round costs more than its budget, whatever the wait and the
// hour of the day, and rounds come to all of it in the end.
func TestDrillBudget(t *testing.T) {
	for class, budget := range map[string]float64{"DEEP_ARCHIVE": 0.0006, "GLACIER": 0.0004, "STANDARD_IA": 0.00025} {
		t.Run(class, func(t *testing.T) {
			p := newColdPerson(t, class)
			rounds, proven := 0, int64(-1)
			for ; rounds < 12; rounds++ {
				before := p.billed()
				args := []string{"drill", "--budget", fmt.Sprint(budget), "--tier", "standard", "--days", "1", "--yes", "--json", "--seed", fmt.Sprint(rounds)}
				code, out, errs := p.run(args...)
				if strings.Contains(errs, "nothing fits") {
					t.Fatalf("round %d: %s", rounds, errs)
				}
				if code == exitProblems {
					p.advance(13*time.Hour + 17*time.Minute)
					out = p.code(exitDone, "drill", "--json")
				}
				p.advance(4 * 24 * time.Hour)
				if spent := p.billed().all - before.all; spent > budget {
					t.Errorf("round %d: $%.7f of $%.7f", rounds, spent, budget)
				}
				doc := shareOf(t, out)
				if doc.Share.ProvenBytes <= proven {
					t.Fatalf("round %d: nothing new in\n%s%s", rounds, out, errs)
				}
				if proven = doc.Share.ProvenBytes; proven == doc.Share.Bytes {
					break
				}
			}
			if rounds == 0 || rounds == 12 {
				t.Errorf("all is proven after %d rounds", rounds+1)
			}
			t.Logf("all is proven after %d rounds", rounds+1)
		})
	}
}

// killed runs a command, kills it at a request, and reports whether it came so far.
func (p *coldPerson) killed(at int, args ...string) bool {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), "tarn", args...)
	cmd.Env, cmd.Dir = p.env, p.dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	var mu sync.Mutex
	n, hit := 0, false
	p.before = func(*http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if n++; n == at && cmd.Process != nil {
			hit = cmd.Process.Kill() == nil
		}
	}
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		p.t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	p.before = nil
	if !hit && cmd.ProcessState.ExitCode() != exitProblems && cmd.ProcessState.ExitCode() != exitDone {
		p.t.Fatalf("exit code %d\n%s", cmd.ProcessState.ExitCode(), &out)
	}
	return hit
}

// TestDrillKilled: killed at each of its requests, before, while and after it asks
// for thaws and reads them, a drill goes on where it was, and pays for no thaw twice.
func TestDrillKilled(t *testing.T) {
	p := newColdPerson(t, "DEEP_ARCHIVE")
	args := []string{"drill", "--budget", "1", "--yes", "--seed", "5"}
	kills := 0
	for at := 1; p.killed(at, args...); at++ {
		kills++
		if at > 200 {
			t.Fatal("it takes more than 200 requests")
		}
	}
	p.code(exitProblems, args...)
	if p.began() != 3 {
		t.Errorf("%d thaws began for 3 archives, after %d kills", p.began(), kills)
	}
	if files, err := filepath.Glob(p.path("home", "config", "tarn", "drills", "*")); err != nil || len(files) != 1 {
		t.Errorf("the record: %q, %v", files, err)
	} else if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	p.advance(48 * time.Hour)
	reads := 0
	for at := 1; p.killed(at, args...); at++ {
		reads++
	}
	p.must("drill", "--status")
	doc := shareOf(t, p.must("drill", "--status", "--json"))
	if doc.Share.ProvenFiles != 4 || doc.ToRead != 0 || p.began() != 3 || kills < 8 || reads < 5 {
		t.Errorf("after %d and %d kills: %+v, %d thaws", kills, reads, doc, p.began())
	}
}

// TestDrillTwice: of two drills at once, the one that comes later notices, and does
// not forget what the other has proven.
func TestDrillTwice(t *testing.T) {
	p := newColdPerson(t, "STANDARD")
	var mu sync.Mutex
	other := false
	p.before = func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if other || r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/archives/") {
			return
		}
		other = true
		files, err := filepath.Glob(p.path("home", "config", "tarn", "drills", "*"))
		if err != nil || len(files) != 1 {
			t.Errorf("the record: %q, %v", files, err)
			return
		}
		data, err := os.ReadFile(files[0])
		if err == nil {
			err = os.WriteFile(files[0], bytes.Replace(data, []byte(`"revision":1`), []byte(`"revision":7`), 1), 0o600)
		}
		if err != nil {
			t.Error(err)
		}
	}
	out := p.code(exitFailed, "drill", "--budget", "1")
	if !strings.Contains(out, "another drill of this repository is running") || !other {
		t.Errorf("it says\n%s", out)
	}
	p.before = nil
	if out := p.must("drill", "--budget", "1"); !strings.Contains(out, "4 of 4 files (100%)") {
		t.Errorf("later it says\n%s", out)
	}
}

// TestDrillExpired: copies that ended before they were read are given up, named,
// and paid for again only by a new draw that was accepted.
func TestDrillExpired(t *testing.T) {
	p := newColdPerson(t, "GLACIER")
	p.code(exitProblems, "drill", "--budget", "1", "--days", "1", "--yes")
	p.advance(10 * 24 * time.Hour)
	out := p.code(exitFailed, "drill", "--budget", "1")
	if !strings.Contains(out, "the copies of 3 archives have ended before they were read") || !strings.Contains(out, "nothing was asked for or spent") || p.began() != 3 {
		t.Errorf("%d thaws, it says\n%s", p.began(), out)
	}
	p.code(exitProblems, "drill", "--budget", "1", "--yes")
	if p.began() != 6 {
		t.Errorf("%d thaws", p.began())
	}
}

// TestDrillDamage: damage in a repository, in S3 and warm, is named by file and by
// archive, with what to do, and ends in exit code 3; the rest is proven.
func TestDrillDamage(t *testing.T) {
	t.Parallel()
	p := coldRepository(t, "STANDARD")
	key, size := archiveIn(t, p.lab, "two")
	p.ask(200, "PUT", key, noise(int(size), "damage"))
	for i, args := range [][]string{{"drill", "--budget", "0.01"}, {"drill", "--status"}} {
		code, out, errs := p.run(args...)
		archive := key[strings.LastIndex(key, "/")+1:]
		archive, _, _ = strings.Cut(archive, ".")
		if code != exitProblems || !strings.Contains(errs, "src/two/b: its content in archive "+archive) || !strings.Contains(errs, "move such an archive away or delete it") || !strings.Contains(out, "1 of 2 files (50.0%)") {
			t.Errorf("%v: exit code %d\n%s%s", args, code, out, errs)
		}
		if i == 0 && !strings.Contains(out, "cost: ") {
			t.Errorf("it does not say what it cost:\n%s", out)
		}
	}
	for _, e := range p.events() {
		if e.Op == "RestoreObject" {
			t.Errorf("a thaw: %+v", e)
		}
	}
	// Stored again elsewhere, the file is whole: the drill proves that, and still names the archive.
	if code, _, errs := p.run("drill", "--bytes", "1GiB", "--json"); code != exitProblems {
		t.Errorf("exit code %d, %s", code, errs)
	}
}

// TestDrillWait: --wait stays until all is read.
func TestDrillWait(t *testing.T) {
	p := newColdPerson(t, "GLACIER")
	done := make(chan string)
	go func() {
		code, out, errs := p.run("drill", "--budget", "10", "--yes", "--tier", "standard", "--wait", "--poll", "20ms")
		done <- fmt.Sprint(code, "\n", out, errs)
	}()
	deadline := time.Now().Add(20 * time.Second)
	for p.began() < 3 && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	p.advance(5 * time.Hour)
	if out := <-done; !strings.HasPrefix(out, "0\n") || !strings.Contains(out, "4 of 4 files (100%)") {
		t.Errorf("it ended with %s", out)
	}
}

// TestDrillWhen: a drill says when to come back, whoever has asked for the thaw, and names
// no tier that it does not know.
func TestDrillWhen(t *testing.T) {
	p := newColdPerson(t, "GLACIER")
	p.code(exitDone, "thaw", "latest", "--yes", "-q")
	drill := []string{"drill", "--budget", "1", "--yes"}
	others := "3 archives are being thawed\n      Run the same command again then, which is at most so long after it was asked for: "
	for range 2 {
		if out := p.code(exitProblems, drill...); !strings.Contains(out, others) || !strings.Contains(out, "12h0m0s in the tier bulk") {
			t.Errorf("of what another command has asked for it says\n%s", out)
		}
	}
	if out := p.code(exitProblems, "drill", "--json"); !strings.Contains(out, `"thawing":3`) || strings.Contains(out, `"ready"`) {
		t.Errorf("of what another command has asked for it says\n%s", out)
	}
	p = newColdPerson(t, "GLACIER")
	for range 2 { // a later run, too
		if out := p.code(exitProblems, drill...); !strings.Contains(out, "3 archives are being thawed in the tier bulk\n      Run the same command again after 20") {
			t.Errorf("of its own it says\n%s", out)
		}
	}
	if out := p.code(exitProblems, "drill", "--json"); !strings.Contains(out, `"ready":"20`) {
		t.Errorf("of its own it says\n%s", out)
	}
}

// TestDrillOtherTier: a round goes on in the tier, and for the days, that were accepted
// with it, and says so to whoever names others.
func TestDrillOtherTier(t *testing.T) {
	var p *coldPerson
	for try := 1; p == nil || p.began() == 3; try++ { // the requests run side by side
		if try > 10 {
			t.Fatal("it was killed too late, each time")
		}
		p = newColdPerson(t, "GLACIER")
		for at := 1; p.began() == 0; at++ { // killed in the midst of its requests
			p.killed(at, "drill", "--budget", "1", "--yes")
		}
	}
	out := p.code(exitProblems, "drill", "--budget", "1", "--yes", "--tier", "expedited", "--days", "2")
	if !strings.Contains(out, "--tier expedited does not count: what was drawn goes on in the tier bulk") || !strings.Contains(out, "--days 2 does not count: what was drawn goes on for 7 days") {
		t.Errorf("it says\n%s", out)
	}
	for _, e := range p.requests("RestoreObject") {
		if e.Status < 300 && e.Tier != "Bulk" {
			t.Errorf("it asks for %+v", e)
		}
	}
	for _, args := range [][]string{{"drill"}, {"drill", "--tier", "bulk", "--days", "7"}} {
		if out := p.code(exitProblems, args...); strings.Contains(out, "does not count") {
			t.Errorf("%v: it says\n%s", args, out)
		}
	}
}
