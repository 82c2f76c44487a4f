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
	var archives []string
	cmd := &cobra.Command{
		Use:   "thaw SNAPSHOT [PATH]... | thaw --archive KEY... | thaw --status [SNAPSHOT [PATH]...]",
		Short: "Ask for readable copies of cold archives, or say how far they are",
		Long: `thaw asks S3 for temporary copies of the archives that hold the files of a snapshot, or those at and below PATH, and ends. It prints
first what each tier costs, with the transfer of the files if all of them are read later, and asks, or takes --tier and --yes. Only what
is frozen is asked for; a copy that expires within a day is made to last longer. Run again, it pays for nothing twice.

Runs on one machine take turns. Two machines that thaw the same archives in the same minute may both pay for some of them: S3 refuses, and
bills, a request for what is being thawed, and accepts one in a faster tier. Let one of them do it.

Without a terminal and without --yes nothing is spent. --max-cost refuses what costs more, and --dry-run prints the price and does nothing.

--status lists the cold archives, or those that the files need: frozen, thawing, or thawed until when. --archive names archives
instead of files, as ` + "`tarn rebuild`" + ` does that has to read them whole.` + "\n" + exitCodes,
	}
	fl := cmd.Flags()
	fl.BoolVar(&status, "status", false, "say which archives are frozen, thawing and thawed")
	fl.BoolVar(&dryRun, "dry-run", false, "say what it would cost, and do nothing")
	fl.StringArrayVar(&archives, "archive", nil, "thaw the archive with this `KEY` (can be repeated)")
	f.register(fl)
	filter := filterFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.check(); err != nil {
			return err
		}
		switch {
		case len(archives) > 0 && len(args) > 0:
			return errors.New("name a snapshot or archives (--archive), not both")
		case len(archives) > 0:
			return g.thawArchives(cmd.Context(), archives, f, status, dryRun)
		case status && len(args) == 0:
			return g.with(cmd.Context(), func(o *opened) error {
				v, err := g.lookCold(cmd.Context(), o)
				if err != nil || v == nil {
					return err
				}
				return g.thawStatus(cmd.Context(), o, v, nil)
			})
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
		v, err := g.lookCold(ctx, o)
		if err != nil || v == nil {
			return err
		}
		needs, would, err := g.needs(ctx, o, v, s, paths)
		if err != nil {
			return err
		}
		if status {
			return g.thawStatus(ctx, o, v, needs)
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

// lookCold is look for commands about nothing but the cold: it says that a folder has none.
func (g *globals) lookCold(ctx context.Context, o *opened) (*coldView, error) {
	v, err := g.look(ctx, o)
	if err == nil && v == nil {
		g.say("%s is a folder: nothing in it is ever cold", printable(o.location))
	}
	return v, err
}

// thawNeeds prices what is needed, and thaws it if that is accepted.
func (g *globals) thawNeeds(ctx context.Context, o *opened, v *coldView, f thawFlags, needs []restore.Need, would *restore.Result, dryRun bool) error {
	lost := v.lost(needs)
	if err := g.showLost(v, lost); err != nil {
		return err
	}
	err := g.thawFound(ctx, o, v, f, needs, would, dryRun)
	if err == nil && len(lost) > 0 {
		return errProblems
	}
	return err
}

// thawFound is thawNeeds for what is not lost.
func (g *globals) thawFound(ctx context.Context, o *opened, v *coldView, f thawFlags, needs []restore.Need, would *restore.Result, dryRun bool) error {
	now := g.time(o)
	p, err := v.plan(needs, cold.Request{Days: f.days, Now: now, Keep: now.AddDate(0, 0, 1), Faster: f.faster})
	if err != nil {
		return err
	}
	files, bytes := notLost(v.lost(needs), would.Written, would.Bytes)
	if err := g.showPlan(v, p, files, bytes); err != nil {
		return err
	}
	g.noteFaster(p, f)
	switch {
	case dryRun:
		return f.affordable(v, p)
	case len(p.Ask) > 0:
	case p.Sum(cold.Thawing).Archives > 0:
		g.say("%s being thawed already, and nothing else is frozen: nothing was asked for", are(p.Sum(cold.Thawing).Archives))
		return nil
	default:
		g.say("nothing is frozen: nothing was asked for")
		return nil
	}
	offer, err := g.accept(v, p, f)
	if err != nil {
		return err
	}
	var u price.Usage
	_, err = g.thaw(ctx, o, p, offer, &u)
	return errors.Join(err, g.spent(v, &u))
}
