package price

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/tarn-backup/tarn"
)

// Book is prices of several providers. In JSON, prices are decimal dollars: of
// storage for a GiB and month, of requests for 1,000, of retrieval and transfer for a GiB.
type Book struct {
	Providers map[string]*Provider `json:"providers"`
}

// Provider is who sends the bill. One without regions is known by its endpoints
// only: its prices are not AWS's, and nobody has written them down yet.
type Provider struct {
	Name      string   `json:"name,omitempty"`
	Endpoints []string `json:"endpoints,omitempty"` // what the host names of its servers end with
	// FreeTransfer is how many GiB a month leave the provider for nothing.
	FreeTransfer int64                `json:"free_transfer_gib,omitempty"`
	Rules        map[tarn.Class]Rules `json:"rules,omitempty"` // the same in all regions
	Regions      map[string]*Region   `json:"regions,omitempty"`
}

// Region is the prices of one region.
type Region struct {
	As     string `json:"as,omitempty"`     // another region, whose prices it has
	Date   string `json:"date,omitempty"`   // when they were so
	Source string `json:"source,omitempty"` // who says that
	List   Money  `json:"list,omitzero"`    // of LIST requests, in any class
	// Transfer is for a GiB to the internet.
	Transfer Money                `json:"transfer,omitzero"`
	Classes  map[tarn.Class]Rates `json:"classes,omitempty"`
}

// Rates are the prices of a class in a region.
type Rates struct {
	Storage    Money          `json:"storage,omitzero"`    // GiB and month
	Put        Money          `json:"put,omitzero"`        // 1,000 of PUT, COPY, POST
	Get        Money          `json:"get,omitzero"`        // 1,000 of GET, HEAD
	Retrieval  Money          `json:"retrieval,omitzero"`  // GiB that GETs read; not of thawed copies
	Lifecycle  Money          `json:"lifecycle,omitzero"`  // 1,000 transitions into the class
	Monitoring Money          `json:"monitoring,omitzero"` // 1,000 objects and month
	Steps      []Step         `json:"steps,omitempty"`
	Thaw       map[Tier]Thaws `json:"thaw,omitempty"`
}

// Step is what a GiB and month costs of an object that was not read for some days.
type Step struct {
	AfterDays int64 `json:"after_days"`
	Storage   Money `json:"storage"`
}

// Thaws are the prices of thawing in one tier.
type Thaws struct {
	Bytes    Money `json:"bytes,omitzero"`    // GiB
	Requests Money `json:"requests,omitzero"` // 1,000
}

// Tier is the speed of a thaw, by S3's name for it.
type Tier string

// The tiers of a thaw.
const (
	Bulk      Tier = "Bulk"
	Normal    Tier = "Standard"
	Expedited Tier = "Expedited"
)

// Tiers lists the tiers, the cheapest and slowest first.
var Tiers = []Tier{Bulk, Normal, Expedited}

// Rules say how a class is counted.
type Rules struct {
	MinimumDays  int64 `json:"minimum_days,omitempty"`  // that are billed of any object
	MinimumBytes int64 `json:"minimum_bytes,omitempty"` // that are billed of any object
	// Overhead is bytes of each object at the rate of the class, and
	// OverheadStandard such at the rate of STANDARD.
	Overhead         int64 `json:"overhead_bytes,omitempty"`
	OverheadStandard int64 `json:"overhead_standard_bytes,omitempty"`
	// PartsAsStandard says that CreateMultipartUpload and UploadPart are PUTs of
	// STANDARD, as in the cold classes.
	PartsAsStandard bool `json:"parts_as_standard,omitempty"`
	// MonitoredFrom is the least size of an object that is monitored.
	MonitoredFrom int64         `json:"monitored_from_bytes,omitempty"`
	Waits         map[Tier]Wait `json:"waits,omitempty"`
}

// Wait is how long a thaw usually takes.
type Wait struct {
	From, To time.Duration
}

// UnmarshalJSON reads {"from": "5h", "to": "12h"}.
func (w *Wait) UnmarshalJSON(b []byte) (err error) {
	var text struct{ From, To string }
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	if w.From, err = time.ParseDuration(text.From); err == nil {
		w.To, err = time.ParseDuration(text.To)
	}
	if err == nil && (w.From < 0 || w.To < w.From || w.To == 0) {
		err = fmt.Errorf("a thaw from %s to %s", w.From, w.To)
	}
	return err
}

// MarshalJSON writes what UnmarshalJSON reads.
func (w Wait) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"from": w.From.String(), "to": w.To.String()})
}

//go:embed book.json
var embedded []byte

// Embedded returns the book in the binary.
func Embedded() *Book {
	b, err := ReadBook(bytes.NewReader(embedded))
	if err != nil {
		panic("the price book in the binary: " + err.Error()) // a test reads it
	}
	return b
}

// maxBook is far more than a book with all regions of all providers takes.
const maxBook = 8 << 20

// ReadBook reads a book, which need not be complete: it may lie over another.
func ReadBook(r io.Reader) (*Book, error) {
	dec := json.NewDecoder(io.LimitReader(r, maxBook))
	dec.DisallowUnknownFields()
	var b Book
	if err := dec.Decode(&b); err != nil {
		return nil, fmt.Errorf("reading a price book: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("reading a price book: something follows it")
	}
	for name, p := range b.Providers {
		if p == nil {
			return nil, fmt.Errorf("reading a price book: provider %q is null", name)
		}
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("reading a price book: provider %q: %w", name, err)
		}
	}
	return &b, nil
}

// Encode writes a book for ReadBook.
func (b *Book) Encode() ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	err := enc.Encode(b)
	return buf.Bytes(), err
}

// Over returns a book with the regions, rules and providers of top in place of
// those of b.
func (b *Book) Over(top *Book) *Book {
	both := &Book{Providers: maps.Clone(b.Providers)}
	if both.Providers == nil {
		both.Providers = map[string]*Provider{}
	}
	for name, t := range top.Providers {
		p := Provider{Name: t.Name, Endpoints: t.Endpoints, FreeTransfer: t.FreeTransfer, Rules: map[tarn.Class]Rules{}, Regions: map[string]*Region{}}
		if below := both.Providers[name]; below != nil {
			p = *below
			p.Rules, p.Regions = orEmpty(below.Rules), orEmpty(below.Regions)
			if t.Name != "" {
				p.Name = t.Name
			}
			if len(t.Endpoints) > 0 {
				p.Endpoints = t.Endpoints
			}
			if t.FreeTransfer != 0 {
				p.FreeTransfer = t.FreeTransfer
			}
		}
		maps.Copy(p.Rules, t.Rules)
		maps.Copy(p.Regions, t.Regions)
		both.Providers[name] = &p
	}
	return both
}

// orEmpty returns a copy of m that can be written to.
func orEmpty[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return maps.Clone(m)
}

// Names lists the providers, aws first.
func (b *Book) Names() []string {
	names := slices.Sorted(maps.Keys(b.Providers))
	if i := slices.Index(names, AWS); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, AWS)
	}
	return names
}
