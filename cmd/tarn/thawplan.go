package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/storage"
)

// daysDefault is how long thawed copies are kept.
const daysDefault = 7

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
	if f.days < 1 || f.days > 36500 {
		return fmt.Errorf("--days %d: want 1 or more", f.days)
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
	if f.maxCost == "" {
		return nil
	}
	most, err := price.ParseMoney(f.maxCost)
	if err != nil {
		return err
	}
	switch err = o.Within(most); {
	case errors.Is(err, price.ErrNoPrices) && v.why != nil:
		return fmt.Errorf("--max-cost %s can't be kept: %w", f.maxCost, v.why)
	case err != nil:
		return hinted{err, "Nothing was spent. Allow more, take a cheaper tier (--tier), or name fewer paths."}
	}
	return nil
}

// accept returns the offer that the user takes. Until then nothing is spent.
func (g *globals) accept(v *coldView, p *cold.Plan, f thawFlags) (cold.Offer, error) {
	if len(p.Ask) == 0 {
		return p.Offers[0], f.within(v, p.Offers[0])
	}
	tier := storage.Bulk
	var err error
	if f.tier != "" {
		if tier, err = cold.ParseTier(f.tier); err != nil {
			return cold.Offer{}, err
		}
	}
	if !f.yes && f.tier == "" && g.password != nil {
		return g.askTier(v, p, f)
	}
	o, err := p.Offer(tier)
	if err == nil {
		err = f.within(v, o)
	}
	if err != nil || f.yes {
		return o, err
	}
	if g.password == nil {
		return o, &declined{fmt.Errorf("%s frozen, and nothing was asked for or spent", are(int64(len(p.Ask)))),
			"Add --yes and a tier, as in --tier bulk --yes, to thaw at that price."}
	}
	answer, err := g.ask(fmt.Sprintf("Thaw in the tier %s for %s? [y/N] ", strings.ToLower(string(tier)), costOf(o)))
	if err == nil && answer != "y" && answer != "yes" {
		err = notThawed
	}
	return o, err
}

// declined says that a price was not accepted. What costs nothing by the byte may
// be read all the same.
type declined struct {
	error
	hint string
}

func (d *declined) Unwrap() error { return hinted{d.error, d.hint} }

var notThawed = &declined{errors.New("not thawed: nothing was spent"), ""}

// acceptReading asks for what a plan that thaws nothing costs, if it retrieves
// something that is paid by the byte.
func (g *globals) acceptReading(v *coldView, p *cold.Plan, f thawFlags) error {
	sum, err := p.Retrieval()
	if err != nil || sum == nil || sum.Free() || f.yes {
		return err
	}
	if g.password == nil {
		return &declined{fmt.Errorf("reading costs %s, of which %s for retrieval, and nothing was spent", costOf(p.Offers[0]), sum), "Add --yes to read at that price."}
	}
	answer, err := g.ask(fmt.Sprintf("Read for %s, of which %s for retrieval? [y/N] ", costOf(p.Offers[0]), sum))
	if err == nil && answer != "y" && answer != "yes" {
		err = &declined{errors.New("not read: nothing was spent"), ""}
	}
	return err
}

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

// askTier has the user choose a tier.
func (g *globals) askTier(v *coldView, p *cold.Plan, f thawFlags) (o cold.Offer, err error) {
	var choices []string
	for _, o := range p.Offers {
		choices = append(choices, fmt.Sprintf("%s for %s", strings.ToLower(string(o.Tier)), costOf(o)))
	}
	answer, err := g.ask(fmt.Sprintf("Thaw in which tier? [%s, or nothing to leave it] ", strings.Join(choices, ", ")))
	if err != nil {
		return o, err
	}
	if answer == "" || answer == "n" || answer == "no" {
		return o, notThawed
	}
	tier, err := cold.ParseTier(answer)
	if err == nil {
		o, err = p.Offer(tier)
	}
	if err == nil {
		err = f.within(v, o)
	}
	return o, err
}

// ask reads a line of the terminal.
func (g *globals) ask(question string) (string, error) {
	fmt.Fprint(g.stderr, question)
	line, err := bufio.NewReader(g.stdin).ReadString('\n')
	if err != nil && line == "" {
		return "", fmt.Errorf("reading the answer: %w", err)
	}
	return strings.ToLower(strings.TrimSpace(line)), nil
}

// are counts archives, with the verb.
func are(n int64) string {
	if n == 1 {
		return "1 archive is"
	}
	return formatCount(n, "archive", "archives") + " are"
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
	g.say("%s (%s) in %s%s", formatCount(files, "file", "files"), formatBytes(bytes), formatCount(int64(len(p.Archives)), "archive", "archives"), states)
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
	res, err := g.thawBy(ctx, o.Storage(), p, offer, waited, u)
	if releaseErr := release(); releaseErr != nil {
		err = errors.Join(err, releaseErr)
	}
	return res, err
}

// thawBy is thaw by a storage; look has it look before it asks.
func (g *globals) thawBy(ctx context.Context, s storage.Storage, p *cold.Plan, offer cold.Offer, look bool, u *price.Usage) (cold.Result, error) {
	res, err := p.Thaw(ctx, s, cold.Options{Tier: offer.Tier, Look: look})
	if errors.Is(err, tarn.ErrTierRefused) && res.Requested > 0 {
		err = hinted{err, "Name one of those by --tier. What was asked for before that is being thawed, and nothing else was spent."}
	}
	u.Add(res.Usage)
	if g.json {
		g.printJSON(map[string]any{"type": "thaw", "tier": strings.ToLower(string(offer.Tier)), "days": p.Days, "requested": res.Requested, "bytes": res.Bytes,
			"running": res.Running, "refused": res.Refused, "gone": res.Gone, "left": res.Left})
	} else if res.Requested+res.Running > 0 {
		ready := ""
		if offer.Wait.To > 0 && res.Requested > 0 {
			ready = fmt.Sprintf(", readable in %s, until %s after that", formatWait(offer.Wait), formatCount(int64(p.Days), "day", "days"))
		}
		g.say("asked for the thaw of %s (%s)%s", formatCount(res.Requested, "archive", "archives"), formatBytes(res.Bytes), ready)
		if res.Running > 0 {
			g.say("%s being thawed already%s", are(res.Running), refusedText(res.Refused))
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
