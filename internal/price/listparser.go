package price

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// listParser reads one offer file.
type listParser struct {
	in   *bounded
	dec  *json.Decoder
	list *PriceList
	skus map[string]product // that are ours
	code string             // of the offer
	seen map[string]bool    // members of the file
}

// next makes room for one more value.
func (p *listParser) next() { p.in.read = 0 }

func (p *listParser) value(v any) error {
	p.next()
	return p.dec.Decode(v)
}

// file reads the members of the whole.
func (p *listParser) file() error {
	p.seen = map[string]bool{}
	err := p.object(func(name string) error {
		again := p.seen[name]
		p.seen[name] = true
		switch {
		case again && (name == "products" || name == "terms"):
			return fmt.Errorf("it has %s twice", name)
		case name == "offerCode":
			return p.offerCode()
		case name == "publicationDate":
			return p.published()
		case name == "products":
			return p.object(p.product)
		case name == "terms":
			return p.terms()
		}
		return p.skip()
	})
	if err != nil {
		return err
	}
	if _, err := p.dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows its end")
	}
	if !p.seen["products"] || !p.seen["terms"] {
		return errors.New("no products and terms: it is no offer file of the AWS Price List")
	}
	return nil
}

// object calls member for each name, to read its value. A null has none.
func (p *listParser) object(member func(name string) error) error {
	p.next()
	begin, err := p.dec.Token()
	if err != nil {
		return whole(err)
	}
	if begin != json.Delim('{') {
		return errors.New("an object is not where it should be")
	}
	for p.dec.More() {
		p.next()
		name, err := p.dec.Token()
		if err != nil {
			return whole(err)
		}
		if err := member(name.(string)); err != nil { // of an object: it is a string
			return whole(err)
		}
	}
	_, err = p.dec.Token()
	return whole(err)
}

// whole says of a file that ends too soon that it does.
func whole(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// skip drops a value, however large it is.
func (p *listParser) skip() error {
	for depth := 0; ; {
		p.next()
		t, err := p.dec.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

func (p *listParser) offerCode() error {
	if err := p.value(&p.code); err != nil {
		return err
	}
	if !slices.Contains([]string{offerS3, offerDeep, offerTransfer, "AmazonGlacier"}, p.code) {
		return fmt.Errorf("it is of %.40q: want those of %s, %s and %s", p.code, offerS3, offerDeep, offerTransfer)
	}
	p.list.files = []string{p.code}
	return nil
}

// dated is how a publication date begins.
var dated = regexp.MustCompile(`^\d{4}-\d\d-\d\dT`)

func (p *listParser) published() error {
	var text string
	if err := p.value(&text); err != nil {
		return err
	}
	if dated.MatchString(text) {
		p.list.published, _, _ = strings.Cut(text, "T")
	}
	return nil
}

// attributes are those of a product that tell what it is.
type attributes struct {
	ServiceCode      string `json:"servicecode"`
	RegionCode       string `json:"regionCode"`
	UsageType        string `json:"usagetype"`
	Operation        string `json:"operation"`
	TransferType     string `json:"transferType"`
	FromRegionCode   string `json:"fromRegionCode"`
	FromLocationType string `json:"fromLocationType"`
	ToLocation       string `json:"toLocation"`
}

// product notes a product if a price of ours is its.
func (p *listParser) product(sku string) error {
	var v struct{ Attributes attributes }
	if err := p.value(&v); err != nil {
		return err
	}
	at, ok := v.Attributes.product(p.code)
	if !ok {
		return nil
	}
	if len(p.skus) >= maxProducts {
		return fmt.Errorf("more than %d products of S3: it is no price list", maxProducts)
	}
	p.skus[sku] = at
	return nil
}

// prefix is what a usage type begins with, outside of the first region.
var prefix = regexp.MustCompile(`^[A-Z]{2,4}[0-9]{0,2}-`)

// product returns what a product is, and whether it is one of ours.
func (a attributes) product(code string) (product, bool) {
	at := product{file: code, region: a.RegionCode, usage: a.UsageType, operation: a.Operation}
	if a.ServiceCode != "" {
		at.file = a.ServiceCode
	}
	if end := prefix.FindString(at.usage); end != "" {
		at.usage = at.usage[len(end):]
	}
	if at.usage == usageTransfer {
		if a.TransferType != "AWS Outbound" || a.ToLocation != "External" || a.FromLocationType != "" && a.FromLocationType != "AWS Region" {
			return at, false
		}
		at.file, at.operation = offerTransfer, ""
		if a.FromRegionCode != "" {
			at.region = a.FromRegionCode
		}
	}
	ours := slices.ContainsFunc(offers, func(o offer) bool { return o.file == at.file && o.usage == at.usage })
	return at, ours && regionName.MatchString(at.region) && len(at.region) <= 40 && len(at.operation) <= 80
}

// term is an offer to sell a product.
type term struct {
	PriceDimensions map[string]dimension `json:"priceDimensions"`
}

// dimension is the price of a band of quantities.
type dimension struct {
	Unit         string            `json:"unit"`
	BeginRange   string            `json:"beginRange"`
	PricePerUnit map[string]string `json:"pricePerUnit"`
}

func (p *listParser) terms() error {
	if !p.seen["products"] {
		return errors.New("its terms come before its products")
	}
	return p.object(func(kind string) error {
		if kind != "OnDemand" {
			return p.skip()
		}
		return p.object(func(sku string) error {
			at, ours := p.skus[sku]
			if !ours {
				return p.skip()
			}
			var terms map[string]term
			if err := p.value(&terms); err != nil {
				return err
			}
			for _, t := range terms {
				if err := p.price(at, t); err != nil {
					return fmt.Errorf("product %.40q: %w", sku, err)
				}
			}
			return nil
		})
	})
}

// price notes the price of the first band; of a transfer the first that is not
// free, since what is free is of all products together, and in a book apart.
func (p *listParser) price(at product, t term) error {
	var best finding
	var begin Money
	for _, d := range t.PriceDimensions {
		usd, ok := d.PricePerUnit["USD"]
		if !ok {
			continue // of a partition that is billed in another currency
		}
		price, err := ParseMoney(usd)
		if err != nil {
			return err
		}
		var from Money
		if d.BeginRange != "" {
			if from, err = ParseMoney(d.BeginRange); err != nil {
				return fmt.Errorf("beginning of a range: %w", err)
			}
		}
		if at.usage == usageTransfer && price.Free() {
			continue
		}
		if !best.price.known() || from.Cmp(begin) < 0 {
			best, begin = finding{price: price, unit: d.Unit}, from
		}
	}
	if best.price.known() {
		p.list.note(at, best)
	}
	return nil
}
