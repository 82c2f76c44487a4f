package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/restore"
)

func newCostRestore(g *globals) *cobra.Command {
	var days int
	cmd := &cobra.Command{
		Use:   "restore SNAPSHOT [PATH]...",
		Short: "Show what a restore would cost, by tier",
		Long: `restore finds the archives that a restore to an empty folder would need, and shows for each tier what thawing and fetching them
would cost, and how long it takes. It thaws nothing. Of each archive no more is fetched than is needed, but S3 thaws archives whole.` + "\n" + exitCodes,
		Args: cobra.MinimumNArgs(1),
	}
	cmd.Flags().IntVar(&days, "days", daysDefault, "days that the thawed copies are kept")
	filter := filterFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if days < 1 || days > 365 {
			return fmt.Errorf("--days %d: want 1 to 365", days)
		}
		ctx := cmd.Context()
		return g.withSnapshot(ctx, filter, args, func(o *opened, s *repo.Snapshot, paths []string) error {
			return g.costRestore(ctx, o, s, paths, days)
		})
	}
	return cmd
}

func (g *globals) costRestore(ctx context.Context, o *opened, s *repo.Snapshot, paths []string, days int) error {
	if _, err := g.priced(o.Storage()); err != nil {
		return err
	}
	if err := g.sync(ctx, o); err != nil {
		return err
	}
	v, err := g.look(ctx, o)
	if err != nil {
		return err
	}
	needs, would, err := g.needs(ctx, o, v, s, paths)
	if err != nil {
		return err
	}
	lost := v.lost(needs)
	if err := g.showLost(v, lost); err != nil {
		return err
	}
	would.Written, would.Bytes = notLost(lost, would.Written, would.Bytes)
	p, err := v.plan(needs, cold.Request{Days: days, Now: g.time(o)})
	if err != nil {
		return err
	}
	if err := g.showCost(v, p, would); err != nil {
		return err
	}
	if would.Problems > 0 || len(lost) > 0 {
		return errProblems
	}
	return nil
}

// needs finds the archives that files of a snapshot need.
func (g *globals) needs(ctx context.Context, o *opened, v *coldView, s *repo.Snapshot, paths []string) ([]restore.Need, *restore.Result, error) {
	var none *progress
	cfg := restore.Config{
		Repo: o.Repo, Contents: o.contents, Snapshot: s, Paths: paths, Overwrite: restore.Changed, Log: g.log, Access: v.access, Problem: g.problems(&none),
	}
	hints := collectHints(&cfg)
	list, would, err := restore.Needs(ctx, cfg)
	for _, hint := range hints() {
		fmt.Fprintf(g.stderr, "      %s\n", hint)
	}
	return list, would, err
}

// showCost prints what a restore would cost.
func (g *globals) showCost(v *coldView, p *cold.Plan, would *restore.Result) error {
	if g.json {
		var bytes, fetched int64
		frozen := map[tarn.Class]int64{}
		for _, a := range p.Archives {
			bytes, fetched = bytes+a.Size, fetched+a.Fetched
			if a.State == cold.Frozen {
				frozen[a.Class]++
			}
		}
		return g.printJSON(v.priceDoc(map[string]any{
			"type": "cost", "files": would.Written, "bytes": would.Bytes, "archives": len(p.Archives), "archive_bytes": bytes, "fetched_bytes": fetched,
			"frozen": frozen, "days": p.Days, "plans": orEmpty(p.Offers), "problems": would.Problems,
		}))
	}
	if err := g.showPlan(v, p, would.Written, would.Bytes); err != nil {
		return err
	}
	if len(p.Offers) == 0 {
		return errors.New("no tier thaws all of these archives: restore some of the paths at a time")
	}
	return nil
}
