package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/repo"
)

// drillFlags are the flags of drill.
type drillFlags struct {
	thawFlags // its --max-cost is the budget
	waitFlags
	bytes  string
	seed   uint64
	valid  int
	status bool
	dryRun bool
	limit  int64 // --bytes; 0 is none
	// named are the flags that were given, by name.
	named func(name string) bool
}

func newDrill(g *globals) *cobra.Command {
	var f drillFlags
	cmd := &cobra.Command{
		Use:   "drill [SNAPSHOT] --budget DOLLARS | drill --status [SNAPSHOT]",
		Short: "Prove, by reading parts of it drawn by chance, that a backup can be got back",
		Long: `drill draws parts of a snapshot (the latest, if none is named) by chance, as many as the budget pays for, reads them back without
writing them anywhere, and compares each content with its SHA-256. What was proven stays proven, also for later snapshots that have the
same content, so that the share grows from run to run until all of the backup is. It is kept in your configuration folder.

Archives are drawn, each as likely as the bytes in it are many that were not proven, so that every such byte has the same chance. Of an
archive all contents are read that the snapshot needs and that were not proven; of the last one, which does not fit into the budget whole, as
many neighbours as do, from a file drawn by chance on. --seed draws the same again.

Where archives are frozen, drill shows what their thaw costs, asks (or takes --yes), asks S3 for just those archives, and ends with exit
code 3. The same command, run later, reads what is ready; until all that was drawn is read, it draws and pays for nothing new, and --tier
and --days stay what they were. Copies that ended before they were read are given up. --wait stays until all is read. The budget covers all of it at its most: retrieval, requests, copies
for a day more than --days, and transfer. Without a terminal and without --yes nothing is thawed; --dry-run draws, and does nothing.

--status says what share of the snapshot was proven, since when, and which files are damaged. With --valid 365 what was read longer
than so many days ago counts as not proven.` + "\n" + exitCodes,
		Args: cobra.MaximumNArgs(1),
	}
	f.register(cmd.Flags())
	filter := filterFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.check(); err != nil {
			return err
		}
		f.named = cmd.Flags().Changed
		if !f.named("seed") {
			f.seed = uint64(rand.Uint32()) // which every reader of JSON can hold
		}
		if len(args) == 0 {
			args = []string{"latest"}
		}
		return g.withSnapshot(cmd.Context(), filter, args, func(o *opened, s *repo.Snapshot, _ []string) error {
			return g.drill(cmd.Context(), o, s, f)
		})
	}
	return cmd
}

func (f *drillFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.maxCost, "budget", "", "what is drawn may cost so many `DOLLARS`, thaw and transfer included")
	fl.StringVar(&f.bytes, "bytes", "", "read no more than `SIZE` of archives, such as 2GiB")
	fl.StringVar(&f.tier, "tier", "bulk", "speed of a thaw: bulk, standard or expedited")
	fl.IntVar(&f.days, "days", daysDefault, "days that thawed copies can be read")
	fl.BoolVarP(&f.yes, "yes", "y", false, "thaw without asking")
	fl.Uint64Var(&f.seed, "seed", 0, "draw as an earlier run that has printed this number")
	fl.IntVar(&f.valid, "valid", 0, "days after which what was read counts as not proven (0: never)")
	fl.BoolVar(&f.status, "status", false, "say what was proven so far, and draw nothing")
	fl.BoolVar(&f.dryRun, "dry-run", false, "say what would be read and what that would cost, and do nothing")
	f.waitFlags.register(fl, lookAtArchives)
}

// check refuses values that make no sense before anything is done.
func (f *drillFlags) check() (err error) {
	if f.maxCost != "" {
		if _, err := price.ParseMoney(f.maxCost); err != nil {
			return fmt.Errorf("--budget: %w", err)
		}
	}
	if f.bytes != "" {
		if f.limit, err = parseBytes(f.bytes); err != nil {
			return fmt.Errorf("--bytes: %w", err)
		}
	}
	if f.valid < 0 {
		return fmt.Errorf("--valid %d: want a number of days", f.valid)
	}
	if err := f.waitFlags.check(); err != nil {
		return err
	}
	return f.thawFlags.check()
}

// drill goes on with what was drawn, or draws.
func (g *globals) drill(ctx context.Context, o *opened, s *repo.Snapshot, f drillFlags) (err error) {
	if err := g.sync(ctx, o); err != nil {
		return err
	}
	d := &drilling{globals: g, o: o, flags: f, snapshot: s, view: &coldView{money: g.money(o.Storage())}}
	if d.view.why != nil && g.priceOf != "" {
		return d.view.why
	}
	if d.record, err = g.drillRecord(o); err != nil {
		return err
	}
	if err := d.view.again(ctx, g, o); err != nil {
		return err
	}
	if f.status {
		return d.status(ctx)
	}
	if _, err := o.Identities(); err != nil {
		return err // before anything is spent on what could not be read
	}
	err = d.all(ctx)
	if d.acted && d.view.meter != nil {
		err = errors.Join(d.spent(), err)
	}
	return err
}
