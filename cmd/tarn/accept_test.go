package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/storage"
)

// What a person answers, or says by flags, before anything is thawed.
func TestAccept(t *testing.T) {
	prices, err := price.Embedded().Find("aws", "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	frozen := cold.Object{Key: "k", Size: 1 << 40, Class: tarn.Glacier, State: cold.Frozen}
	plan, err := cold.NewPlan(cold.Request{Archives: []cold.Archive{{Object: frozen}}, Days: 7, Now: time.Unix(1, 0)}, prices)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		flags    thawFlags
		terminal bool
		answer   string
		tier     storage.Tier
		fails    string
	}{
		{thawFlags{yes: true}, false, "", storage.Bulk, ""},
		{thawFlags{yes: true, tier: "standard"}, false, "", storage.Normal, ""},
		{thawFlags{yes: true, tier: "Expedited", maxCost: "1000"}, false, "", storage.Expedited, ""},
		{thawFlags{yes: true, tier: "expedited", maxCost: "5"}, false, "", "", "more than --max-cost allows"},
		{thawFlags{}, false, "standard\n", "", "1 archive is frozen, and nothing was asked for or spent"},
		{thawFlags{tier: "bulk"}, false, "y\n", "", "nothing was asked for or spent"},
		{thawFlags{}, true, "standard\n", storage.Normal, ""},
		{thawFlags{}, true, "Bulk", storage.Bulk, ""},
		{thawFlags{maxCost: "5"}, true, "standard\n", "", "more than --max-cost allows"},
		{thawFlags{}, true, "\n", "", "not thawed"},
		{thawFlags{}, true, "no\n", "", "not thawed"},
		{thawFlags{}, true, "yes\n", "", "want bulk, standard or expedited"},
		{thawFlags{}, true, "", "", "reading the answer"},
		{thawFlags{tier: "bulk"}, true, "y\n", storage.Bulk, ""},
		{thawFlags{tier: "bulk"}, true, "\n", "", "not thawed"},
		{thawFlags{tier: "bulk"}, true, "maybe\n", "", "not thawed"},
	} {
		var asked bytes.Buffer
		g := &globals{env: &env{stdin: strings.NewReader(test.answer), stderr: &asked}}
		if test.terminal {
			g.password = func(string) ([]byte, error) { return nil, errors.New("not asked for") }
		}
		o, err := g.accept(&coldView{}, plan, test.flags)
		switch {
		case test.fails == "" && (err != nil || o.Tier != test.tier):
			t.Errorf("%+v, answer %q: %s, %v", test.flags, test.answer, o.Tier, err)
		case test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails)):
			t.Errorf("%+v, answer %q: %v, want %q", test.flags, test.answer, err, test.fails)
		}
		if test.flags.yes == (asked.Len() > 0) && test.terminal {
			t.Errorf("%+v: it asks %q", test.flags, asked.String())
		}
	}
}

// Where no prices are known, nobody is told to thaw "at that price".
func TestAcceptWithoutPrices(t *testing.T) {
	frozen := cold.Object{Key: "k", Size: 1 << 40, Class: tarn.Glacier, State: cold.Frozen}
	plan, err := cold.NewPlan(cold.Request{Archives: []cold.Archive{{Object: frozen}}, Days: 7, Now: time.Unix(1, 0)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	g := &globals{env: &env{stderr: new(bytes.Buffer)}}
	_, err = g.accept(&coldView{}, plan, thawFlags{})
	if hint := hintFor(err); !strings.Contains(hint, "No prices are known here. Add --yes and a tier") || strings.Contains(hint, "that price") {
		t.Errorf("%v: %q", err, hint)
	}
}

// Days that make no sense are refused with what does.
func TestThawDays(t *testing.T) {
	for days, ok := range map[int]bool{0: false, 1: true, 36500: true, 36501: false} {
		f := thawFlags{days: days}
		if err := f.check(); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "want 1 to 36500") {
			t.Errorf("%d days: %v", days, err)
		}
	}
}

// Whoever thinks about a price for long has the archives looked at once more.
func TestStalePlan(t *testing.T) {
	p := &cold.Plan{Request: cold.Request{Now: time.Unix(100, 0)}}
	if stale(p, time.Unix(101, 0)) || !stale(p, time.Unix(160, 0)) {
		t.Error("a second is too long, or a minute is not")
	}
}
