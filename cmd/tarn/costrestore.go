package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/bill"
	"github.com/tarn-backup/tarn/internal/browse"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/storage"
)

func newCostRestore(g *globals) *cobra.Command {
	var days int64
	cmd := &cobra.Command{
		Use:   "restore SNAPSHOT [PATH]...",
		Short: "Show what a restore would cost, by tier",
		Long: `restore finds the archives that a restore would need, and shows for each tier what thawing and fetching them would cost, and how long
it takes. It thaws nothing. Of each archive no more is fetched than is needed, but S3 thaws archives whole.` + "\n" + exitCodes,
		Args: cobra.MinimumNArgs(1),
	}
	cmd.Flags().Int64Var(&days, "days", 7, "days that the thawed copies are kept")
	filter := filterFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if days < 1 || days > 365 {
			return fmt.Errorf("--days %d: want 1 to 365", days)
		}
		ctx := cmd.Context()
		return g.withSnapshot(ctx, filter, args, func(o *opened, s *repo.Snapshot, paths []string) error {
			return g.costRestore(ctx, o, s, paths, days)
		})
	}
	return cmd
}

func (g *globals) costRestore(ctx context.Context, o *opened, s *repo.Snapshot, paths []string, days int64) error {
	m, err := g.priced(o.Storage())
	if err != nil {
		return err
	}
	if err := g.sync(ctx, o); err != nil {
		return err
	}
	need, err := browse.Needs(ctx, o.Repo, o.contents, s, paths)
	if err != nil {
		return err
	}
	wanted, err := g.wanted(ctx, o, need)
	if err != nil {
		return err
	}
	plans, err := bill.RestorePlans(m.prices, wanted, days)
	if err != nil {
		return err
	}
	if err := g.printRestorePlans(m, need, wanted, plans, days); err != nil {
		return err
	}
	if need.Nowhere > 0 {
		return fmt.Errorf("%s: %w", formatCount(need.Nowhere, "content is in no archive", "contents are in no archive"), tarn.ErrDamaged)
	}
	return nil
}

// wanted are the archives that are needed, summed up by class and by whether
// they are thawed.
func (g *globals) wanted(ctx context.Context, o *opened, need *browse.Needed) ([]bill.Wanted, error) {
	there, err := archivesListed(ctx, o.Storage(), "archives/")
	if err != nil {
		return nil, err
	}
	noted, err := o.contents.Objects()
	if err != nil {
		return nil, err
	}
	type kind struct {
		class  tarn.Class
		thawed bool
	}
	sums := map[kind]*bill.Wanted{}
	for id, bytes := range need.Archives {
		obj, err := objectOf(ctx, o, there, noted, id)
		if err != nil {
			return nil, err
		}
		k := kind{obj.Class, obj.Thawed.After(g.now())}
		if sums[k] == nil {
			sums[k] = &bill.Wanted{Class: k.class, Thawed: k.thawed}
		}
		w := sums[k]
		w.Count++
		w.Bytes += obj.Size
		w.Read += min(bytes, obj.Size)
	}
	var list []bill.Wanted
	for _, w := range sums {
		list = append(list, *w)
	}
	slices.SortFunc(list, func(a, b bill.Wanted) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Count, b.Count))
	})
	return list, nil
}

// objectOf is what the listing says of an archive.
func objectOf(ctx context.Context, o *opened, there map[string]storage.Object, noted map[tarn.ArchiveID]catalog.Object, id tarn.ArchiveID) (storage.Object, error) {
	key := noted[id].Key
	if key == "" {
		ix, err := o.Index(ctx, id, nil)
		if err != nil {
			return storage.Object{}, err
		}
		key = ix.Key
	}
	obj, ok := there[key]
	if !ok {
		return obj, fmt.Errorf("%w: %s: %w", errGone, key, tarn.ErrDamaged)
	}
	return obj, nil
}

func (g *globals) printRestorePlans(m *money, need *browse.Needed, wanted []bill.Wanted, plans []bill.RestorePlan, days int64) error {
	var archives, bytes, read int64
	frozen := map[tarn.Class]int64{}
	for _, w := range wanted {
		archives, bytes, read = archives+w.Count, bytes+w.Bytes, read+w.Read
		if w.Class.Cold() && !w.Thawed {
			frozen[w.Class] += w.Count
		}
	}
	if g.json {
		return g.printJSON(m.priceDoc(map[string]any{
			"type": "cost", "files": need.Files, "bytes": need.Bytes, "archives": archives, "archive_bytes": bytes, "fetched_bytes": read,
			"frozen": frozen, "days": days, "plans": orEmpty(plans), "contents_nowhere": need.Nowhere,
		}))
	}
	fmt.Fprintf(g.stdout, "%s (%s) in %s of %s", formatCount(need.Files, "file", "files"), formatBytes(need.Bytes), formatCount(archives, "archive", "archives"), formatBytes(bytes))
	for _, class := range slices.Sorted(maps.Keys(frozen)) {
		fmt.Fprintf(g.stdout, ", %d frozen in %s", frozen[class], class)
	}
	fmt.Fprintln(g.stdout)
	w := tabwriter.NewWriter(g.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "TIER\tREADABLE IN\tRETRIEVAL\tREQUESTS\tCOPY\tTRANSFER\tTOTAL\t")
	for _, p := range plans {
		tier, ready := "-", "-"
		if p.Tier != "" {
			tier, ready = strings.ToLower(string(p.Tier)), formatWait(p.Wait)
		}
		b := p.Bill
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", tier, ready, b.Sum(price.GroupRetrieval), b.Sum(price.GroupRequests), b.Sum(price.GroupCopy), b.Sum(price.GroupTransfer), b.Total)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(plans) == 0 {
		return errors.New("no tier thaws all of these archives: restore some of the paths at a time")
	}
	g.say("Copies are kept for %s; each month its free transfer is not used by others. Prices of %s", formatCount(days, "day", "days"), m.source())
	return nil
}
