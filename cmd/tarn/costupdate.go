package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn/internal/durable"
	"github.com/tarn-backup/tarn/internal/machine"
	"github.com/tarn-backup/tarn/internal/price"
)

func newCostUpdate(g *globals) *cobra.Command {
	var only []string
	cmd := &cobra.Command{
		Use:   "update FILE|URL...",
		Short: "Read prices from AWS Price List files",
		Long: `update reads the prices of one or more regions from offer files of the AWS Price List (index.json), which anybody can fetch:

    https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/OFFER/current/REGION/index.json

with the OFFERs AmazonS3, AmazonS3GlacierDeepArchive and AWSDataTransfer. All three are needed. They can be files, URLs, and - for
stdin. The prices go into your configuration folder and before those in the program. If one is missing, it is named, and nothing changes.` + "\n" + exitCodes,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.costUpdate(cmd.Context(), listClient(), only, args)
		},
	}
	cmd.Flags().StringArrayVar(&only, "region", nil, "take only this region's prices (repeatable)")
	return cmd
}

func (g *globals) costUpdate(ctx context.Context, client *http.Client, only, args []string) error {
	dirs, err := machine.UserDirs(g.getenv)
	if err != nil {
		return err
	}
	path := bookPath(dirs)
	own, err := ownBook(path)
	if err != nil {
		return err
	}
	list, err := g.readLists(ctx, client, args)
	if err != nil {
		return err
	}
	top, err := listed(list, only)
	if err != nil {
		return err
	}
	before, after := price.Embedded().Over(own), own.Over(top)
	data, err := after.Encode()
	if err != nil {
		return fmt.Errorf("encoding the price book: %w", err)
	}
	if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("making the configuration folder: %w", err)
	}
	if err := durable.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	return g.printUpdate(before, top, path)
}

// listed returns a book with the regions of a list that are wanted, or all.
// What is missing of each is told.
func listed(list *price.PriceList, only []string) (*price.Book, error) {
	names := only
	if len(names) == 0 {
		names = list.Regions()
	}
	if len(names) == 0 {
		return nil, hinted{errors.New("the files have no prices of storage in S3"), "The file with them is that of the offer AmazonS3; see `tarn cost update --help`."}
	}
	regions := map[string]*price.Region{}
	var missing []error
	for _, name := range names {
		r, err := list.Region(name)
		if err != nil {
			missing = append(missing, err)
		}
		regions[name] = r
	}
	if len(missing) > 0 {
		return nil, hinted{errors.Join(missing...), "Give the files of these offers, too, all at once; nothing was changed."}
	}
	return &price.Book{Providers: map[string]*price.Provider{price.AWS: {Regions: regions}}}, nil
}

// printUpdate says which prices are others now.
func (g *globals) printUpdate(before, top *price.Book, path string) error {
	after := before.Over(top)
	for name := range top.Providers[price.AWS].Regions {
		was, err := before.Find(price.AWS, name)
		if err != nil && !errors.Is(err, price.ErrNoPrices) {
			return err
		}
		is, err := after.Find(price.AWS, name)
		if err != nil {
			return err
		}
		changes := price.Changes(was, is)
		switch {
		case g.json:
			doc := map[string]any{"type": "region", "provider": price.AWS, "region": name, "date": is.Date, "new": was == nil, "changes": orEmpty(changes), "file": path}
			if err := g.printJSON(doc); err != nil {
				return err
			}
		case was == nil:
			g.say("%s: %s as of %s, the first", name, formatCount(int64(len(changes)), "price", "prices"), is.Date)
		case len(changes) == 0:
			g.say("%s: as of %s, the same as before", name, is.Date)
		default:
			g.say("%s: as of %s, %s changed", name, is.Date, formatCount(int64(len(changes)), "price has", "prices have"))
			for _, c := range changes {
				g.say("  %s: %s, was %s", strings.TrimSpace(string(c.Class)+" "+c.What), priceOrNone(c.After), priceOrNone(c.Before))
			}
		}
	}
	g.say("written to %s", printable(path))
	return nil
}

func priceOrNone(m *price.Money) string {
	if m == nil {
		return "none"
	}
	return exactly(*m)
}

// readLists reads all files into one list.
func (g *globals) readLists(ctx context.Context, client *http.Client, args []string) (*price.PriceList, error) {
	all := new(price.PriceList)
	for _, arg := range args {
		r, err := g.openList(ctx, client, arg)
		if err != nil {
			return nil, err
		}
		list, err := price.ParsePriceList(&limited{r: r, left: maxList})
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", arg, err)
		}
		all.Merge(list)
	}
	return all, nil
}

// openList opens a file, a URL, or stdin.
func (g *globals) openList(ctx context.Context, client *http.Client, arg string) (io.ReadCloser, error) {
	switch scheme, _, isURL := strings.Cut(arg, "://"); {
	case arg == "-":
		return io.NopCloser(g.stdin), nil
	case isURL && !strings.EqualFold(scheme, "https"):
		return nil, fmt.Errorf("%s: want https://, so that nobody on the way can change a price", withoutPassword(arg))
	case isURL:
		return fetchList(ctx, client, arg)
	}
	f, err := os.Open(arg)
	if err != nil {
		return nil, fmt.Errorf("opening the price list %s: %w", arg, bare(err))
	}
	return f, nil
}

func fetchList(ctx context.Context, client *http.Client, url string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetching a price list: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetching a price list: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("fetching a price list: %s answers %s", withoutPassword(url), resp.Status), resp.Body.Close())
	}
	return resp.Body, nil
}

// The bounds of a price list that is fetched: the largest, of all regions, have some 100 MB.
const (
	maxList       = 1 << 30
	listPatience  = 15 * time.Minute
	firstPatience = 30 * time.Second
)

// listClient gives up on servers that don't answer, and follows no redirect to http.
func listClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = firstPatience
	return &http.Client{Transport: transport, Timeout: listPatience, CheckRedirect: onlyHTTPS}
}

func onlyHTTPS(req *http.Request, via []*http.Request) error {
	if req.URL.Scheme != "https" {
		return errors.New("it redirects to a place without TLS")
	}
	if len(via) > 5 {
		return errors.New("it redirects without end")
	}
	return nil
}

// limited fails where a file is too large to be what it should be.
type limited struct {
	r    io.Reader
	left int64
}

// Read reads on.
func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errors.New("it is too large for a price list")
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}
