package cold_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/s3lab"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/s3"
)

// thawsTo gives the thaws among a lab's requests to another handler.
func thawsTo(other func(lab http.Handler) http.HandlerFunc) func(http.Handler) http.Handler {
	return func(lab http.Handler) http.Handler {
		thaws := other(lab)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && r.URL.Query().Has("restore") {
				thaws(w, r)
				return
			}
			lab.ServeHTTP(w, r)
		})
	}
}

// losing lets the lab have a request, and loses the answer.
func losing(lab http.Handler, r *http.Request) {
	lab.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// thawRequests counts the thaws that a lab has had, and those that a storage has counted.
func thawRequests(t *testing.T, lab *s3lab.Lab, s *s3.Storage) (had int, counted int64) {
	t.Helper()
	for e, err := range lab.Events() {
		if err != nil {
			t.Fatal(err)
		}
		if e.Op == "RestoreObject" {
			had++
		}
	}
	for r, n := range s.Metered().Requests {
		if r.Operation == "RestoreObject" {
			counted += n
		}
	}
	return had, counted
}

// What has been sent when a thaw ends is waited for, and counted.
func TestEndsWithWhatWasSent(t *testing.T) {
	for _, name := range []string{"interrupted", "refused"} {
		t.Run(name, func(t *testing.T) {
			var seen atomic.Int64
			lab, s := frozenBehind(t, 300, thawsTo(func(lab http.Handler) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					if seen.Add(1) == 60 && name == "refused" {
						w.WriteHeader(http.StatusForbidden)
						return
					}
					lab.ServeHTTP(w, r)
					time.Sleep(50 * time.Millisecond) // before it is flushed
				}
			}))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			res, err := everything(t, lab, s).Thaw(ctx, s, cold.Options{Tier: storage.Bulk, Progress: func(n int64) {
				if n == 20 && name == "interrupted" {
					cancel()
				}
			}})
			if want := map[string]error{"interrupted": context.Canceled, "refused": tarn.ErrDenied}[name]; !errors.Is(err, want) {
				t.Errorf("it ends with %v", err)
			}
			began := requests(t, lab, "RestoreObject", http.StatusAccepted)
			if res.Requested != int64(began) || res.Unanswered != 0 || res.Left == 0 || began < 20 {
				t.Errorf("%d began, %+v", began, res)
			}
		})
	}
}

// What is not answered in time counts at its most.
func TestUnanswered(t *testing.T) {
	var open sync.WaitGroup
	ended := make(chan struct{})
	var seen atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lab, s := frozenBehind(t, 300, thawsTo(func(lab http.Handler) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			lab.ServeHTTP(w, r)
			if n := seen.Add(1); n > 30 {
				open.Add(1)
				defer open.Done()
				if n == 40 {
					cancel()
				}
				<-ended
			}
		}
	}))
	p := everything(t, lab, s)
	began := time.Now()
	res, err := p.Thaw(ctx, s, cold.Options{Tier: storage.Bulk})
	took := time.Since(began)
	close(ended)
	open.Wait()
	had, counted := thawRequests(t, lab, s)
	if !errors.Is(err, context.Canceled) || took > 10*time.Second {
		t.Errorf("after %v: %v", took, err)
	}
	if res.Requested != 30 || res.Unanswered < 10 || res.Requested+res.Unanswered < int64(had) || res.Requested+res.Unanswered+res.Left != 300 || counted < int64(had) {
		t.Errorf("S3 had %d, %d are counted, %+v", had, counted, res)
	}
	bill := func(u price.Usage) price.Money {
		b, err := prices(t).Bill(u, 0)
		if err != nil {
			t.Fatal(err)
		}
		return b.Total
	}
	var copies price.Usage
	copies.Copy(res.Requested+res.Unanswered, 24*time.Hour)
	if bill(res.Usage).Cmp(bill(copies)) < 0 {
		t.Errorf("it counts %s, and the copies cost %s", bill(res.Usage).Exact(), bill(copies).Exact())
	}
}

// Answers that are lost leave no request, and no archive, out of the count, and what S3
// says to the next attempt is no reason to leave the others in a slower tier.
func TestLostAnswers(t *testing.T) {
	const archives = 300
	var mu sync.Mutex
	var mended bool
	tries := map[string]int{}
	lab, s := frozenBehind(t, archives, thawsTo(func(lab http.Handler) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			tries[r.URL.Path]++
			lost := !mended && tries[r.URL.Path]%2 == 1 && r.URL.Path[len(r.URL.Path)-1]%3 == 0
			mu.Unlock()
			if lost {
				losing(lab, r)
			}
			lab.ServeHTTP(w, r)
		}
	}))
	for i, tier := range []storage.Tier{storage.Bulk, storage.Expedited} {
		p := everything(t, lab, s)
		p.Ask = p.Archives // as --faster has it
		res, err := p.Thaw(t.Context(), s, cold.Options{Tier: tier})
		began := requests(t, lab, "RestoreObject", http.StatusAccepted)
		if err != nil || res.Requested != archives || res.Bytes != archives || res.Running != 0 || res.Unanswered != 0 || began != archives*(i+1) {
			t.Errorf("%s: %+v, %v, and %d began", tier, res, err, began)
		}
		if had, counted := thawRequests(t, lab, s); int64(had) != counted || had <= began {
			t.Errorf("%s: S3 had %d, %d are counted", tier, had, counted)
		}
	}
	mended = true
	p := everything(t, lab, s)
	p.Ask = p.Archives
	if res, err := p.Thaw(t.Context(), s, cold.Options{Tier: storage.Bulk}); err != nil || res.Running != archives || res.Refused > 2 {
		t.Errorf("in a slower tier: %+v, %v", res, err)
	}
}
