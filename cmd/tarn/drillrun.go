package main

import (
	"context"
	"errors"
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

// draw draws within the budget, and has the thaw accepted and asked for. It
// reports whether there is something to read.
func (d *drilling) draw(ctx context.Context) (bool, error) {
	if err := d.limited(); err != nil {
		return false, err
	}
	cfg := d.config()
	s, err := drill.Look(ctx, cfg)
	if err != nil {
		return false, err
	}
	if s.Left() == 0 {
		d.say("all that can be read of snapshot %s was proven: nothing is drawn", d.snapshot.ID.Short())
		return false, d.share(s)
	}
	fits, err := d.fits()
	if err != nil {
		return false, err
	}
	drawn, err := s.Draw(ctx, d.flags.seed, fits)
	if err != nil {
		return false, err
	}
	if len(drawn.Parts) == 0 {
		return false, d.tooSmall(ctx, s)
	}
	if err := d.showDrawn(drawn); err != nil {
		return false, err
	}
	p, offer, err := d.offer(drawn.Archives)
	if err != nil {
		return false, err
	}
	if d.view.meter != nil {
		if err := d.showPlan(d.view, p, drawn.Contents, drawn.Bytes); err != nil {
			return false, err
		}
	}
	if d.flags.dryRun {
		return false, nil
	}
	if offer, err = d.accept(d.view, p, d.flags.thawFlags); err != nil {
		return false, err
	}
	// From here on it is known what was drawn, whatever happens: a run that is killed
	// goes on with these archives, and asks for none twice.
	d.record.Round = &drill.Round{
		Snapshot: d.snapshot.ID, Seed: d.flags.seed, Began: d.now(), Days: d.flags.days, Tier: offer.Tier, Budget: d.flags.maxCost, Parts: drawn.Parts,
	}
	if err := d.save(d.record); err != nil {
		return false, err
	}
	return true, d.ask(ctx, p, offer)
}

// limited refuses to draw without a limit, or with one that nobody can keep.
func (d *drilling) limited() error {
	f := d.flags
	switch {
	case f.maxCost != "" && d.view.meter == nil:
		d.flags.maxCost = "" // nobody sends a bill for a folder
	case f.maxCost == "" && f.limit == 0:
		return hinted{errors.New("drill wants --budget DOLLARS, or --bytes SIZE"), "`tarn drill --status` says what was proven so far."}
	case f.maxCost != "" && d.view.meter != nil && d.view.prices == nil:
		return hinted{fmt.Errorf("--budget %s can't be kept: %w", f.maxCost, d.view.why), "Limit it by --bytes instead. " + hintFor(d.view.why)}
	}
	return nil
}

// offer plans to read archives, in the tier of the flags.
func (d *drilling) offer(list []cold.Archive) (*cold.Plan, cold.Offer, error) {
	beside, err := d.view.beside()
	if err != nil {
		return nil, cold.Offer{}, err
	}
	return d.offerBeside(list, beside)
}

func (d *drilling) offerBeside(list []cold.Archive, beside price.Usage) (*cold.Plan, cold.Offer, error) {
	r := cold.Request{
		Archives: list, Days: d.flags.days, Now: d.now(), Pages: d.view.Requests, Beside: beside, AlreadyOut: d.record.AlreadyOut(d.now()),
	}
	if d.flags.wait {
		r.Poll = d.flags.poll
	}
	p, err := cold.NewPlan(r, d.view.prices)
	if err != nil {
		return nil, cold.Offer{}, err
	}
	tier, err := cold.ParseTier(d.flags.tier)
	if err != nil {
		return nil, cold.Offer{}, err
	}
	o, err := p.Offer(tier)
	p.Offers = []cold.Offer{o} // the only one that the budget was compared with
	return p, o, err
}

// fits says whether reading archives keeps within the limits.
func (d *drilling) fits() (func([]cold.Archive) (bool, error), error) {
	beside, err := d.view.beside()
	if err != nil {
		return nil, err
	}
	most := price.Money{}
	if d.flags.maxCost != "" {
		if most, err = price.ParseMoney(d.flags.maxCost); err != nil {
			return nil, err
		}
	}
	return func(list []cold.Archive) (bool, error) {
		var fetched int64
		for _, a := range list {
			fetched += a.Fetched
		}
		if d.flags.limit > 0 && fetched > d.flags.limit {
			return false, nil
		}
		if d.flags.maxCost == "" || d.view.meter == nil {
			return true, nil
		}
		_, o, err := d.offerBeside(list, beside)
		if err != nil {
			return false, err
		}
		if err = o.Within(most); errors.Is(err, cold.ErrTooDear) {
			return false, nil
		}
		return err == nil, err
	}, nil
}

// tooSmall says what the least would be that could be drawn.
func (d *drilling) tooSmall(ctx context.Context, s *drill.Survey) error {
	a, err := s.Cheapest(ctx, d.flags.seed)
	if err != nil {
		return err
	}
	_, o, err := d.offer([]cold.Archive{a})
	if err != nil {
		return err
	}
	costs := ""
	if o.Most != nil {
		costs = " and may cost $" + o.Most.Total.Rat().FloatString(6)
	}
	return hinted{fmt.Errorf("nothing fits: one content of the archive that was drawn reads %s%s", formatBytes(a.Fetched), costs), "Nothing was spent. Allow more (--budget, --bytes), or take a cheaper tier (--tier bulk)."}
}

// resume goes on with what was drawn: what nobody has asked for yet is asked for.
func (d *drilling) resume(ctx context.Context) error {
	round := d.record.Round
	if round.Snapshot != d.snapshot.ID {
		d.say("going on with what was drawn of snapshot %s", round.Snapshot.Short())
	}
	if d.flags.maxCost == "" {
		d.flags.maxCost = round.Budget
	}
	if tier := string(round.Tier); tier != "" {
		d.flags.tier = strings.ToLower(tier)
	}
	d.flags.days = round.Days
	if !d.any(cold.Frozen) && !d.flags.dryRun {
		return nil
	}
	list, err := drill.Costs(ctx, d.config(), round.Parts)
	if err != nil {
		return err
	}
	p, offer, err := d.offer(list)
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
	if offer, err = d.accept(d.view, p, d.flags.thawFlags); err != nil {
		return err
	}
	return d.ask(ctx, p, offer)
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
	for i := range d.record.Round.Parts {
		d.record.Round.Parts[i].Asked = true
	}
	if err := d.save(d.record); err != nil {
		return err
	}
	return d.view.again(ctx, d.globals, d.o)
}

// any reports whether something that was drawn is in a state.
func (d *drilling) any(state cold.State) bool { return len(d.keys(state)) > 0 }

// keys are the archives of what was drawn that are in a state.
func (d *drilling) keys(state cold.State) (keys []string) {
	if d.record.Round == nil {
		return nil
	}
	for _, p := range d.record.Round.Parts {
		if obj := d.view.byID[p.Archive]; obj.State == state {
			keys = append(keys, obj.Key)
		}
	}
	return keys
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
