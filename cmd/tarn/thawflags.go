package main

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/price"
)

// daysDefault is how long thawed copies are kept, and daysMost how long they can be:
// a hundred years, up to which sums of days and dates hold.
const (
	daysDefault = 7
	daysMost    = 36500
)

// thawFlags say what may be thawed, and for how much.
type thawFlags struct {
	tier    string
	days    int
	yes     bool
	maxCost string
	faster  bool
}

func (f *thawFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.tier, "tier", "", "speed of a thaw: bulk, standard or expedited (default: asks; with --yes bulk)")
	fl.IntVar(&f.days, "days", daysDefault, "days that thawed copies can be read")
	fl.BoolVarP(&f.yes, "yes", "y", false, "thaw without asking")
	fl.StringVar(&f.maxCost, "max-cost", "", "refuse what costs more `DOLLARS`, before anything is spent")
	fl.BoolVar(&f.faster, "faster", false, "thaw in --tier also what is being thawed in a slower one, which is paid for in addition")
}

// check refuses values that make no sense before anything is done.
func (f *thawFlags) check() error {
	if f.tier != "" {
		if _, err := cold.ParseTier(f.tier); err != nil {
			return fmt.Errorf("--tier: %w", err)
		}
	}
	if f.days < 1 || f.days > daysMost {
		return fmt.Errorf("--days %d: want 1 to %d", f.days, daysMost)
	}
	if f.maxCost != "" {
		if _, err := price.ParseMoney(f.maxCost); err != nil {
			return fmt.Errorf("--max-cost: %w", err)
		}
	}
	if f.faster && f.tier == "" {
		return errors.New("--faster wants the tier, as in --tier standard")
	}
	return nil
}

// affordable refuses a dry run if what would be asked for costs more than
// --max-cost: without a tier, if each does.
func (f *thawFlags) affordable(v *coldView, p *cold.Plan) (err error) {
	offers := p.Offers
	if f.tier != "" && len(p.Ask) > 0 {
		tier, err := cold.ParseTier(f.tier)
		if err != nil {
			return err
		}
		offer, err := p.Offer(tier)
		if err != nil {
			return err
		}
		offers = []cold.Offer{offer}
	}
	for _, o := range offers {
		if err = f.within(v, o); err == nil {
			return nil
		}
	}
	return err
}

// within refuses an offer beyond --max-cost.
func (f *thawFlags) within(v *coldView, o cold.Offer) error {
	return within(v, o, f.maxCost, "Nothing was spent. Allow more, take a cheaper tier (--tier), or name fewer paths.")
}

// within refuses an offer beyond maxCost, if that is not "", with a hint.
func within(v *coldView, o cold.Offer, maxCost, hint string) error {
	if maxCost == "" {
		return nil
	}
	most, err := price.ParseMoney(maxCost)
	if err != nil {
		return err
	}
	switch err = o.Within(most); {
	case errors.Is(err, price.ErrNoPrices) && v.why != nil:
		return fmt.Errorf("--max-cost %s can't be kept: %w", maxCost, v.why)
	case err != nil:
		return hinted{err, hint}
	}
	return nil
}
