package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn"
)

// classes are those that objects have by now, by the lab's log.
func (p *labPerson) classes() map[string]string {
	objects := map[string]string{}
	for _, e := range p.events() {
		switch e.Kind {
		case "created", "moved":
			objects[strings.TrimPrefix(e.Key, "p/")] = e.Class
		case "removed":
			delete(objects, strings.TrimPrefix(e.Key, "p/"))
		}
	}
	return objects
}

// TestClassesOfALife: archives go to the class that was asked for, and nothing
// else ever leaves STANDARD, whatever is done with a repository. None of it thaws.
func TestClassesOfALife(t *testing.T) {
	t.Parallel()
	for _, class := range tarn.Classes {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			p := newLabPerson(t)
			if err := os.MkdirAll(p.path("src", "2010"), 0o755); err != nil {
				t.Fatal(err)
			}
			p.write("src/2010/a.jpg", noise(3<<20, "a"))
			p.must("init", "-q", "--storage-class", string(class))
			p.must("backup", "-q", "src")
			p.write("src/2010/b.jpg", noise(2<<20, "b"))
			p.must("backup", "-q", "src")
			p.must("key", "add", "-q", newRecipient(t, p))
			p.must("check", "-q")
			p.must("drill", "--status", "-q")
			p.must("drill", "--budget", "1", "--dry-run", "-q")
			p.must("rebuild", "-q")
			p.must("cost")
			p.must("cost", "restore", "latest")
			p.must("cost", "delete", "latest")
			p.must("cost", "backup", "src")
			p.must("backup", "-q", "--dry-run", "src")
			if err := os.RemoveAll(p.path("home", "cache")); err != nil {
				t.Fatal(err)
			}
			p.must("snapshots", "-q")
			archives := 0
			for key, got := range p.classes() {
				want := string(tarn.Standard)
				if strings.HasPrefix(key, "archives/") {
					want = string(class)
					archives++
				}
				if got != want {
					t.Errorf("%s is in %s, want %s", key, got, want)
				}
			}
			if archives != 2 {
				t.Errorf("%d archives", archives)
			}
			for _, e := range p.events() {
				if e.Op == "RestoreObject" {
					t.Errorf("a thaw: %+v", e)
				}
			}
		})
	}
}

// newRecipient is one of a new identity.
func newRecipient(t *testing.T, p *labPerson) string {
	t.Helper()
	p.must("init", "-q", "-r", p.path("elsewhere"), "--identity-file", p.path("other.txt"))
	b, err := os.ReadFile(p.path("other.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for word := range strings.FieldsSeq(string(b)) {
		if strings.HasPrefix(word, "age1") {
			return word
		}
	}
	t.Fatal("no recipient in the identity file")
	return ""
}

// TestSmallArchives: an archive that does not pay off in a cold class goes where
// the price book says, unless told otherwise; where there are no prices it goes
// where it was told to.
func TestSmallArchives(t *testing.T) {
	t.Parallel()
	p := newLabPerson(t)
	if err := os.MkdirAll(p.path("src"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.must("init", "-q", "--storage-class", "DEEP_ARCHIVE")
	seen := map[string]bool{}
	step := func(want string, size int, args ...string) {
		t.Helper()
		p.write("src/file", noise(size, fmt.Sprint(len(seen), want)))
		code, _, errs := p.run(append([]string{"backup", "-q", "src"}, args...)...)
		if code != exitDone {
			t.Fatalf("%v: exit code %d: %s", args, code, errs)
		}
		n := 0
		for key, class := range p.classes() {
			if !strings.HasPrefix(key, "archives/") || seen[key] {
				continue
			}
			seen[key] = true
			if n++; class != want {
				t.Errorf("%d bytes with %v: in %s, want %s", size, args, class, want)
			}
		}
		if n != 1 {
			t.Errorf("%d bytes with %v: %d new archives", size, args, n)
		}
	}
	step("STANDARD", 1<<10)
	step("GLACIER_IR", 900<<10)
	step("DEEP_ARCHIVE", 1010<<10)
	step("DEEP_ARCHIVE", 3<<20)
	step("DEEP_ARCHIVE", 1<<10, "--exact-class")
	step("STANDARD", 1<<10, "--storage-class", "GLACIER")
	step("GLACIER", 1<<20, "--storage-class", "GLACIER")
	for i, v := range p.env {
		if strings.HasPrefix(v, "TARN_PRICES=") {
			p.env[i] = "TARN_PRICES="
		}
	}
	step("DEEP_ARCHIVE", 1<<10)
}

// TestMaxCost: what could cost too much is refused before anything is uploaded;
// what is not known is refused, too, and said once without being asked.
func TestMaxCost(t *testing.T) {
	t.Parallel()
	p := newLabPerson(t)
	if err := os.MkdirAll(p.path("src"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.must("init", "-q", "--storage-class", "GLACIER")
	p.write("src/file", noise(3<<20, "x"))
	puts := func() (n int) {
		for _, e := range p.events() {
			if e.Kind == "created" {
				n++
			}
		}
		return n
	}
	before := puts()
	refused := func(want string, args ...string) {
		t.Helper()
		code, out, errs := p.run(append([]string{"backup"}, args...)...)
		if code != exitFailed || !strings.Contains(errs, want) {
			t.Errorf("%v: exit code %d, want %q in\n%s%s", args, code, want, out, errs)
		}
		if puts() != before {
			t.Fatalf("%v has uploaded something", args)
		}
	}
	refused("--max-cost is under $0.0001", "--max-cost", "0.00001", "src")
	refused("--max-cost is under $0.0001", "--max-cost", "$0.00001", "--dry-run", "src")
	refused("want dollars", "--max-cost", "much", "src")
	free := p.env
	p.env = append(p.env[:len(p.env):len(p.env)], "TARN_PRICES=")
	refused("no prices known for 127.0.0.1", "--max-cost", "100", "src")
	out := p.must("backup", "--dry-run", "src")
	if strings.Count(out, "no prices known for 127.0.0.1") != 1 || strings.Contains(out, "$") {
		t.Errorf("without prices it says\n%s", out)
	}
	p.env = free
	out = p.must("backup", "--max-cost", "0.01", "src")
	for _, want := range []string{"requests, 3.0 MiB up", "adds under $0.0001 a month; its class bills at least 90 days"} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
	// A folder has no bill, and no word of money; it costs less than any limit.
	p.must("init", "-q", "-r", p.path("folder"), "--storage-class", "GLACIER")
	if out := p.must("backup", "-r", p.path("folder"), "--max-cost", "0", "src"); strings.Contains(out, "$") || strings.Contains(out, "price") {
		t.Errorf("of a folder it says\n%s", out)
	}
	if code, _, errs := p.run("cost", "-r", p.path("folder")); code != exitFailed || !strings.Contains(errs, "it is a folder") {
		t.Errorf("cost of a folder: %d, %s", code, errs)
	}
	if files, err := filepath.Glob(p.path("folder", "snapshots", "*")); err != nil || len(files) != 1 {
		t.Errorf("%d snapshots, %v", len(files), err)
	}
}
