package cold_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/s3lab"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/s3"
)

// frozen is a storage in a lab with so many archives in GLACIER.
func frozen(t testing.TB, archives int) (*s3lab.Lab, *s3.Storage) {
	t.Helper()
	return frozenBehind(t, archives, func(lab http.Handler) http.Handler { return lab })
}

// frozenBehind is frozen with something before the lab.
func frozenBehind(t testing.TB, archives int, before func(http.Handler) http.Handler) (*s3lab.Lab, *s3.Storage) {
	t.Helper()
	lab, err := s3lab.Open(s3lab.LabConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := lab.CreateBucket(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(before(lab))
	t.Cleanup(server.Close)
	s, err := s3.Open(t.Context(), s3.Config{
		Bucket: "b", Prefix: "p", Endpoint: server.URL, Region: "us-east-1", AccessKey: "a", SecretKey: "s",
		MaxAttempts: 3, MinDelay: time.Millisecond, MaxDelay: 5 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for worker := range 16 {
		group.Go(func() {
			for i := worker; i < archives; i += 16 {
				if _, err := s.Put(t.Context(), fmt.Sprintf("archives/%05d", i), strings.NewReader("x"), storage.PutOptions{Class: tarn.Glacier}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	return lab, s
}

// everything plans to thaw all that a storage lists.
func everything(t testing.TB, lab *s3lab.Lab, s storage.Storage) *cold.Plan {
	t.Helper()
	l, err := cold.List(t.Context(), s, lab.Now())
	if err != nil {
		t.Fatal(err)
	}
	r := cold.Request{Days: 1, Now: lab.Now()}
	for _, o := range l.Objects {
		r.Archives = append(r.Archives, cold.Archive{Object: o})
	}
	p, err := cold.NewPlan(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// requests counts the lab's requests of an operation with a status.
func requests(t testing.TB, lab *s3lab.Lab, op string, status int) (n int) {
	t.Helper()
	for e, err := range lab.Events() {
		if err != nil {
			t.Fatal(err)
		}
		if e.Op == op && e.Status == status {
			n++
		}
	}
	return n
}

// Over real requests, too: killed twice and slowed down once, the thaw of all
// archives goes on, and S3 is asked for none twice. Looking is a request for 1,000.
func TestThousands(t *testing.T) {
	const archives = 1200
	lab, s := frozen(t, archives)
	for _, kill := range []int64{100, 400} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := everything(t, lab, s).Thaw(ctx, s, cold.Options{Tier: storage.Bulk, Progress: func(n int64) {
			if n == kill {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("killed: %v", err)
		}
	}
	lab.Limit(0, 1)
	res, err := everything(t, lab, s).Thaw(t.Context(), s, cold.Options{Tier: storage.Bulk})
	if !errors.Is(err, tarn.ErrBusy) || res.Left == 0 {
		t.Errorf("slowed down: %+v, %v", res, err)
	}
	lab.Limit(0, 0)
	if res, err = everything(t, lab, s).Thaw(t.Context(), s, cold.Options{Tier: storage.Bulk}); err != nil || res.Requested == 0 {
		t.Errorf("at last: %+v, %v", res, err)
	}
	p := everything(t, lab, s)
	if len(p.Ask) != 0 || p.Sum(cold.Thawing).Archives != archives {
		t.Errorf("afterwards: %+v", p.Sums)
	}
	// What was on its way when the run was killed may have been taken by S3, and is seen by the next look.
	if began, again := requests(t, lab, "RestoreObject", 202), requests(t, lab, "RestoreObject", 409); began != archives || again > 2*64 {
		t.Errorf("%d thaws began and %d were refused, for %d archives", began, again, archives)
	}
}

// The rate at which 5,000 archives are asked for, by way of HTTP on this
// machine: issue 4 wants 500 a second.
func BenchmarkThaw(b *testing.B) {
	const archives = 5000
	for b.Loop() {
		b.StopTimer()
		lab, s := frozen(b, archives)
		p := everything(b, lab, s)
		b.StartTimer()
		began := time.Now()
		res, err := p.Thaw(b.Context(), s, cold.Options{Tier: storage.Bulk})
		if err != nil || res.Requested != archives || requests(b, lab, "RestoreObject", 202) != archives {
			b.Fatalf("%+v, %v", res, err)
		}
		b.ReportMetric(archives/time.Since(began).Seconds(), "thaws/s")
	}
}
