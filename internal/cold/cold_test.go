package cold_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// world is a cold storage with a clock.
type world struct {
	*storagetest.Memory
	t   *testing.T
	now time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{storagetest.NewMemory(), t, time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	w.SetCold()
	w.SetNow(func() time.Time { return w.now })
	return w
}

// put stores archives of a size in a class and returns them as they are needed.
func (w *world) put(class tarn.Class, n int, size int) {
	w.t.Helper()
	for i := range n {
		key := fmt.Sprintf("archives/%s/%03d", class, i)
		if _, err := w.Put(w.t.Context(), key, bytes.NewReader(make([]byte, size)), storage.PutOptions{Class: class}); err != nil {
			w.t.Fatal(err)
		}
	}
}

func prices(t *testing.T) *price.Prices {
	p, err := price.Embedded().Find("aws", "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// plan plans to read all archives whole.
func (w *world) plan(r cold.Request) *cold.Plan {
	w.t.Helper()
	l, err := cold.List(w.t.Context(), w, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, key := range w.Keys() {
		r.Archives = append(r.Archives, cold.Archive{Object: l.Of(key), Gets: 1, Fetched: l.Of(key).Size})
	}
	r.Now = w.now
	p, err := cold.NewPlan(r, prices(w.t))
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// thaws counts the RestoreObject requests so far.
func (w *world) thaws() (n int) {
	for _, r := range w.Requests() {
		if r.Op == storagetest.OpThaw {
			n++
		}
	}
	return n
}

func (w *world) thaw(p *cold.Plan, tier storage.Tier) cold.Result {
	w.t.Helper()
	res, err := p.Thaw(w.t.Context(), w, cold.Options{Tier: tier})
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

// The life of archives by the clock: just the frozen ones are asked for, and
// none twice, whatever state the others are in.
func TestLife(t *testing.T) {
	w := newWorld(t)
	w.put(tarn.Standard, 1, 10)
	w.put(tarn.DeepArchive, 3, 100)
	p := w.plan(cold.Request{Days: 2})
	if len(p.Ask) != 3 || p.Sum(cold.Frozen) != (cold.Sum{Archives: 3, Bytes: 300}) || p.Sum(cold.Warm).Archives != 1 || len(p.Offers) != 2 {
		t.Fatalf("%+v", p)
	}
	if w.thaws() != 0 {
		t.Fatal("a plan thaws")
	}
	if res := w.thaw(p, storage.Normal); res.Requested != 3 || res.Bytes != 300 || res.Left != 0 {
		t.Errorf("%+v", res)
	}
	p = w.plan(cold.Request{Days: 2})
	if len(p.Ask) != 0 || p.Sum(cold.Thawing).Archives != 3 || len(p.Offers) != 1 || p.Offers[0].Tier != "" {
		t.Errorf("while it thaws: %+v", p)
	}
	w.now = w.now.Add(13 * time.Hour)
	if p = w.plan(cold.Request{Days: 2}); len(p.Ask) != 0 || p.Sum(cold.Thawed).Archives != 3 {
		t.Errorf("when it is thawed: %+v", p.Sums)
	}
	if p = w.plan(cold.Request{Days: 2, Keep: w.now.Add(24 * time.Hour)}); len(p.Ask) != 0 {
		t.Errorf("copies that last are asked for: %+v", p.Ask)
	}
	p = w.plan(cold.Request{Days: 5, Keep: w.now.Add(3 * 24 * time.Hour)})
	if res := w.thaw(p, storage.Bulk); res.Requested != 3 {
		t.Errorf("copies that do not last: %+v", res)
	}
	if n := w.thaws(); n != 6 {
		t.Errorf("%d requests for a thaw", n)
	}
	w.now = w.now.Add(4 * 24 * time.Hour)
	if p = w.plan(cold.Request{Days: 2}); p.Sum(cold.Thawed).Archives != 3 {
		t.Errorf("copies that were to last longer: %+v", p.Sums)
	}
	w.now = w.now.Add(2 * 24 * time.Hour)
	if p = w.plan(cold.Request{Days: 2}); len(p.Ask) != 3 {
		t.Errorf("after the end: %+v", p.Sums)
	}
}

// A thaw that was killed goes on by the same calls, and asks for none twice.
func TestGoesOn(t *testing.T) {
	w := newWorld(t)
	w.put(tarn.Glacier, 300, 1)
	for _, kill := range []int64{1, 50, 120} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := w.plan(cold.Request{Days: 1}).Thaw(ctx, w, cold.Options{Tier: storage.Bulk, Progress: func(n int64) {
			if n == kill {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("killed after %d: %v", kill, err)
		}
	}
	before := w.plan(cold.Request{Days: 1}).Sum(cold.Thawing).Archives
	if before < 171 || before == 300 {
		t.Errorf("%d archives are thawing after three kills", before)
	}
	res := w.thaw(w.plan(cold.Request{Days: 1}), storage.Bulk)
	asked := map[string]int{}
	for _, r := range w.Requests() {
		if r.Op == storagetest.OpThaw {
			asked[r.Key]++
		}
	}
	if res.Requested != 300-before || res.Running != 0 || len(asked) != 300 {
		t.Errorf("the last run: %+v, in all %d", res, len(asked))
	}
	for key, n := range asked {
		if n != 1 {
			t.Errorf("%s was asked for %d times", key, n)
		}
	}
}

// A tier that is refused costs one request that nobody bills, names the others, and
// nothing else is asked for.
func TestRefused(t *testing.T) {
	w := newWorld(t)
	w.put(tarn.Glacier, 100, 1)
	w.SetHook(func(r storagetest.Request) storagetest.Fault {
		if r.Op == storagetest.OpThaw {
			return storagetest.Fault{Kind: storagetest.FailBefore, Err: tarn.ErrTierRefused}
		}
		return storagetest.Fault{}
	})
	res, err := w.plan(cold.Request{Days: 1}).Thaw(t.Context(), w, cold.Options{Tier: storage.Expedited})
	if !errors.Is(err, tarn.ErrTierRefused) || !strings.Contains(err.Error(), "there is bulk and standard") || res.Left != 100 || w.thaws() != 1 {
		t.Errorf("%v, %+v, %d requests", err, res, w.thaws())
	}
	w.SetHook(nil)
	w.put(tarn.DeepArchive, 1, 1)
	p := w.plan(cold.Request{Days: 1})
	if _, err := p.Offer(storage.Expedited); !errors.Is(err, tarn.ErrTierRefused) || !strings.Contains(err.Error(), "DEEP_ARCHIVE") || !strings.Contains(err.Error(), "bulk and standard") {
		t.Errorf("of DEEP_ARCHIVE: %v", err)
	}
}

// A server that asks for rest, again and again, gets it.
func TestStopsWhenBusy(t *testing.T) {
	w := newWorld(t)
	w.put(tarn.Glacier, 1000, 1)
	var n atomic.Int64
	w.SetHook(func(r storagetest.Request) storagetest.Fault {
		if r.Op == storagetest.OpThaw && n.Add(1) > 200 {
			return storagetest.Fault{Kind: storagetest.FailBefore, Err: tarn.ErrBusy}
		}
		return storagetest.Fault{}
	})
	res, err := w.plan(cold.Request{Days: 1}).Thaw(t.Context(), w, cold.Options{Tier: storage.Bulk})
	if !errors.Is(err, tarn.ErrBusy) || !strings.Contains(err.Error(), "after 200 of 1000 archives") || res.Requested != 200 || res.Left != 800 {
		t.Errorf("%v, %+v", err, res)
	}
	if w.thaws() > 200+64 {
		t.Errorf("%d requests", w.thaws())
	}
	w.SetHook(nil)
	if res := w.thaw(w.plan(cold.Request{Days: 1}), storage.Bulk); res.Requested != 800 {
		t.Errorf("later: %+v", res)
	}
}

// A thaw in a slower tier is left alone, unless a faster one is asked for.
func TestFaster(t *testing.T) {
	w := newWorld(t)
	w.put(tarn.Glacier, 2, 1)
	w.thaw(w.plan(cold.Request{Days: 1}), storage.Bulk)
	if p := w.plan(cold.Request{Days: 1}); len(p.Ask) != 0 {
		t.Errorf("%+v", p.Ask)
	}
	if res := w.thaw(w.plan(cold.Request{Days: 1, Faster: true}), storage.Expedited); res.Requested != 2 {
		t.Errorf("faster: %+v", res)
	}
	if res := w.thaw(w.plan(cold.Request{Days: 1, Faster: true}), storage.Bulk); res.Running != 2 || res.Requested != 0 {
		t.Errorf("slower: %+v", res)
	}
	w.now = w.now.Add(time.Hour)
	if p := w.plan(cold.Request{Days: 1}); p.Sum(cold.Thawed).Archives != 2 {
		t.Errorf("%+v", p.Sums)
	}
}

// lists are LIST requests that looking at a repository has taken.
func lists(t *testing.T, n int64) (u price.Usage) {
	if err := u.Request(price.ListObjects, "", n); err != nil {
		t.Fatal(err)
	}
	return u
}

// What a plan counts, against sums by hand.
func TestPrices(t *testing.T) {
	w := newWorld(t) // it is noon
	l := []cold.Archive{
		{Object: cold.Object{Key: "a", Size: 100 << 30, Class: tarn.DeepArchive, State: cold.Frozen}, Gets: 1000, Fetched: 100 << 30},
		{Object: cold.Object{Key: "b", Size: 100 << 30, Class: tarn.DeepArchive, State: cold.Frozen}, Gets: 1000, Fetched: 100 << 30},
		{Object: cold.Object{Key: "c", Size: 1 << 30, Class: tarn.DeepArchive, State: cold.Thawing}, Gets: 1000, Fetched: 1 << 30},
		{Object: cold.Object{Key: "d", Size: 1 << 30, Class: tarn.StandardIA, State: cold.Warm}, Gets: 1000, Fetched: 1 << 30},
	}
	p, err := cold.NewPlan(cold.Request{Archives: l, Days: 7, Now: w.now, Beside: lists(t, 3), Poll: time.Hour, Pages: 2}, prices(t))
	if err != nil {
		t.Fatal(err)
	}
	const hour = 200 * .023 / 730 // of both copies
	reading := 3*.0004 + .001 + 3*.000005 + .01 + 102*.09
	for i, want := range []float64{
		200*.0025 + 2*.000025 + (7*24+12)*hour + reading, // ready at noon, kept to midnight
		200*.02 + 2*.0001 + 7*24*hour + reading,          // ready at midnight
	} {
		if got, _ := p.Offers[i].Bill.Total.Rat().Float64(); got < want-1e-9 || got > want+1e-9 {
			t.Errorf("%s: %.9f, want %.9f", p.Offers[i].Tier, got, want)
		}
	}
	for i, want := range []float64{ // copies of a day more, the LISTs twice more, and while waiting
		200*.0025 + 2*.000025 + 8*24*hour + reading + (3+51*2)*.000005,
		200*.02 + 2*.0001 + 8*24*hour + reading + (3+15*2)*.000005,
	} {
		if got, _ := p.Offers[i].Most.Total.Rat().Float64(); got < want-1e-9 || got > want+1e-9 {
			t.Errorf("%s: at most %.9f, want %.9f", p.Offers[i].Tier, got, want)
		}
	}
	if w := p.Offers[0].Wait.To; w != 48*time.Hour {
		t.Errorf("bulk takes %v", w)
	}
	five, _ := price.ParseMoney("5")
	fifty, _ := price.ParseMoney("50")
	if err := p.Offers[0].Within(five); !errors.Is(err, cold.ErrTooDear) {
		t.Errorf("within 5 dollars: %v", err)
	}
	if err := p.Offers[0].Within(fifty); err != nil {
		t.Errorf("within 50 dollars: %v", err)
	}
	p, err = cold.NewPlan(cold.Request{Archives: l, Days: 7, Now: w.now}, nil)
	if err != nil || p.Offers[0].Bill != nil || !errors.Is(p.Offers[0].Within(fifty), price.ErrNoPrices) {
		t.Errorf("without prices: %+v, %v", p.Offers, err)
	}
}

// The most that a thaw costs is not less than what the plan says, nor than what a
// copy costs that is ready at any minute of a day, if it is to last longer or not.
func TestMost(t *testing.T) {
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	until := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC).Add(24 * time.Hour)
	list := []cold.Archive{
		{Object: cold.Object{Key: "a", Size: 10 << 30, Class: tarn.Glacier, State: cold.Frozen}},
		{Object: cold.Object{Key: "b", Size: 10 << 30, Class: tarn.Glacier, State: cold.Thawed, Until: until}},
	}
	for minutes := range 24 * 60 {
		now := noon.Add(time.Duration(minutes) * time.Minute)
		p, err := cold.NewPlan(cold.Request{Archives: list, Days: 1, Now: now, Keep: until.Add(time.Hour)}, prices(t))
		if err != nil {
			t.Fatal(err)
		}
		end := now.Add(24 * time.Hour)
		if midnight := end.Truncate(24 * time.Hour); midnight.Before(end) {
			end = midnight.Add(24 * time.Hour)
		}
		var worst price.Usage // ready at once, and asked to last longer by now
		worst.Thaw(tarn.Glacier, price.Expedited, 2, 10<<30)
		worst.Copy(10<<30, end.Sub(now))
		worst.Copy(10<<30, end.Sub(until))
		bill, err := p.Bill(worst)
		if err != nil {
			t.Fatal(err)
		}
		o, err := p.Offer(storage.Expedited)
		if err != nil || len(p.Ask) != 2 || o.Most.Total.Cmp(bill.Total) < 0 || o.Most.Total.Cmp(o.Bill.Total) < 0 {
			t.Fatalf("at %v: at most %s, planned %s, and it may be %s (%v)", now, o.Most.Total.Exact(), o.Bill.Total.Exact(), bill.Total.Exact(), err)
		}
	}
}

// Waiting looks once an interval, and ends when something can be read or no
// thaw is left.
func TestWait(t *testing.T) {
	w := newWorld(t)
	w.put(tarn.DeepArchive, 2, 1)
	looks := 0
	wait := func(keys ...string) *cold.Listing {
		t.Helper()
		looks = 0
		waiter := &cold.Waiter{
			Storage: w, Every: time.Hour, Now: func() time.Time { return w.now }, Looked: func(*cold.Listing) { looks++ },
			Sleep: func(_ context.Context, d time.Duration) error { w.now = w.now.Add(d); return nil },
		}
		l, err := waiter.Wait(t.Context(), keys)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	keys := w.Keys()
	if l := wait(keys...); looks != 1 || l.Of(keys[0]).State != cold.Frozen {
		t.Errorf("of frozen ones: %d looks, %+v", looks, l)
	}
	w.thaw(w.plan(cold.Request{Days: 1}), storage.Normal)
	if l := wait(keys...); looks != 13 || !l.Of(keys[0]).Readable() {
		t.Errorf("of thawing ones: %d looks, %+v", looks, l)
	}
	if l := wait("archives/none"); looks != 1 || l.Of("archives/none").State != cold.Missing {
		t.Errorf("of none: %d looks, %+v", looks, l)
	}
}
