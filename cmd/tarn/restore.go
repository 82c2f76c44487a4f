package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/restore"
)

// restoreFlags are the flags of restore.
type restoreFlags struct {
	target         string
	overwrite      string
	delete         bool
	deleteExcluded bool
	dryRun         bool
	verify         bool
	sync           bool
	ready          bool
	waitFlags
	thawFlags
}

func newRestore(g *globals) *cobra.Command {
	var f restoreFlags
	cmd := &cobra.Command{
		Use:   "restore SNAPSHOT [PATH]...",
		Short: "Get files back",
		Long: `restore writes the files of a snapshot, or those at and below PATH, to DIR/<source name>/…. It reads only the parts of archives that
it needs, checks every file against its SHA-256 as it is written, and never writes outside of DIR. What is in DIR already and right is
not fetched again, so that the same command goes on where an interrupted one stopped.

Files whose archives lie in a cold class have to be thawed first, which takes hours and costs money. restore then prints what it needs
and what each tier of a thaw costs, asks (or takes --tier and --yes), asks S3 for just those archives, and ends with exit code 3. The same
command, run later, fetches what is ready, and what ends first first; it thaws nothing twice, and needs no state on this machine.
--wait stays and looks every now and then, and can be ended at any time. Where the price is not accepted, and with --ready, it fetches what
can be read without one, and says what is left. Without a terminal and without --yes nothing is thawed, and nothing read from a class that
bills what is read of it (GLACIER_IR, STANDARD_IA, ONEZONE_IA). What is in STANDARD or thawed is read without a question, though a
provider may bill the transfer: --max-cost refuses what costs more, with the transfer, and --dry-run prints the price and does nothing.

--delete removes what the snapshot does not have. It spares what the backup left out (--exclude, .tarnignore, tagged folders, bins of the
system) or could not read, and never goes into another file system that is mounted below a source. With --dry-run it names what it would
remove, with -v what it removes. With --overwrite always it also removes a folder in whose place the snapshot has a file.` + "\n" + exitCodes,
		Args: cobra.MinimumNArgs(1),
	}
	f.register(cmd.Flags())
	filter := filterFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.check(); err != nil {
			return err
		}
		policy, err := restore.ParseOverwrite(f.overwrite)
		if err != nil {
			return err
		}
		return g.withSnapshot(cmd.Context(), filter, args, func(o *opened, s *repo.Snapshot, paths []string) error {
			cfg := restore.Config{
				Repo: o.Repo, Contents: o.contents, Snapshot: s, Paths: paths, Target: f.target, Overwrite: policy,
				Delete: f.delete || f.deleteExcluded, DryRun: f.dryRun, Verify: f.verify && !f.dryRun, Sync: f.sync, Log: g.log,
			}
			if cfg.Delete {
				if cfg.Excluders, err = g.excluders(o, s, f.target, f.deleteExcluded); err != nil {
					return err
				}
			}
			return g.restore(cmd.Context(), o, cfg, f)
		})
	}
	return cmd
}

func (f *restoreFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.target, "target", "", "folder to write to (required)")
	fl.StringVar(&f.overwrite, "overwrite", string(restore.Changed), "files that are there: never, changed (size or time differ) or always (compare content, too)")
	fl.BoolVar(&f.delete, "delete", false, "remove what the snapshot does not have from the directories that are restored")
	fl.BoolVar(&f.deleteExcluded, "delete-excluded", false, "as --delete, and remove what the backup left out, too")
	fl.BoolVar(&f.dryRun, "dry-run", false, "say what would be written and removed, and do nothing")
	fl.BoolVar(&f.verify, "verify", false, "read every file again in the end")
	fl.BoolVar(&f.sync, "sync", false, "end when all is on the disk; else the system writes in its own time, as after cp")
	fl.BoolVar(&f.ready, "ready", false, "fetch what can be read now, and ask for no thaw")
	f.waitFlags.register(fl, lookAtArchives)
	f.thawFlags.register(fl)
}

// check refuses values that make no sense before anything is done.
func (f *restoreFlags) check() error {
	if f.target == "" {
		return errors.New("restore needs --target DIR, the folder to write to")
	}
	if err := f.waitFlags.check(); err != nil {
		return err
	}
	if f.ready && (f.wait || f.faster) {
		return errors.New("--ready asks for nothing and waits for nothing: leave out --wait and --faster")
	}
	return f.thawFlags.check()
}

func (g *globals) restore(ctx context.Context, o *opened, cfg restore.Config, f restoreFlags) error {
	if err := g.sync(ctx, o); err != nil {
		return err
	}
	if v, err := g.look(ctx, o); err != nil {
		return err
	} else if v != nil {
		return g.restoreCold(ctx, o, v, cfg, f)
	}
	stop := g.showRestore(&cfg)
	hints := collectHints(&cfg)
	res, err := restore.Run(ctx, cfg)
	stop()
	if err != nil {
		return err
	}
	g.reportRestore(cfg, res)
	for _, hint := range hints() {
		fmt.Fprintf(g.stderr, "      %s\n", hint)
	}
	if res.Problems > 0 {
		return errProblems
	}
	return nil
}

// collectHints gathers what to do about the problems of a restore, each once.
func collectHints(cfg *restore.Config) func() []string {
	var mu sync.Mutex
	var hints []string
	show := cfg.Problem
	cfg.Problem = func(path string, err error) {
		mu.Lock()
		if hint := hintFor(err); hint != "" && !slices.Contains(hints, hint) {
			hints = append(hints, hint)
		}
		mu.Unlock()
		show(path, err)
	}
	return func() []string { return hints }
}

func (g *globals) showRestore(cfg *restore.Config) (stop func()) {
	var bar *progress
	show := g.problems(&bar)
	cfg.Problem = func(path string, err error) { show(path, overwriteHint(err)) }
	g.showDelete(cfg, &bar)
	if g.quiet || cfg.DryRun && cfg.Delete { // whose lines a bar would disturb
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

// overwriteHint adds to an error of something in the way how it gives way.
func overwriteHint(err error) error {
	switch {
	case errors.Is(err, restore.ErrFilled):
		return fmt.Errorf("%w (move it away, or let --delete --overwrite always remove it with all in it)", err)
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%w (--overwrite changed or always replaces it)", err)
	}
	return err
}

// showDelete shows what --delete removes and leaves alone.
func (g *globals) showDelete(cfg *restore.Config, bar **progress) {
	var mu sync.Mutex
	show := func(doc map[string]any, line string) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case g.json:
			g.printJSON(doc)
		case cfg.DryRun:
			g.say("%s", line)
		default:
			(*bar).print(g, line)
		}
	}
	verb := "removed"
	if cfg.DryRun {
		verb = "would remove"
	}
	cfg.Removed = func(path string, dir bool) {
		if !g.json && (!cfg.DryRun && !g.verbose || g.quiet) {
			return
		}
		name := path
		if dir {
			name += "/"
		}
		show(map[string]any{"type": "removed", "path": path, "dir": dir, "dry_run": cfg.DryRun}, verb+" "+printable(name))
	}
	cfg.Left = func(path string, why restore.Reason) {
		if g.json || why == restore.Mounted || g.verbose && !g.quiet {
			show(map[string]any{"type": "left", "path": path, "reason": string(why)}, fmt.Sprintf("left alone %s: %s", printable(path), why))
		}
	}
}

func (g *globals) reportRestore(cfg restore.Config, res *restore.Result) {
	if g.json {
		g.printJSON(map[string]any{
			"type": "summary", "dry_run": cfg.DryRun, "files": res.Files, "dirs": res.Dirs, "others": res.Others, "written": res.Written, "bytes": res.Bytes,
			"same": res.Same, "kept": res.Kept, "deleted": res.Deleted, "left": res.Left, "verified": res.Verified, "fetched_bytes": res.Fetched, "requests": res.Requests,
			"problems": res.Problems, "frozen": res.Frozen, "seconds": res.Duration.Seconds(),
		})
		return
	}
	verb, removed := "wrote", "removed"
	if cfg.DryRun {
		verb, removed = "would write", "would remove"
	}
	g.say("%s %s (%s), %d were there already, %d left as they are", verb,
		formatCount(res.Written, "file", "files"), formatBytes(res.Bytes), res.Same, res.Kept)
	if cfg.Delete {
		spared := ""
		if res.Left > 0 {
			spared = fmt.Sprintf(", left %d alone that the backup does not cover", res.Left)
		}
		g.say("%s %s%s", removed, formatCount(res.Deleted, "file or folder", "files and folders"), spared)
	}
	if !cfg.DryRun {
		g.say("read %s of archives in %s, %s", formatBytes(res.Fetched), formatCount(res.Requests, "request", "requests"), formatDuration(res.Duration))
	}
	if cfg.Verify && res.Frozen == 0 {
		g.say("verified %s", verified(res))
	}
	switch {
	case res.Frozen > 0 && cfg.DryRun:
		g.say("%s of them can't be read yet", formatCount(res.Frozen, "file", "files"))
	case res.Frozen > 0:
		g.say("%s left that are not readable yet", formatCount(res.Frozen, "file", "files"))
	}
	if res.Problems > 0 {
		fmt.Fprintf(g.stderr, "tarn: %s (listed above)\n", formatCount(res.Problems, "problem", "problems"))
	}
}

// verified says how many files turned out to be those of the snapshot.
func verified(res *restore.Result) string {
	if res.Verified == res.Files {
		return formatCount(res.Verified, "file: it has", "files: all have") + " the content of the snapshot"
	}
	return fmt.Sprintf("%d of %s: the others do not have the content of the snapshot", res.Verified, formatCount(res.Files, "file", "files"))
}
