package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/tarn-backup/tarn/internal/bill"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/storage"
)

// listed is what a listing of a storage says of an object, for its price.
func (g *globals) listed(s storage.Storage, o storage.Object) bill.Thing {
	return bill.Thing{Class: o.Class, Size: o.Size, Age: storage.TimeOf(s, g.now()).Sub(o.Modified), Metadata: !strings.HasPrefix(o.Key, "archives/")}
}

// priced is money for a command that is about nothing else.
func (g *globals) priced(s storage.Storage) (*money, error) {
	m := g.money(s)
	if m.meter == nil {
		return nil, hinted{fmt.Errorf("nobody sends a bill for %s: it is a folder", s.Location()), "`tarn cost classes PATH` compares what a folder would cost in S3."}
	}
	return m, m.why
}

// cost prices the repository by its listing alone: it is not opened.
func (g *globals) cost(ctx context.Context) error {
	_, location, err := g.where()
	if err != nil {
		return err
	}
	s, err := g.storage(ctx, location, false)
	if err != nil {
		return err
	}
	m, err := g.priced(s)
	if err != nil {
		return err
	}
	h, found := bill.NewHolding(m.prices), false
	for o, err := range s.List(ctx, "") {
		if err == nil {
			err = h.Add(g.listed(s, o))
		}
		if err != nil {
			return err
		}
		found = true
	}
	if !found {
		return g.noRepository(location)
	}
	rows, month, owed, err := h.Rows()
	if err != nil {
		return err
	}
	return g.printHolding(m, rows, month, owed)
}

func (g *globals) printHolding(m *money, rows []bill.Row, month, owed price.Money) error {
	if g.json {
		return g.printJSON(m.priceDoc(map[string]any{"type": "cost", "rows": orEmpty(rows), "month": month, "owed": owed}))
	}
	w := tabwriter.NewWriter(g.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tOBJECTS\tSIZE\tSTORAGE\tOVERHEAD\tA MONTH\tSTILL OWED\t")
	for _, r := range rows {
		name := string(r.Class)
		if r.Metadata {
			name += ", metadata"
		}
		still := r.Owed.String()
		if !r.Owed.Free() {
			still += fmt.Sprintf(" (%s)", formatCount(r.Days, "day", "days"))
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t\n", name, r.Objects, formatBytes(r.Bytes), r.Storage, r.Overhead.Add(r.Other), r.Month, still)
	}
	fmt.Fprintf(w, "total\t\t\t\t\t%s\t%s\t\n", month, owed)
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range rows {
		if r.Metadata && r.Class.Cold() {
			g.log.Warn("metadata lies in a cold class, where tarn never puts it: a lifecycle rule has moved it", "class", r.Class, "objects", r.Objects)
		}
	}
	g.say("OVERHEAD is %s of each cold object; STILL OWED is what the minimum days would cost if all were deleted now.\nPrices of %s", "40 KB", m.source())
	return nil
}

// source says whose prices count, and of when.
func (m *money) source() string {
	return fmt.Sprintf("%s/%s as of %s.", printable(m.prices.Provider), printable(m.prices.Region), printable(m.prices.Date))
}

// priceDoc adds to a document where its prices are from.
func (m *money) priceDoc(doc map[string]any) map[string]any {
	doc["provider"], doc["region"], doc["date"] = m.prices.Provider, m.prices.Region, m.prices.Date
	return doc
}

// archivesListed are the archives of a repository by their keys, from a listing.
func archivesListed(ctx context.Context, s storage.Storage, prefix string) (map[string]storage.Object, error) {
	all := map[string]storage.Object{}
	for o, err := range s.List(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		all[o.Key] = o
	}
	return all, nil
}

// withMoney opens the repository, and knows the prices.
func (g *globals) withMoney(ctx context.Context, do func(o *opened, m *money) error) error {
	return g.with(ctx, func(o *opened) error {
		m, err := g.priced(o.Storage())
		if err != nil {
			return err
		}
		return do(o, m)
	})
}

var errGone = errors.New("an archive is not in the listing")
