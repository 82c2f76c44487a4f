package main

import (
	"fmt"
	"math/big"
	"strings"
	"text/tabwriter"

	"github.com/tarn-backup/tarn/internal/s3lab"
)

// requestLine is a request in the lab's log for people: when it was there,
// what, where, how it ended and what it costs.
func requestLine(e s3lab.Event) string {
	where := e.Bucket
	if e.Key != "" {
		where += "/" + e.Key
	}
	words := []string{e.Time.Local().Format("2006-01-02 15:04:05"), e.Op, printable(where), e.Class}
	if e.Tier != "" {
		words = append(words, e.Tier)
	}
	words = append(words, fmt.Sprint(e.Status))
	if e.Code != "" {
		words = append(words, printable(e.Code))
	}
	if moved := max(e.In, e.Out); moved > 0 {
		words = append(words, formatBytes(moved))
	}
	return strings.Join(append(words, "$"+exactDollars(e.Price())), " ")
}

// exactDollars writes an amount with its cents, and as many digits more as it has, up to 9.
func exactDollars(r *big.Rat) string {
	s := strings.TrimRight(r.FloatString(9), "0")
	for whole := strings.IndexByte(s, '.'); len(s) < whole+3; {
		s += "0"
	}
	return s
}

// quantity writes how much of what at which price.
func quantity(l s3lab.Line) string {
	if unit, ok := strings.CutPrefix(l.Unit, "1,000 "); ok {
		n := new(big.Rat).Mul(l.Quantity, big.NewRat(1000, 1))
		if unit == "requests" {
			return fmt.Sprintf("%s %s at $%s for 1,000", n.FloatString(0), unit, exactDollars(l.Price))
		}
		return fmt.Sprintf("%s %s at $%s for 1,000", n.FloatString(6), unit, exactDollars(l.Price))
	}
	return fmt.Sprintf("%s %s at $%s", l.Quantity.FloatString(6), l.Unit, exactDollars(l.Price))
}

// labLine is a line of the bill in JSON, in decimal numbers as text.
type labLine struct {
	Item     s3lab.Item `json:"item"`
	Class    string     `json:"class"`
	Tier     string     `json:"tier"`
	Quantity string     `json:"quantity"`
	Unit     string     `json:"unit"`
	Price    string     `json:"price"`
	Amount   string     `json:"amount"`
}

func (g *globals) printBill(b *s3lab.Bill) error {
	if g.json {
		lines := []labLine{}
		for _, l := range b.Lines {
			lines = append(lines, labLine{l.Item, l.Class, l.Tier, l.Quantity.FloatString(12), l.Unit, l.Price.FloatString(6), l.Amount.FloatString(12)})
		}
		return g.printJSON(map[string]any{"from": b.From, "to": b.To, "total": b.Total.FloatString(12), "lines": lines})
	}
	g.say("From %s to %s on the lab's clock, at the prices of AWS in us-east-1:", formatTime(b.From), formatTime(b.To))
	w := tabwriter.NewWriter(g.stdout, 0, 0, 2, ' ', 0)
	for _, l := range b.Lines {
		what := strings.TrimSpace(l.Class + " " + l.Tier)
		fmt.Fprintf(w, "%s\t%s\t%s\t$%s\n", l.Item, what, quantity(l), l.Amount.FloatString(6))
	}
	fmt.Fprintf(w, "total\t\t\t$%s\n", b.Total.FloatString(6))
	return w.Flush()
}
