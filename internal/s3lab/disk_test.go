package s3lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// killed returns a lab in a copy of a folder, as it is after the lab that uses
// the folder was killed at this moment, with what a write that was not finished
// has left.
func killed(t *testing.T, dir string, cfg LabConfig, torn string) *Lab {
	t.Helper()
	cfg.Dir = filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(cfg.Dir, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cfg.Dir, "journal.jsonl")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(b, torn...), 0o600); err != nil {
		t.Fatal(err)
	}
	stale := diskBlobs{filepath.Join(cfg.Dir, "content")}
	half, err := stale.create()
	if err == nil {
		err = half.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	l := openLab(t, cfg)
	if _, err := os.Stat(stale.path(half.id())); cfg.Upstream == nil && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half an upload is still there: %v", err)
	}
	return l
}

// whole is all that a client can see of a lab, and its bill.
func whole(t *testing.T, l *Lab) string {
	t.Helper()
	c := newClient(t, l)
	bill := billOf(t, l.Events(), l.Now())
	_, list := c.want(200, "", "GET", "/b?list-type=2", "", "x-amz-optional-object-attributes", "RestoreStatus")
	var b strings.Builder
	fmt.Fprintf(&b, "%s %v\n%s\n", l.Now(), bill, list)
	for _, key := range []string{"a", "b", "c", "m"} {
		resp, body := c.do("GET", "/b/"+key, "")
		fmt.Fprintf(&b, "%s: %d %s %s %s\n", key, resp.StatusCode, resp.Header.Get("ETag"), resp.Header.Get("x-amz-restore"), body)
	}
	return b.String()
}

// A lab that is killed between any two requests goes on as if nothing had been.
func TestKilledBetweenRequests(t *testing.T) {
	upstream := plain(t)
	for name, cfg := range map[string]LabConfig{"disk": {}, "upstream": {Upstream: upstream}} {
		t.Run(name, func(t *testing.T) {
			cfg.Dir = t.TempDir()
			l := openLab(t, cfg)
			c := newClient(t, l)
			upload := ""
			steps := []func(){
				func() { c.put("a", "one", "GLACIER") },
				func() { c.put("b", "two", "STANDARD") },
				func() { c.put("a", "one again", "DEEP_ARCHIVE") },
				func() { c.thaw(202, "", "a", "Bulk", 2) },
				func() { advance(t, l, "1h") },
				func() { c.thaw(202, "", "a", "Standard", 2) },
				func() { advance(t, l, "12h") },
				func() { c.want(200, "", "GET", "/b/a", "") },
				func() { c.thaw(200, "", "a", "Bulk", 5) },
				func() { c.want(204, "", "DELETE", "/b/b", "") },
				func() {
					_, body := c.want(200, "", "POST", "/b/m?uploads", "", "x-amz-storage-class", "GLACIER")
					_, rest, _ := strings.Cut(body, "<UploadId>")
					upload, _, _ = strings.Cut(rest, "<")
				},
				func() { c.want(200, "", "PUT", "/b/m?partNumber=1&uploadId="+upload, "12345") },
				func() { c.want(200, "", "PUT", "/b/m?partNumber=2&uploadId="+upload, "67") },
				func() { c.want(200, "", "PUT", "/b/c", "", "x-amz-copy-source", "b/a") },
				func() { _, _ = l.Move("b", "c", "GLACIER_IR") },
				func() { _ = l.Expedited(false) },
				func() {
					c.want(200, "", "POST", "/b/m?uploadId="+upload, `<C><Part><PartNumber>1</PartNumber><ETag>827ccb0eea8a706c4c34a16891f84e7b</ETag></Part>`+
						`<Part><PartNumber>2</PartNumber><ETag>735b90b4568125ed6c3f678819b6e058</ETag></Part></C>`)
				},
				func() { c.thaw(503, "GlacierExpeditedRetrievalNotAvailable", "m", "Expedited", 1) },
			}
			for i, step := range steps {
				step()
				// Before looking, which is written to the log, too.
				again := killed(t, cfg.Dir, cfg, `{"kind":"removed","bucket":"b","key":"a"}`)
				if a, b := billOf(t, l.Events(), l.Now()), billOf(t, again.Events(), again.Now()); fmt.Sprint(a) != fmt.Sprint(b) {
					t.Errorf("after step %d the bill was\n%v\nand is\n%v", i, a, b)
				}
				if got, want := whole(t, again), whole(t, killed(t, cfg.Dir, cfg, "")); got != want {
					t.Errorf("after step %d:\n%s\nwant\n%s", i, got, want)
				}
			}
			if got, want := whole(t, killed(t, cfg.Dir, cfg, "")), whole(t, l); got != want {
				t.Errorf("in the end:\n%s\nwant\n%s", got, want)
			}
			if again := killed(t, cfg.Dir, cfg, ""); again.uploads[upload] != nil {
				t.Error("an upload that was completed is there again")
			}
		})
	}
}

// An upload goes on after a restart.
func TestUploadOverRestart(t *testing.T) {
	dir := t.TempDir()
	l := openLab(t, LabConfig{Dir: dir})
	c := newClient(t, l)
	_, body := c.want(200, "", "POST", "/b/m?uploads", "", "x-amz-storage-class", "GLACIER")
	_, rest, _ := strings.Cut(body, "<UploadId>")
	upload, _, _ := strings.Cut(rest, "<")
	c.want(200, "", "PUT", "/b/m?partNumber=1&uploadId="+upload, "12345")
	again := killed(t, dir, LabConfig{}, "")
	c = newClient(t, again)
	c.want(200, "", "POST", "/b/m?uploadId="+upload, `<C><Part><PartNumber>1</PartNumber><ETag>827ccb0eea8a706c4c34a16891f84e7b</ETag></Part></C>`)
	c.state("m", "GLACIER", "cold")
}

// A journal that was cut anywhere opens with what it has in whole lines; one
// that was changed does not open.
func TestJournalIsCut(t *testing.T) {
	dir := t.TempDir()
	l := openLab(t, LabConfig{Dir: dir})
	c := newClient(t, l)
	c.put("a", "one", "GLACIER")
	c.thaw(202, "", "a", "Bulk", 2)
	advance(t, l, "1h")
	path := filepath.Join(dir, "journal.jsonl")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range b {
		short := filepath.Join(t.TempDir(), "j")
		if err := os.WriteFile(short, b[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		events := 0
		j, err := openJournal(short, func(Event) { events++ })
		if err != nil || events != bytes.Count(b[:n], []byte("\n")) {
			t.Fatalf("cut at %d: %d events, %v", n, events, err)
		}
		if err := errors.Join(j.append(Event{Kind: eventBucket, Bucket: "x"}), j.close()); err != nil {
			t.Fatal(err)
		}
		last := Event{}
		if j, err = openJournal(short, func(e Event) { last = e }); err != nil || last.Bucket != "x" {
			t.Fatalf("cut at %d, and written on: %+v, %v", n, last, err)
		}
		j.close()
	}
	lines := bytes.SplitAfter(b, []byte("\n"))
	lines[1] = []byte("{\"kind\":\"surprise\"}\n")
	if err := os.WriteFile(path, slices.Concat(lines...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(LabConfig{Dir: dir}); !errors.Is(err, errNoEvent) || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("%v", err)
	}
}

// What can't be written down is not acknowledged, and did not happen.
func TestJournalCannotBeWritten(t *testing.T) {
	l := openLab(t, LabConfig{Dir: t.TempDir()})
	c := newClient(t, l)
	c.put("a", "one", "GLACIER")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if resp, body, err := c.try("PUT", "/b/b", "two"); err == nil {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if l.info(place{"b", "b"}) != nil || l.server.store.get("b", "b") != nil {
		t.Error("it is there all the same")
	}
	if err := l.Advance(1); err == nil {
		t.Error("the clock moved")
	}
	content := filepath.Join(l.cfg.Dir, "content")
	files := 0
	_ = filepath.WalkDir(content, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
		}
		return err
	})
	if files != 1 {
		t.Errorf("%d contents are kept", files)
	}
}
