package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn/internal/browse"
	"github.com/tarn-backup/tarn/internal/repo"
)

// with opens the repository for a command that reads it, and closes it after.
func (g *globals) with(ctx context.Context, do func(o *opened) error) error {
	o, err := g.open(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(o), o.Close())
}

func filterFlags(cmd *cobra.Command) *browse.Filter {
	f := new(browse.Filter)
	cmd.Flags().StringVar(&f.Host, "host", "", "only snapshots of this machine")
	cmd.Flags().Var((*tagList)(&f.Tags), "tag", "only snapshots with this tag; a comma parts two, which both must be there (repeatable)")
	cmd.Flags().StringVar(&f.Path, "path", "", "only snapshots with this source, by its path or name")
	return f
}

func newSnapshots(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "snapshots",
		Short: "List the snapshots",
		Long:  "snapshots lists the snapshots, oldest first." + "\n" + exitCodes,
		Args:  cobra.NoArgs,
	}
	filter := filterFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return g.with(cmd.Context(), func(o *opened) error {
			var u unread
			list, err := g.readable(cmd.Context(), o, *filter, &u)
			if err != nil {
				return err
			}
			return errors.Join(g.printSnapshots(list), u.done(g))
		})
	}
	return cmd
}

// readable lists the snapshots that can be read here, and notes the others. If
// there are only others, that is an error.
func (g *globals) readable(ctx context.Context, o *opened, f browse.Filter, u *unread) ([]*repo.Snapshot, error) {
	list, err := browse.Snapshots(ctx, o.Repo, browse.Filter{}, u.snapshot)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, u.nothing()
	}
	return slices.DeleteFunc(list, func(s *repo.Snapshot) bool { return !f.Match(s) }), nil
}

// snapshotLine is a snapshot in a list, for JSON.
type snapshotLine struct {
	*repo.Snapshot
	Splits []repo.Split `json:"splits,omitempty"` // hides the long list
	repo.Counts
}

func (g *globals) printSnapshots(list []*repo.Snapshot) error {
	if g.json {
		for _, s := range list {
			if err := g.printJSON(snapshotLine{Snapshot: s, Counts: s.Total()}); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(g.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tTIME\tHOST\tFILES\tSIZE\tTAGS\tSOURCES")
	for _, s := range list {
		var sources []string
		for _, src := range s.Sources {
			sources = append(sources, printable(src.Name+"="+src.Path))
		}
		t := s.Total()
		mark := ""
		if s.ErrorCount > 0 {
			mark = fmt.Sprintf("  (%d not as they are)", s.ErrorCount)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s%s\n", s.ID.Short(), formatTime(s.Time), printable(s.Host), t.Files, formatBytes(t.Bytes),
			printable(strings.Join(s.Tags, ",")), strings.Join(sources, " "), mark)
	}
	return w.Flush()
}
