package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn/internal/browse"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/restore"
)

func newCat(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cat SNAPSHOT PATH",
		Short: "Print a file of a snapshot",
		Long:  "cat writes the content of one file to stdout. If it turns out damaged, the exit code says so. " + readingCosts + "\n" + exitCodes,
		Args:  cobra.ExactArgs(2),
	}
	filter := filterFlags(cmd)
	var f readFlags
	f.register(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		return g.withContent(ctx, filter, f, args, func(o *opened, s *repo.Snapshot, paths []string, w io.Writer) error {
			if len(paths) == 0 {
				return fmt.Errorf("path %q: want a file inside of the snapshot", args[1])
			}
			e, err := browse.Entry(ctx, o.Repo, s, paths[0])
			if err != nil {
				return err
			}
			return restore.Cat(ctx, o.Repo, o.contents, e, w)
		})
	}
	return cmd
}

func newDump(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dump SNAPSHOT [PATH]...",
		Short: "Print a snapshot as a tar",
		Long: `dump writes a snapshot, or what is at and below PATH, to stdout as a POSIX tar. Files that are lost are named, and the tar goes on
without them, but where the damage of a large one shows in its midst: there it ends. ` + readingCosts + "\n" + exitCodes,
		Args: cobra.MinimumNArgs(1),
	}
	filter := filterFlags(cmd)
	var f readFlags
	f.register(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		return g.withContent(ctx, filter, f, args, func(o *opened, s *repo.Snapshot, paths []string, w io.Writer) error {
			skipped := 0
			err := restore.Dump(ctx, o.Repo, o.contents, s, paths, w, func(path string, err error) {
				skipped++
				name := printable(path) + ": "
				if path == "" { // a tree, which the error names
					name = ""
				}
				fmt.Fprintf(g.stderr, "tarn: %s%s\n", name, printableError(err))
			})
			if err == nil && skipped > 0 {
				err = errProblems
			}
			return err
		})
	}
	return cmd
}

// withContent is withSnapshot for a command that prints content to w.
func (g *globals) withContent(ctx context.Context, filter *browse.Filter, f readFlags, args []string, do func(o *opened, s *repo.Snapshot, paths []string, w io.Writer) error) error {
	if err := f.check(); err != nil {
		return err
	}
	return g.withSnapshot(ctx, filter, args, func(o *opened, s *repo.Snapshot, paths []string) error {
		if err := g.sync(ctx, o); err != nil {
			return err
		}
		if err := g.payForPaths(ctx, o, s, paths, f); err != nil {
			return err
		}
		w := bufio.NewWriterSize(g.stdout, 1<<20)
		err := do(o, s, paths, w)
		flushed := w.Flush() // of a write that failed, err says it already
		if err == errProblems {
			err = cmp.Or(flushed, err)
		}
		return cmp.Or(err, flushed)
	})
}
