package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/storage"
)

// noteFaster says what --tier and --faster mean for archives that are being thawed.
func (g *globals) noteFaster(p *cold.Plan, f thawFlags) {
	n := p.Sum(cold.Thawing).Archives
	if n == 0 || f.tier == "" || g.json {
		return
	}
	if f.faster {
		g.say("%s being thawed, in a tier that S3 does not tell. It refuses, and bills, a request for one that is no slower: the first and the last are tried, and the rest is left alone if those are refused.", are(n))
		return
	}
	g.say("%s being thawed already, in a tier that S3 does not tell; --faster asks for them in the tier %s, too.", are(n), strings.ToLower(f.tier))
}

// are counts archives, with the verb.
func are(n int64) string {
	if n == 1 {
		return "1 archive is"
	}
	return formatCount(n, "archive", "archives") + " are"
}

// were counts requests, with the verb.
func were(n int64) string {
	if n == 1 {
		return "1 request was"
	}
	return formatCount(n, "request", "requests") + " were"
}

func costOf(o cold.Offer) string {
	if o.Bill == nil {
		return "a price that is not known"
	}
	return o.Bill.Total.String()
}

// showPlan prints what is needed and what each tier costs. files and bytes are
// those that are wanted.
func (g *globals) showPlan(v *coldView, p *cold.Plan, files, bytes int64) error {
	if g.json {
		var gets, fetched int64
		for _, a := range p.Archives {
			gets, fetched = gets+a.Gets, fetched+a.Fetched
		}
		return g.printJSON(map[string]any{
			"gets": gets, "fetched_bytes": fetched, "type": "plan", "files": files, "bytes": bytes, "archives": len(p.Archives), "states": p.Sums, "ask": len(p.Ask), "days": p.Days, "offers": orEmpty(p.Offers),
		})
	}
	if g.quiet {
		return nil
	}
	var parts []string
	for _, state := range []cold.State{cold.Missing, cold.Damaged, cold.Frozen, cold.Thawing, cold.Thawed, cold.Warm} {
		if s := p.Sum(state); s.Archives > 0 {
			parts = append(parts, fmt.Sprintf("%d %s (%s)", s.Archives, state, formatBytes(s.Bytes)))
		}
	}
	states := ""
	if len(parts) > 0 {
		states = ": " + strings.Join(parts, ", ")
	}
	in := formatCount(int64(len(p.Archives)), "archive", "archives")
	if files > 0 {
		in = fmt.Sprintf("%s (%s) in %s", formatCount(files, "file", "files"), formatBytes(bytes), in)
	}
	g.say("%s%s", in, states)
	if v.why != nil {
		g.say("%s", v.none())
	}
	if len(p.Ask) == 0 && v.prices == nil {
		return nil
	}
	if len(p.Ask) == 0 {
		g.sayReading(v, p)
		return nil
	}
	return g.printOffers(v, p)
}

// sayReading says what reading costs where nothing has to be thawed.
func (g *globals) sayReading(v *coldView, p *cold.Plan) {
	b, what := p.Offers[0].Bill, "nothing more has to be thawed; reading it"
	if p.Ready {
		what = "reading what can be read now"
	}
	g.say("%s costs %s%s. Prices of %s", what, b.Total, detailOf(b), v.source())
}

// printOffers prints what each tier costs, part by part.
func (g *globals) printOffers(v *coldView, p *cold.Plan) error {
	w := tabwriter.NewWriter(g.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "TIER\tREADY IN\tRETRIEVAL\tREQUESTS\tCOPY FOR %s\tTRANSFER\tTOTAL\tAT MOST\t\n", strings.ToUpper(formatCount(int64(p.Days), "day", "days")))
	for _, o := range p.Offers {
		tier, wait := strings.ToLower(string(o.Tier)), "?"
		if o.Wait.To > 0 {
			wait = formatWait(o.Wait)
		}
		cells := []string{"?", "?", "?", "?", "?", "?"}
		if b := o.Bill; b != nil {
			cells = []string{b.Sum(price.GroupRetrieval).String(), b.Sum(price.GroupRequests).String(), b.Sum(price.GroupCopy).String(), b.Sum(price.GroupTransfer).String(), b.Total.String(), o.Most.Total.String()}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t\n", tier, wait, strings.Join(cells, "\t"))
	}
	err := w.Flush()
	if v.prices != nil {
		g.say("Prices of %s The first %s a month that leave are free, and count as unused.", v.source(), formatBytes(v.prices.FreeTransfer))
	}
	if v.prices != nil {
		g.say("S3 ends copies at midnight (UTC), up to a day later than asked for: AT MOST has that day, and is what --max-cost is compared with.")
	}
	return err
}

// thaw carries out a plan, and counts what that has used.
func (g *globals) thaw(ctx context.Context, o *opened, p *cold.Plan, offer cold.Offer, u *price.Usage) (cold.Result, error) {
	release, waited, err := g.lockThaw(ctx, o)
	if err != nil {
		return cold.Result{}, err
	}
	res, err := g.thawBy(ctx, o.Storage(), p, offer, waited || stale(p, g.time(o)), u)
	if releaseErr := release(); releaseErr != nil {
		err = errors.Join(err, releaseErr)
	}
	return res, err
}

// stale reports whether a plan is so old, as when somebody has thought about its price,
// that another machine may have asked for the archives since.
func stale(p *cold.Plan, now time.Time) bool { return now.Sub(p.Now) > 10*time.Second }

// thawBy is thaw by a storage; look has it look before it asks.
func (g *globals) thawBy(ctx context.Context, s storage.Storage, p *cold.Plan, offer cold.Offer, look bool, u *price.Usage) (cold.Result, error) {
	res, err := p.Thaw(ctx, s, cold.Options{Tier: offer.Tier, Look: look})
	if errors.Is(err, tarn.ErrTierRefused) && res.Requested > 0 {
		err = hinted{err, "Name one of those by --tier. What was asked for before that is being thawed, and nothing else was spent."}
	}
	u.Add(res.Usage)
	if g.json {
		g.printJSON(map[string]any{"type": "thaw", "tier": strings.ToLower(string(offer.Tier)), "days": p.Days, "requested": res.Requested, "bytes": res.Bytes,
			"running": res.Running, "refused": res.Refused, "gone": res.Gone, "unanswered": res.Unanswered, "left": res.Left})
	} else if res.Requested+res.Running+res.Unanswered > 0 {
		ready := ""
		if offer.Wait.To > 0 && res.Requested > 0 {
			ready = fmt.Sprintf(", readable in %s, until %s after that", formatWait(offer.Wait), formatCount(int64(p.Days), "day", "days"))
		}
		g.say("asked for the thaw of %s (%s)%s", formatCount(res.Requested, "archive", "archives"), formatBytes(res.Bytes), ready)
		if res.Running > 0 {
			g.say("%s being thawed already%s", are(res.Running), refusedText(res.Refused))
		}
		if res.Unanswered > 0 {
			g.say("%s not answered; S3 may have accepted what was asked for, and it counts as if", were(res.Unanswered))
		}
	}
	return res, err
}

// refusedText says what S3 has refused, and bills.
func refusedText(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", in a tier that is no slower as far as S3 was asked (%s, which S3 bills)", formatCount(n, "request", "requests"))
}

// spent says what a command has used, by the storage's meter, and what that
// comes to; thawed is what thaws have used beside their requests.
func (g *globals) spent(v *coldView, thawed *price.Usage) error {
	if v.prices == nil {
		if v.Cold > 0 && !g.json {
			g.say("%s", v.none())
		}
		return nil
	}
	u, err := v.beside()
	if err != nil {
		return err
	}
	u.Add(*thawed)
	bill, err := v.prices.Bill(u, 0)
	if err != nil {
		return fmt.Errorf("pricing what was done: %w", err)
	}
	m := v.meter.Metered()
	if g.json {
		return g.printJSON(map[string]any{"type": "cost", "requests": m.Count(), "bytes_down": m.Down, "total": bill.Total, "lines": orEmpty(bill.Lines)})
	}
	g.say("cost: %s, %s down: %s%s", formatCount(m.Count(), "request", "requests"), formatBytes(m.Down), bill.Total, detailOf(&bill))
	return nil
}

// detailOf lists what a bill is made of, in parentheses; "" if that is one thing.
func detailOf(b *price.Bill) string {
	var parts []string
	for _, group := range price.Groups {
		if m := b.Sum(group); !m.Free() {
			parts = append(parts, fmt.Sprintf("%s %s", group, m))
		}
	}
	if len(parts) < 2 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
