package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn/internal/rebuild"
)

func newRebuild(g *globals) *cobra.Command {
	var trust bool
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Rebuild the catalog, and what is lost of tarn.json, keys, indexes and trees",
		Long: `rebuild stores a lost tarn.json again, and lost copies of the keys. It empties this machine's catalog and fills it from the repository. An archive whose index is lost gets one anew, from the
archive itself. A lost tree is put together from what archives hold; where that is not all, a new snapshot tagged "rebuilt" holds
what there is. Nothing is overwritten or deleted. Cold archives that it needs are named, never thawed.` + "\n" + exitCodes,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.with(cmd.Context(), func(o *opened) error { return g.rebuild(cmd.Context(), o, trust) })
		},
	}
	cmd.Flags().BoolVar(&trust, "trust-archives", false, "take files for lost trees also from archives of which nothing proves who wrote them")
	return cmd
}

func (g *globals) rebuild(ctx context.Context, o *opened, trust bool) error {
	res, err := rebuild.Run(ctx, rebuild.Config{Repo: o.Repo, Contents: o.contents, TrustArchives: trust, Log: g.log, Now: g.now})
	if err != nil {
		return err
	}
	if g.json {
		err = g.printJSON(rebuildDoc(res))
	} else {
		g.reportRebuild(res)
	}
	for _, p := range res.Problems {
		fmt.Fprintf(g.stderr, "tarn: %s: %s\n", printable(p.Key), printableError(p.Err))
		if p.Advice != "" {
			fmt.Fprintf(g.stderr, "      %s\n", p.Advice)
		}
	}
	if err == nil && (len(res.Problems) > 0 || len(res.Cold) > 0 || len(res.Unproven) > 0 || len(res.Replaced) > 0) {
		return errProblems
	}
	return err
}

func rebuildDoc(res *rebuild.Result) map[string]any {
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
	return map[string]any{
		"type": "summary", "stored": orEmpty(res.Stored), "indexes": res.Indexes, "contents": res.Contents, "remade": remade, "trees": trees,
		"replaced": replaced, "cold": orEmpty(res.Cold), "unproven": orEmpty(res.Unproven), "problems": len(res.Problems),
	}
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
		g.say("cold, thaw it and run rebuild again: %s", key)
	}
}
