package main

import (
	"context"

	"github.com/spf13/pflag"

	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/restore"
)

// readFlags are the flags of commands that read archives and thaw none, in classes
// that bill what is read of them.
type readFlags struct {
	yes     bool
	maxCost string
}

func (f *readFlags) register(fl *pflag.FlagSet) {
	fl.BoolVarP(&f.yes, "yes", "y", false, "read without asking what is billed by the byte")
	fl.StringVar(&f.maxCost, "max-cost", "", "refuse to read what costs more `DOLLARS`, before anything of it is read")
}

// thaw are the same flags for what takes those of a thaw.
func (f *readFlags) thaw() thawFlags {
	return thawFlags{yes: f.yes, maxCost: f.maxCost, days: daysDefault}
}

// check refuses values that make no sense before anything is done.
func (f *readFlags) check() error {
	t := f.thaw()
	return t.check()
}

// readingCosts is the help of commands with readFlags.
const readingCosts = `What lies in a class that bills what is read of it (GLACIER_IR, STANDARD_IA, ONEZONE_IA) is read after a question with the price, or with --yes.`

// payToRead asks for what reading the archives that are needed costs, if any of it is billed
// by the byte. The rest is read without a question.
func (g *globals) payToRead(v *coldView, needs []restore.Need, o *opened, f readFlags) error {
	p, err := v.plan(needs, cold.Request{Days: daysDefault, Now: g.time(o), Ready: true})
	if err != nil {
		return err
	}
	if err := within(v, p.Offers[0], f.maxCost, "Nothing of it was read. Allow more, or read less at a time."); err != nil {
		return err
	}
	return g.acceptReading(v, p, f.thaw())
}

// payForPaths is payToRead for files of a snapshot, and fills in what archives can be read.
func (g *globals) payForPaths(ctx context.Context, o *opened, cfg *restore.Config, f readFlags) error {
	v, err := g.look(ctx, o)
	if err != nil || v == nil {
		return err
	}
	cfg.Access = v.access
	if !v.charges() && f.maxCost == "" {
		return nil
	}
	plan := *cfg
	plan.Overwrite = restore.Changed // what can't be read is for the command to say
	needs, _, err := restore.Needs(ctx, plan)
	if err != nil {
		return err
	}
	return g.payToRead(v, needs, o, f)
}
