package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/backup"
	"github.com/tarn-backup/tarn/internal/bill"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/storage"
)

// money is what a command knows of the bill of what it does.
type money struct {
	meter  storage.Meter // nil where nobody sends a bill: a folder
	prices *price.Prices // nil if none are known
	why    error         // that none are known
}

// money finds the prices of an open repository. That there are none is no error
// before somebody asks for a limit.
func (g *globals) money(s storage.Storage) *money {
	m := new(money)
	var ok bool
	if m.meter, ok = s.(storage.Meter); !ok {
		return m
	}
	region := ""
	if r, ok := s.(interface{ Region() string }); ok {
		region = r.Region()
	}
	m.prices, m.why = g.prices(s.Location(), region)
	return m
}

// cost prices what the storage has counted so far, and what was stored.
func (m *money) cost(s bill.Stored) (*bill.Cost, error) {
	return bill.Of(m.prices, m.meter.Metered(), s)
}

// none says that there are no prices, with the reason, on one line.
func (m *money) none() string {
	if m.why == nil {
		return ""
	}
	return printableError(m.why)
}

// chooser is how archives that are too small for a class get another; nil if
// nobody knows what is cheaper.
func (m *money) chooser(want tarn.Class, exact bool) func(int64) tarn.Class {
	if exact || m.prices == nil || want == tarn.Standard {
		return nil
	}
	return bill.Chooser(m.prices, want)
}

// stored is what a run has stored, or would store. The rest of what the storage
// took are indexes, trees and the snapshot.
func (m *money) stored(res *backup.Result) (s bill.Stored) {
	for _, a := range res.Made {
		s.Archives = append(s.Archives, bill.Objects{Class: a.Class, Count: 1, Size: a.Size})
		s.Metadata -= a.Size
	}
	for _, n := range m.meter.Metered().Stored {
		s.Metadata += n
	}
	return s
}

// What a line of an index or a tree takes at most, compressed, as measured of
// long names; and any object beside its lines.
const (
	bytesPerLine   = 256
	bytesPerObject = 1 << 10
)

// plan is what a dry run says that a run would store.
func plan(res *backup.Result) bill.Plan {
	p := bill.Plan{Trees: int64(res.Trees), Snapshots: 1}
	for _, a := range res.Made {
		p.Archives = append(p.Archives, bill.Objects{Class: a.Class, Count: 1, Size: a.Size})
	}
	p.Archives = bill.Sum(p.Archives)
	p.Metadata = (res.Members+res.Noted)*bytesPerLine + (int64(len(res.Made))+p.Trees+1)*bytesPerObject
	return p
}

// ofBackup is what a run has cost, or would cost; nil if there is no bill, or
// nobody knows the prices.
func (m *money) ofBackup(f backupFlags, res *backup.Result) (*bill.Cost, error) {
	switch {
	case m.prices == nil:
		return nil, nil
	case f.dryRun:
		return bill.Estimate(m.prices, m.meter.Metered(), plan(res))
	}
	return m.cost(m.stored(res))
}

// affordable refuses a run that could cost more than it may.
func (g *globals) affordable(ctx context.Context, m *money, f backupFlags, cfg backup.Config) error {
	if m.prices == nil {
		return nil // a folder
	}
	cost, err := m.estimate(ctx, cfg)
	if err != nil {
		return err
	}
	return f.maxCost.allows(cost)
}

// estimate is the most that a run is likely to cost, by what the files look like
// from outside.
func (m *money) estimate(ctx context.Context, cfg backup.Config) (*bill.Cost, error) {
	cfg.Plan, cfg.Count, cfg.Progress, cfg.Problem, cfg.Log = true, false, nil, nil, nil
	res, err := backup.Run(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return bill.Estimate(m.prices, m.meter.Metered(), plan(res))
}

// reportCost prints what an action has cost, or would cost.
func (g *globals) reportCost(m *money, c *bill.Cost, would bool) {
	takes, adds := "", "adds"
	if would {
		takes, adds = "would take up to ", "would add"
	}
	switch {
	case c == nil && m.why != nil:
		g.say("%s", m.none())
	case c != nil:
		g.say("%s%s, %s up, %s down: %s", takes, formatCount(c.Requests, "request", "requests"), formatBytes(c.Up), formatBytes(c.Down), c.Once.Total)
	}
	if c != nil && c.Up > 0 {
		g.say("%s %s a month%s", adds, c.Month.Total, owed(c))
	}
}

// owed says what the minimum days cost, if there are any.
func owed(c *bill.Cost) string {
	if c.Owed.Free() {
		return ""
	}
	return fmt.Sprintf("; its class bills at least %d days: %s, even if it is deleted before", c.Days, c.Owed)
}

// into adds a cost to a document, or why there is none.
func (m *money) into(c *bill.Cost, doc map[string]any) map[string]any {
	switch {
	case c != nil:
		doc["cost"] = m.costDoc(c)
	case m.why != nil:
		doc["no_prices"] = m.none()
	}
	return doc
}

// costDoc is a cost for JSON, with where its prices are from.
func (m *money) costDoc(c *bill.Cost) map[string]any {
	return map[string]any{
		"requests": c.Requests, "bytes_up": c.Up, "bytes_down": c.Down, "dollars": c.Once.Total, "once": c.Once.Lines,
		"month": c.Month.Total, "month_lines": c.Month.Lines, "owed": c.Owed, "minimum_days": c.Days, "committed": c.Committed(),
		"provider": m.prices.Provider, "region": m.prices.Region, "date": m.prices.Date,
	}
}

// limit is the value of --max-cost.
type limit struct {
	given bool
	most  price.Money
}

// Set reads an amount.
func (l *limit) Set(s string) (err error) {
	l.most, err = price.ParseMoney(s)
	l.given = err == nil
	return err
}

// String returns the amount.
func (l *limit) String() string {
	if l == nil || !l.given {
		return ""
	}
	return l.most.Exact()
}

// Type is what the help calls a value.
func (l *limit) Type() string { return "DOLLARS" }

// known refuses a limit where nobody knows what anything costs.
func (l *limit) known(m *money) error {
	if !l.given || m.prices != nil || m.meter == nil {
		return nil
	}
	return hinted{fmt.Errorf("--max-cost: %w", m.why), hintFor(m.why)}
}

// allows refuses what costs more than the limit.
func (l *limit) allows(c *bill.Cost) error {
	if !l.given || c.Committed().Cmp(l.most) <= 0 {
		return nil
	}
	return hinted{
		fmt.Errorf("%w: up to %s, of which %s for requests and %s for the minimum days of the class; --max-cost is %s", errTooDear, c.Committed(), c.Once.Total, c.Owed, l.most),
		"Nothing was uploaded. Allow more, back less up, or choose a warmer --storage-class; `tarn cost backup` shows the estimate.",
	}
}

// outcome is the error that a run ends with: a dry run whose estimate, which may be
// nil, is beyond the limit fails as the run would.
func (l *limit) outcome(estimate *bill.Cost, dryRun, problems bool) error {
	if estimate != nil && dryRun {
		if err := l.allows(estimate); err != nil {
			return err
		}
	}
	if problems {
		return errProblems
	}
	return nil
}

// errTooDear says that an action was refused for what it costs.
var errTooDear = errors.New("it would cost too much")
