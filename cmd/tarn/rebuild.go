package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/rebuild"
	"github.com/tarn-backup/tarn/internal/storage"
)

func newRebuild(g *globals) *cobra.Command {
	var trust, yes bool
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Rebuild the catalog, and what is lost of tarn.json, keys, indexes and trees",
		Long: `rebuild stores a lost tarn.json again, and lost copies of the keys. It empties this machine's catalog and fills it from the repository. An archive whose index is lost gets one anew, from the
archive itself. A lost tree is put together from what archives hold; where that is not all, a new snapshot tagged "rebuilt" holds
what there is. Nothing is overwritten or deleted. Cold archives that it needs are named, never thawed: ` + "`tarn thaw --archive`" + ` thaws them at a price. What lies in a class that bills
what is read of it (GLACIER_IR, STANDARD_IA, ONEZONE_IA) is read with --yes only; without, the price is named.` + "\n" + exitCodes,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.with(cmd.Context(), func(o *opened) error { return g.rebuild(cmd.Context(), o, trust, yes) })
		},
	}
	cmd.Flags().BoolVar(&trust, "trust-archives", false, "take files for lost trees also from archives of which nothing proves who wrote them")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "read also what is billed by the byte")
	return cmd
}

func (g *globals) rebuild(ctx context.Context, o *opened, trust, yes bool) error {
	m, paid := g.money(o.Storage()), billed{}
	cfg := rebuild.Config{Repo: o.Repo, Contents: o.contents, TrustArchives: trust, Log: g.log, Now: g.now}
	if m.prices != nil && !yes {
		cfg.Withhold = func(obj storage.Object) bool { return paid.add(m.prices, obj) }
	}
	res, err := rebuild.Run(ctx, cfg)
	if err != nil {
		return err
	}
	sum, err := paid.sum(m.prices)
	if err != nil {
		return err
	}
	if g.json {
		err = g.printJSON(rebuildDoc(res, sum))
	} else {
		g.reportRebuild(res)
	}
	if n := len(res.Withheld); n > 0 {
		fmt.Fprintf(g.stderr, "tarn: %s not read, since that is billed by the byte: %s in all\n      Run the same command with --yes to read at that price.\n", are(int64(n)), sum)
	}
	for _, p := range res.Problems {
		fmt.Fprintf(g.stderr, "tarn: %s: %s\n", printable(p.Key), printableError(p.Err))
		if p.Advice != "" {
			fmt.Fprintf(g.stderr, "      %s\n", p.Advice)
		}
	}
	if err == nil && (len(res.Problems) > 0 || len(res.Cold)+len(res.Withheld) > 0 || len(res.Unproven) > 0 || len(res.Replaced) > 0) {
		return errProblems
	}
	return err
}

// billed are archives that are billed by the byte when they are read.
type billed map[string]storage.Object

// add reports whether reading an archive is billed, and notes it then.
func (b billed) add(prices *price.Prices, obj storage.Object) bool {
	if obj.Class.Cold() || prices.Classes[obj.Class].Retrieval.Free() {
		return false
	}
	b[obj.Key] = obj
	return true
}

// sum is what reading all of them whole costs; nil if there are none.
func (b billed) sum(prices *price.Prices) (*price.Money, error) {
	if len(b) == 0 {
		return nil, nil
	}
	var u price.Usage
	for _, obj := range b {
		u.Read(obj.Class, 1, obj.Size)
	}
	bill, err := prices.Bill(u, 0)
	if err != nil {
		return nil, fmt.Errorf("pricing what would be read: %w", err)
	}
	return &bill.Total, nil
}

func rebuildDoc(res *rebuild.Result, withheld *price.Money) map[string]any {
	remade, trees, replaced := []map[string]any{}, []map[string]any{}, []map[string]any{}
	for _, r := range res.Remade {
		remade = append(remade, map[string]any{"archive": r.Archive, "key": r.Key, "contents": r.Contents, "copied": r.Copied})
	}
	for _, t := range res.Trees {
		trees = append(trees, map[string]any{
			"tree": t.Tree, "split": t.Split, "snapshots": orEmpty(t.Snapshots), "outcome": t.Outcome, "had": t.Had, "has": t.Has,
		})
	}
	for _, r := range res.Replaced {
		replaced = append(replaced, map[string]any{"lost": r.Lost, "new": r.New})
	}
	doc := map[string]any{
		"type": "summary", "stored": orEmpty(res.Stored), "indexes": res.Indexes, "contents": res.Contents, "remade": remade, "trees": trees,
		"replaced": replaced, "cold": orEmpty(res.Cold), "withheld": orEmpty(res.Withheld), "unproven": orEmpty(res.Unproven), "problems": len(res.Problems),
	}
	if withheld != nil {
		doc["withheld_price"] = withheld
	}
	return doc
}

func (g *globals) reportRebuild(res *rebuild.Result) {
	for _, key := range res.Stored {
		g.say("%s is stored again", key)
	}
	g.say("the catalog holds %s of %s", formatCount(res.Contents, "content", "contents"), formatCount(int64(res.Indexes), "index", "indexes"))
	for _, r := range res.Remade {
		from := "from the archive"
		if r.Copied {
			from = "from this machine's copy"
		}
		g.say("index of %s made anew %s: %s", r.Archive, from, formatCount(r.Contents, "content", "contents"))
	}
	for _, t := range res.Trees {
		g.say("tree of %s: %s (%d of %d files)", printable(t.Split), t.Outcome, t.Has.Files, t.Had.Files)
	}
	for _, r := range res.Replaced {
		g.say("snapshot %s lost trees for good; %s holds what could be found", r.Lost.Short(), r.New.Short())
	}
	for _, key := range res.Unproven {
		g.say("not used for a lost tree, since its index was lost and nothing proves who wrote it (--trust-archives, if you are sure): %s", key)
	}
	for _, key := range res.Cold {
		g.say("cold: %s", key)
	}
	if len(res.Cold) > 0 {
		g.say("`tarn thaw --archive KEY` says what it costs to thaw one; run rebuild again when it is readable")
	}
}
