package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/s3lab"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/s3"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// coldLab starts a lab with S3's cold classes.
func coldLab(t testing.TB, cfg s3lab.LabConfig) (*s3lab.Lab, string) {
	t.Helper()
	l, err := s3lab.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the server's, which serve registers later
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if cfg.Upstream == nil {
		if err := l.CreateBucket(t.Context(), bucket); err != nil {
			t.Fatal(err)
		}
	}
	return l, serve(t, l)
}

func TestContractOnColdLab(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]func(t *testing.T) string{
		"memory": func(*testing.T) string { return "" },
		"disk":   func(t *testing.T) string { return t.TempDir() },
	} {
		t.Run(name, func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T) storage.Storage {
				_, url := coldLab(t, s3lab.LabConfig{Dir: dir(t)})
				return open(t, config(url))
			})
		})
	}
}

func TestColdContractOnColdLab(t *testing.T) {
	t.Parallel()
	storagetest.RunCold(t, func(t *testing.T) (storage.Storage, func(time.Duration)) {
		l, url := coldLab(t, s3lab.LabConfig{})
		return open(t, config(url)), func(d time.Duration) {
			if err := l.Advance(d); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// What a caller acts on when S3 does not thaw: another tier, or a rest.
func TestColdLabRefusals(t *testing.T) {
	t.Parallel()
	l, at := coldLab(t, s3lab.LabConfig{})
	cfg := config(at)
	cfg.MaxAttempts = 2
	s := open(t, cfg)
	if _, err := s.Put(t.Context(), "key", strings.NewReader("x"), storage.PutOptions{Class: tarn.Glacier}); err != nil {
		t.Fatal(err)
	}
	thaw := func(tier storage.Tier) error {
		return s.Thaw(t.Context(), "key", storage.ThawOptions{Days: 1, Tier: tier})
	}
	if err := l.Expedited(false); err != nil {
		t.Fatal(err)
	}
	if err := thaw(storage.Expedited); !errors.Is(err, tarn.ErrTierRefused) || strings.Contains(err.Error(), "attempts") {
		t.Errorf("without capacity: %v", err)
	}
	l.Limit(0, 1)
	var err error
	for range 5 {
		err = errors.Join(err, thaw(storage.Bulk))
	}
	if !errors.Is(err, tarn.ErrBusy) || !strings.Contains(err.Error(), "SlowDown") {
		t.Errorf("beyond the limit: %v", err)
	}
}

// Before a real server, the lab knows of each object what that server does.
func TestContractOnColdLabBeforeVersitygw(t *testing.T) {
	t.Parallel()
	e := storagetest.Versitygw(t)
	upstream, err := url.Parse(e.URL)
	if err != nil {
		t.Fatal(err)
	}
	l, at := coldLab(t, s3lab.LabConfig{Upstream: upstream, Dir: t.TempDir()})
	through := e
	through.URL = at
	real(t, through)
	cfg := config(e.URL)
	cfg.Prefix = ""
	cfg.AccessKey, cfg.SecretKey, cfg.Region = e.AccessKey, e.SecretKey, e.Region
	cfgThrough := cfg
	cfgThrough.Endpoint = at
	compareListings(t, open(t, cfg), open(t, cfgThrough))
	requests := 0
	for event, err := range l.Events() {
		if err != nil {
			t.Fatal(err)
		}
		if event.Op != "" {
			requests++
		}
	}
	if requests < 1000 {
		t.Errorf("the lab saw %d requests", requests)
	}
	cfgThrough.SecretKey = "wrong"
	if err := open(t, cfgThrough).Thaw(t.Context(), "key", storage.ThawOptions{Days: 1, Tier: storage.Bulk}); !errors.Is(err, tarn.ErrDenied) {
		t.Errorf("with a wrong secret: %v", err)
	}
}

func compareListings(t *testing.T, a, b *s3.Storage) {
	t.Helper()
	listed := func(s *s3.Storage) (lines []string) {
		for o, err := range s.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, fmt.Sprint(o.Key, " ", o.Size))
		}
		return lines
	}
	if x, y := listed(a), listed(b); len(x) < 20 || strings.Join(x, "\n") != strings.Join(y, "\n") {
		t.Errorf("the server lists %d objects, the lab %d, or others", len(x), len(y))
	}
}

// The life of a frozen object, as tarn's own storage sees it.
func TestColdLabThaws(t *testing.T) {
	l, at := coldLab(t, s3lab.LabConfig{Dir: t.TempDir()})
	cfg := config(at)
	cfg.PartSize = 5 << 20
	s := open(t, cfg)
	data := storagetest.Content(1, 12<<20)
	if _, err := s.Put(t.Context(), "key", bytes.NewReader(data), storage.PutOptions{Class: tarn.DeepArchive}); err != nil {
		t.Fatal(err)
	}
	read := func(want error) {
		t.Helper()
		r, err := s.Get(t.Context(), "key", 100, 1000)
		if err == nil {
			err = r.Close()
		}
		if !errors.Is(err, want) {
			t.Errorf("get: %v, want %v", err, want)
		}
	}
	thaw := func(tier storage.Tier, want error) {
		t.Helper()
		if err := s.Thaw(t.Context(), "key", storage.ThawOptions{Days: 2, Tier: tier}); !errors.Is(err, want) {
			t.Errorf("thaw: %v, want %v", err, want)
		}
	}
	read(tarn.ErrCold)
	thaw(storage.Bulk, nil)
	thaw(storage.Bulk, tarn.ErrThawing)
	thaw(storage.Normal, nil)
	if o, err := s.Stat(t.Context(), "key"); err != nil || !o.Thawing || o.Class != tarn.DeepArchive || o.Size != int64(len(data)) {
		t.Errorf("%+v, %v", o, err)
	}
	if err := l.Advance(12 * time.Hour); err != nil {
		t.Fatal(err)
	}
	read(nil)
	thaw(storage.Bulk, nil)
	for o, err := range s.List(t.Context(), "") {
		if err != nil || o.Thawing || !o.Thawed.After(l.Now()) || o.Class != tarn.DeepArchive {
			t.Errorf("%+v, %v", o, err)
		}
	}
	if err := l.Advance(4 * 24 * time.Hour); err != nil {
		t.Fatal(err)
	}
	read(tarn.ErrCold)
}

// The lab is no bottleneck of a thaw of thousands of archives, and says so when it is told to be one.
func TestColdLabThawsThousands(t *testing.T) {
	const objects = 2000
	l, at := coldLab(t, s3lab.LabConfig{Dir: t.TempDir()})
	s := open(t, config(at))
	each(objects, func(i int) {
		if _, err := s.Put(t.Context(), fmt.Sprint("archives/", i), strings.NewReader("x"), storage.PutOptions{Class: tarn.DeepArchive}); err != nil {
			t.Error(err)
		}
	})
	began := time.Now()
	each(objects, func(i int) {
		if err := s.Thaw(t.Context(), fmt.Sprint("archives/", i), storage.ThawOptions{Days: 1, Tier: storage.Bulk}); err != nil {
			t.Error(err)
		}
	})
	rate := objects / time.Since(began).Seconds()
	t.Logf("%.0f thaws a second", rate)
	thawing := 0
	for o, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if o.Thawing {
			thawing++
		}
	}
	if thawing != objects || rate < 100 {
		t.Errorf("%d objects are thawing of %d, at %.0f a second", thawing, objects, rate)
	}
	l.Limit(0, 1)
	cfg := config(at)
	cfg.MaxAttempts = 1
	slow := open(t, cfg)
	var err error
	for range 3 { // at least two of these are in one second
		err = errors.Join(err, slow.Thaw(t.Context(), "archives/1", storage.ThawOptions{Days: 1, Tier: storage.Normal}))
	}
	if err == nil || !strings.Contains(err.Error(), "SlowDown") {
		t.Errorf("beyond the limit: %v", err)
	}
}

// each calls f for the numbers below n, several at a time.
func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	for worker := range 16 {
		wg.Go(func() {
			for i := worker; i < n; i += 16 {
				f(i)
			}
		})
	}
	wg.Wait()
}

// Objects pass through the store on disk without being held in memory.
func TestColdLabMemoryIsBounded(t *testing.T) {
	_, at := coldLab(t, s3lab.LabConfig{Dir: t.TempDir()})
	cfg := config(at)
	cfg.PartSize, cfg.Memory = 8<<20, 32<<20
	s := open(t, cfg)
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	const size = 256 << 20
	z := &zeros{left: size}
	if o, err := s.Put(t.Context(), "key", z, storage.PutOptions{MaxSize: size}); err != nil || o.Size != size {
		t.Fatalf("%+v, %v", o, err)
	}
	r, err := s.Get(t.Context(), "key", 0, size)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	most := z.most
	buf := make([]byte, 1<<20)
	for n := 0; ; n++ {
		_, err := r.Read(buf)
		if err != nil {
			break
		}
		if n%256 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, int64(m.HeapAlloc))
		}
	}
	if grown := most - int64(before.HeapAlloc); grown > 112<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}
