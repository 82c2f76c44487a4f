package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/storage"
)

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
		return o, &declined{fmt.Errorf("%s frozen, and nothing was asked for or spent", are(int64(len(p.Ask)))), howToAccept(o)}
	}
	answer, err := g.ask(fmt.Sprintf("Thaw in the tier %s for %s? [y/N] ", strings.ToLower(string(tier)), costOf(o)))
	if err == nil && answer != "y" && answer != "yes" {
		err = notThawed
	}
	return o, err
}

// howToAccept says how to thaw without a terminal.
func howToAccept(o cold.Offer) string {
	if o.Bill == nil {
		return "No prices are known here. Add --yes and a tier, as in --tier bulk --yes, to thaw for whatever the provider bills."
	}
	return "Add --yes and a tier, as in --tier bulk --yes, to thaw at that price."
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
