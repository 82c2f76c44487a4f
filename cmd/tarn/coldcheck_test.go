package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// ask sends a request to the lab as somebody else's program would.
func (p *labPerson) ask(status int, method, path string, body []byte, header ...string) {
	p.t.Helper()
	var endpoint string
	for _, v := range p.env {
		if rest, ok := strings.CutPrefix(v, "AWS_ENDPOINT_URL_S3="); ok {
			endpoint = rest
		}
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, endpoint+"/lab/"+path, bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		p.t.Fatalf("%s %s: %s, %v\n%s", method, path, resp.Status, err, text)
	}
}

// coldRepository is one with two snapshots of two folders, in a cold class.
func coldRepository(t *testing.T, class string) *labPerson {
	t.Helper()
	p := newLabPerson(t)
	for _, dir := range []string{"src/one", "src/two"} {
		if err := os.MkdirAll(p.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p.write("src/one/a", noise(2<<20, "a"))
	p.write("src/two/b", noise(3<<20, "b"))
	p.must("init", "-q", "--storage-class", class, "--no-encryption")
	p.must("backup", "-q", "src")
	p.write("src/one/a", noise(2<<20, "c"))
	p.must("backup", "-q", "src")
	return p
}

// TestCheckOfAColdRepository: size and checksum of each frozen archive are
// compared without a thaw, damage is named with what it costs, and the price is that of the lab.
func TestCheckOfAColdRepository(t *testing.T) {
	t.Parallel()
	for _, class := range []string{"GLACIER", "DEEP_ARCHIVE"} {
		t.Run(class, func(t *testing.T) {
			t.Parallel()
			p := coldRepository(t, class)
			p.mark()
			doc := document(t, p.must("check", "--json"))
			if fmt.Sprint(doc["archives"]) != "3" || fmt.Sprint(doc["checksums"]) != "3" || fmt.Sprint(doc["damages"]) != "0" {
				t.Errorf("a whole repository: %v", doc)
			}
			p.equals("check", doc["cost"].(map[string]any))
			// A percentage of the archives to read means none that is frozen.
			if doc := document(t, p.must("check", "--read-data", "--json")); fmt.Sprint(doc["cold"]) != "3" || fmt.Sprint(doc["archives_read"]) != "0" {
				t.Errorf("with --read-data: %v", doc)
			}
			var other, shorter string
			for key := range p.classes() {
				switch {
				case strings.HasPrefix(key, "archives/src/two"):
					other = key
				case strings.HasPrefix(key, "archives/src/one"):
					shorter = key
				}
			}
			var size int64
			for _, e := range p.events() {
				if e.Kind == "created" && e.Key == "p/"+other {
					size = e.Size
				}
			}
			p.ask(200, "PUT", "p/"+other, noise(int(size), "damage"), "x-amz-storage-class", class)
			p.ask(200, "PUT", "p/"+shorter, noise(1000, "short"), "x-amz-storage-class", class)
			code, _, errs := p.run("check")
			if code != exitFailed || !strings.Contains(errs, shorter+": has 1000 bytes") || !strings.Contains(errs, other+": has the CRC64NVME") || !strings.Contains(errs, "costs src/two/b") {
				t.Errorf("exit code %d\n%s", code, errs)
			}
			for _, e := range p.events() {
				if e.Op == "RestoreObject" {
					t.Errorf("a thaw: %+v", e)
				}
			}
		})
	}
}

// TestCheckWithoutChecksum: an archive of the right size that has no checksum as those
// of tarn do may be somebody else's. It is named, and the exit code says so.
func TestCheckWithoutChecksum(t *testing.T) {
	t.Parallel()
	p := coldRepository(t, "GLACIER")
	key, size := archiveIn(t, p.lab, "one")
	other := noise(int(size), "other")
	sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(other))
	p.ask(200, "PUT", key, other, "x-amz-storage-class", "GLACIER", "x-amz-checksum-crc32", base64.StdEncoding.EncodeToString(sum))
	code, out, errs := p.run("check")
	if code != exitProblems || !strings.Contains(errs, strings.TrimPrefix(key, "p/")+": the storage tells no checksum of it") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	code, out, _ = p.run("check", "--json")
	if doc := document(t, out); code != exitProblems || fmt.Sprint(doc["unverified"]) != "["+strings.TrimPrefix(key, "p/")+"]" || fmt.Sprint(doc["damages"]) != "0" {
		t.Errorf("exit code %d, %v", code, doc)
	}
}

// TestMetadataThatWentCold: a lifecycle rule that moves all of a bucket makes a
// repository unreadable. Each command that comes upon that says what has happened and the way out,
// which works.
func TestMetadataThatWentCold(t *testing.T) {
	t.Parallel()
	const says = "a lifecycle rule has moved it out of STANDARD"
	commands := map[string][][]string{
		"tarn.json":  {{"snapshots"}, {"ls", "latest"}, {"backup", "src"}, {"restore", "latest", "--target", "out"}, {"check"}, {"stats"}, {"find", "a"}, {"key", "list"}},
		"snapshots/": {{"snapshots"}, {"ls", "latest"}, {"restore", "latest", "--target", "out"}, {"check"}, {"stats"}, {"find", "a"}, {"cost", "delete", "latest"}},
		"trees/":     {{"ls", "latest"}, {"restore", "latest", "--target", "out"}, {"check"}, {"find", "a"}, {"diff", "latest~1", "latest"}, {"cost", "restore", "latest"}},
		"indexes/":   {{"restore", "latest", "--target", "out"}, {"check"}, {"backup", "src"}, {"cost", "restore", "latest"}, {"cat", "latest", "src/one/a"}, {"rebuild"}},
	}
	for prefix, list := range commands {
		t.Run(strings.Trim(prefix, "/"), func(t *testing.T) {
			t.Parallel()
			p := coldRepository(t, "STANDARD")
			if _, err := p.lab.Move("lab", "p/"+prefix, "GLACIER"); err != nil {
				t.Fatal(err)
			}
			if out := p.must("cost", "--json"); !strings.Contains(out, `"class":"GLACIER","metadata":true`) {
				t.Errorf("cost does not show it: %s", out)
			}
			for _, args := range list {
				if err := os.RemoveAll(p.path("home", "cache")); err != nil {
					t.Fatal(err)
				}
				code, out, errs := p.run(args...)
				if code == exitDone || !strings.Contains(errs, says) || !strings.Contains(errs, "copy them onto themselves with") {
					t.Errorf("%v: exit code %d\n%s%s", args, code, out, errs)
				}
			}
			p.thawAndCopyBack(t, prefix)
			if err := os.RemoveAll(p.path("home", "cache")); err != nil {
				t.Fatal(err)
			}
			for _, args := range list {
				if args[0] != "rebuild" {
					p.must(args...)
				}
			}
		})
	}
}

// thawAndCopyBack does by hand what the advice says.
func (p *labPerson) thawAndCopyBack(t *testing.T, prefix string) {
	t.Helper()
	var keys []string
	for key := range p.classes() {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	const thaw = `<RestoreRequest><Days>1</Days><GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters></RestoreRequest>`
	for _, key := range keys {
		p.ask(202, "POST", "p/"+key+"?restore", []byte(thaw))
	}
	if err := p.lab.Advance(13 * time.Hour); err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		p.ask(200, "PUT", "p/"+key, nil, "x-amz-copy-source", "lab/p/"+key, "x-amz-storage-class", "STANDARD")
	}
}
