package price

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tarn-backup/tarn"
)

// AWS is the provider of endpoints that are not named.
const AWS = "aws"

// ErrNoPrices says that no prices are known for a place.
var ErrNoPrices = errors.New("no prices known")

// Prices are what one region of one provider charges.
type Prices struct {
	Provider string `json:"provider"`
	Region   string `json:"region"`
	Date     string `json:"date"`   // when they were so
	Source   string `json:"source"` // who says that
	// FreeTransfer is how many bytes a month leave for nothing.
	FreeTransfer int64                `json:"free_transfer_bytes"`
	List         Money                `json:"list"`     // of 1,000 LIST requests
	Transfer     Money                `json:"transfer"` // of a GiB to the internet
	Classes      map[tarn.Class]Class `json:"classes"`
}

// Class is what a class costs and how it is counted.
type Class struct {
	Rates
	Rules
}

// Find returns the prices of a provider's region; ErrNoPrices if there are none.
func (b *Book) Find(provider, region string) (*Prices, error) {
	p := b.Providers[provider]
	if p == nil {
		return nil, fmt.Errorf("%w for the provider %q (there are %s)", ErrNoPrices, provider, strings.Join(b.Names(), ", "))
	}
	r, name := p.Regions[region], region
	if r != nil && r.As != "" {
		r, name = p.Regions[r.As], r.As
	}
	if r == nil || r.As != "" {
		return nil, fmt.Errorf("%w for %s/%s", ErrNoPrices, provider, name)
	}
	found := &Prices{
		Provider: provider, Region: region, Date: r.Date, Source: r.Source, FreeTransfer: p.FreeTransfer << 30,
		List: r.List, Transfer: r.Transfer, Classes: map[tarn.Class]Class{},
	}
	for class, rates := range r.Classes {
		found.Classes[class] = Class{rates, p.Rules[class]}
	}
	return found, nil
}

// port is what may follow the name of a host.
var port = regexp.MustCompile(`:\d+$`)

// ForHost returns the prices for the host of an endpoint, with or without its
// port. It tells the provider: AWS if it is empty. A region that it names goes before the other.
func (b *Book) ForHost(endpoint, region string) (*Prices, error) {
	if endpoint == "" {
		return b.Find(AWS, region)
	}
	host := strings.ToLower(strings.TrimSuffix(port.ReplaceAllString(endpoint, ""), "."))
	for _, name := range b.Names() {
		for _, end := range b.Providers[name].Endpoints {
			if !strings.HasSuffix(host, end) {
				continue
			}
			if said := regionOf(host, end); said != "" {
				region = said
			}
			return b.Find(name, region)
		}
	}
	return nil, fmt.Errorf("%w for %s", ErrNoPrices, endpoint)
}

// regionOf reads the region in s3.eu-west-1.amazonaws.com,
// bucket.s3.dualstack.us-east-2.amazonaws.com and s3.fr-par.scw.cloud; "" if
// there is none.
func regionOf(host, end string) string {
	labels := strings.Split(strings.TrimSuffix(host, end), ".")
	for i, l := range slices.Backward(labels) {
		if l != "s3" && l != "s3-fips" {
			continue
		}
		rest := slices.DeleteFunc(labels[i+1:], func(l string) bool { return l == "dualstack" })
		if len(rest) == 1 {
			return rest[0]
		}
	}
	return ""
}

// class returns the prices of a class.
func (p *Prices) class(c tarn.Class) (Class, error) {
	found, ok := p.Classes[c]
	if !ok {
		return Class{}, fmt.Errorf("%w for %s in %s/%s", ErrNoPrices, c, p.Provider, p.Region)
	}
	return found, nil
}
