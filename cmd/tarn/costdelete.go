package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/bill"
	"github.com/tarn-backup/tarn/internal/browse"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/storage"
)

func newCostDelete(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete SNAPSHOT",
		Short: "Show what deleting a snapshot would free, and what is still owed for it",
		Long: `delete finds what no other snapshot needs: contents, and the archives that hold nothing that another one needs. Only these free
something, since cold archives are never rewritten. What their minimum days still cost is owed, whether they are deleted or not.` + "\n" + exitCodes,
		Args: cobra.ExactArgs(1),
	}
	filter := filterFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		return g.withSnapshot(ctx, filter, args, func(o *opened, s *repo.Snapshot, _ []string) error { return g.costDelete(ctx, o, s) })
	}
	return cmd
}

func (g *globals) costDelete(ctx context.Context, o *opened, s *repo.Snapshot) error {
	m, err := g.priced(o.Storage())
	if err != nil {
		return err
	}
	if err := g.sync(ctx, o); err != nil {
		return err
	}
	others, err := browse.Snapshots(ctx, o.Repo, browse.Filter{}, func(id tarn.SnapshotID, err error) error {
		return fmt.Errorf("%w (nobody knows what snapshot %s needs, so that nothing can be called unneeded)", err, id)
	})
	if err != nil {
		return err
	}
	kept := others[:0]
	for _, other := range others {
		if other.ID != s.ID {
			kept = append(kept, other)
		}
	}
	only, err := browse.OnlyIn(ctx, o.Repo, o.contents, s, kept)
	if err != nil {
		return err
	}
	h, err := g.freed(ctx, o, m, s, only)
	if err != nil {
		return err
	}
	rows, month, owed, err := h.Rows()
	if err != nil {
		return err
	}
	return g.printFreed(m, s, only, rows, month, owed)
}

// freed are the objects that only the snapshot needs: archives with their
// indexes, trees, and itself.
func (g *globals) freed(ctx context.Context, o *opened, m *money, s *repo.Snapshot, only *browse.Alone) (*bill.Holding, error) {
	there, err := archivesListed(ctx, o.Storage(), "")
	if err != nil {
		return nil, err
	}
	noted, err := o.contents.Objects()
	if err != nil {
		return nil, err
	}
	h := bill.NewHolding(m.prices)
	keys := []string{o.SnapshotKey(s.ID)}
	for _, id := range only.Archives {
		obj, err := objectOf(ctx, o, there, noted, id)
		if err != nil {
			return nil, err
		}
		keys = append(keys, obj.Key, o.IndexKey(id))
	}
	for _, id := range only.Trees {
		keys = append(keys, o.TreeKey(id))
	}
	for _, key := range keys {
		obj, ok := there[key]
		if !ok {
			continue // check says what is missing
		}
		if err := h.Add(g.listed(o.Storage(), obj)); err != nil {
			return nil, err
		}
	}
	return h, nil
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

func (g *globals) printFreed(m *money, s *repo.Snapshot, only *browse.Alone, rows []bill.Row, month, owed price.Money) error {
	var bytes int64
	for _, r := range rows {
		bytes += r.Bytes
	}
	if g.json {
		return g.printJSON(m.priceDoc(map[string]any{
			"type": "cost", "snapshot": s.ID, "contents": only.Contents, "content_bytes": only.Bytes, "archives": orEmpty(only.Archives),
			"freed_bytes": bytes, "rows": orEmpty(rows), "month": month, "owed": owed,
		}))
	}
	g.say("snapshot %s alone needs %s (%s)", s.ID.Short(), formatCount(only.Contents, "content", "contents"), formatBytes(only.Bytes))
	g.say("%s would not be needed any more: deleting it would free %s in all, %s a month",
		formatCount(int64(len(only.Archives)), "archive", "archives"), formatBytes(bytes), month)
	if !owed.Free() {
		g.say("still owed for minimum days, deleted or not: %s", owed)
	}
	g.say("Prices of %s", m.source())
	return nil
}
