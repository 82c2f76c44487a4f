package main

import (
	"context"
	"fmt"
	"math/big"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/scan"
)

// classesFlags are the flags of cost classes.
type classesFlags struct {
	packing
	years    int64
	restores string
	share    string
	days     int64
	region   string
}

func newCostClasses(g *globals) *cobra.Command {
	var f classesFlags
	cmd := &cobra.Command{
		Use:   "classes PATH",
		Short: "Compare what a folder costs in each storage class",
		Long: `classes counts a folder, without reading a file, and shows what it costs in each storage class: uploaded once, kept for some
years, and restored some times a year. What it assumes it prints.` + "\n" + exitCodes,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return g.costClasses(cmd.Context(), f, args[0]) },
	}
	fl := cmd.Flags()
	fl.Int64Var(&f.years, "years", 5, "years that it is kept")
	fl.StringVar(&f.restores, "restores", "1", "restores a year, such as 2 or 0.5")
	fl.StringVar(&f.share, "share", "100%", "how much of it a restore needs")
	fl.Int64Var(&f.days, "days", 7, "days that a thawed copy is kept")
	f.packing.register(fl)
	fl.StringVar(&f.region, "region", "", "prices of this region of AWS (default: those of --prices or of the repository, else us-east-1)")
	return cmd
}

// uploadPart is the usual part of an upload to S3.
const uploadPart = 32 << 20

func (g *globals) costClasses(ctx context.Context, f classesFlags, path string) error {
	folder, size, err := f.folder()
	if err != nil {
		return err
	}
	p, err := g.classesPrices(f.region)
	if err != nil {
		return err
	}
	name, path, err := parseSource(path)
	if err != nil {
		return err
	}
	c := &counted{archiveSize: size}
	if err := g.count(ctx, c, scan.Config{Path: path, Name: name, SplitDepth: f.splitDepth, IgnoreFile: ignoreFile}); err != nil {
		return err
	}
	folder.Archives = c.archives
	rows, err := p.Compare(folder)
	if err != nil {
		return err
	}
	if err := g.printClasses(path, f, c, p, rows); err != nil {
		return err
	}
	if c.problems > 0 {
		return errProblems
	}
	return nil
}

// folder reads the flags.
func (f classesFlags) folder() (folder price.Folder, archiveSize int64, err error) {
	folder = price.Folder{PartSize: uploadPart, Years: f.years, KeptThawed: f.days}
	if archiveSize, err = f.size(); err != nil {
		return folder, 0, err
	}
	if folder.Restores, err = price.ParseDecimal(f.restores); err != nil {
		return folder, 0, fmt.Errorf("--restores: %w", err)
	}
	percent, err := price.ParseDecimal(strings.TrimSuffix(f.share, "%"))
	if err != nil || percent.Cmp(big.NewRat(100, 1)) > 0 {
		return folder, 0, fmt.Errorf("--share %q: want a share from 0%% to 100%%", f.share)
	}
	folder.Share = percent.Mul(percent, big.NewRat(1, 100))
	switch {
	case f.years < 1 || f.years > 100:
		err = fmt.Errorf("--years %d: want 1 to 100", f.years)
	case f.days < 1 || f.days > 365:
		err = fmt.Errorf("--days %d: want 1 to 365", f.days)
	}
	return folder, archiveSize, err
}

// classesPrices are those of the flags, of the repository if it has some, or of
// the first region of AWS: nothing is stored, so that it may be assumed.
func (g *globals) classesPrices(region string) (*price.Prices, error) {
	if region != "" {
		return g.namedPrices(price.AWS + "/" + region)
	}
	_, location, err := g.where()
	if err != nil {
		return nil, err
	}
	if p, err := g.prices(location, ""); err != nil || p != nil {
		return p, err
	}
	return g.namedPrices(price.AWS + "/us-east-1")
}

// counted is a folder as a backup would pack it.
type counted struct {
	archiveSize int64
	files       int64
	bytes       int64
	archives    []int64
	open        int64 // bytes in the archive that is open
	problems    int
}

// count walks the folder as a backup does.
func (g *globals) count(ctx context.Context, c *counted, cfg scan.Config) error {
	source, err := scan.Open(cfg)
	if err != nil {
		return err
	}
	defer source.Close() // it was only read
	for split, err := range source.Splits(ctx) {
		if err != nil {
			return err
		}
		for e, err := range source.Entries(ctx, split) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				c.problems++
				fmt.Fprintf(g.stderr, "tarn: %s\n", printableError(err))
				continue
			}
			c.add(e)
		}
		c.cut()
	}
	return nil
}

// What an entry takes in an archive beside its content, which fills whole blocks,
// and what is kept free in one for the headers of the next.
const (
	tarBlock  = 512
	tarMargin = 4096
)

// add packs an entry: an archive is cut before the file that no longer fits.
// Directories go with what is in them.
func (c *counted) add(e tarn.Entry) {
	if e.Type == tarn.TypeDir {
		return
	}
	if e.Type == tarn.TypeFile {
		c.files++
		c.bytes += e.Size
	}
	if c.open > 0 && c.open+e.Size+tarMargin > c.archiveSize {
		c.cut()
	}
	c.open += tarBlock + (e.Size+tarBlock-1)/tarBlock*tarBlock
}

// cut ends the archive.
func (c *counted) cut() {
	if c.open > 0 {
		c.archives = append(c.archives, c.open)
		c.open = 0
	}
}

// printClasses prints the comparison, with what it assumes.
func (g *globals) printClasses(path string, f classesFlags, c *counted, p *price.Prices, rows []price.Row) error {
	if g.json {
		return g.printJSON(map[string]any{
			"path": path, "files": c.files, "bytes": c.bytes, "archives": len(c.archives), "years": f.years, "restores": f.restores, "share": f.share,
			"days": f.days, "archive_size": c.archiveSize, "provider": p.Provider, "region": p.Region, "date": p.Date, "source": p.Source,
			"classes": orEmpty(rows), "problems": c.problems,
		})
	}
	often := f.restores + " restores"
	if f.restores == "1" {
		often = "1 restore"
	}
	fmt.Fprintf(g.stdout, "%s (%s) in %s, kept for %s, %s of %s%% a year\n", formatCount(c.files, "file", "files"), formatBytes(c.bytes),
		formatCount(int64(len(c.archives)), "archive", "archives"), formatCount(f.years, "year", "years"), often, strings.TrimSuffix(f.share, "%"))
	w := tabwriter.NewWriter(g.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tSTORAGE\tREQUESTS\tRETRIEVAL\tTRANSFER\tTOTAL\tREADABLE IN\t")
	best := price.Row{}
	for _, r := range rows {
		ready := "-"
		if r.Tier != "" {
			ready = formatWait(r.Wait)
		}
		if r.Cheapest {
			best = r
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", r.Class, r.Storage, r.Requests, r.Retrieval, r.Transfer, r.Total, ready)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(g.stdout, "Cheapest: %s, %s\n", best.Class, best.Total)
	g.say(`
Prices of %s/%s as of %s. Assumed: archives of %s, stored as large as their files, since nobody knows before
how well they compress and what is there twice; nothing changes; a restore reads its archives whole, in the cheapest tier, and
a thawed copy is kept for %s; each month its free transfer is not used by others. Without the metadata, which is small.`,
		printable(p.Provider), printable(p.Region), printable(p.Date), formatBytes(c.archiveSize), formatCount(f.days, "day", "days"))
	return nil
}
