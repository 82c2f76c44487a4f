package cold_test

import (
	"testing"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/storage"
)

// sent counts what a run has sent, by what S3 bills.
func (w *world) sent(p *cold.Plan, o cold.Options) (cold.Result, int) {
	w.t.Helper()
	before := w.thaws()
	res, err := p.Thaw(w.t.Context(), w, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return res, w.thaws() - before
}

// A plan that another run has carried out in the meantime costs one request, and
// none with a look before.
func TestAnotherRun(t *testing.T) {
	w := newWorld(t)
	w.put(tarn.Glacier, 1000, 1)
	old := w.plan(cold.Request{Days: 1})
	w.thaw(w.plan(cold.Request{Days: 1}), storage.Expedited)
	if res, n := w.sent(old, cold.Options{Tier: storage.Expedited}); n != 1 || res.Refused != 1 || res.Running != 1000 || res.Requested != 0 || res.Left != 0 {
		t.Errorf("%d requests, %+v", n, res)
	}
	if res, n := w.sent(old, cold.Options{Tier: storage.Expedited, Look: true}); n != 0 || res.Running != 1000 {
		t.Errorf("with a look before: %d requests, %+v", n, res)
	}
}

// Another run that thaws while this one does costs what is in flight at that moment.
func TestRunsMeet(t *testing.T) {
	w := newWorld(t)
	w.put(tarn.Glacier, 1000, 1)
	old := w.plan(cold.Request{Days: 1})
	half := w.plan(cold.Request{Days: 1})
	half.Ask = half.Ask[300:600]
	w.thaw(half, storage.Bulk)
	res, n := w.sent(old, cold.Options{Tier: storage.Bulk})
	if res.Requested != 700 || res.Running != 300 || res.Left != 0 || n > 700+64+1 {
		t.Errorf("%d requests, %+v", n, res)
	}
	if p := w.plan(cold.Request{Days: 1}); len(p.Ask) != 0 {
		t.Errorf("%d are left", len(p.Ask))
	}
}

// A faster tier is asked for once: a second run finds out by two requests, and one
// that goes on after a kill leaves none in the slow tier.
func TestFasterOnce(t *testing.T) {
	w := newWorld(t)
	w.put(tarn.Glacier, 1000, 1)
	w.thaw(w.plan(cold.Request{Days: 1}), storage.Bulk)
	killed := w.plan(cold.Request{Days: 1, Faster: true})
	killed.Ask = killed.Ask[:400]
	w.thaw(killed, storage.Expedited)
	res, n := w.sent(w.plan(cold.Request{Days: 1, Faster: true}), cold.Options{Tier: storage.Expedited})
	if res.Requested != 600 || n > 600+1+64 {
		t.Errorf("going on: %d requests, %+v", n, res)
	}
	res, n = w.sent(w.plan(cold.Request{Days: 1, Faster: true}), cold.Options{Tier: storage.Expedited})
	if n != 2 || res.Refused != 2 || res.Running != 1000 || res.Requested != 0 {
		t.Errorf("again: %d requests, %+v", n, res)
	}
}

// What is lost is in no price, and nobody asks for it; with Ready, nobody asks for anything.
func TestLostAndReady(t *testing.T) {
	w := newWorld(t)
	w.put(tarn.Glacier, 2, 100)
	w.put(tarn.Standard, 1, 100)
	l, err := cold.List(t.Context(), w, w.now)
	if err != nil {
		t.Fatal(err)
	}
	var whole, all []cold.Archive
	for i, key := range w.Keys() {
		o := l.Of(key)
		a := cold.Archive{Object: o, Gets: 1, Fetched: 100}
		if all = append(all, a); i == 0 {
			all[i].Object = o.Expect(key, 101)
		} else {
			whole = append(whole, a)
		}
	}
	all = append(all, cold.Archive{Object: cold.Object{}.Expect("archives/gone", 7), Gets: 1, Fetched: 7})
	plan := func(list []cold.Archive, ready bool) *cold.Plan {
		p, err := cold.NewPlan(cold.Request{Archives: list, Days: 1, Now: w.now, Ready: ready}, prices(t))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p, without := plan(all, false), plan(whole, false)
	if len(p.Ask) != 1 || p.Sum(cold.Missing, cold.Damaged).Archives != 2 || p.Offers[0].Bill.Total.Cmp(without.Offers[0].Bill.Total) != 0 {
		t.Errorf("%d to ask for, %+v, %s, want %s", len(p.Ask), p.Sums, p.Offers[0].Bill.Total.Exact(), without.Offers[0].Bill.Total.Exact())
	}
	if p = plan(all, true); len(p.Ask) != 0 || len(p.Offers) != 1 || p.Offers[0].Bill.Total.Exact() != "0.0000004" { // a GET of STANDARD
		t.Errorf("what is ready: %d to ask for, %+v", len(p.Ask), p.Offers)
	}
	if n := len(w.Requests()); n == 0 || w.thaws() != 0 {
		t.Errorf("%d requests, %d thaws", n, w.thaws())
	}
}
