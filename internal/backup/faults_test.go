package backup_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/s3lab"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/s3"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// sources are a folder before and after a day's work: files that stay, move,
// change, come and go, some in archives of one part and some of several.
func sources(t *testing.T) (before, after string) {
	t.Helper()
	before, after = filepath.Join(t.TempDir(), "before"), filepath.Join(t.TempDir(), "after")
	old := []string{before}
	both := []string{before, after}
	late := []string{after}
	put := func(dirs []string, name string, seed uint64, size int) {
		for _, dir := range dirs {
			e2e.Write(t, filepath.Join(dir, name), e2e.Content(seed, size))
		}
	}
	put(both, "a/same", 1, 5000)
	put(old, "a/gone", 2, 3000)
	put(old, "a/moved", 3, 4000)
	put(late, "b/moved", 3, 4000)
	put(both, "b/large", 4, 300_000)
	put(old, "b/changed", 5, 20_000)
	put(late, "b/changed", 6, 20_000)
	put(late, "c/new", 7, 250_000)
	put(late, "c/empty", 8, 0)
	put(late, "top", 9, 100)
	if err := os.Symlink("same", filepath.Join(after, "a/link")); err != nil {
		t.Fatal(err)
	}
	return before, after
}

// lab is an S3 server in this process with faults before it.
func lab(t *testing.T) (*s3lab.Faults, storage.Storage) {
	t.Helper()
	server := s3lab.New(s3lab.Config{MinPart: 1, MaxKeys: 3})
	server.CreateBucket("tarn")
	faults := s3lab.NewFaults(server)
	listener := httptest.NewServer(faults)
	t.Cleanup(listener.Close)
	s, err := s3.Open(t.Context(), s3.Config{
		Bucket: "tarn", Prefix: "p", Endpoint: listener.URL, Region: "us-east-1", AccessKey: "lab", SecretKey: "labsecret",
		PartSize: 100_000, MinDelay: time.Millisecond, MaxDelay: 4 * time.Millisecond, IdleTimeout: 250 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return faults, s
}

// prepared is a bench with a repository in s that holds a snapshot of dir.
func prepared(t *testing.T, s storage.Storage, encrypt bool, dir string) *e2e.Bench {
	t.Helper()
	b := e2e.New(t, encrypt)
	if err := b.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if res, err := b.Backup(t.Context(), s, dir, nil); err != nil || res.Problems > 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	return b
}

// clear reports whether an error tells a person which thing went wrong, and
// not only that some run of some goroutine was ended by another.
func clear(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	text := err.Error()
	for _, thing := range []string{"archive", "index", "tree", "snapshot", "keys/", "tarn.json", "listing", "repository", "keys object"} {
		if strings.Contains(text, thing) {
			return true
		}
	}
	return false
}

// Every request of an incremental backup to S3 fails once, in each way. The
// run succeeds or says why not; the repository is whole after it, and the
// next run succeeds and holds everything.
func TestEveryS3RequestOfABackupFails(t *testing.T) {
	before, after := sources(t)
	for _, encrypt := range []bool{false, true} {
		requests := 0
		t.Run(fmt.Sprintf("encrypt=%v", encrypt), func(t *testing.T) {
			faults, s := lab(t)
			b := prepared(t, s, encrypt, before)
			faults.Reset()
			if _, err := b.Backup(t.Context(), s, after, nil); err != nil {
				t.Fatal(err)
			}
			requests = faults.Count()
			t.Logf("%d requests", requests)
			multipart := 0
			for _, r := range faults.Log() {
				if strings.Contains(r.Query, "partNumber") {
					multipart++
				}
			}
			if requests < 15 || multipart < 3 {
				t.Fatalf("a backup of %d requests and %d parts is no test", requests, multipart)
			}
		})
		for i, kind := range s3lab.Kinds() {
			// Both kinds of repository see each request and each kind; all of
			// their combinations only where the environment asks for them.
			if encrypt != (i%2 == 0) && os.Getenv("TARN_FAULTS") != "all" {
				continue
			}
			t.Run(fmt.Sprintf("encrypt=%v/%v", encrypt, kind), func(t *testing.T) {
				t.Parallel()
				for n := 1; n <= requests; n++ {
					backupWithFault(t, encrypt, before, after, n, kind)
				}
			})
		}
	}
}

func backupWithFault(t *testing.T, encrypt bool, before, after string, n int, kind s3lab.Kind) {
	t.Helper()
	faults, s := lab(t)
	b := prepared(t, s, encrypt, before)
	faults.Reset()
	faults.RefuseDeletes(true)
	faults.Nth(n, kind)
	res, err := b.Backup(t.Context(), s, after, nil)
	what := fmt.Sprintf("%v in request %d", kind, n)
	if faults.Fired() != 1 {
		t.Errorf("%s: it fired %d times in %d requests", what, faults.Fired(), faults.Count())
	} else {
		r := faults.Log()[n-1]
		what += fmt.Sprintf(" (%s %s?%s)", r.Method, r.Key, r.Query)
	}
	faults.Reset()
	switch {
	case err != nil && (!clear(err) || !mayEndRun(kind)):
		t.Errorf("%s: %v", what, err)
	case err == nil && res.Problems > 0:
		t.Errorf("%s: %d problems with files that were left alone", what, res.Problems)
	}
	b.Check(t.Context(), s, 100)
	if err != nil {
		if _, err := b.Backup(t.Context(), s, after, nil); err != nil {
			t.Errorf("%s: the next run: %v", what, err)
		}
		b.Check(t.Context(), s, 100)
	}
	b.Stranger().Restored(t.Context(), s, after)
	if t.Failed() {
		t.Fatalf("%s: first error %v", what, err)
	}
}

// mayEndRun says which faults a retry can't mend: an answer that was changed on
// its way and, to a HEAD or GET, one that no server gives.
func mayEndRun(kind s3lab.Kind) bool {
	return kind == s3lab.FlipDownload || kind == s3lab.BadDigestBefore
}

// Every request to a storage fails without a retry, before it takes effect or
// after: the run says so, nothing is broken, and the same run again succeeds
// and stores no content twice but what the failed one had in flight.
func TestEveryRequestOfABackupFails(t *testing.T) {
	before, after := sources(t)
	for _, encrypt := range []bool{false, true} {
		base := storagetest.NewMemory()
		first := prepared(t, base, encrypt, before)
		clean := base.Clone()
		if _, err := first.Amnesiac().Backup(t.Context(), clean, after, nil); err != nil {
			t.Fatal(err)
		}
		requests := clean.Count()
		if requests < 15 {
			t.Fatalf("%d requests are no test", requests)
		}
		for _, kind := range storagetest.Kinds {
			t.Run(fmt.Sprintf("encrypt=%v/%v", encrypt, kind), func(t *testing.T) {
				t.Parallel()
				for n := 1; n <= requests; n++ {
					backupUnaided(t, first.Amnesiac(), base.Clone(), after, n, kind)
				}
			})
		}
	}
}

// backupUnaided backs up with a fault in request n, and then without one.
func backupUnaided(t *testing.T, b *e2e.Bench, m *storagetest.Memory, after string, n int, kind storagetest.Kind) {
	t.Helper()
	m.SetHook(storagetest.FailNth(n, storagetest.Fault{Kind: kind, At: int64(n*37) % 300}))
	_, err := b.Backup(t.Context(), m, after, nil)
	m.SetHook(nil)
	log := m.Requests()
	if len(log) < n {
		t.Fatalf("%v in request %d: it did not fire", kind, n)
	}
	op := log[n-1].Op
	what := fmt.Sprintf("%v in request %d (%s %s)", kind, n, op, log[n-1].Key)
	fails := kind == storagetest.FailBefore || kind == storagetest.FailAfter
	if err == nil && fails && op != storagetest.OpGet || err != nil && !clear(err) {
		t.Errorf("%s: %v", what, err)
	}
	b.Check(t.Context(), m, 100)
	if _, err := b.Backup(t.Context(), m, after, nil); err != nil {
		t.Errorf("%s: the same run again: %v", what, err)
	}
	b.Check(t.Context(), m, 100)
	for h, archives := range b.Stored(t.Context(), m) {
		if len(archives) != 1 {
			t.Errorf("%s: content %s is in %d indexes", what, h, len(archives))
		}
	}
	b.Stranger().Restored(t.Context(), m, after)
	if t.Failed() {
		t.Fatalf("%s: first error %v", what, err)
	}
}
