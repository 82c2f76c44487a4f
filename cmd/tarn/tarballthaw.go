package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/price"
)

func newTarballThaw(g *globals, at *tarballPlace) *cobra.Command {
	var f thawFlags
	var status, dryRun bool
	var version string
	cmd := &cobra.Command{
		Use:   "thaw TARBALL... | thaw --status [TARBALL]...",
		Short: "Ask for readable copies of cold tarballs, or say how far they are",
		Long: `thaw asks S3 for temporary copies of tarballs, and ends. It prints first what each tier costs, with the transfer of all if they are read
later, and asks, or takes --tier and --yes. Only what is frozen is asked for; a copy that expires within a day is made to last longer.

Without a terminal and without --yes nothing is spent. --max-cost refuses what costs more, and --dry-run prints the price and does nothing.

An .md5 or .txt that a lifecycle rule has cooled is asked for with its tarball: the next ` + "`tarn tarball`" + ` stores it in STANDARD again.

--status lists what is cold: frozen, thawing, or thawed until when.` + "\n" + exitCodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			if len(args) == 0 && !status {
				return hinted{errors.New("thaw wants a tarball, or --status"), "`tarn tarball list` shows them; . means all."}
			}
			if version != "" && len(args) != 1 {
				return errors.New("--version is that of one tarball")
			}
			return g.tarballThaw(cmd.Context(), at, f, args, version, status, dryRun)
		},
	}
	fl := cmd.Flags()
	fl.BoolVar(&status, "status", false, "say which tarballs are frozen, thawing and thawed")
	fl.BoolVar(&dryRun, "dry-run", false, "say what it would cost, and do nothing")
	fl.StringVar(&version, "version", "", "version of the tarball (list --versions)")
	f.register(fl)
	return cmd
}

func (g *globals) tarballThaw(ctx context.Context, at *tarballPlace, f thawFlags, args []string, version string, status, dryRun bool) error {
	v, err := g.lookTarballs(ctx, at)
	if err != nil {
		return err
	}
	var list []chosen
	for _, arg := range args {
		more, err := v.choose(arg, version)
		if err == nil && !status {
			more, err = g.newest(ctx, v, more)
		}
		if err != nil {
			return err
		}
		for _, c := range more {
			if !slices.ContainsFunc(list, func(have chosen) bool { return have.Object == c.Object }) {
				list = append(list, c)
			}
		}
	}
	list = withCold(list)
	if status {
		return g.tarballStatus(v, list, len(args) == 0)
	}
	now := v.clock()
	p, err := v.plan(list, cold.Request{Days: f.days, Now: now, Keep: now.AddDate(0, 0, 1), Faster: f.faster})
	if err != nil {
		return err
	}
	files, bytes, err := v.counted(ctx, list)
	if err != nil {
		return err
	}
	if err := g.showPlan(v.coldView, p, files, bytes); err != nil || dryRun {
		return err
	}
	if len(p.Ask) == 0 {
		g.say("nothing is frozen: nothing was asked for")
		return nil
	}
	offer, err := g.accept(v.coldView, p, f)
	if err != nil {
		return err
	}
	var u price.Usage
	_, err = g.thawBy(ctx, v.thawer(list), p, offer, false, &u)
	return errors.Join(err, g.spent(v.coldView, &u))
}

// tarballStatus lists what was chosen, or all that is cold.
func (g *globals) tarballStatus(v *tarballView, list []chosen, all bool) error {
	if all {
		list = v.allCold()
	}
	slices.SortStableFunc(list, func(a, b chosen) int { return cold.Soonest(a.Object.Object, b.Object.Object) })
	if g.json {
		for _, c := range list {
			if err := g.printJSON(c.Object); err != nil {
				return err
			}
		}
		return nil
	}
	if len(list) == 0 {
		g.say("no tarball is in a cold class")
		return nil
	}
	if g.quiet {
		return nil
	}
	w := tabwriter.NewWriter(g.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TARBALL\tSIZE\tCLASS\tSTATE\tUNTIL\tVERSION")
	for _, c := range list {
		until, version := "-", "-"
		if !c.Until.IsZero() {
			until = c.Until.Local().Format(time.DateTime)
		}
		if !c.Latest {
			version = c.Version
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", printable(c.title(v)), formatBytes(c.Size), c.Class, c.State, until, version)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("printing the tarballs: %w", err)
	}
	return nil
}

// allCold is what is cold, or was thawed: of older versions what somebody has asked for.
func (v *tarballView) allCold() (list []chosen) {
	for _, t := range slices.Concat(v.Archives, v.Older) {
		if t.Body.State != cold.Warm && (t.Body.Latest || t.Body.State != cold.Frozen) {
			list = append(list, chosen{Object: &t.Body, tarball: t})
		}
		if t.Body.Latest {
			list = append(list, withCold([]chosen{{tarball: t}})[1:]...)
		}
	}
	for i := range v.Files {
		if v.Files[i].State != cold.Warm {
			list = append(list, chosen{Object: &v.Files[i]})
		}
	}
	return list
}

// title is what users name it by.
func (c chosen) title(v *tarballView) string {
	if c.tarball != nil {
		return c.tarball.Title()
	}
	return c.Key[len(v.at.name)+1:]
}
