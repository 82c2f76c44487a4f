package price_test

import (
	"encoding/json"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/tarn-backup/tarn/internal/price"
)

func money(t interface{ Fatal(...any) }, s string) price.Money {
	m, err := price.ParseMoney(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMoneyString(t *testing.T) {
	for in, want := range map[string]string{
		"0": "$0.00", "5": "$5.00", "$5": "$5.00", "0.50": "$0.50", ".5": "$0.50", "12.34": "$12.34", "12.345": "$12.35", "12.3449999": "$12.34",
		"0.0004": "$0.0004", "0.00044": "$0.0004", "0.00045": "$0.0005", "0.0001": "$0.0001", "0.00009999": "under $0.0001", "1e-10": "under $0.0001",
		"0.0099": "$0.0099", "0.00995": "$0.01", "0.01": "$0.01", "0.014": "$0.01", "0.015": "$0.02", "999.995": "$1,000.00", "150000": "$150,000.00",
		"1234567.891": "$1,234,567.89", "999.99": "$999.99",
	} {
		if got := money(t, in).String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	third := money(t, "1").Times(big.NewRat(1, 3))
	if got := third.Exact(); got != "0.333333333333" {
		t.Errorf("a third: %s", got)
	}
	if got := money(t, "1").Times(big.NewRat(-5, 2)).String(); got != "-$2.50" {
		t.Errorf("what is negative: %s", got)
	}
}

func TestParseMoneyRefuses(t *testing.T) {
	for _, in := range []string{
		"", "$", ".", "-1", "+1", "1,000", "5 dollars", "$$5", "1.2.3", "0x10", "1e99", "1e-99", "1e", "e5", "NaN", "Inf", "1_000", "1/3",
		"1234567890123456", "0.1234567890123456789", "٣",
	} {
		if m, err := price.ParseMoney(in); err == nil {
			t.Errorf("%q: %s", in, m)
		}
	}
}

// TestMoneyJSON: a book that is written and read again has the same prices, to the last digit.
func TestMoneyJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[0-9]{1,9}(\.[0-9]{1,18})?`).Draw(t, "amount")
		m := money(t, text)
		want, _ := new(big.Rat).SetString(text)
		if m.Rat().Cmp(want) != 0 {
			t.Fatalf("%s is %s", text, m.Rat())
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var back price.Money
		if err := json.Unmarshal(b, &back); err != nil || back.Cmp(m) != 0 {
			t.Fatalf("%s: %s comes back as %s: %v", text, b, back.Exact(), err)
		}
		// String is never further from the amount than half of its last digit.
		if text := m.String(); text != "under $0.0001" {
			shown, ok := new(big.Rat).SetString(removed(text, "$,"))
			far := new(big.Rat).Sub(shown, want)
			if !ok || far.Abs(far).Cmp(big.NewRat(1, 200)) > 0 {
				t.Fatalf("%s is shown as %s", want, text)
			}
		}
	})
}

func removed(s, chars string) string {
	var out []rune
	for _, r := range s {
		drop := false
		for _, c := range chars {
			drop = drop || r == c
		}
		if !drop {
			out = append(out, r)
		}
	}
	return string(out)
}
