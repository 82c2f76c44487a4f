package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn/internal/browse"
)

func newDiff(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Show what differs between two snapshots",
		Long: `diff lists what differs from snapshot A to snapshot B: + added, - removed, M content changed, m only mode, owner, time or xattrs.
It reads no archive, and no tree that both snapshots share.` + "\n" + exitCodes,
		Args: cobra.ExactArgs(2),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		return g.with(ctx, func(o *opened) error {
			var u unread
			a, err := browse.FindReadable(ctx, o.Repo, args[0], browse.Filter{}, u.snapshot)
			if err != nil {
				return err
			}
			b, err := browse.FindReadable(ctx, o.Repo, args[1], browse.Filter{}, u.snapshot)
			if err != nil {
				return err
			}
			counts := map[browse.Kind]int64{}
			for c, err := range browse.Diff(ctx, o.Repo, a, b, u.tree) {
				if err != nil {
					return err
				}
				counts[c.Kind]++
				if err := g.printChange(c); err != nil {
					return err
				}
			}
			g.say("%d added, %d removed, %d changed, %d with other metadata",
				counts[browse.Added], counts[browse.Removed], counts[browse.Modified], counts[browse.Metadata])
			return u.done(g)
		})
	}
	return cmd
}

func (g *globals) printChange(c browse.Change) error {
	if g.json {
		doc := map[string]any{"change": c.Kind, "path": c.Path}
		if c.Old != nil {
			doc["old_size"] = c.Old.Size
		}
		if c.New != nil {
			doc["new_size"] = c.New.Size
		}
		return g.printJSON(doc)
	}
	mark := map[browse.Kind]string{browse.Added: "+", browse.Removed: "-", browse.Modified: "M", browse.Metadata: "m"}[c.Kind]
	_, err := fmt.Fprintf(g.stdout, "%s %s\n", mark, printable(c.Path))
	return err
}
