package bill

import (
	"fmt"
	"slices"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/price"
)

// Wanted are archives of one class of which a restore needs something.
type Wanted struct {
	Class  tarn.Class
	Thawed bool  // they can be read at once, also if their class is cold
	Count  int64 // archives
	Bytes  int64 // of whole archives
	Read   int64 // bytes that are read of them
}

// RestorePlan is what a restore costs in one tier.
type RestorePlan struct {
	Tier price.Tier `json:"tier,omitempty"` // empty if nothing is frozen
	Wait price.Wait `json:"wait"`
	Bill price.Bill `json:"bill"`
}

// RestorePlans prices a restore in each tier that all frozen archives can be
// thawed in, the slowest first; days is how long the copies are kept. Each
// archive counts as one GET, which is what a restore of whole archives takes.
func RestorePlans(p *price.Prices, wanted []Wanted, days int64) ([]RestorePlan, error) {
	var warm price.Usage
	byTier, frozen := map[price.Tier][]price.ThawPlan{}, 0
	for _, w := range wanted {
		if !w.Class.Cold() || w.Thawed {
			if err := warm.Request(price.GetObject, w.Class, w.Count); err != nil {
				return nil, err
			}
			if !w.Class.Cold() { // a thawed copy is STANDARD's
				warm.Read(w.Class, 0, w.Read)
			}
			warm.TransferOut(w.Read)
			continue
		}
		frozen++
		plans, err := p.ThawPlans(price.ThawRequest{Class: w.Class, Objects: w.Count, Bytes: w.Bytes, Days: days, Gets: w.Count, Fetched: w.Read})
		if err != nil {
			return nil, fmt.Errorf("pricing a thaw of %s: %w", w.Class, err)
		}
		for _, plan := range plans {
			byTier[plan.Tier] = append(byTier[plan.Tier], plan)
		}
	}
	if frozen == 0 {
		b, err := p.Bill(warm, 0)
		return []RestorePlan{{Bill: b}}, err
	}
	var list []RestorePlan
	for _, tier := range price.Tiers {
		if len(byTier[tier]) < frozen {
			continue
		}
		all := RestorePlan{Tier: tier}
		u := warm.Clone()
		for _, plan := range byTier[tier] {
			u.Add(plan.Usage)
			all.Wait.From, all.Wait.To = max(all.Wait.From, plan.Wait.From), max(all.Wait.To, plan.Wait.To)
		}
		var err error
		if all.Bill, err = p.Bill(u, 0); err != nil {
			return nil, err
		}
		list = append(list, all)
	}
	return list, nil
}

// Cheapest is the plan with the least total, of several the one that is ready first.
func Cheapest(plans []RestorePlan) RestorePlan {
	return slices.MinFunc(plans, func(a, b RestorePlan) int {
		if d := a.Bill.Total.Cmp(b.Bill.Total); d != 0 {
			return d
		}
		return int(min(max(a.Wait.To-b.Wait.To, -1), 1))
	})
}
