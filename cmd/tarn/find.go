package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/browse"
	"github.com/tarn-backup/tarn/internal/repo"
)

func newFind(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "find PATTERN...",
		Short: "Find files in all snapshots",
		Long: `find lists the entries whose name a pattern matches, in all snapshots, newest first, without reading an archive. A
pattern without * ? or [ finds names that contain it. One with a slash is matched against the whole path, where ** stands for
any number of directories. A version that several snapshots hold is listed once, with the first and the last of them.` + "\n" + exitCodes,
		Args: cobra.MinimumNArgs(1),
	}
	filter := filterFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		for _, p := range args {
			if _, err := browse.Match(p, "x"); err != nil {
				return fmt.Errorf(`pattern %q can't be understood: look for a [ without its ], or a \ at the end (\[ stands for the character itself)`, p)
			}
		}
		return g.with(cmd.Context(), func(o *opened) error { return g.find(cmd.Context(), o, *filter, args) })
	}
	return cmd
}

// hit is one version of one path.
type hit struct {
	entry       tarn.Entry
	first, last *repo.Snapshot
}

// find reads each tree once, however many snapshots name it.
func (g *globals) find(ctx context.Context, o *opened, f browse.Filter, patterns []string) error {
	var u unread
	list, err := g.readable(ctx, o, f, &u)
	if err != nil {
		return err
	}
	byTree := map[tarn.TreeID][]tarn.Entry{}
	var hits []*hit
	latest := map[string]*hit{}
	for _, s := range list {
		for _, sp := range s.Splits {
			found, ok := byTree[sp.Tree]
			if !ok {
				if found, err = matches(ctx, o.Repo, sp, patterns); err != nil {
					if err := u.tree(sp, err); err != nil {
						return err
					}
				}
				byTree[sp.Tree] = found
			}
			for _, e := range found {
				h := latest[e.Path]
				if h == nil || h.entry.Content != e.Content || h.entry.MTime != e.MTime || h.entry.Type != e.Type {
					h = &hit{entry: e, first: s}
					hits = append(hits, h)
					latest[e.Path] = h
				}
				h.last = s
			}
		}
	}
	slices.Reverse(hits)
	for _, h := range hits {
		if err := g.printHit(h); err != nil {
			return err
		}
	}
	return u.done(g)
}

func matches(ctx context.Context, r *repo.Repo, sp repo.Split, patterns []string) (found []tarn.Entry, err error) {
	for e, err := range r.Tree(ctx, sp) {
		if err != nil {
			return nil, err
		}
		for _, p := range patterns {
			if ok, err := browse.Match(p, e.Path); err != nil {
				return nil, err
			} else if ok {
				found = append(found, *e)
				break
			}
		}
	}
	return found, nil
}

func (g *globals) printHit(h *hit) error {
	if g.json {
		return g.printJSON(map[string]any{
			"path": h.entry.Path, "type": h.entry.Type, "size": h.entry.Size, "mtime": h.entry.MTime.Time(), "content": h.entry.Content,
			"first": h.first.ID, "last": h.last.ID,
		})
	}
	in := h.last.ID.Short()
	if h.first != h.last {
		in = h.first.ID.Short() + ".." + in
	}
	_, err := fmt.Fprintf(g.stdout, "%-18s %12d %s %s\n", in, h.entry.Size, formatTime(h.entry.MTime.Time()), printable(h.entry.Path))
	return err
}
