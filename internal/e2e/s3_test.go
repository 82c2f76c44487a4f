package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/s3lab"
	"github.com/tarn-backup/tarn/internal/storage/s3"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// TestRealServers runs the program against S3 servers that others wrote, under
// a proxy that refuses every DELETE.
func TestRealServers(t *testing.T) {
	servers := map[string]struct {
		start     func(testing.TB) storagetest.Endpoint
		checksums bool // it keeps CRC64NVME
		keys      bool // it looks at keys
	}{
		"versitygw": {storagetest.Versitygw, true, true},
		"moto":      {storagetest.Moto, false, false},
	}
	for name, server := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			end := server.start(t)
			upstream, err := url.Parse(end.URL)
			if err != nil {
				t.Fatal(err)
			}
			faults := s3lab.NewFaults(s3lab.Proxy(upstream))
			faults.RefuseDeletes(true)
			proxy := httptest.NewServer(faults)
			t.Cleanup(proxy.Close)
			end.URL = proxy.URL
			u := &user{person: newPerson(t, endpointEnv(end)...), end: end}
			u.wholeWay(faults)
			u.objects(server.checksums)
			u.mistakes(server.keys)
		})
	}
}

func endpointEnv(e storagetest.Endpoint) []string {
	return []string{
		"AWS_ENDPOINT_URL_S3=" + e.URL, "AWS_REGION=" + e.Region, "AWS_ACCESS_KEY_ID=" + e.AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + e.SecretKey, "AWS_EC2_METADATA_DISABLED=true",
	}
}

// user is a person with a bucket.
type user struct {
	*person
	end storagetest.Endpoint
}

func (u *user) repository() string { return "s3://" + u.end.Bucket + "/some/prefix" }

func (u *user) storage() *s3.Storage {
	u.t.Helper()
	s, err := s3.Open(u.t.Context(), s3.Config{
		Bucket: u.end.Bucket, Prefix: "some/prefix", Endpoint: u.end.URL, Region: u.end.Region, AccessKey: u.end.AccessKey, SecretKey: u.end.SecretKey,
	})
	if err != nil {
		u.t.Fatal(err)
	}
	return s
}

// wholeWay is init, a backup, one more, a check and a restore of each.
func (u *user) wholeWay(faults *s3lab.Faults) {
	t := u.t
	dir := filepath.Join(e2e.Scratch(t), "src")
	e2e.Write(t, filepath.Join(dir, "a/größe +%&.txt"), e2e.Content(1, 30_000))
	e2e.Write(t, filepath.Join(dir, "b/moves"), e2e.Content(2, 300_000))
	e2e.Write(t, filepath.Join(dir, "b/of several parts"), e2e.Content(3, 40<<20))
	u.must("init", "-q", "-r", u.repository())
	u.fails("repository already", "init", "-q", "-r", u.repository())
	backup := []string{"backup", "-q", "-r", u.repository(), dir}
	u.must(backup...)
	b := u.bench(true)
	b.Check(t.Context(), u.storage(), 100)
	b.Restored(t.Context(), u.storage(), dir)

	// Nothing changed: a snapshot, and nothing else.
	faults.Reset()
	u.must(backup...)
	puts := 0
	for _, r := range faults.Log() {
		if r.Method == http.MethodPut || r.Method == http.MethodPost {
			puts++
			if !strings.Contains(r.Key, "/snapshots/") {
				t.Errorf("a backup of nothing new stores %s", r.Key)
			}
		}
	}
	if puts != 1 {
		t.Errorf("a backup of nothing new takes %d uploads", puts)
	}
	e2e.Write(t, filepath.Join(dir, "c/moved"), e2e.Content(2, 300_000))
	e2e.Write(t, filepath.Join(dir, "a/new"), e2e.Content(4, 1000))
	u.must(backup...)
	found := b.Check(t.Context(), u.storage(), 100)
	if found.Snapshots != 3 || found.Archives != found.Indexes || found.Contents != 4 {
		t.Errorf("%+v", found)
	}
	target := filepath.Join(e2e.Scratch(t), "back")
	u.must("restore", "-q", "-r", u.repository(), "--target", target, "latest")
	b.Same(dir, filepath.Join(target, "src"))
	for _, r := range faults.Log() {
		if r.Method == http.MethodDelete {
			t.Errorf("a DELETE of %s?%s", r.Key, r.Query)
		}
	}
}

// objects looks at what the server knows of each object.
func (u *user) objects(checksums bool) {
	t := u.t
	s, seen := u.storage(), 0
	for o, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		seen++
		head, err := s.Stat(t.Context(), o.Key)
		if err != nil {
			t.Fatal(err)
		}
		if checksums && !head.Checksum.Known {
			t.Errorf("%s has no CRC64NVME", o.Key)
		}
		if head.Size != o.Size || head.Size == 0 {
			t.Errorf("%s: %d bytes, listed as %d", o.Key, head.Size, o.Size)
		}
	}
	if seen < 10 {
		t.Errorf("%d objects", seen)
	}
}

// mistakes are those of people, which get an answer that helps.
func (u *user) mistakes(keys bool) {
	other := newPerson(u.t)
	other.env = append(other.env, u.env...)
	other.fails("bucket", "snapshots", "-r", "s3://there-is-no-such-bucket/p")
	other.fails("no repository in s3://"+u.end.Bucket+"/elsewhere", "snapshots", "-r", "s3://"+u.end.Bucket+"/elsewhere")
	if !keys {
		return
	}
	other.env = append(other.env, "AWS_SECRET_ACCESS_KEY=wrong")
	other.fails("SignatureDoesNotMatch", "snapshots", "-r", u.repository())
	other.env = append(other.env, "AWS_ACCESS_KEY_ID=nobody")
	other.fails("access denied by the storage", "snapshots", "-r", u.repository())
}
