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
		return g.withContent(ctx, filter, f, args, func(cfg restore.Config, w io.Writer) error {
			if len(cfg.Paths) == 0 {
				return fmt.Errorf("path %q: want a file inside of the snapshot", args[1])
			}
			e, err := browse.Entry(ctx, cfg.Repo, cfg.Snapshot, cfg.Paths[0])
			if err != nil {
				return err
			}
			return restore.Cat(ctx, cfg, e, w)
		})
	}
	return cmd
}

func newDump(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dump SNAPSHOT [PATH]...",
		Short: "Print a snapshot as a tar",
		Long: `dump writes a snapshot, or what is at and below PATH, to stdout as a POSIX tar. Files that are lost are named, and the tar goes on
without them, but where the damage of a large one shows in its midst: there it ends. Frozen ones are counted, and named with -v. ` + readingCosts + "\n" + exitCodes,
		Args: cobra.MinimumNArgs(1),
	}
	filter := filterFlags(cmd)
	var f readFlags
	f.register(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		return g.withContent(ctx, filter, f, args, func(cfg restore.Config, w io.Writer) error {
			skipped, frozen := 0, int64(0)
			err := restore.Dump(ctx, cfg, w, func(path string, err error) {
				skipped++
				if path != "" && restore.Waits(err) {
					frozen++
					g.log.Info("not readable yet", "path", path, "error", err)
					return
				}
				name := printable(path) + ": "
				if path == "" { // a tree, which the error names
					name = ""
				}
				fmt.Fprintf(g.stderr, "tarn: %s%s\n", name, printableError(err))
			})
			if frozen > 0 {
				fmt.Fprintf(g.stderr, "tarn: %s not in the tar, since archives are frozen or being thawed\n      `tarn thaw` of the same snapshot and paths says what it costs to thaw them.\n", areFiles(frozen))
			}
			if err == nil && skipped > 0 {
				err = errProblems
			}
			return err
		})
	}
	return cmd
}

// withContent is withSnapshot for a command that prints content to w, once the price
// of reading it is accepted.
func (g *globals) withContent(ctx context.Context, filter *browse.Filter, f readFlags, args []string, do func(cfg restore.Config, w io.Writer) error) error {
	if err := f.check(); err != nil {
		return err
	}
	return g.withSnapshot(ctx, filter, args, func(o *opened, s *repo.Snapshot, paths []string) error {
		if err := g.sync(ctx, o); err != nil {
			return err
		}
		cfg := restore.Config{Repo: o.Repo, Contents: o.contents, Snapshot: s, Paths: paths, Log: g.log}
		if err := g.payForPaths(ctx, o, &cfg, f); err != nil {
			return err
		}
		w := bufio.NewWriterSize(g.stdout, 1<<20)
		err := do(cfg, w)
		flushed := w.Flush() // of a write that failed, err says it already
		if err == errProblems {
			err = cmp.Or(flushed, err)
		}
		return cmp.Or(err, flushed)
	})
}
