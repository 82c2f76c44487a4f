package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/drill"
	"github.com/tarn-backup/tarn/internal/price"
)

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
	return d.begin(ctx, drawn)
}

// begin shows what was drawn and what it costs, and begins the round if that is accepted.
func (d *drilling) begin(ctx context.Context, drawn *drill.Drawn) (bool, error) {
	if err := d.showDrawn(drawn); err != nil {
		return false, err
	}
	p, _, err := d.offer(drawn.Archives)
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
	offer, err := d.accept(d.view, p, d.flags.thawFlags)
	if err != nil {
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
