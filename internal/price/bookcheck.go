package price

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tarn-backup/tarn"
)

// check refuses what no provider has, so that a plan need not.
func (p *Provider) check() error {
	if p.FreeTransfer < 0 {
		return errors.New("free transfer of less than nothing")
	}
	for _, end := range p.Endpoints {
		if !strings.HasPrefix(end, ".") || len(end) < 4 {
			return fmt.Errorf("endpoint %q: want the end of a host name with its dot, such as .example.org", end)
		}
	}
	for class, r := range p.Rules {
		if _, err := tarn.ParseClass(string(class)); err != nil {
			return err
		}
		if err := r.check(); err != nil {
			return fmt.Errorf("rules of %s: %w", class, err)
		}
	}
	for name, r := range p.Regions {
		if r == nil || name == "" || strings.Contains(name, "/") {
			return fmt.Errorf("region %q: no region", name)
		}
		if err := r.check(); err != nil {
			return fmt.Errorf("region %s: %w", name, err)
		}
	}
	return nil
}

// What a rule may at most say: ten years and the largest object of S3.
const (
	mostDays  = 3650
	mostBytes = 5 << 40
)

func (r Rules) check() error {
	if r.MinimumDays < 0 || r.MinimumDays > mostDays {
		return fmt.Errorf("minimum of %d days", r.MinimumDays)
	}
	for _, n := range []int64{r.MinimumBytes, r.Overhead, r.OverheadStandard, r.MonitoredFrom} {
		if n < 0 || n > mostBytes {
			return fmt.Errorf("%d bytes", n)
		}
	}
	for tier := range r.Waits {
		if !slices.Contains(Tiers, tier) {
			return fmt.Errorf("tier %q: want one of %v", tier, Tiers)
		}
	}
	return nil
}

func (r *Region) check() error {
	if r.As != "" {
		if len(r.Classes) > 0 || r.List.known() || r.Transfer.known() {
			return fmt.Errorf("it has prices, and those of %s", r.As)
		}
		return nil
	}
	if len(r.Classes) == 0 {
		return errors.New("no classes")
	}
	if _, ok := r.Classes[tarn.Standard]; !ok {
		return fmt.Errorf("no prices of %s", tarn.Standard)
	}
	if !r.List.known() || !r.Transfer.known() {
		return errors.New("no price of LIST or of transfer")
	}
	for class, rates := range r.Classes {
		if _, err := tarn.ParseClass(string(class)); err != nil {
			return err
		}
		if err := rates.check(class); err != nil {
			return fmt.Errorf("%s: %w", class, err)
		}
	}
	return nil
}

func (r Rates) check(class tarn.Class) error {
	if !r.Storage.known() || !r.Put.known() || !r.Get.known() || !r.Retrieval.known() {
		return errors.New("want prices of storage, put, get and retrieval, if only 0")
	}
	if class.Cold() != (len(r.Thaw) > 0) {
		return errors.New("a cold class has tiers to thaw in, and no other has")
	}
	for tier, t := range r.Thaw {
		if !slices.Contains(Tiers, tier) || !t.Bytes.known() || !t.Requests.known() {
			return fmt.Errorf("tier %q: want prices of bytes and requests, if only 0, and one of %v", tier, Tiers)
		}
	}
	after := int64(0)
	for _, s := range r.Steps {
		if s.AfterDays <= after || s.AfterDays > mostDays || !s.Storage.known() {
			return errors.New("want steps after more and more days, each with a price of storage")
		}
		after = s.AfterDays
	}
	return nil
}
