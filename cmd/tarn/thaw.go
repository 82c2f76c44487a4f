package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn/internal/browse"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/restore"
)

func newThaw(g *globals) *cobra.Command {
	var f thawFlags
	var status, dryRun bool
	cmd := &cobra.Command{
		Use:   "thaw SNAPSHOT [PATH]... | thaw --status [SNAPSHOT [PATH]...]",
		Short: "Ask for readable copies of cold archives, or say how far they are",
		Long: `thaw asks S3 for temporary copies of the archives that hold the files of a snapshot, or those at and below PATH, and ends. It prints
first what each tier costs, with the transfer of the files if all of them are read later, and asks, or takes --tier and --yes. Only what
is frozen is asked for; a copy that expires within a day is made to last longer. Run again, it pays for nothing twice.

Without a terminal and without --yes nothing is spent. --max-cost refuses what costs more, and --dry-run prints the price and does nothing.

--status lists the cold archives, or those that the files need: frozen, thawing, or thawed until when.` + "\n" + exitCodes,
	}
	fl := cmd.Flags()
	fl.BoolVar(&status, "status", false, "say which archives are frozen, thawing and thawed")
	fl.BoolVar(&dryRun, "dry-run", false, "say what it would cost, and do nothing")
	f.register(fl)
	filter := filterFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.check(); err != nil {
			return err
		}
		switch {
		case status && len(args) == 0:
			return g.with(cmd.Context(), func(o *opened) error { return g.thawStatus(cmd.Context(), o, nil) })
		case len(args) == 0:
			return hinted{errors.New("thaw wants a snapshot, or --status"), "`tarn snapshots` lists them; \"latest\" is the last one."}
		}
		return g.thawSnapshot(cmd.Context(), filter, args, f, status, dryRun)
	}
	return cmd
}

// thawSnapshot thaws what files of a snapshot need, or says how far that is.
func (g *globals) thawSnapshot(ctx context.Context, filter *browse.Filter, args []string, f thawFlags, status, dryRun bool) error {
	return g.withSnapshot(ctx, filter, args, func(o *opened, s *repo.Snapshot, paths []string) error {
		if err := g.sync(ctx, o); err != nil {
			return err
		}
		v, err := g.look(ctx, o)
		if err != nil {
			return err
		}
		if v == nil {
			g.say("%s is a folder: nothing in it is ever cold", printable(o.location))
			return nil
		}
		var none *progress
		needs, would, err := restore.Needs(ctx, restore.Config{
			Repo: o.Repo, Contents: o.contents, Snapshot: s, Paths: paths, Overwrite: restore.Changed, Log: g.log, Access: v.access, Problem: g.problems(&none),
		})
		if err != nil {
			return err
		}
		if status {
			return g.thawStatus(ctx, o, needs)
		}
		if err := g.thawNeeds(ctx, o, v, f, needs, would, dryRun); err != nil {
			return err
		}
		if would.Problems > 0 {
			return errProblems
		}
		return nil
	})
}

// thawNeeds prices what is needed, and thaws it if that is accepted.
func (g *globals) thawNeeds(ctx context.Context, o *opened, v *coldView, f thawFlags, needs []restore.Need, would *restore.Result, dryRun bool) error {
	now := g.now()
	p, err := cold.NewPlan(cold.Request{
		Archives: v.archives(needs), Days: f.days, Now: now, Keep: now.AddDate(0, 0, 1), Faster: f.faster, Lists: v.lists,
	}, v.prices)
	if err != nil {
		return err
	}
	if err := g.showPlan(v, p, would.Written, would.Bytes); err != nil || dryRun {
		return err
	}
	if len(p.Ask) == 0 {
		g.say("nothing is frozen: nothing was asked for")
		return nil
	}
	offer, err := g.accept(v, p, f)
	if err != nil {
		return err
	}
	var u price.Usage
	_, err = g.thaw(ctx, o.Storage(), p, offer, &u)
	return errors.Join(err, g.spent(v, &u))
}
