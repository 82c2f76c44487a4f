package restore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/e2e"
	"github.com/tarn-backup/tarn/internal/restore"
	"github.com/tarn-backup/tarn/internal/s3lab"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/s3"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// source makes a folder whose archives are read in several stretches.
func source(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(e2e.Scratch(t), "src")
	for i := range 12 {
		e2e.Write(t, filepath.Join(dir, fmt.Sprintf("d%d/f%d", i%3, i)), e2e.Content(uint64(i), 1000+30_000*(i%4)))
	}
	e2e.Write(t, filepath.Join(dir, "d0/copy"), e2e.Content(2, 1000+30_000*2))
	e2e.Write(t, filepath.Join(dir, "d2/empty"), nil)
	e2e.Write(t, filepath.Join(dir, "large"), e2e.Content(99, 400_000))
	return dir
}

// ended looks at what a restore with a fault has left: what the run says is
// restored is the source's, whatever is missing is reported, and the same
// command goes on to the whole source.
type ended struct {
	bench    *e2e.Bench
	dir      string // the source
	target   string
	reported map[string]error
	err      error
	res      *restore.Result
}

// faulted restores into a new target.
func faulted(t *testing.T, b *e2e.Bench, s storage.Storage, dir string) *ended {
	t.Helper()
	e := &ended{bench: b, dir: dir, target: e2e.Scratch(t), reported: map[string]error{}}
	var mu sync.Mutex
	e.res, e.err = b.Restore(t.Context(), s, "", e.target, func(cfg *restore.Config) {
		cfg.Problem = func(path string, err error) {
			mu.Lock()
			defer mu.Unlock()
			e.reported[path] = err
		}
	})
	return e
}

// look fails the test if there is a wrong byte, or something amiss that was
// not reported.
func (e *ended) look(t *testing.T, what string) {
	t.Helper()
	want := e2e.ReadTree(t, e.dir)
	got := e2e.Tree{}
	if _, err := os.Stat(filepath.Join(e.target, "src")); err == nil {
		got = e2e.ReadTree(t, filepath.Join(e.target, "src"))
	}
	for path, is := range got {
		if should, ok := want[path]; !ok || should != is && !strings.HasPrefix(is, "d") { // directories get their times last
			t.Errorf("%s: %s is %s, want %s", what, path, is, should)
		}
		if strings.HasPrefix(filepath.Base(path), ".tarn-") {
			t.Errorf("%s: %s is left", what, path)
		}
	}
	if e.err == nil && len(e.reported) == 0 {
		if diff := e2e.Diff(want, got); len(diff) > 0 {
			t.Errorf("%s: nothing was reported, but %q", what, diff)
		}
	}
	if e.err == nil && e.res.Problems != int64(len(e.reported)) {
		t.Errorf("%s: %d problems, %d reported", what, e.res.Problems, len(e.reported))
	}
}

// again runs the same command without a fault.
func (e *ended) again(t *testing.T, s storage.Storage, what string) {
	t.Helper()
	res, err := e.bench.Restore(t.Context(), s, "", e.target, nil)
	if err != nil || res.Problems > 0 {
		t.Errorf("%s: the same again: %+v, %v", what, res, err)
	}
	e.bench.Same(e.dir, filepath.Join(e.target, "src"))
}

// lab is a repository with a snapshot of dir on an S3 server in this process.
func lab(t *testing.T, encrypt bool, dir string) (*s3lab.Faults, storage.Storage, *e2e.Bench) {
	t.Helper()
	server := s3lab.New(s3lab.Config{MinPart: 1, MaxKeys: 4})
	server.CreateBucket("tarn")
	faults := s3lab.NewFaults(server)
	listener := httptest.NewServer(faults)
	t.Cleanup(listener.Close)
	s, err := s3.Open(t.Context(), s3.Config{
		Bucket: "tarn", Endpoint: listener.URL, Region: "us-east-1", AccessKey: "lab", SecretKey: "labsecret",
		MinDelay: time.Millisecond, MaxDelay: 4 * time.Millisecond, IdleTimeout: 250 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	b := prepared(t, s, encrypt, dir)
	faults.Reset()
	faults.RefuseDeletes(true)
	return faults, s, b
}

// Every request of a restore from S3 fails once, in each way.
func TestEveryS3RequestOfARestoreFails(t *testing.T) {
	dir := source(t)
	for i, kind := range s3lab.Kinds() {
		if kind == s3lab.CutUpload {
			continue // there are no uploads
		}
		// Each kind meets one of the two sorts of repository; both of them
		// only where the environment asks for it.
		for _, encrypt := range []bool{false, true} {
			if encrypt != (i%2 == 1) && os.Getenv("TARN_FAULTS") != "all" {
				continue
			}
			t.Run(fmt.Sprintf("%v/encrypt=%v", kind, encrypt), func(t *testing.T) {
				t.Parallel()
				restoresWithFault(t, kind, encrypt, dir)
			})
		}
	}
}

func restoresWithFault(t *testing.T, kind s3lab.Kind, encrypt bool, dir string) {
	t.Helper()
	faults, s, first := lab(t, encrypt, dir)
	clean := faulted(t, first.Stranger(), s, dir)
	clean.look(t, "no fault")
	requests := faults.Count()
	if clean.err != nil || requests < 10 {
		t.Fatalf("%d requests, %v", requests, clean.err)
	}
	for n := 1; n <= requests; n++ {
		faults.Reset()
		faults.Nth(n, kind)
		e := faulted(t, first.Stranger(), s, dir)
		what := fmt.Sprintf("%v in request %d", kind, n)
		if faults.Fired() != 1 {
			t.Errorf("%s: it fired %d times in %d requests", what, faults.Fired(), faults.Count())
		} else {
			what += " (" + faults.Log()[n-1].Key + ")"
		}
		faults.Reset()
		e.look(t, what)
		if kind != s3lab.FlipDownload && (e.err != nil || len(e.reported) > 0) {
			t.Errorf("%s: %v, %v", what, e.err, e.reported)
		}
		e.again(t, s, what)
		if t.Failed() {
			t.FailNow()
		}
	}
}

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

// Every request to a storage fails without a retry.
func TestEveryRequestOfARestoreFails(t *testing.T) {
	dir := source(t)
	for _, encrypt := range []bool{false, true} {
		m := storagetest.NewMemory()
		first := prepared(t, m, encrypt, dir)
		m.ResetRequests()
		if clean := faulted(t, first.Amnesiac(), m, dir); clean.err != nil {
			t.Fatal(clean.err)
		}
		requests := m.Count()
		for _, kind := range storagetest.Kinds {
			for n := 1; n <= requests; n++ {
				m.ResetRequests()
				m.SetHook(storagetest.FailNth(n, storagetest.Fault{Kind: kind, At: int64(n * 31)}))
				e := faulted(t, first.Amnesiac(), m, dir)
				m.SetHook(nil)
				log := m.Requests()
				if len(log) < n {
					t.Fatalf("%v in request %d: it did not fire", kind, n)
				}
				what := fmt.Sprintf("encrypt=%v: %v in request %d (%s %s)", encrypt, kind, n, log[n-1].Op, log[n-1].Key)
				e.look(t, what)
				for path, err := range e.reported {
					if !errors.Is(err, tarn.ErrDamaged) && !errors.Is(err, storagetest.ErrInjected) && !errors.Is(err, tarn.ErrNotAuthentic) {
						t.Errorf("%s: %s: %v", what, path, err)
					}
				}
				e.again(t, m, what)
				if t.Failed() {
					t.FailNow()
				}
			}
		}
	}
}

// Hashing what stands in the target ends with the run, however much there is.
func TestHashFileEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	e2e.Write(t, filepath.Join(dir, "huge"), nil)
	if err := os.Truncate(filepath.Join(dir, "huge"), 1<<40); err != nil {
		t.Skipf("no sparse files here: %v", err)
	}
	target, err := restore.OpenTarget(dir, restore.TargetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := target.HashFile(ctx, "huge", 1<<40); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if sum, size, err := target.HashFile(t.Context(), "huge", 5); err != nil || size != 1<<40 || !sum.IsZero() {
		t.Errorf("another size: %v, %d, %v", sum, size, err)
	}
}
