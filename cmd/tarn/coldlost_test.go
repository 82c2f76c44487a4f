package main

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tarn-backup/tarn/internal/s3lab"
)

// send sends a request about an archive past tarn.
func (p *coldPerson) send(method, key string, body []byte, header ...string) {
	p.t.Helper()
	r := httptest.NewRequest(method, "/lab/"+key, bytes.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	p.lab.ServeHTTP(w, r)
	if w.Code >= 300 {
		p.t.Fatalf("%s %s: %d\n%s", method, key, w.Code, w.Body)
	}
}

// archive is the key of the archive of a split.
func (p *coldPerson) archive(split string) (key string) {
	p.t.Helper()
	key, _ = archiveIn(p.t, p.lab, split)
	return key
}

// archiveIn is the key and the size of the last archive of a split of src that a
// lab was given.
func archiveIn(t *testing.T, lab *s3lab.Lab, split string) (key string, size int64) {
	t.Helper()
	for e, err := range lab.Events() {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == "created" && strings.HasPrefix(e.Key, "p/archives/src/"+split+"/") {
			key, size = e.Key, e.Size
		}
	}
	if key == "" {
		t.Fatalf("no archive of %s", split)
	}
	return key, size
}

// newPlainPerson is a person with an unencrypted repository, whose archives are
// known by their keys.
func newPlainPerson(t *testing.T, class string) *coldPerson {
	return newColdPerson(t, class, "--no-encryption")
}

// An archive that is gone, or has become another of another size, is named before the
// price, which leaves it out; nothing is paid for it, and each command ends by saying so.
func TestColdLost(t *testing.T) {
	for state, lose := range map[string]func(p *coldPerson, key string){
		"missing": func(p *coldPerson, key string) { p.send("DELETE", key, nil) },
		"damaged": func(p *coldPerson, key string) {
			p.send("PUT", key, []byte("something else"), "x-amz-storage-class", "DEEP_ARCHIVE")
		},
	} {
		t.Run(state, func(t *testing.T) {
			p := newPlainPerson(t, "DEEP_ARCHIVE")
			key := p.archive("a")
			lose(p, key)
			says := func(out string, wants ...string) {
				t.Helper()
				for _, want := range wants {
					if !strings.Contains(out, want) {
						t.Errorf("want %q in\n%s", want, out)
					}
				}
			}
			const twoFiles = "2 files can't be got back from it"
			out := p.code(exitProblems, "thaw", "latest", "--yes")
			says(out, twoFiles, "the next `tarn backup`", "2 files (", "1 "+state, "2 frozen", "asked for the thaw of 2 archives")
			for _, e := range p.requests("RestoreObject") {
				if e.Key == key {
					t.Errorf("%s was asked for", key)
				}
			}
			says(p.code(exitProblems, "thaw", "--status", "latest", "src/a"), map[string]string{"missing": " LOST ", "damaged": " DAMAGED "}[state])
			says(p.code(exitProblems, "thaw", "--status", "latest", "src/a", "--json"), `"state":"`+state+`"`, `"key":"`+strings.TrimPrefix(key, "p/")+`"`)
			says(p.code(exitProblems, "cost", "restore", "latest"), twoFiles, "reading it costs")
			says(p.code(exitProblems, "restore", "latest", "src/a", "--target", "back", "--dry-run"), twoFiles, "src/a/one")
			for range 2 {
				out = p.code(exitProblems, "restore", "latest", "src/a", "--target", "back", "--yes", "--json")
				says(out, `"type":"lost"`, `"state":"`+state+`"`, `"files":2`, `"problems":2`, `"type":"cost"`)
			}
			p.advance(48 * time.Hour)
			out = p.code(exitProblems, "restore", "latest", "--target", "back", "--yes")
			says(out, twoFiles, "src/a/one", "2 problems", "cost: ")
			if strings.Contains(out, "frozen again") {
				t.Errorf("it says\n%s", out)
			}
			p.same("back", "b", "c")
			// A backup stores it again, and then nothing is lost.
			p.must("backup", "-q", "--split-depth", "1", "src")
			if out := p.code(exitProblems, "restore", "latest", "src/a", "--target", "back", "--yes"); strings.Contains(out, twoFiles) {
				t.Errorf("after another backup:\n%s", out)
			}
			p.advance(48 * time.Hour)
			p.must("restore", "latest", "src/a", "--target", "back")
			p.same("back", "a")
		})
	}
}

// In a class that needs no thaw, too, what is lost costs its own files alone, and
// the run ends with what it cost.
func TestLostWhileWarm(t *testing.T) {
	p := newPlainPerson(t, "STANDARD")
	p.send("DELETE", p.archive("a"), nil)
	out := p.code(exitProblems, "restore", "latest", "--target", "back", "--json")
	if !strings.Contains(out, `"type":"cost"`) || !strings.Contains(out, `"problems":2`) {
		t.Errorf("it says\n%s", out)
	}
	p.same("back", "b", "c")
}
