package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/s3lab"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/s3"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// tarballPerson is a person with a backup that the script has made.
type tarballPerson struct {
	*coldPerson
	s storage.Storage
}

// scriptFiles are what is backed up, by split.
var scriptFiles = map[string]map[string]string{
	"_files": {"note": "a note\n"},
	"docs":   {"a/one": "one\n", "a/two words": "two\n", "-b": "three\n"},
	"photos": {"1": strings.Repeat("photo", 30000), "2": "small\n"},
}

// newEmptyPerson has a bucket of a server, and no backup.
func newEmptyPerson(t *testing.T, at storagetest.Endpoint) *tarballPerson {
	t.Helper()
	p := &tarballPerson{coldPerson: &coldPerson{person: newPerson(t)}}
	p.env = append(p.env, "AWS_EC2_METADATA_DISABLED=true", "AWS_ENDPOINT_URL_S3="+at.URL, "AWS_CONFIG_FILE="+os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID="+at.AccessKey, "AWS_SECRET_ACCESS_KEY="+at.SecretKey,
		"TARN_PRICES=aws/us-east-1")
	var err error
	if p.s, err = s3.Open(t.Context(), s3.Config{Bucket: at.Bucket, Endpoint: at.URL, Region: at.Region, AccessKey: at.AccessKey, SecretKey: at.SecretKey}); err != nil {
		t.Fatal(err)
	}
	return p
}

// newTarballPerson has a backup "disk" in a bucket of a server, made by the script's
// pipeline at a split depth of 1, from what lies in src.
func newTarballPerson(t *testing.T, at storagetest.Endpoint, class tarn.Class) *tarballPerson {
	t.Helper()
	programs(t, "bash", "tar", "parallel", "md5sum", "xargs")
	p := newEmptyPerson(t, at)
	for split, list := range scriptFiles {
		dir := p.path("src", split)
		if split == "_files" {
			dir = p.path("src")
		}
		for name, text := range list {
			e2e.Write(t, filepath.Join(dir, name), []byte(text))
		}
	}
	for split := range scriptFiles {
		p.store(split, class)
	}
	return p
}

// store runs the script's pipeline on a split, with a tar for each two files, and
// stores what it makes.
func (p *tarballPerson) store(split string, class tarn.Class) {
	p.t.Helper()
	dir, depth := p.path("src", split), ""
	if split == "_files" {
		dir, depth = p.path("src"), "-maxdepth 1"
	}
	for _, o := range []struct{ suffix, command string }{
		{".tar.gz", `echo "$files" | tr '\n' '\0' | xargs -0 -n 2 tar -zcf - --`},
		{".tar.gz.md5", `hash=$(echo "$files" | tr '\n' '\0' | parallel -0 -k -m md5sum -- | md5sum | awk '{ print $1 }'); echo "$hash"`},
		{".tar.gz.txt", `echo "$files"`},
	} {
		cmd := exec.Command("bash", "-c", `set -Eeuo pipefail
files=$(find . `+depth+` -type f | sed 's/^\.\///g'); files=$(echo "$files" | LC_ALL=C sort); `+o.command)
		cmd.Dir, cmd.Stderr = dir, os.Stderr
		out, err := cmd.Output()
		if err != nil {
			p.t.Fatal(err)
		}
		p.put("disk/"+split+o.suffix, out, class)
		class = tarn.Standard
	}
}

// put stores an object, also over another.
func (p *tarballPerson) put(key string, data []byte, class tarn.Class) {
	p.t.Helper()
	if _, err := p.s.(storage.Overwriter).Overwrite(p.t.Context(), key, bytes.NewReader(data), storage.PutOptions{Class: class}); err != nil {
		p.t.Fatal(err)
	}
}

// tarball runs a command on the backup.
func (p *tarballPerson) tarball(want int, command string, args ...string) string {
	p.t.Helper()
	return p.code(want, append([]string{"tarball", command, "-b", "tarn", "-n", "disk"}, args...)...)
}

// back requires that splits are in a folder as they were.
func (p *tarballPerson) back(target string, splits ...string) {
	p.t.Helper()
	want := map[string]string{}
	for _, split := range splits {
		for name, text := range scriptFiles[split] {
			want[strings.TrimPrefix(split+"/"+name, "_files/")] = text
		}
	}
	got := e2e.ReadFiles(p.t, p.path(target))
	if !maps.Equal(got, want) {
		p.t.Errorf("%s holds %d files, want %d: %v", target, len(got), len(want), maps.Keys(got))
	}
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
}

// coldLab is a lab whose clock the test moves.
func coldLab(t *testing.T) (*s3lab.Lab, storagetest.Endpoint) {
	t.Helper()
	lab, err := s3lab.Open(s3lab.LabConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := lab.CreateBucket(t.Context(), "tarn"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(lab)
	t.Cleanup(server.Close)
	return lab, storagetest.Endpoint{URL: server.URL, Bucket: "tarn", Region: "us-east-1", AccessKey: "lab", SecretKey: "lab"}
}

// A cold backup of the script: listed and verified without a thaw, one tarball
// thawed for one file, everything by the same command later, and nothing asked for
// twice.
func TestTarballCold(t *testing.T) {
	lab, at := coldLab(t)
	p := newTarballPerson(t, at, tarn.Glacier)
	p.lab = lab
	thaws := func() (n int) {
		for e, err := range lab.Events() {
			if err != nil {
				t.Fatal(err)
			}
			if e.Op == "RestoreObject" {
				n++
			}
		}
		return n
	}
	contains(t, p.tarball(exitDone, "list"), "_files", "docs", "photos", "GLACIER", "frozen", "a month. Prices of aws/us-east-1")
	contains(t, p.code(exitDone, "tarball", "list", "-b", "s3://tarn"), "disk: 3 tarballs, ")
	contains(t, p.tarball(exitDone, "ls", "docs"), "-b\na/one\na/two words\n")
	contains(t, p.tarball(exitDone, "verify", "--read"), "3 tarballs with 6 files", "3 cold ones left out", "no damage found")
	contains(t, p.tarball(exitFailed, "restore", "docs", "a/one", "--target", "one"), "1 file (", "1 archive is frozen, and nothing was asked for or spent", "bulk", "expedited")
	if n := thaws(); n != 0 {
		t.Fatalf("%d thaws that nobody asked for", n)
	}
	contains(t, p.tarball(exitFailed, "restore", "docs", "a/none", "a/one", "--target", "one", "--tier", "bulk"),
		"a/none: is not in the list of docs", "1 file (", "not in the list of docs: a/none; nothing was asked for", "tarn tarball ls docs")
	contains(t, p.tarball(exitDone, "restore", "docs", "a", "a/one", "a/none", "--target", "one", "--dry-run"), "a/none: is not in the list of docs", "2 files (")
	if n := thaws(); n != 0 {
		t.Fatalf("%d thaws for what is not in the list", n)
	}
	contains(t, p.tarball(exitFailed, "restore", "docs", "a/one", "--target", "one", "--yes", "--max-cost", "0.000001"), "more than --max-cost allows")
	contains(t, p.tarball(exitProblems, "restore", "docs", "a/one", "--target", "one", "--yes"), "asked for the thaw of 1 archive", "Run the same command again")
	contains(t, p.tarball(exitProblems, "restore", "docs", "a/one", "--target", "one", "--yes"), "1 archive is being thawed")
	contains(t, p.tarball(exitDone, "thaw", "--status"), "thawing", "frozen")
	if n := thaws(); n != 1 {
		t.Fatalf("%d thaws, want 1", n)
	}
	p.advance(13 * time.Hour)
	contains(t, p.tarball(exitDone, "restore", "docs", "a/one", "--target", "one"), "all 3 files in it are what was backed up", "2 tars glued together", "wrote 1 file", "cost:")
	if got := e2e.ReadFiles(t, p.path("one")); !maps.Equal(got, map[string]string{"docs/a/one": "one\n"}) {
		t.Errorf("for one file: %v", got)
	}
	contains(t, p.tarball(exitProblems, "restore", ".", "--target", "all", "--yes", "--tier", "bulk"), "asked for the thaw of 2 archives", "2 archives are being thawed")
	p.back("all", "docs")
	go func() {
		time.Sleep(500 * time.Millisecond)
		if err := lab.Advance(13 * time.Hour); err != nil {
			t.Error(err)
		}
	}()
	out := p.tarball(exitDone, "restore", ".", "--target", "all", "--yes", "--wait", "--poll", "50ms")
	contains(t, out, "docs: all of its 3 files are in all already", "waiting for 2 archives, looking every 50ms", "photos: all 2 files in it are what was backed up")
	p.back("all", "_files", "docs", "photos")
	if n := thaws(); n != 3 {
		t.Errorf("%d thaws, want 3", n)
	}
	contains(t, p.tarball(exitDone, "verify", "--read"), "read 3 whole", "3 are proved by their hash", "several tars glued together")
}

// Each server's versions: the older one is listed with what it costs, and
// restored by its id.
func TestTarballVersions(t *testing.T) {
	for name, start := range map[string]func(testing.TB) storagetest.Endpoint{"versitygw": storagetest.VersionedVersitygw, "moto": storagetest.Moto} {
		t.Run(name, func(t *testing.T) {
			at := start(t)
			p := newTarballPerson(t, at, tarn.Standard)
			p.keepVersions(at)
			p.store("docs", tarn.Standard)
			time.Sleep(1100 * time.Millisecond) // the times of objects are whole seconds
			e2e.Write(t, p.path("src", "docs", "a/one"), []byte("one, changed\n"))
			p.store("docs", tarn.Standard)
			var older string
			for line := range strings.Lines(p.tarball(exitDone, "list", "--versions", "--json")) {
				var d struct {
					Type, Tarball, Version, Beside string
					Latest                         bool
				}
				if err := json.Unmarshal([]byte(line), &d); err != nil {
					t.Fatal(err)
				}
				if d.Type == "tarball" && d.Tarball == "docs" && !d.Latest && d.Version != "null" {
					if older = d.Version; d.Beside != "" {
						t.Errorf("the older version has %s", d.Beside)
					}
				}
			}
			if older == "" {
				t.Fatal("no older version is listed")
			}
			contains(t, p.tarball(exitDone, "restore", "docs", "--target", "old", "--version", older), "all 3 files in it are what was backed up")
			contains(t, p.tarball(exitDone, "restore", "docs", "--target", "new"), "all 3 files in it are what was backed up")
			if was, is := e2e.ReadFiles(t, p.path("old"))["docs/a/one"], e2e.ReadFiles(t, p.path("new"))["docs/a/one"]; was != "one\n" || is != "one, changed\n" {
				t.Errorf("the older version has %q, the newer %q", was, is)
			}
			contains(t, p.tarball(exitFailed, "restore", "docs", "--target", "old", "--version", "none"), "no version none of docs")
			sum := func(args ...string) string {
				lines := strings.Split(strings.TrimSpace(p.tarball(exitDone, "list", args...)), "\n")
				return lines[len(lines)-1]
			}
			if all, each := sum(), sum("--versions"); all != each || !strings.Contains(all, "in older versions") {
				t.Errorf("the sum is %q, and with each version %q", all, each)
			}
			month := func(line string) float64 {
				var d struct{ Month float64 }
				if err := json.Unmarshal([]byte(line), &d); err != nil {
					t.Fatal(err)
				}
				return d.Month
			}
			if all, each := month(sum("--json")), month(sum("--json", "--versions")); all == 0 || all != each {
				t.Errorf("a month costs %g, and with each version %g", all, each)
			}
			// Deleted, it is a version, and what lay beside it is nothing's.
			if err := p.s.(interface{ Remover() storage.Remover }).Remover().Remove(t.Context(), "disk/docs.tar.gz"); err != nil {
				t.Fatal(err)
			}
			contains(t, p.tarball(exitFailed, "verify"), "disk/docs.tar.gz.md5: there is no archive beside it", "disk/docs.tar.gz.txt: there is no archive beside it")
			if all, each := month(sum("--json")), month(sum("--json", "--versions")); all != each {
				t.Errorf("with one deleted a month costs %g, and with each version %g", all, each)
			}
		})
	}
}

// Single files have versions, too, and come back as they are, also one that is called
// as an archive is.
func TestTarballFileVersions(t *testing.T) {
	at := storagetest.VersionedVersitygw(t)
	p := newEmptyPerson(t, at)
	p.keepVersions(at)
	for _, text := range []string{"old", "newest"} {
		for _, name := range []string{"photo.raw", "x.tar.gz"} {
			e2e.Write(t, p.path(name), []byte(text))
			p.code(exitDone, "tarball", "-q", "-b", "tarn", "-n", "disk", "-p", name, "--storage-class", "STANDARD")
		}
	}
	older := map[string]string{}
	for line := range strings.Lines(p.tarball(exitDone, "list", "--versions", "--json")) {
		var d struct {
			Type, Tarball, Version string
			Latest                 bool
		}
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatal(err)
		}
		if d.Type == "file" && !d.Latest {
			older[d.Tarball] = d.Version
		}
	}
	contains(t, p.tarball(exitDone, "verify", "--read"), "0 tarballs", "2 single files", "no damage found")
	for _, name := range []string{"photo.raw", "x.tar.gz"} {
		p.tarball(exitDone, "restore", name, "--target", "new")
		p.tarball(exitDone, "restore", name, "--target", "old", "--version", older[name])
		if was, is := e2e.ReadFiles(t, p.path("old"))[name], e2e.ReadFiles(t, p.path("new"))[name]; was != "old" || is != "newest" {
			t.Errorf("%s: the older version has %q, the newer %q", name, was, is)
		}
	}
	sum := func(args ...string) string {
		lines := strings.Split(strings.TrimSpace(p.tarball(exitDone, "list", args...)), "\n")
		return lines[len(lines)-1]
	}
	if all, each := sum(), sum("--versions"); all != each || !strings.Contains(all, "in older versions") {
		t.Errorf("the sum is %q, and with each version %q", all, each)
	}
}

// keepVersions makes the bucket keep versions.
func (p *tarballPerson) keepVersions(at storagetest.Endpoint) {
	p.t.Helper()
	cmd := exec.Command(storagetest.Program(p.t, "rclone"), "backend", "versioning", "server:"+at.Bucket, "Enabled")
	cmd.Env = append(os.Environ(), "RCLONE_CONFIG="+os.DevNull, "RCLONE_CONFIG_SERVER_TYPE=s3", "RCLONE_CONFIG_SERVER_PROVIDER=Other",
		"RCLONE_CONFIG_SERVER_ENDPOINT="+at.URL, "RCLONE_CONFIG_SERVER_REGION="+at.Region,
		"RCLONE_CONFIG_SERVER_ACCESS_KEY_ID="+at.AccessKey, "RCLONE_CONFIG_SERVER_SECRET_ACCESS_KEY="+at.SecretKey)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("rclone: %v\n%s", err, out)
	}
}

// An import says what a folder still has, and else takes tarball by tarball over
// into a repository, each once.
func TestTarballImport(t *testing.T) {
	lab, at := coldLab(t)
	p := newTarballPerson(t, at, tarn.Standard)
	p.lab = lab
	imported := func(want int, args ...string) string {
		t.Helper()
		return p.code(want, append([]string{"tarball", "import", "disk", "-b", "tarn", "--repo", p.path("repo")}, args...)...)
	}
	contains(t, imported(exitDone, "--source", "src"), "docs: covered, 3 files as backed up", "covers 3 of 3 tarballs")
	if err := os.Remove(p.path("src", "docs", "-b")); err != nil {
		t.Fatal(err)
	}
	e2e.Write(t, p.path("src", "photos", "2"), []byte("other\n"))
	contains(t, imported(exitProblems, "--source", "src"), "docs: not covered: the folder lacks 1 of its 3 files", "photos: not covered: the content of a file is another", "_files: covered", "covers 1 of 3")
	p.must("init", "-q", "--repo", p.path("repo"))
	contains(t, imported(exitFailed), "nothing was read or stored", "--yes", "docs: read and store")
	contains(t, imported(exitDone, "--dry-run"), "photos: read and store")
	contains(t, imported(exitDone, "--yes", "--temp", p.path("home")), "docs is in the repository:", "photos is in the repository:")
	contains(t, imported(exitDone, "--yes"), "3 of 3 tarballs are in the repository already")
	var ids []string
	for line := range strings.Lines(p.must("snapshots", "--json", "--tag", "tarball", "--repo", p.path("repo"))) {
		var s struct {
			ID      string
			Sources []struct{ Path string }
		}
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(s.Sources[0].Path, "s3://") || !strings.Contains(s.Sources[0].Path, "/disk/") {
			t.Errorf("the snapshot's source is %q", s.Sources[0].Path)
		}
		ids = append(ids, s.ID)
	}
	if len(ids) != 3 {
		t.Fatalf("%d snapshots, want 3", len(ids))
	}
	for i, id := range ids {
		p.must("restore", "-q", id, "--target", fmt.Sprint("from", i), "--repo", p.path("repo"))
	}
	got := map[string]string{}
	for i := range ids {
		maps.Copy(got, e2e.ReadFiles(t, p.path(fmt.Sprint("from", i), "disk")))
	}
	if got["docs/a/one"] != "one\n" || got["docs/-b"] != "three\n" || got["note"] != "a note\n" || len(got) != 6 {
		t.Errorf("the repository has %v", maps.Keys(got))
	}
	if left, err := filepath.Glob(p.path("home", "tarn-import-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// An archive whose hash is older than it was read well and is not proved: that is no
// success, until tarball has made it again.
func TestTarballOldSum(t *testing.T) {
	_, at := coldLab(t)
	p := newTarballPerson(t, at, tarn.Standard)
	data := p.get("disk/docs.tar.gz")
	time.Sleep(1100 * time.Millisecond) // the times of objects are whole seconds
	p.put("disk/docs.tar.gz", data, tarn.Standard)
	contains(t, p.tarball(exitProblems, "restore", "docs", "--target", "back"), "wrote 3 files", "nothing proves it", ".md5 beside it is older than it", "tarn tarball")
	p.back("back", "docs")
	contains(t, p.tarball(exitFailed, "verify"), "is older than it")
	contains(t, p.code(exitDone, "tarball", "-b", "tarn", "-n", "disk", "-p", "src", "--split-depth", "1", "--storage-class", "STANDARD"), "disk/docs.tar.gz is made again: its .md5 is older than it", "disk/docs.tar.gz uploaded", "2 unchanged")
	contains(t, p.tarball(exitDone, "restore", "docs", "--target", "back2"), "all 3 files in it are what was backed up")
	contains(t, p.tarball(exitDone, "verify"), "no damage found")
}

// get reads an object.
func (p *tarballPerson) get(key string) []byte {
	p.t.Helper()
	r, err := p.s.Get(p.t.Context(), key, 0, -1)
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		p.t.Fatal(err)
	}
	return data
}

// A lifecycle rule that cools all of a bucket takes .md5 and .txt along: each command
// says so, thaw asks for them, and the next run stores them in STANDARD again.
func TestTarballColdSides(t *testing.T) {
	lab, at := coldLab(t)
	p := newTarballPerson(t, at, tarn.Standard)
	p.lab = lab
	run := []string{"tarball", "-b", "tarn", "-n", "disk", "-p", "src", "--split-depth", "1", "--storage-class", "STANDARD"}
	for _, suffix := range []string{".md5", ".txt"} {
		p.put("disk/docs.tar.gz"+suffix, p.get("disk/docs.tar.gz"+suffix), tarn.Glacier)
	}
	p.put("disk/photos.tar.gz.txt", p.get("disk/photos.tar.gz.txt"), tarn.Glacier)
	contains(t, p.tarball(exitFailed, "ls", "docs"), ".txt lies in GLACIER", "tarn tarball thaw docs")
	contains(t, p.tarball(exitDone, "restore", "docs", "--target", "back"), "its .md5 lies in GLACIER", "tarn tarball thaw docs")
	contains(t, p.tarball(exitFailed, "verify"), "disk/docs.tar.gz.md5: it lies in GLACIER", "tarn tarball thaw", "3 damages")
	contains(t, p.tarball(exitProblems, "import", "disk", "--source", "src"), "docs: not covered: its .md5 lies in GLACIER")
	contains(t, p.code(exitProblems, run...), "its hash has gone cold", "tarn tarball thaw", "disk/photos.tar.gz already exists", "cold, and is there now")
	contains(t, p.tarball(exitDone, "ls", "photos"), "1\n2\n")
	contains(t, p.tarball(exitDone, "thaw", "docs", "--tier", "bulk", "--yes"), "asked for the thaw of 2 archives")
	contains(t, p.tarball(exitDone, "thaw", "--status"), "docs.tar.gz.md5", "thawing")
	p.advance(13 * time.Hour)
	contains(t, p.tarball(exitDone, "ls", "docs"), "a/one\n")
	contains(t, p.code(exitDone, run...), "disk/docs.tar.gz already exists", "0 objects uploaded, 3 unchanged")
	contains(t, p.tarball(exitDone, "verify"), "no damage found")
	for _, key := range []string{"docs.tar.gz.md5", "docs.tar.gz.txt", "photos.tar.gz.txt"} {
		if o, err := p.s.Stat(t.Context(), "disk/"+key); err != nil || o.Class != tarn.Standard {
			t.Errorf("%s lies in %s, %v", key, o.Class, err)
		}
	}
}

// Parts of an upload whose run was killed cost, and nobody sees them: list says
// which there are.
func TestTarballUnfinished(t *testing.T) {
	at := storagetest.Versitygw(t)
	p := newTarballPerson(t, at, tarn.Standard)
	if out := p.tarball(exitDone, "list"); strings.Contains(out, "under way") {
		t.Errorf("nothing was left behind, and list says\n%s", out)
	}
	c := sdk.New(sdk.Options{
		BaseEndpoint: &at.URL, Region: at.Region, UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider(at.AccessKey, at.SecretKey, ""),
	})
	key := "disk/photos.tar.gz"
	if _, err := c.CreateMultipartUpload(t.Context(), &sdk.CreateMultipartUploadInput{Bucket: &at.Bucket, Key: &key}); err != nil {
		t.Fatal(err)
	}
	contains(t, p.tarball(exitDone, "list"), "1 upload is under way, or left by runs that were killed", "disk/photos.tar.gz, begun ", "lifecycle rule")
	contains(t, p.tarball(exitDone, "list", "--json"), `"unfinished_uploads":1`)
}

// A path that was given as . or .. is no name to restore to: the files lie in the
// target itself.
func TestTarballOfHere(t *testing.T) {
	_, at := coldLab(t)
	p := newTarballPerson(t, at, tarn.Standard)
	for _, path := range []string{".", ".."} {
		name := "here" + path
		cmd := exec.Command("tarn", "tarball", "-q", "-b", "tarn", "-n", name, "-p", path, "--storage-class", "STANDARD")
		cmd.Env, cmd.Dir = p.env, p.path("src", "docs")
		if path == ".." {
			cmd.Dir = p.path("src", "docs", "a")
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		contains(t, p.code(exitDone, "tarball", "restore", path, "-b", "tarn", "-n", name, "--target", name), "all 3 files in it are what was backed up")
		if got := e2e.ReadFiles(t, p.path(name)); !maps.Equal(got, scriptFiles["docs"]) {
			t.Errorf("of %s: %v", path, got)
		}
		contains(t, p.code(exitDone, "tarball", "restore", path, "-b", "tarn", "-n", name, "--target", name), "all of its 3 files are in "+name+" already")
		contains(t, p.code(exitDone, "tarball", "import", name, "-b", "tarn", "--source", p.path("src", "docs")), "covers 1 of 1 tarball")
	}
}
