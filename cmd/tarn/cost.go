package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn/internal/machine"
	"github.com/tarn-backup/tarn/internal/price"
)

func newCost(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cost",
		Short: "Show what the repository costs, and what things would cost",
		Long: `cost shows what the repository costs a month and why, and what its classes' minimum days would still cost if all of it were
deleted now, from listings alone: what a listing does not show, such as old versions and unfinished uploads, is not in it.

Prices come with the program, with their date and source. "tarn cost update" reads newer ones, and those of further regions,
from the files of the AWS Price List. Prices that you write down yourself, in prices.json in your configuration folder, go before
those in the program. A month has 730 hours, and GB means GiB, as on AWS's bill; taxes are not in it.` + "\n" + exitCodes,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return g.cost(cmd.Context()) },
	}
	cmd.AddCommand(newCostBackup(g), newCostRestore(g), newCostDelete(g), newCostClasses(g), newCostPrices(g), newCostUpdate(g))
	return cmd
}

// bookPath is the file of prices that go before those in the program.
func bookPath(dirs machine.Dirs) string { return filepath.Join(dirs.Config, "prices.json") }

// priceBook returns the prices in the program with the user's over them.
func (g *globals) priceBook() (*price.Book, error) {
	dirs, err := machine.UserDirs(g.getenv)
	if err != nil {
		return nil, err
	}
	own, err := ownBook(bookPath(dirs))
	if err != nil {
		return nil, err
	}
	return price.Embedded().Over(own), nil
}

// ownBook reads a user's book; one that is not there is empty.
func ownBook(path string) (*price.Book, error) {
	f, err := os.Open(path)
	if notExist(err) {
		return &price.Book{}, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading your prices in %s: %w", path, bare(err))
	}
	book, err := price.ReadBook(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, hinted{fmt.Errorf("%s: %w", path, err), "Correct the file, or delete it: then the prices in the program count."}
	}
	return book, nil
}

// prices returns what storing at a location costs, which is as storage.Storage
// names it: with its endpoint, if that is not AWS. --prices goes before all; a
// local folder without that has none: nil. The prices of AWS are never taken for
// those of an endpoint that is not known. An empty region is that of the flags.
func (g *globals) prices(location, region string) (*price.Prices, error) {
	if g.priceOf != "" {
		return g.namedPrices(g.priceOf)
	}
	if !inS3(location) {
		return nil, nil
	}
	book, err := g.priceBook()
	if err != nil {
		return nil, err
	}
	host, err := g.hostOf(location)
	if err != nil {
		return nil, err
	}
	for _, known := range []string{g.region, g.getenv("AWS_REGION"), g.getenv("AWS_DEFAULT_REGION")} {
		if region == "" {
			region = known
		}
	}
	p, err := book.ForHost(host, region)
	switch {
	case err == nil:
		return p, nil
	case host == "" && region == "":
		return nil, hinted{errors.New("no prices known: the region of the bucket is not"), "Name it with --aws-region or AWS_REGION, or prices with --prices aws/us-east-1 or TARN_PRICES."}
	}
	return nil, hinted{fmt.Errorf("%w: name some with --prices aws/us-east-1", err), updateHint}
}

const updateHint = "`tarn cost update` reads those of AWS's other regions; `tarn cost prices` lists what is known."

// hostOf returns the host of a location's endpoint, with its port; "" for AWS's own.
func (g *globals) hostOf(location string) (string, error) {
	endpoint := ""
	for _, scheme := range []string{" at http://", " at https://"} {
		if i := strings.LastIndex(location, scheme); i >= 0 {
			endpoint = location[i+len(" at "):]
		}
	}
	for _, known := range []string{g.endpoint, g.getenv("AWS_ENDPOINT_URL_S3"), g.getenv("AWS_ENDPOINT_URL")} {
		if endpoint == "" {
			endpoint = known
		}
	}
	if endpoint == "" {
		return "", nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" {
		return "", fmt.Errorf("endpoint %.200q: want a URL like https://host:port", endpoint)
	}
	return u.Host, nil
}

// namedPrices finds the prices for PROVIDER/REGION.
func (g *globals) namedPrices(name string) (*price.Prices, error) {
	provider, region, ok := strings.Cut(name, "/")
	if !ok || provider == "" || region == "" {
		return nil, hinted{fmt.Errorf("prices %q: want PROVIDER/REGION", name), "Write --prices aws/us-east-1; `tarn cost prices` lists what is known."}
	}
	book, err := g.priceBook()
	if err != nil {
		return nil, err
	}
	p, err := book.Find(provider, region)
	if err != nil {
		return nil, hinted{err, updateHint}
	}
	return p, nil
}
