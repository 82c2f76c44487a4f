package cold

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/storage"
)

// Archive is one that is needed, and what is read of it.
type Archive struct {
	Object
	Gets    int64 `json:"gets"`
	Fetched int64 `json:"fetched_bytes"`
}

// Request says what is wanted of a thaw.
type Request struct {
	Archives []Archive
	Days     int // that copies are kept
	Now      time.Time
	// Keep is until when copies that are there have to last; one that expires
	// before is asked to last for Days from now on. The zero time asks nothing.
	Keep time.Time
	// Faster asks for those, too, that are being thawed in a slower tier.
	Faster bool
	// Ready asks for nothing: only what can be read already is read.
	Ready bool
	// Beside is what the command has used so far to look at the repository. The
	// run that fetches looks once more, which the most that it costs includes.
	Beside price.Usage
	// Pages are the requests that each look at the archives takes, and Poll is
	// how often whoever waits for the thaw looks, 0 if nobody does.
	Poll  time.Duration
	Pages int64
	// AlreadyOut is what has left the provider this month, in bytes.
	AlreadyOut int64
}

// Sum is archives of one state.
type Sum struct {
	Archives int64 `json:"archives"`
	Bytes    int64 `json:"bytes"` // stored
}

// Offer is what the thaw costs in one tier, with all that is read afterwards.
type Offer struct {
	Tier storage.Tier `json:"tier"`
	Wait price.Wait   `json:"wait"` // usually; zero if nobody has written it down
	// Usage is what the bill counts, and Bill is what it comes to, nil if no
	// prices are known. Most is the most that it comes to: copies last up to a
	// day more than was asked for, and the run that comes back looks again.
	Usage price.Usage `json:"-"`
	Bill  *price.Bill `json:"bill"`
	Most  *price.Bill `json:"most"`
}

// Plan is what has to be thawed, and what that costs in each tier.
type Plan struct {
	Request
	Sums map[State]Sum // lost ones, too, of which the rest counts nothing
	// Ask are the archives that a thaw asks for: frozen ones, and those whose
	// copy has to last longer or is to come sooner.
	Ask []Archive
	// Offers are the tiers that all of them have, slow ones first. If nothing
	// has to be asked for, there is one without a tier.
	Offers []Offer

	prices *price.Prices // nil if none are known
}

// NewPlan prices a request. Without prices, which are nil then, the offers have
// no bills.
func NewPlan(r Request, prices *price.Prices) (*Plan, error) {
	p := &Plan{Request: r, Sums: map[State]Sum{}, prices: prices}
	for _, a := range r.Archives {
		s := p.Sums[a.State]
		p.Sums[a.State] = Sum{s.Archives + 1, s.Bytes + a.Size}
		if r.asks(a.Object) {
			p.Ask = append(p.Ask, a)
		}
	}
	tiers := tiersOf(p.Ask)
	if len(p.Ask) == 0 {
		tiers = []storage.Tier{""}
	}
	for _, tier := range tiers {
		o, err := p.offer(tier)
		if err != nil {
			return nil, err
		}
		p.Offers = append(p.Offers, o)
	}
	return p, nil
}

// asks reports whether a thaw asks S3 for an archive.
func (r *Request) asks(o Object) bool {
	return !r.Ready && (o.State == Frozen || o.State == Thawing && r.Faster || o.State == Thawed && o.Until.Before(r.Keep))
}

// classTiers are the tiers of the classes that have some.
var classTiers = map[tarn.Class][]storage.Tier{
	tarn.Glacier:     {storage.Bulk, storage.Normal, storage.Expedited},
	tarn.DeepArchive: {storage.Bulk, storage.Normal},
}

// tiersOf returns the tiers that all archives have, slow ones first.
func tiersOf(archives []Archive) []storage.Tier {
	tiers := classTiers[tarn.Glacier]
	for _, a := range archives {
		if has := classTiers[a.Class]; len(has) < len(tiers) {
			tiers = has
		}
	}
	return tiers
}

// offer prices one tier.
func (p *Plan) offer(tier storage.Tier) (Offer, error) {
	o := Offer{Tier: tier}
	if err := p.reading(&o.Usage); err != nil {
		return o, err
	}
	most := o.Usage.Clone()
	for _, a := range p.Ask {
		if w := p.wait(a, tier); w.To > o.Wait.To {
			o.Wait = w
		}
		o.Usage.Thaw(a.Class, price.Tier(tier), 1, 0)
		p.thawing(&o.Usage, a, tier, usually)
		most.Thaw(a.Class, price.Tier(tier), 1, 0)
		p.thawing(&most, a, tier, atMost)
	}
	most.Add(p.Beside)
	looks := int64(2) // before the thaw is asked for, if another run is at it, and after
	if p.Poll > 0 {
		looks += int64(o.Wait.To/p.Poll) + 1
	}
	err := most.Request(price.ListObjects, "", looks*p.Pages)
	if err != nil {
		return o, fmt.Errorf("pricing a thaw: %w", err)
	}
	if o.Bill, err = p.Bill(o.Usage); err == nil {
		o.Most, err = p.Bill(most)
	}
	return o, err
}

// Bill prices a usage; nil if no prices are known.
func (p *Plan) Bill(u price.Usage) (*price.Bill, error) {
	if p.prices == nil {
		return nil, nil
	}
	bill, err := p.prices.Bill(u, p.AlreadyOut)
	if err != nil {
		return nil, fmt.Errorf("pricing a thaw: %w", err)
	}
	return &bill, nil
}

// wait is how long the thaw of an archive usually takes, zero if nobody says.
func (p *Plan) wait(a Archive, tier storage.Tier) (w price.Wait) {
	if p.prices != nil && a.State != Thawed {
		w = p.prices.Classes[a.Class].Waits[price.Tier(tier)]
	}
	return w
}

// reading counts what reads the archives, once they can be.
func (p *Plan) reading(u *price.Usage) error {
	u.Add(p.Beside)
	var out int64
	for _, a := range p.Archives {
		if a.Lost() || p.Ready && !a.Readable() {
			continue
		}
		if a.State == Warm {
			u.Read(a.Class, a.Gets, a.Fetched)
		} else if err := u.Request(price.GetObject, a.Class, a.Gets); err != nil {
			return fmt.Errorf("pricing a thaw: %w", err)
		}
		out += a.Fetched
	}
	u.TransferOut(out)
	return nil
}

// Retrieval is what reading costs by the byte of archives that need no thaw; nil
// if nobody knows.
func (p *Plan) Retrieval() (*price.Money, error) {
	var u price.Usage
	for _, a := range p.Archives {
		if a.State == Warm {
			u.Read(a.Class, 0, a.Fetched)
		}
	}
	bill, err := p.Bill(u)
	if bill == nil || err != nil {
		return nil, err
	}
	sum := bill.Sum(price.GroupRetrieval)
	return &sum, nil
}

// How long copies are counted: usually from the end of the usual wait to the
// midnight at which S3 ends them, and at most a day more than was asked for,
// which is what a copy takes that is ready right after midnight.
const (
	usually = false
	atMost  = true
)

// thawing counts what the thaw of an archive retrieves, and the copy. Letting a
// copy last longer retrieves nothing.
func (p *Plan) thawing(u *price.Usage, a Archive, tier storage.Tier, most bool) {
	ready, from := p.Now.Add(p.wait(a, tier).To), a.Until
	if a.State != Thawed {
		u.Thaw(a.Class, price.Tier(tier), 0, a.Size)
		from = ready
	}
	end := expiry(ready, p.Days)
	if most {
		end = ready.AddDate(0, 0, p.Days+1)
	}
	u.Copy(a.Size, end.Sub(from))
}

// expiry is when a copy ends that is to last for days from a time.
func expiry(from time.Time, days int) time.Time {
	t := from.UTC().AddDate(0, 0, days)
	midnight := t.Truncate(24 * time.Hour)
	if midnight.Before(t) {
		midnight = midnight.AddDate(0, 0, 1)
	}
	return midnight
}

// Sum returns the archives in some states.
func (p *Plan) Sum(of ...State) (s Sum) {
	for _, state := range of {
		s.Archives += p.Sums[state].Archives
		s.Bytes += p.Sums[state].Bytes
	}
	return s
}

// Offer returns the offer of a tier. It is an error that wraps
// tarn.ErrTierRefused and names the others if there is none.
func (p *Plan) Offer(tier storage.Tier) (Offer, error) {
	if len(p.Ask) == 0 {
		return p.Offers[0], nil
	}
	for _, o := range p.Offers {
		if o.Tier == tier {
			return o, nil
		}
	}
	return Offer{}, fmt.Errorf("thawing in the tier %s, where %s has none: %w", strings.ToLower(string(tier)), p.without(tier), p.refused(tier))
}

// without names the class that does not have a tier.
func (p *Plan) without(tier storage.Tier) tarn.Class {
	i := slices.IndexFunc(p.Ask, func(a Archive) bool { return !slices.Contains(classTiers[a.Class], tier) })
	return p.Ask[max(i, 0)].Class
}

// RefusedError says that a tier is refused, and which others there are.
type RefusedError struct {
	Tier     storage.Tier
	Possible []storage.Tier
}

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("%v: there is %s", tarn.ErrTierRefused, names(e.Possible))
}

// Unwrap returns tarn.ErrTierRefused.
func (e *RefusedError) Unwrap() error { return tarn.ErrTierRefused }

// refused is the error of a tier that S3 does not give.
func (p *Plan) refused(tier storage.Tier) error {
	return &RefusedError{tier, slices.DeleteFunc(slices.Clone(tiersOf(p.Ask)), func(t storage.Tier) bool { return t == tier })}
}

func names(tiers []storage.Tier) string {
	var list []string
	for _, t := range tiers {
		list = append(list, strings.ToLower(string(t)))
	}
	return strings.Join(list, " and ")
}

// ErrTooDear says that something costs more than is allowed.
var ErrTooDear = errors.New("more than --max-cost allows")

// Within returns an error that wraps ErrTooDear if an offer may cost more than
// most, and price.ErrNoPrices if nobody knows.
func (o Offer) Within(most price.Money) error {
	switch {
	case o.Most == nil:
		return price.ErrNoPrices
	case o.Most.Total.Cmp(most) > 0:
		return fmt.Errorf("it may cost %s: %w", o.Most.Total, ErrTooDear)
	}
	return nil
}

// ParseTier reads a tier as people write it.
func ParseTier(s string) (storage.Tier, error) {
	for _, t := range classTiers[tarn.Glacier] {
		if strings.EqualFold(s, string(t)) {
			return t, nil
		}
	}
	return "", fmt.Errorf("tier %q: want bulk, standard or expedited", s)
}

// Soonest compares archives by how soon they have to be read: those that can
// be first, in order of the end of their copies.
func Soonest(a, b Object) int {
	return cmp.Or(Nearer(a.State, b.State), a.Until.Compare(b.Until), cmp.Compare(a.Key, b.Key))
}
