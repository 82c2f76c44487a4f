package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/price"
)

func newCostPrices(g *globals) *cobra.Command {
	var provider, region string
	cmd := &cobra.Command{
		Use:   "prices",
		Short: "Show the prices that are known, with their date and source",
		Long: `prices shows what providers charge in their regions: for storage, requests, reading, thawing and transfer, and what they
bill at least. Storage in STANDARD and INTELLIGENT_TIERING is what the first 50 TB of a month cost.` + "\n" + exitCodes,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return g.costPrices(provider, region) },
	}
	cmd.Flags().StringVar(&provider, "provider", "", "only those of this provider")
	cmd.Flags().StringVar(&region, "region", "", "only those of this region")
	return cmd
}

func (g *globals) costPrices(provider, region string) error {
	if g.priceOf != "" && provider == "" && region == "" {
		p, err := g.namedPrices(g.priceOf)
		if err != nil {
			return err
		}
		return g.printPrices(p, nil)
	}
	book, err := g.priceBook()
	if err != nil {
		return err
	}
	if provider != "" && book.Providers[provider] == nil {
		return hinted{fmt.Errorf("no provider is %q", provider), "There are " + strings.Join(book.Names(), ", ") + "."}
	}
	shown := 0
	for _, name := range book.Names() {
		if provider != "" && provider != name {
			continue
		}
		if err := g.printProvider(book, name, region, &shown); err != nil {
			return err
		}
	}
	if shown == 0 && (provider != "" || region != "") {
		return hinted{fmt.Errorf("%w for %s", price.ErrNoPrices, strings.Trim(provider+"/"+region, "/")), updateHint}
	}
	return nil
}

// printProvider prints each region that has prices of its own once, or that
// there is none, and counts what it has shown.
func (g *globals) printProvider(book *price.Book, name, region string, shown *int) error {
	gap := func() {
		if *shown > 0 {
			g.say("")
		}
		*shown++
	}
	p := book.Providers[name]
	for _, r := range slices.Sorted(maps.Keys(p.Regions)) {
		if region != "" && region != r || region == "" && p.Regions[r].As != "" {
			continue
		}
		found, err := book.Find(name, r)
		if err != nil {
			return err
		}
		gap()
		var also []string
		for other, v := range p.Regions {
			if v.As == r && region == "" {
				also = append(also, other)
			}
		}
		slices.Sort(also)
		if err := g.printPrices(found, also); err != nil {
			return err
		}
	}
	if len(p.Regions) == 0 && region == "" && !g.json {
		gap()
		g.say("%s (%s): no prices known", printable(name), printable(p.Name))
	}
	return nil
}

// printPrices prints the prices of a region, and which other ones have them.
func (g *globals) printPrices(p *price.Prices, also []string) error {
	if g.json {
		return g.printJSON(struct {
			*price.Prices
			Also []string `json:"also"`
		}{p, orEmpty(also)})
	}
	where := p.Provider + "/" + p.Region
	for _, r := range also {
		where += ", " + r
	}
	fmt.Fprintf(g.stdout, "%s: dollars as of %s (%s)\n", printable(where), printable(p.Date), printable(p.Source))
	w := tabwriter.NewWriter(g.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tGiB-MONTH\t1,000 PUT\t1,000 GET\tGiB READ\tDAYS AT LEAST\tBYTES AT LEAST\tOVERHEAD\t")
	for _, class := range tarn.Classes {
		c, ok := p.Classes[class]
		if !ok {
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", class, exactly(c.Storage), exactly(c.Put), exactly(c.Get), exactly(c.Retrieval),
			orDash(c.MinimumDays, strconv.FormatInt(c.MinimumDays, 10)), orDash(c.MinimumBytes, formatBytes(c.MinimumBytes)),
			orDash(c.Overhead+c.OverheadStandard, formatBytes(c.Overhead+c.OverheadStandard)))
	}
	err := w.Flush()
	w.Init(g.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tTHAW\tREADY IN\tGiB\t1,000 OBJECTS\t")
	for _, class := range tarn.Classes {
		for _, tier := range price.Tiers {
			if t, ok := p.Classes[class].Thaw[tier]; ok {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t\n", class, strings.ToLower(string(tier)), formatWait(p.Classes[class].Waits[tier]), exactly(t.Bytes), exactly(t.Requests))
			}
		}
	}
	err = errors.Join(err, w.Flush())
	g.printOtherPrices(p)
	return err
}

// printOtherPrices prints what is no column of a table.
func (g *globals) printOtherPrices(p *price.Prices) {
	for _, class := range tarn.Classes {
		c := p.Classes[class]
		for _, s := range c.Steps {
			fmt.Fprintf(g.stdout, "%s not read for %s: %s\n", class, formatCount(s.AfterDays, "day", "days"), exactly(s.Storage))
		}
		if !c.Monitoring.Free() {
			fmt.Fprintf(g.stdout, "%s monitoring: %s for 1,000 objects and month\n", class, exactly(c.Monitoring))
		}
	}
	fmt.Fprintf(g.stdout, "LIST: %s for 1,000 requests\nTransfer out: %s for a GiB, after %s a month for nothing\n", exactly(p.List), exactly(p.Transfer), formatBytes(p.FreeTransfer))
}

// exactly writes a price with all of its digits.
func exactly(m price.Money) string { return "$" + m.Exact() }

func orDash(n int64, text string) string {
	if n == 0 {
		return "-"
	}
	return text
}

// formatWait writes how long a thaw usually takes: "3-5 h", "48 h".
func formatWait(w price.Wait) string {
	unit, name := int64(60), "min"
	if w.To.Hours() >= 1 {
		unit, name = 3600, "h"
	}
	from, to := int64(w.From.Seconds())/unit, int64(w.To.Seconds())/unit
	if from == 0 || from == to {
		return fmt.Sprintf("%d %s", to, name)
	}
	return fmt.Sprintf("%d-%d %s", from, to, name)
}
