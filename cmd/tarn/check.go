package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/bill"
	"github.com/tarn-backup/tarn/internal/check"
	"github.com/tarn-backup/tarn/internal/restore"
)

func newCheck(g *globals) *cobra.Command {
	var readData string
	var f readFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check that every file could be got back",
		Long: `check reads every snapshot, tree and index, and compares each archive's size and checksum with what the storage says of it,
without reading the archive. With --read-data it reads archives, too, all of them or a random share, and checks every content in
them; cold ones are left out, never thawed. ` + readingCosts + ` In S3 it ends with the requests that it took, and their price. It names each damaged object, and the files of snapshots that it costs.

Exit codes: 0 whole; 1 damaged, or failed; 3 no damage found, but for archives listed that nothing verifies without reading them; 130 interrupted.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			percent, err := parsePercent(readData)
			if err != nil {
				return err
			}
			if err := f.check(); err != nil {
				return err
			}
			return g.with(cmd.Context(), func(o *opened) error { return g.check(cmd.Context(), o, percent, f) })
		},
	}
	cmd.Flags().StringVar(&readData, "read-data", "", "read archives: all, or PERCENT of them, as in --read-data=10%")
	cmd.Flags().Lookup("read-data").NoOptDefVal = "100%"
	f.register(cmd.Flags())
	return cmd
}

func parsePercent(s string) (float64, error) {
	if s == "" {
		return 0, nil
	}
	v, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	if err != nil || !(v > 0 && v <= 100) {
		return 0, fmt.Errorf("--read-data %q: want a share of over 0 to 100%%", s)
	}
	return v, nil
}

func (g *globals) check(ctx context.Context, o *opened, percent float64, f readFlags) error {
	var mu sync.Mutex
	cfg := check.Config{Repo: o.Repo, Contents: o.contents, ReadData: percent, Now: func() time.Time { return g.time(o) }}
	if g.json {
		cfg.Report = func(d check.Damage) {
			mu.Lock()
			defer mu.Unlock()
			g.printJSON(damageDoc(d))
		}
	}
	start := func() (stop func()) { return func() {} }
	if !g.quiet {
		cfg.Progress = new(check.Progress)
		start = func() func() { return g.showCheck(cfg.Progress) }
	}
	stop := start()
	cfg.Reading = func(ids []tarn.ArchiveID) error {
		stop() // for a question may follow
		err := g.payToCheck(ctx, o, ids, f)
		stop = start()
		return err
	}
	res, err := check.Run(ctx, cfg)
	stop()
	if err != nil {
		return err
	}
	m := g.money(o.Storage())
	var cost *bill.Cost
	if m.prices != nil {
		if cost, err = m.cost(bill.Stored{}); err != nil {
			return err
		}
	}
	g.reportCheck(res, m, cost)
	if n := len(res.Damages); n > 0 {
		return hinted{fmt.Errorf("%s in %s: %w", formatCount(int64(n), "damage", "damages"), o.Storage().Location(), tarn.ErrDamaged),
			"Restore what is not damaged while it lasts."}
	}
	if len(res.Unverified) > 0 {
		return errProblems
	}
	return nil
}

// showCheck shows the progress of a check until stop.
func (g *globals) showCheck(p *check.Progress) (stop func()) {
	return g.newProgress(func() (shown, any) {
		s := p.Read()
		note := fmt.Sprintf("%d of %d %s", s.Done, s.Total, s.Stage)
		return shown{done: s.Done, total: s.Total, counted: s.Total > 0, rate: s.Bytes, note: note},
			map[string]any{"type": "progress", "stage": s.Stage, "done": s.Done, "total": s.Total, "bytes": s.Bytes, "damages": s.Damages}
	}).stop
}

// payToCheck asks for what reading the archives costs, each of them whole.
func (g *globals) payToCheck(ctx context.Context, o *opened, ids []tarn.ArchiveID, f readFlags) error {
	v, err := g.look(ctx, o)
	if err != nil || v == nil || !v.charges() && f.maxCost == "" {
		return err
	}
	var needs []restore.Need
	for _, id := range ids {
		needs = append(needs, v.whole(id))
	}
	return g.payToRead(v, needs, o, f)
}

func damageDoc(d check.Damage) map[string]any {
	costs := []map[string]any{}
	for _, c := range d.Costs {
		costs = append(costs, map[string]any{"path": c.Path, "below": c.Below, "snapshots": orEmpty(c.Snapshots)})
	}
	return map[string]any{"type": "damage", "key": d.Key, "problem": d.Problem, "unread": d.Unread, "files": d.Files, "snapshots": orEmpty(d.Snapshots), "costs": costs, "advice": d.Advice}
}

func (g *globals) reportCheck(res *check.Result, m *money, cost *bill.Cost) {
	if g.json {
		g.printJSON(m.into(cost, map[string]any{
			"type": "summary", "snapshots": res.Snapshots, "trees": res.Trees, "indexes": res.Indexes, "archives": res.Archives,
			"contents": res.Contents, "entries": res.Entries, "checksums": res.Checksums, "archives_read": res.ArchivesRead,
			"bytes_read": res.BytesRead, "cold": res.Cold, "damages": len(res.Damages), "notes": orEmpty(res.Notes),
			"unverified": orEmpty(res.Unverified),
		}))
		return
	}
	g.say("%s, %s, %s, %s with %s", formatCount(int64(res.Snapshots), "snapshot", "snapshots"), formatCount(int64(res.Trees), "tree", "trees"),
		formatCount(int64(res.Indexes), "index", "indexes"), formatCount(int64(res.Archives), "archive", "archives"), formatCount(res.Contents, "content", "contents"))
	g.say("compared the size of each archive, and the checksum of the %d of which the storage tells one", res.Checksums)
	if res.ArchivesRead > 0 || res.Cold > 0 {
		g.say("read %s whole (%s); %d cold ones left out", formatCount(int64(res.ArchivesRead), "archive", "archives"), formatBytes(res.BytesRead), res.Cold)
	}
	g.reportCost(m, cost, false)
	for _, n := range res.Notes {
		g.say("note: %s", n)
	}
	for i, d := range res.Damages {
		g.printDamage(d)
		if i == len(res.Damages)-1 || res.Damages[i+1].Advice != d.Advice { // once for all in a row
			fmt.Fprintf(g.stderr, "      %s\n", d.Advice)
		}
	}
	g.printUnverified(res)
	if len(res.Damages) == 0 {
		g.say("no damage found")
	}
}

// printUnverified names the archives that may have been replaced by others of the same size.
func (g *globals) printUnverified(res *check.Result) {
	if len(res.Unverified) == 0 {
		return
	}
	for _, key := range res.Unverified {
		fmt.Fprintf(g.stderr, "tarn: %s: the storage tells no checksum of it, as it does of others: somebody may have put another object there\n", printable(key))
	}
	fmt.Fprintf(g.stderr, "      `tarn check --read-data` verifies what can be read; a cold one is thawed first, for which `tarn restore` of its files asks.\n")
}

func (g *globals) printDamage(d check.Damage) {
	fmt.Fprintf(g.stderr, "tarn: %s: %s\n", printable(d.Key), d.Problem)
	for _, c := range d.Costs {
		var ids []string
		for _, id := range c.Snapshots {
			ids = append(ids, id.Short())
		}
		what := printable(c.Path)
		switch {
		case c.Path == "":
			what = "everything"
		case c.Below:
			what += " and all below"
		}
		fmt.Fprintf(g.stderr, "      costs %s in %s\n", what, strings.Join(ids, " "))
	}
	below := slices.ContainsFunc(d.Costs, func(c check.Cost) bool { return c.Below })
	if more := d.Files - int64(len(d.Costs)); more > 0 && !below {
		fmt.Fprintf(g.stderr, "      and %s more\n", formatCount(more, "file", "files"))
	}
}
