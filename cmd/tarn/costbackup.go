package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newCostBackup(g *globals) *cobra.Command {
	f := backupFlags{dryRun: true}
	cmd := &cobra.Command{
		Use:   "backup [NAME=]PATH...",
		Short: "Show what a backup would cost",
		Long: `backup compares folders with the parent snapshot, without reading a file, and shows the most that a backup of them would cost: as
if all that is new to a stat were new content that can't be compressed. "tarn backup --dry-run" reads what is new, and knows what
the repository holds already.` + "\n" + exitCodes,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return g.costBackup(cmd.Context(), f, args) },
	}
	f.selection(cmd.Flags())
	return cmd
}

func (g *globals) costBackup(ctx context.Context, f backupFlags, args []string) error {
	sources, err := f.sources(args)
	if err != nil {
		return err
	}
	return g.withMoney(ctx, func(o *opened, m *money) error {
		cfg, err := g.backupConfig(f, o)
		if err != nil {
			return err
		}
		cfg.ClassOf = m.chooser(cfg.Class, f.exactClass)
		if _, err := g.prepare(ctx, o, f, sources, &cfg); err != nil {
			return err
		}
		cost, err := m.estimate(ctx, cfg)
		if err != nil {
			return err
		}
		if g.json {
			doc := m.costDoc(cost)
			doc["type"] = "cost"
			return g.printJSON(doc)
		}
		g.reportCost(m, cost, true)
		g.say("Prices of %s", m.source())
		return nil
	})
}
