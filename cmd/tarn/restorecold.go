package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/restore"
)

// coldRestore is a restore from a repository that may be cold.
type coldRestore struct {
	*globals
	o     *opened
	view  *coldView
	cfg   restore.Config
	flags restoreFlags
	needs []restore.Need
	usage price.Usage
	acted bool // something was asked for or read
}

// restoreCold restores from S3: it shows the price, thaws if that is accepted,
// and fetches what can be read.
func (g *globals) restoreCold(ctx context.Context, o *opened, v *coldView, cfg restore.Config, f restoreFlags) error {
	c := &coldRestore{globals: g, o: o, view: v, cfg: cfg, flags: f}
	c.cfg.Access = v.access
	err := c.all(ctx)
	if !c.acted {
		return err
	}
	if spentErr := g.spent(v, &c.usage); err == nil || err == errProblems {
		err = errors.Join(spentErr, err)
	}
	return err
}

func (c *coldRestore) all(ctx context.Context) error {
	if c.view.Cold == 0 && !c.flags.dryRun && c.flags.maxCost == "" {
		c.cfg.Access = nil // as from any warm storage: no plan is needed
		_, err := c.fetch(ctx)
		return err
	}
	if err := c.plan(ctx); err != nil {
		return err
	}
	if c.flags.dryRun {
		c.cfg.Access = nil // of all that would be written, thawed or not
		_, err := c.fetch(ctx)
		return err
	}
	for {
		left := int64(1)
		if len(c.needs) == 0 || c.view.any(c.needs, cold.Warm, cold.Thawed) {
			var err error
			if left, err = c.fetch(ctx); err != nil && (err != errProblems || left == 0) {
				return err
			}
		}
		if left == 0 {
			return nil
		}
		if !c.flags.wait || !c.view.any(c.needs, cold.Thawing) {
			return c.comeBack()
		}
		if err := c.wait(ctx); err != nil {
			return err
		}
	}
}

// plan finds out what is needed, shows what it costs, and thaws it if that is
// accepted.
func (c *coldRestore) plan(ctx context.Context) error {
	quiet := c.cfg
	quiet.Problem, quiet.Frozen = nil, nil // the run that fetches says it
	needs, would, err := restore.Needs(ctx, quiet)
	if err != nil {
		return err
	}
	c.needs = needs
	p, err := cold.NewPlan(cold.Request{
		Archives: c.view.archives(needs), Days: c.flags.days, Now: c.now(), Faster: c.flags.faster, Lists: c.view.lists,
	}, c.view.prices)
	if err != nil {
		return err
	}
	if c.view.Cold > 0 || c.flags.dryRun {
		if err := c.showPlan(c.view, p, would.Written, would.Bytes); err != nil {
			return err
		}
	}
	if c.flags.dryRun {
		return nil
	}
	offer, err := c.accept(c.view, p, c.flags.thawFlags)
	if err != nil || len(p.Ask) == 0 {
		return err
	}
	c.acted = true
	if _, err := c.thaw(ctx, c.o.Storage(), p, offer, &c.usage); err != nil {
		return err
	}
	return c.view.again(ctx, c.globals, c.o)
}

// fetch restores what can be read, and returns how many files are left.
func (c *coldRestore) fetch(ctx context.Context) (frozen int64, err error) {
	cfg := c.cfg
	cfg.Frozen = func(path string, err error) {
		if c.verbose {
			c.log.Info("not readable yet", "path", path, "error", err)
		}
	}
	c.acted = !cfg.DryRun
	stop := c.showRestore(&cfg)
	hints := collectHints(&cfg)
	var ends []time.Time
	if cfg.Access != nil {
		ends = c.view.ends(c.needs)
	}
	res, err := restore.RunByExpiry(ctx, cfg, ends)
	stop()
	if err != nil {
		return 0, err
	}
	if err := c.view.read(&c.usage, res.Reads); err != nil {
		return 0, err
	}
	c.reportRestore(cfg, res)
	for _, hint := range hints() {
		fmt.Fprintf(c.stderr, "      %s\n", hint)
	}
	if res.Problems > 0 {
		err = errProblems
	}
	return res.Frozen, err
}

// wait waits until something more can be read.
func (c *coldRestore) wait(ctx context.Context) error {
	var keys []string
	for _, a := range c.view.archives(c.needs) {
		if a.State == cold.Thawing {
			keys = append(keys, a.Key)
		}
	}
	c.say("waiting for %s, looking every %s; it can be ended and run again", formatCount(int64(len(keys)), "archive", "archives"), formatDuration(c.flags.poll))
	w := &cold.Waiter{Storage: c.o.Storage(), Every: c.flags.poll, Now: c.now}
	looks := int64(-1) // take counts the last one
	w.Looked = func(l *cold.Listing) { looks += l.Requests }
	l, err := w.Wait(ctx, keys)
	if err != nil {
		return err
	}
	c.view.lists += looks + 1 - l.Requests
	c.view.take(c.o, l)
	return nil
}

// comeBack says what is not back yet, and what to do.
func (c *coldRestore) comeBack() error {
	var frozen, thawing int64
	for _, a := range c.view.archives(c.needs) {
		switch a.State {
		case cold.Thawing:
			thawing++
		case cold.Frozen:
			frozen++
		}
	}
	if c.json {
		if err := c.printJSON(map[string]any{"type": "waiting", "thawing": thawing, "frozen": frozen}); err != nil {
			return err
		}
		return errProblems
	}
	if frozen > 0 || thawing == 0 {
		fmt.Fprintf(c.stderr, "tarn: some files are not back: their archives are frozen, or were frozen again on the way\n      The same command says what it costs to thaw them.\n")
	}
	if thawing > 0 {
		fmt.Fprintf(c.stderr, "tarn: some files are not back yet: %s being thawed\n      Run the same command again then: it fetches what is ready. `tarn thaw --status` says how far it is.\n", are(thawing))
	}
	return errProblems
}

// pollDefault is how often --wait looks.
const pollDefault = 10 * time.Minute
