package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/browse"
	"github.com/tarn-backup/tarn/internal/repo"
)

// usage is what the objects under one prefix take.
type usage struct {
	Objects int64                `json:"objects"`
	Bytes   int64                `json:"bytes"`
	Classes map[tarn.Class]int64 `json:"classes,omitempty"` // bytes
}

func newStats(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "stats",
		Short: "Show what the repository holds and takes",
		Long:  "stats counts objects and bytes by kind and storage class, from listings alone, and what the newest snapshot holds." + "\n" + exitCodes,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.with(cmd.Context(), func(o *opened) error { return g.stats(cmd.Context(), o) })
		},
	}
}

var objectKinds = []string{"archives", "indexes", "trees", "snapshots", "keys"}

func (g *globals) stats(ctx context.Context, o *opened) error {
	kinds := map[string]*usage{}
	for _, kind := range objectKinds {
		u := &usage{Classes: map[tarn.Class]int64{}}
		for obj, err := range o.Storage().List(ctx, kind+"/") {
			if err != nil {
				return fmt.Errorf("listing %s: %w", kind, err)
			}
			u.Objects++
			u.Bytes += obj.Size
			u.Classes[obj.Class] += obj.Size
		}
		kinds[kind] = u
	}
	var u unread
	list, err := browse.Snapshots(ctx, o.Repo, browse.Filter{}, u.snapshot)
	if err != nil {
		return err
	}
	return errors.Join(g.printStats(o, kinds, list), u.done(g))
}

// printStats prints what the kinds of objects take, and the newest of the snapshots.
func (g *globals) printStats(o *opened, kinds map[string]*usage, list []*repo.Snapshot) error {
	if g.json {
		doc := map[string]any{"repository": o.Storage().Location(), "id": o.Config.ID, "encryption": o.Config.Encryption, "objects": kinds}
		if len(list) > 0 {
			last := list[len(list)-1]
			doc["latest"] = snapshotLine{Snapshot: last, Counts: last.Total()}
		}
		return g.printJSON(doc)
	}
	w := tabwriter.NewWriter(g.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tOBJECTS\tSIZE\t")
	for _, kind := range objectKinds {
		fmt.Fprintf(w, "%s\t%d\t%s\t\n", kind, kinds[kind].Objects, formatBytes(kinds[kind].Bytes))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for class, bytes := range kinds["archives"].Classes {
		g.say("archives in %s: %s", class, formatBytes(bytes))
	}
	if len(list) > 0 {
		last := list[len(list)-1]
		t := last.Total()
		g.say("newest snapshot %s: %s, %s", last.ID.Short(), formatCount(t.Files, "file", "files"), formatBytes(t.Bytes))
	}
	return nil
}
