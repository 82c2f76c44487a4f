package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/drill"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/storage"
)

// drilling is one run of drill.
type drilling struct {
	*globals
	o        *opened
	flags    drillFlags
	snapshot *repo.Snapshot
	view     *coldView
	record   *drill.Record
	usage    price.Usage // of thaws, beside the requests
	bad      int         // contents that were found damaged
	acted    bool        // something was asked for or read
}

// now is the server's time, by which copies end and months are billed.
func (d *drilling) now() time.Time { return d.time(d.o) }

// config is what the library is given.
func (d *drilling) config() drill.Config {
	cfg := drill.Config{
		Repo: d.o.Repo, Contents: d.o.contents, Snapshot: d.snapshot, Record: d.record, Now: d.now, Save: d.save,
		Object: func(id tarn.ArchiveID) cold.Object {
			if obj, ok := d.view.byID[id]; ok {
				return obj
			}
			return cold.Object{State: cold.Missing}
		},
	}
	if d.flags.valid > 0 {
		cfg.Since = d.now().AddDate(0, 0, -d.flags.valid)
	}
	return cfg
}

// all draws if nothing is drawn, thaws what is frozen of it, and reads what is ready.
func (d *drilling) all(ctx context.Context) error {
	if err := d.goOn(); err != nil {
		return err
	}
	if d.record.Round == nil {
		if drawn, err := d.draw(ctx); err != nil || !drawn {
			return err
		}
	} else if err := d.resume(ctx); err != nil || d.flags.dryRun {
		return err
	}
	for {
		if err := d.prove(ctx); err != nil {
			return err
		}
		if d.record.Round == nil || !d.flags.wait || !d.any(cold.Thawing) {
			return d.end(ctx)
		}
		if err := d.waitFor(ctx, d.o, d.view, d.keys(cold.Thawing), d.flags.poll); err != nil {
			return err
		}
	}
}

// goOn gives up what was thawed and has ended before it was read.
func (d *drilling) goOn() error {
	round := d.record.Round
	if round == nil {
		return nil
	}
	// A copy of one that was asked for by a run that was killed can't have ended before then.
	over := !d.now().Before(round.Began.AddDate(0, 0, round.Days))
	var ended []tarn.ArchiveID
	for _, p := range round.Parts {
		if s := d.view.byID[p.Archive].State; s == cold.Frozen && (p.Asked || over) || s == cold.Damaged {
			ended = append(ended, p.Archive)
		}
	}
	if len(ended) == 0 || d.flags.dryRun {
		return nil
	}
	d.say("the copies of %s have ended before they were read: given up, to be drawn again", formatCount(int64(len(ended)), "archive", "archives"))
	d.record.Drop(ended...)
	return d.save(d.record)
}

// resume goes on with what was drawn: what nobody has asked for yet is asked for.
func (d *drilling) resume(ctx context.Context) error {
	round := d.record.Round
	if round.Snapshot != d.snapshot.ID {
		d.say("going on with what was drawn of snapshot %s", round.Snapshot.Short())
	}
	d.asAccepted(round)
	if !d.any(cold.Frozen) && !d.flags.dryRun {
		return nil
	}
	list, err := drill.Costs(ctx, d.config(), round.Parts)
	if err != nil {
		return err
	}
	p, _, err := d.offer(list)
	if err != nil {
		return err
	}
	var fetched int64
	for _, a := range list {
		fetched += a.Fetched
	}
	if err := d.showPlan(d.view, p, int64(len(list)), fetched); err != nil || d.flags.dryRun {
		return err
	}
	offer, err := d.accept(d.view, p, d.flags.thawFlags)
	if err != nil {
		return err
	}
	return d.ask(ctx, p, offer)
}

// asAccepted takes from a round what was accepted with it, and says what of the flags
// does not count therefore.
func (d *drilling) asAccepted(round *drill.Round) {
	if d.flags.maxCost == "" {
		d.flags.maxCost = round.Budget
	}
	if tier := tierName(round.Tier); tier != "" {
		if d.flags.named("tier") && !strings.EqualFold(d.flags.tier, tier) {
			d.log.Warn(fmt.Sprintf("--tier %s does not count: what was drawn goes on in the tier %s, as it was accepted", strings.ToLower(d.flags.tier), tier))
		}
		d.flags.tier = tier
	}
	if d.flags.named("days") && d.flags.days != round.Days {
		d.log.Warn(fmt.Sprintf("--days %d does not count: what was drawn goes on for %s, as it was accepted", d.flags.days, formatCount(int64(round.Days), "day", "days")))
	}
	d.flags.days = round.Days
}

// ask asks for the thaw of what is frozen.
func (d *drilling) ask(ctx context.Context, p *cold.Plan, offer cold.Offer) error {
	if len(p.Ask) == 0 {
		return nil
	}
	d.acted = true
	if _, err := d.thaw(ctx, d.o, p, offer, &d.usage); err != nil {
		return err
	}
	round := d.record.Round
	round.Tier, round.Ready = offer.Tier, readyIn(offer, d.now())
	for i := range round.Parts {
		round.Parts[i].Asked = true
	}
	if err := d.save(d.record); err != nil {
		return err
	}
	return d.view.again(ctx, d.globals, d.o)
}

// ready is when what the round has asked for can be read, as a rule; the zero time if
// nobody says, or if that has passed.
func (d *drilling) ready() time.Time {
	if at := d.record.Round.Ready; at.After(d.now()) {
		return at
	}
	return time.Time{}
}

// any reports whether something that was drawn is in a state.
func (d *drilling) any(state cold.State) bool { return len(d.keys(state)) > 0 }

// keys are the archives of what was drawn that are in a state.
func (d *drilling) keys(state cold.State) (keys []string) {
	for _, obj := range d.in(state) {
		keys = append(keys, obj.Key)
	}
	return keys
}

// in are the objects of what was drawn that are in a state.
func (d *drilling) in(state cold.State) (list []cold.Object) {
	if d.record.Round == nil {
		return nil
	}
	for _, p := range d.record.Round.Parts {
		if obj := d.view.byID[p.Archive]; obj.State == state {
			list = append(list, obj)
		}
	}
	return list
}

// prove reads what is ready; what is gone is found to be.
func (d *drilling) prove(ctx context.Context) error {
	var ready []drill.Part
	for _, p := range d.record.Round.Parts {
		if obj, ok := d.view.byID[p.Archive]; !ok || obj.Readable() || obj.State == cold.Missing {
			ready = append(ready, p)
		}
	}
	if len(ready) == 0 {
		return nil
	}
	slices.SortFunc(ready, func(a, b drill.Part) int { return cold.Soonest(d.view.byID[a.Archive], d.view.byID[b.Archive]) })
	d.acted = true
	began, before := d.now(), d.metered()
	cfg := d.config()
	stop := d.showProving(&cfg)
	out, err := drill.Prove(ctx, cfg, ready)
	stop()
	d.record.Sent(d.now(), d.metered()-before)
	if saveErr := d.save(d.record); err == nil {
		err = saveErr
	}
	d.bad += len(out.Bad)
	d.reportProven(out, d.now().Sub(began))
	return err
}

// metered is what has come from the provider so far, in bytes.
func (d *drilling) metered() int64 {
	if d.view.meter == nil {
		return 0
	}
	return d.view.meter.Metered().Down
}

// spent says what the run has cost.
func (d *drilling) spent() error { return d.globals.spent(d.view, &d.usage) }

// tierName is how a tier is written.
func tierName(t storage.Tier) string { return strings.ToLower(string(t)) }
