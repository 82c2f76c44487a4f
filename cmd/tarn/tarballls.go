package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn"
)

func newTarballLs(g *globals, at *tarballPlace) *cobra.Command {
	var version string
	cmd := &cobra.Command{
		Use:   "ls TARBALL [PATH]...",
		Short: "List the files of a tarball",
		Long: `ls prints the files of a tarball, or those at and below PATH, from the list (.txt) that lies beside it in STANDARD. The list has names
alone: sizes, times and contents are in the tarball, and one hash (.md5) is over the contents of all.` + "\n" + exitCodes,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return g.tarballLs(cmd.Context(), at, args, version) },
	}
	cmd.Flags().StringVar(&version, "version", "", "version of the tarball (list --versions)")
	return cmd
}

func (g *globals) tarballLs(ctx context.Context, at *tarballPlace, args []string, version string) error {
	v, err := g.lookTarballs(ctx, at)
	if err != nil {
		return err
	}
	list, err := v.choose(args[0], version)
	if err != nil {
		return err
	}
	paths, err := tarballPaths(list, args)
	if err != nil {
		return err
	}
	several := len(list) > 1
	if len(paths) == 0 {
		if list, _, err = v.superseded(ctx, list); err != nil {
			return err
		}
		several = several || slices.ContainsFunc(list, func(c chosen) bool { return c.only != "" })
	}
	found := make([]bool, len(paths))
	for _, c := range list {
		if err := g.lsOne(ctx, v, c, paths, found, several); err != nil {
			return err
		}
	}
	for i, p := range paths {
		if !found[i] {
			return fmt.Errorf("%s is not in the list of %s", printable(p), printable(args[0]))
		}
	}
	return nil
}

func (g *globals) lsOne(ctx context.Context, v *tarballView, c chosen, paths []string, found []bool, several bool) error {
	show := func(name string) error {
		if g.json {
			return g.printJSON(map[string]any{"type": "file", "tarball": c.title(v), "path": name})
		}
		line := printable(name)
		if several && c.tarball != nil {
			line = printable(c.tarball.Place(name))
		}
		_, err := fmt.Fprintln(g.stdout, line)
		return err
	}
	if c.tarball == nil {
		return show(c.title(v))
	}
	if c.tarball.List == nil {
		err := fmt.Errorf("%s has no list of its files that can be read: %s", c.Key, c.tarball.Unproved())
		if len(c.tarball.Cooled) > 0 {
			return hinted{err, coldSides(c.title(v))}
		}
		return hinted{err, "`tarn tarball verify` says more; restore gets its files without it."}
	}
	for name, err := range c.tarball.Names(ctx, v.s) {
		if err != nil {
			return err
		}
		if c.newer.Covers(c.tarball.Place(name), false) {
			continue
		}
		want := len(paths) == 0 && (c.only == "" || tarn.Within(name, c.only))
		for i, p := range paths {
			if tarn.Within(name, p) {
				want, found[i] = true, true
			}
		}
		if !want {
			continue
		}
		if err := show(name); err != nil {
			return err
		}
	}
	return nil
}
