package price

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/tarn-backup/tarn"
)

// ThawRequest says what is to be thawed, for how long, and what is fetched of it.
type ThawRequest struct {
	Class   tarn.Class
	Objects int64
	Bytes   int64 // of whole objects: S3 thaws no parts
	Days    int64 // that the copies are kept
	// Gets and Fetched are the requests that read the copies, and what they read.
	Gets, Fetched int64
	// AlreadyOut is what has left the provider this month.
	AlreadyOut int64
}

// ThawPlan is what a thaw in one tier costs, and when it is ready.
type ThawPlan struct {
	Tier  Tier  `json:"tier"`
	Wait  Wait  `json:"wait"` // how long the thaw itself usually takes
	Usage Usage `json:"-"`
	Bill  Bill  `json:"bill"`
}

// ThawPlans returns a plan for each tier that the class has, the slowest first.
func (p *Prices) ThawPlans(r ThawRequest) ([]ThawPlan, error) {
	c, err := p.class(r.Class)
	if err != nil {
		return nil, err
	}
	if len(c.Thaw) == 0 {
		return nil, fmt.Errorf("%s needs no thaw", r.Class)
	}
	var plans []ThawPlan
	for _, tier := range Tiers {
		if _, ok := c.Thaw[tier]; !ok {
			continue
		}
		plan := ThawPlan{Tier: tier, Wait: c.Waits[tier]}
		plan.Usage.Thaw(r.Class, tier, r.Objects, r.Bytes)
		plan.Usage.Copy(r.Bytes, days(r.Days))
		plan.Usage.addInt(item{what: gets, class: r.Class}, r.Gets)
		plan.Usage.TransferOut(r.Fetched)
		if plan.Bill, err = p.Bill(plan.Usage, r.AlreadyOut); err != nil {
			return nil, err
		}
		plans = append(plans, plan)
	}
	return plans, nil
}

// Cheapest returns the cheapest of plans, of which there is at least one; of
// two that cost the same the one that is ready sooner.
func Cheapest(plans []ThawPlan) ThawPlan {
	return slices.MinFunc(plans, func(a, b ThawPlan) int {
		return cmp.Or(a.Bill.Total.Cmp(b.Bill.Total), cmp.Compare(a.Wait.To, b.Wait.To))
	})
}

// days is n days, and no more than there are in the longest time.Duration.
func days(n int64) time.Duration {
	const most = int64(1<<63-1) / int64(24*time.Hour)
	return time.Duration(min(max(n, 0), most)) * 24 * time.Hour
}
