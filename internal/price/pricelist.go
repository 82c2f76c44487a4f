package price

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/tarn-backup/tarn"
)

// PriceList is what one or several Price List files of AWS say about S3.
type PriceList struct {
	published string // the newest of the files' dates
	files     []string
	found     map[product]finding
}

// product is what a price is found by.
type product struct{ file, region, usage, operation string }

// finding is the price of a product, for one of its unit.
type finding struct {
	price     Money
	unit      string
	ambiguous bool // there are several, and nothing says which
}

// MissingError says which prices of a region the files don't have.
type MissingError struct {
	Region  string
	Missing []string
}

// Error names all that is missing, with the offer whose file has it.
func (e *MissingError) Error() string {
	return fmt.Sprintf("prices of %s: the files don't have %s", e.Region, strings.Join(e.Missing, ", "))
}

// Merge adds what other files say.
func (l *PriceList) Merge(other *PriceList) {
	l.published = max(l.published, other.published)
	for _, f := range other.files {
		if !slices.Contains(l.files, f) {
			l.files = append(l.files, f)
		}
	}
	for at, f := range other.found {
		l.note(at, f)
	}
}

// note enters a price. Two different ones are one too many.
func (l *PriceList) note(at product, f finding) {
	if l.found == nil {
		l.found = map[product]finding{}
	}
	if had, ok := l.found[at]; ok && (had.ambiguous || had.unit != f.unit || had.price.Cmp(f.price) != 0) {
		f.ambiguous = true
	}
	l.found[at] = f
}

// Regions lists the regions of which the files have a price of storage.
func (l *PriceList) Regions() []string {
	all := map[string]bool{}
	for at := range l.found {
		if at.file == offerS3 && offers[0].usage == at.usage {
			all[at.region] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// Region returns the prices of a region: a *MissingError if there are not all.
func (l *PriceList) Region(name string) (*Region, error) {
	r := &Region{Date: l.published, Source: "AWS Price List: " + strings.Join(l.files, ", "), Classes: map[tarn.Class]Rates{}}
	if missing := l.fill(r, name); len(missing) > 0 {
		return nil, &MissingError{name, missing}
	}
	for class, rates := range r.Classes { // what has no price of retrieval costs nothing there
		if !rates.Retrieval.known() {
			rates.Retrieval = Money{new(big.Rat)}
			r.Classes[class] = rates
		}
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("prices of %s: %w", name, err)
	}
	return r, nil
}

// fill sets the prices that are there, and names those that are not but must be.
func (l *PriceList) fill(r *Region, name string) (missing []string) {
	done, reasons := map[string]bool{}, map[string]string{}
	for _, o := range offers {
		if done[o.price] {
			continue
		}
		m, why := l.lookUp(name, o)
		if why != "" {
			if had := reasons[o.price]; had == "" || why != notThere {
				reasons[o.price] = fmt.Sprintf("%s (%s of %s %s)", o.price, o.usage, o.file, why)
			}
			continue
		}
		done[o.price] = true
		if o.unit == unitRequests || o.unit == unitObjects {
			m = m.Times(big.NewRat(1000, 1))
		}
		o.set(r, m)
	}
	for _, o := range offers {
		if !done[o.price] && !o.optional {
			done[o.price] = true
			missing = append(missing, reasons[o.price])
		}
	}
	return missing
}

// notThere is the usual reason why there is no price.
const notThere = "is not there"

// lookUp returns the price of an offer, or why there is none.
func (l *PriceList) lookUp(region string, o offer) (Money, string) {
	var f finding
	here := false
	for _, operation := range o.operations {
		if f, here = l.found[product{o.file, region, o.usage, operation}]; here {
			break
		}
	}
	if o.operations == nil {
		f, here = l.only(region, o)
	}
	switch {
	case !here:
		return Money{}, notThere
	case f.ambiguous:
		return Money{}, "has several prices"
	case f.unit != o.unit:
		return Money{}, fmt.Sprintf("is for %.20q, not for %q", f.unit, o.unit)
	}
	return f.price, ""
}

// only returns the one price that a usage type has, under whatever operations.
func (l *PriceList) only(region string, o offer) (f finding, here bool) {
	for at, each := range l.found {
		if at.file != o.file || at.region != region || at.usage != o.usage {
			continue
		}
		if here && (each.unit != f.unit || each.price.Cmp(f.price) != 0) {
			f.ambiguous = true
			continue
		}
		each.ambiguous = each.ambiguous || f.ambiguous
		f, here = each, true
	}
	return f, here
}

// The bounds of what is read.
const (
	maxValue    = 4 << 20 // bytes of one product or its terms
	maxProducts = 100_000 // that have to do with S3
)

// ParsePriceList reads an offer file of the AWS Price List, of one region or of
// all: AmazonS3, AmazonS3GlacierDeepArchive or AWSDataTransfer. It keeps what it knows by
// name and drops the rest as it comes, so memory does not grow with the file.
func ParsePriceList(r io.Reader) (*PriceList, error) {
	in := &bounded{r: r}
	p := &listParser{in: in, dec: json.NewDecoder(in), list: &PriceList{found: map[product]finding{}}, skus: map[string]product{}}
	if err := p.file(); err != nil {
		return nil, fmt.Errorf("reading a price list: %w", err)
	}
	return p.list, nil
}

// bounded fails when one value of a file is too large. It is told when one ends.
type bounded struct {
	r    io.Reader
	read int
}

var errValue = errors.New("a value in it is too large: it is no price list")

// Read reads on.
func (b *bounded) Read(p []byte) (int, error) {
	if b.read > maxValue {
		return 0, errValue
	}
	n, err := b.r.Read(p)
	b.read += n
	return n, err
}

// regionName is what a region may be called.
var regionName = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d{1,2}$`)
