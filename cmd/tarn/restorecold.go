package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/tarn-backup/tarn"
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
	usage price.Usage // of thaws, beside the requests
	acted bool        // something was asked for or read
	// refused says that the price was not accepted: then only what costs nothing
	// by the byte is read.
	refused *declined
	ready   time.Time // when what this run has asked for can be read, as a rule
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
	return errors.Join(g.spent(v, &c.usage), err)
}

func (c *coldRestore) all(ctx context.Context) error {
	if c.view.Cold == 0 && !c.view.charges() && !c.flags.dryRun && c.flags.maxCost == "" {
		c.cfg.Access = nil // as from any warm storage: no plan is needed
		_, err := c.fetch(ctx)
		return err
	}
	err := c.plan(ctx)
	if refused, ok := errors.AsType[*declined](err); ok && c.readable() {
		c.refused = refused
	} else if err != nil {
		return err
	}
	if c.flags.dryRun {
		return c.tell(ctx)
	}
	for {
		left := int64(1)
		if c.readable() || !c.view.any(c.needs, cold.Thawing, cold.Frozen) {
			var err error
			if left, err = c.fetch(ctx); err != nil && (err != errProblems || left == 0) {
				return err
			}
		}
		if left == 0 {
			return nil
		}
		if !c.flags.wait || !c.view.any(c.needs, cold.Thawing) || c.refused != nil {
			return c.comeBack()
		}
		if err := c.wait(ctx); err != nil {
			return err
		}
	}
}

// tell is a dry run, of all that would be written, thawed or not.
func (c *coldRestore) tell(ctx context.Context) error {
	c.cfg.Access = func(id tarn.ArchiveID) restore.Access {
		a := c.view.access(id)
		a.Readable = true
		return a
	}
	_, err := c.fetch(ctx)
	return err
}

// readable reports whether something of what is needed can be read now, and may be.
func (c *coldRestore) readable() bool {
	return slices.ContainsFunc(c.needs, func(n restore.Need) bool {
		a := c.view.access(n.Archive)
		return a.Readable && a.Err == nil
	})
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
	lost := c.view.lost(needs)
	if err := c.showLost(c.view, lost); err != nil {
		return err
	}
	r := cold.Request{Days: c.flags.days, Now: c.time(c.o), Faster: c.flags.faster, Ready: c.flags.ready}
	if c.flags.wait {
		r.Poll = c.flags.poll
	}
	p, err := c.view.plan(needs, r)
	if err != nil {
		return err
	}
	files, bytes := notLost(lost, would.Written, would.Bytes)
	if c.view.Cold > 0 || c.view.charges() || c.flags.dryRun {
		if err := c.showPlan(c.view, p, files, bytes); err != nil {
			return err
		}
		c.noteFaster(p, c.flags.thawFlags)
	}
	if c.flags.dryRun {
		return c.flags.affordable(c.view, p)
	}
	return c.carryOut(ctx, p, bytes)
}

// carryOut thaws what a plan asks for if its price is accepted. Before anybody is
// asked, it tries whether so many bytes can be written at all.
func (c *coldRestore) carryOut(ctx context.Context, p *cold.Plan, bytes int64) error {
	sum, err := p.Retrieval()
	if err != nil {
		return err
	}
	if len(p.Ask) > 0 || sum != nil && !sum.Free() {
		if err := c.tryTarget(bytes); err != nil {
			return err
		}
	}
	offer, err := c.accept(c.view, p, c.flags.thawFlags)
	if err == nil && len(p.Ask) == 0 {
		err = c.acceptReading(c.view, p, c.flags.thawFlags)
	}
	if _, ok := errors.AsType[*declined](err); ok {
		c.view.unpaid = true
	}
	if err != nil || len(p.Ask) == 0 {
		return err
	}
	c.acted = true
	if _, err := c.thaw(ctx, c.o, p, offer, &c.usage); err != nil {
		return err
	}
	c.ready = readyIn(offer, c.time(c.o))
	return c.view.again(ctx, c.globals, c.o)
}

// tryTarget finds out whether the target can be written and has room, before anything
// is paid. Of a target that holds something, files may be replaced, so that less
// room may do.
func (c *coldRestore) tryTarget(bytes int64) error {
	err := restore.TryTarget(c.cfg.Target, bytes)
	if err == nil {
		return nil
	}
	if !errors.Is(err, restore.ErrNoRoom) {
		return fmt.Errorf("nothing was asked for or spent: %w", err)
	}
	if list, readErr := os.ReadDir(c.cfg.Target); readErr == nil && len(list) > 0 {
		c.log.Warn("there may be too little room", "error", err)
		return nil
	}
	return hinted{fmt.Errorf("nothing was asked for or spent: %w", err), "Make room there, name another --target, or fewer paths. `tarn thaw` asks for a thaw without a target."}
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
	if cfg.Access != nil && !cfg.DryRun {
		ends = c.view.ends(c.needs)
	}
	res, err := restore.RunByExpiry(ctx, cfg, ends)
	stop()
	if err != nil {
		return 0, err
	}
	if cfg.DryRun {
		res.Frozen = c.view.unreadable(c.needs)
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
	return c.waitFor(ctx, c.o, c.view, keys, c.flags.poll)
}

// waitFor waits until one of the archives can be read, or none is being thawed.
func (g *globals) waitFor(ctx context.Context, o *opened, v *coldView, keys []string, poll time.Duration) error {
	g.say("waiting for %s, looking every %s; it can be ended and run again", formatCount(int64(len(keys)), "archive", "archives"), formatDuration(poll))
	w := &cold.Waiter{Storage: o.Storage(), Every: poll, Now: g.now}
	l, err := w.Wait(ctx, keys)
	if err != nil {
		return err
	}
	return v.take(ctx, o, l)
}

// comeBack says what is not back yet, and what to do.
func (c *coldRestore) comeBack() error {
	c.acted = true
	var frozen, thawing, unpaid int64
	var list []cold.Object
	for _, a := range c.view.archives(c.needs) {
		list = append(list, a.Object)
		switch {
		case a.State == cold.Thawing:
			thawing++
		case a.State == cold.Frozen:
			frozen++
		case c.view.unpaid && c.view.retrieves(a.Object):
			unpaid++
		}
	}
	if c.json {
		doc := waitingDoc(thawing, frozen, c.ready)
		doc["unpaid"] = unpaid
		if err := c.printJSON(doc); err != nil {
			return err
		}
		return errProblems
	}
	switch {
	case c.refused != nil:
		fmt.Fprintf(c.stderr, "tarn: some files are not back: %s\n", printableError(c.refused))
		if c.refused.hint != "" {
			fmt.Fprintf(c.stderr, "      %s\n", c.refused.hint)
		}
	case frozen > 0 && c.flags.ready:
		fmt.Fprintf(c.stderr, "tarn: some files are not back: %s frozen\n      Without --ready, the same command says what it costs to thaw them.\n", are(frozen))
	case frozen > 0 || thawing == 0:
		fmt.Fprintf(c.stderr, "tarn: some files are not back: their archives are frozen, or were frozen again on the way\n      The same command says what it costs to thaw them.\n")
	}
	if thawing > 0 {
		fmt.Fprintf(c.stderr, "tarn: some files are not back yet: %s being thawed\n      Run the same command again %s: it fetches what is ready. `tarn thaw --status` says how far it is.\n", are(thawing), c.view.when(c.ready, list))
	}
	return errProblems
}
