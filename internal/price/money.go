package price

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// Money is an exact amount of US dollars. The zero value is no money, and in a
// book no price: what costs nothing is an explicit 0 there. Values are not comparable by ==.
type Money struct {
	amount *big.Rat // never changed once it is here
}

// ParseMoney reads an amount as people and books write it: 5, 0.50, $5.
func ParseMoney(s string) (Money, error) {
	r, err := parseDecimal(strings.TrimPrefix(strings.TrimSpace(s), "$"))
	if err != nil {
		return Money{}, fmt.Errorf("amount %.40q: want dollars such as 5 or 0.50", s)
	}
	return Money{r}, nil
}

// The digits that a decimal number may have: prices have ten after the point.
const (
	maxWhole    = 15
	maxFraction = 18
)

// ParseDecimal reads a number that is not negative, such as 12 or 0.5, exactly.
func ParseDecimal(s string) (*big.Rat, error) {
	r, err := parseDecimal(strings.TrimSpace(s))
	if err != nil {
		return nil, fmt.Errorf("number %.40q: want one such as 2 or 0.5", s)
	}
	return r, nil
}

func parseDecimal(s string) (*big.Rat, error) {
	mantissa, exponent := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 { // as JSON may write a small price
		n, err := strconv.ParseInt(s[i+1:], 10, 8)
		if err != nil || n > maxWhole || n < -maxFraction {
			return nil, strconv.ErrSyntax
		}
		mantissa, exponent = s[:i], int(n)
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	if digits == "" || len(whole) > maxWhole || len(fraction) > maxFraction || strings.Trim(digits, "0123456789") != "" {
		return nil, strconv.ErrSyntax
	}
	n, _ := new(big.Int).SetString(digits, 10) // digits only: it can't fail
	r := new(big.Rat).SetInt(n)
	return r.Mul(r, powerOfTen(exponent-len(fraction))), nil
}

func powerOfTen(n int) *big.Rat {
	p := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(n, -n))), nil)
	if n < 0 {
		return new(big.Rat).SetFrac(big.NewInt(1), p)
	}
	return new(big.Rat).SetInt(p)
}

// known reports whether there is a price at all.
func (m Money) known() bool { return m.amount != nil }

// rat returns the amount, which the caller must not change.
func (m Money) rat() *big.Rat {
	if m.amount == nil {
		return new(big.Rat)
	}
	return m.amount
}

// Add returns m + n.
func (m Money) Add(n Money) Money { return Money{new(big.Rat).Add(m.rat(), n.rat())} }

// Times returns m multiplied by x.
func (m Money) Times(x *big.Rat) Money { return Money{new(big.Rat).Mul(m.rat(), x)} }

// Cmp is negative if m is less than n, 0 if they are equal, positive if m is more.
func (m Money) Cmp(n Money) int { return m.rat().Cmp(n.rat()) }

// Free reports whether there is nothing to pay.
func (m Money) Free() bool { return m.rat().Sign() == 0 }

// Rat returns a copy of the exact amount in dollars.
func (m Money) Rat() *big.Rat { return new(big.Rat).Set(m.rat()) }

// String rounds for people, half up: to the cent, and less than a cent to a
// hundredth of one: "$1,234.50", "$0.0004", "under $0.0001".
func (m Money) String() string {
	r := m.rat()
	switch {
	case r.Sign() < 0:
		return "-" + Money{new(big.Rat).Neg(r)}.String()
	case r.Sign() > 0 && r.Cmp(big.NewRat(1, 10_000)) < 0:
		return "under $0.0001"
	case r.Sign() > 0 && r.Cmp(big.NewRat(1, 100)) < 0:
		if text := decimal(r, 4); text != "0.0100" {
			return "$" + text
		}
	}
	text := decimal(r, 2)
	for i := len(text) - len(".00") - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return "$" + text
}

// decimal writes r with that many digits after the point, rounded half up. r is
// not negative, so that FloatString's half away from zero is that.
func decimal(r *big.Rat, digits int) string { return r.FloatString(digits) }

// jsonDigits are those of an amount that has no end, as of 90 days of 730-hour months.
const jsonDigits = 12

// Exact writes the amount without a currency and as it is, if it ends within 18
// digits after the point, as every price does; else rounded to 12.
func (m Money) Exact() string {
	digits, exact := m.rat().FloatPrec()
	if !exact || digits > maxFraction {
		digits = jsonDigits
	}
	text := m.rat().FloatString(digits)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// MarshalJSON writes the number that Exact returns.
func (m Money) MarshalJSON() ([]byte, error) { return []byte(m.Exact()), nil }

// UnmarshalJSON reads a number, or a string with one, exactly.
func (m *Money) UnmarshalJSON(b []byte) error {
	text := string(b)
	if s, err := strconv.Unquote(text); err == nil {
		text = s
	}
	r, err := parseDecimal(text)
	if err != nil {
		return fmt.Errorf("price %.40s: want a decimal number of dollars", text)
	}
	m.amount = r
	return nil
}
