package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/restore"
)

// restoreFlags are the flags of restore.
type restoreFlags struct {
	target    string
	overwrite string
	delete    bool
	dryRun    bool
	verify    bool
}

func newRestore(g *globals) *cobra.Command {
	var f restoreFlags
	cmd := &cobra.Command{
		Use:   "restore SNAPSHOT [PATH]...",
		Short: "Get files back",
		Long: `restore writes the files of a snapshot, or those at and below PATH, to DIR/<source name>/…. It reads only the parts of archives that
it needs, checks every file against its SHA-256 as it is written, and never writes outside of DIR. What is in DIR already and right is
not fetched again, so that the same command goes on where an interrupted one stopped.` + "\n" + exitCodes,
		Args: cobra.MinimumNArgs(1),
	}
	fl := cmd.Flags()
	fl.StringVar(&f.target, "target", "", "folder to write to (required)")
	fl.StringVar(&f.overwrite, "overwrite", string(restore.Changed), "files that are there: never, changed (size or time differ) or always (compare content, too)")
	fl.BoolVar(&f.delete, "delete", false, "remove what the snapshot does not have from the directories that are restored")
	fl.BoolVar(&f.dryRun, "dry-run", false, "say what would be written, and write nothing")
	fl.BoolVar(&f.verify, "verify", false, "read every file again in the end")
	filter := filterFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if f.target == "" {
			return errors.New("restore needs --target DIR, the folder to write to")
		}
		policy, err := restore.ParseOverwrite(f.overwrite)
		if err != nil {
			return err
		}
		return g.withSnapshot(cmd.Context(), filter, args, func(o *opened, s *repo.Snapshot, paths []string) error {
			return g.restore(cmd.Context(), o, restore.Config{
				Repo: o.Repo, Contents: o.contents, Snapshot: s, Paths: paths, Target: f.target, Overwrite: policy,
				Delete: f.delete, DryRun: f.dryRun, Verify: f.verify, Log: g.log,
			})
		})
	}
	return cmd
}

func (g *globals) restore(ctx context.Context, o *opened, cfg restore.Config) error {
	if err := g.sync(ctx, o); err != nil {
		return err
	}
	stop := g.showRestore(&cfg)
	res, err := restore.Run(ctx, cfg)
	stop()
	if err != nil {
		return err
	}
	g.reportRestore(cfg, res)
	if res.Problems > 0 {
		return errProblems
	}
	return nil
}

func (g *globals) showRestore(cfg *restore.Config) (stop func()) {
	var bar *progress
	show := g.problems(&bar)
	cfg.Problem = func(path string, err error) {
		if errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("%w (--overwrite changed or always replaces it)", err)
		}
		show(path, err)
	}
	if g.quiet {
		return func() {}
	}
	total := cfg.Snapshot.Total()
	cfg.Progress = new(restore.Progress)
	bar = g.newProgress(func() (shown, any) {
		s := cfg.Progress.Read()
		return shown{done: s.Bytes, total: total.Bytes, counted: len(cfg.Paths) == 0, rate: s.Bytes, files: s.Files, note: "restored", current: s.Current},
			map[string]any{"type": "progress", "files": s.Files, "bytes": s.Bytes, "total_bytes": total.Bytes, "current": s.Current}
	})
	return bar.stop
}

func (g *globals) reportRestore(cfg restore.Config, res *restore.Result) {
	if g.json {
		g.printJSON(map[string]any{
			"type": "summary", "dry_run": cfg.DryRun, "files": res.Files, "dirs": res.Dirs, "others": res.Others, "written": res.Written, "bytes": res.Bytes,
			"same": res.Same, "kept": res.Kept, "deleted": res.Deleted, "verified": res.Verified, "fetched_bytes": res.Fetched, "requests": res.Requests,
			"problems": res.Problems, "seconds": res.Duration.Seconds(),
		})
		return
	}
	verb := "wrote"
	if cfg.DryRun {
		verb = "would write"
	}
	g.say("%s %s (%s), %d were there already, %d left as they are, %d removed", verb,
		formatCount(res.Written, "file", "files"), formatBytes(res.Bytes), res.Same, res.Kept, res.Deleted)
	if !cfg.DryRun {
		g.say("read %s of archives in %s, %s", formatBytes(res.Fetched), formatCount(res.Requests, "request", "requests"), formatDuration(res.Duration))
	}
	if cfg.Verify {
		g.say("verified %s", formatCount(res.Verified, "file", "files"))
	}
	if res.Problems > 0 {
		fmt.Fprintf(g.stderr, "tarn: %s (listed above)\n", formatCount(res.Problems, "problem", "problems"))
	}
}
