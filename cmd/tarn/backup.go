package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
	"github.com/tarn-backup/tarn/internal/backup"
	"github.com/tarn-backup/tarn/internal/bill"
	"github.com/tarn-backup/tarn/internal/browse"
	"github.com/tarn-backup/tarn/internal/repo"
	"github.com/tarn-backup/tarn/internal/scan"
	"github.com/tarn-backup/tarn/internal/warm"
)

// backupFlags are the flags of backup.
type backupFlags struct {
	init bool
	packing
	compression      string
	class            string
	excludes         []string
	excludeFiles     []string
	excludeCaches    bool
	excludeIfPresent []string
	oneFileSystem    bool
	tags             []string
	host             string
	parent           string
	force            bool
	dryRun           bool
	exactClass       bool
	maxCost          limit
}

func newBackup(g *globals) *cobra.Command {
	var f backupFlags
	cmd := &cobra.Command{
		Use:   "backup [NAME=]PATH...",
		Short: "Back folders up",
		Long: `backup makes a snapshot of the given folders and files, its sources. A source is named by its base name, or by NAME.
What did not change since the parent snapshot is not read, what the repository holds already is not uploaded.
A source that can't be opened is named, and keeps what the parent has of it; without any there is no snapshot.
With no repository given, it uses one in your data folder, and makes it on the first run.

In S3 it ends with what it did in requests, bytes and dollars, and what keeping the new archives costs a month. An archive too
small to pay off in its storage class goes to the cheapest one for it, by the price book; with --exact-class each goes where you say.
--max-cost compares the files with the parent before anything is uploaded, and refuses if the requests and the class's minimum
days could cost more, as if all that is new to a stat were new content that can't be compressed.

.tarnignore files work as .gitignore does. $RECYCLE.BIN, .Trash-1000 and System Volume Information are skipped.` + "\n" + exitCodes,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return g.backup(cmd.Context(), f, args) },
	}
	f.selection(cmd.Flags())
	fl := cmd.Flags()
	fl.BoolVar(&f.init, "init", false, "make the repository first, if it is not there")
	fl.StringVar(&f.compression, "compression", "", "auto, fastest, default, better or best (default: the repository's)")
	fl.Var(&f.maxCost, "max-cost", "refuse if it could cost more than so many dollars, which is said before anything is uploaded")
	fl.Var((*tagList)(&f.tags), "tag", "tag the snapshot; a comma parts two tags (repeatable)")
	fl.BoolVar(&f.dryRun, "dry-run", false, "say what would be stored, and store nothing")
	return cmd
}

// selection are the flags that say what is backed up, and as what.
func (f *backupFlags) selection(fl *pflag.FlagSet) {
	f.packing.register(fl)
	fl.StringVar(&f.class, "storage-class", "", "storage class of archives, but for those too small to pay off there (default: the repository's)")
	fl.BoolVar(&f.exactClass, "exact-class", false, "put small archives into the storage class, too")
	fl.StringArrayVar(&f.excludes, "exclude", nil, "skip what matches the pattern, as in .gitignore (repeatable)")
	fl.StringArrayVar(&f.excludeFiles, "exclude-file", nil, "read patterns from a file (repeatable)")
	fl.BoolVar(&f.excludeCaches, "exclude-caches", false, "skip the content of directories with a CACHEDIR.TAG")
	fl.StringArrayVar(&f.excludeIfPresent, "exclude-if-present", nil, "skip the content of directories that have a file of that name (repeatable)")
	fl.BoolVar(&f.oneFileSystem, "one-file-system", false, "do not go into other file systems")
	fl.StringVar(&f.host, "host", "", "name of this machine in the snapshot (default: its host name)")
	fl.StringVar(&f.parent, "parent", "", "snapshot to compare with (default: the latest of this host and these sources)")
	fl.BoolVar(&f.force, "force", false, "read every file, whatever its times say")
}

func (g *globals) backup(ctx context.Context, f backupFlags, args []string) error {
	sources, err := f.sources(args)
	if err != nil {
		return err
	}
	o, err := g.openOrCreate(ctx, f.init, f.dryRun, f.class)
	if err != nil {
		return err
	}
	err = g.backupTo(ctx, o, f, sources)
	return errors.Join(err, o.Close())
}

// openOrCreate opens the repository, and makes it if --init says so or if it is
// the embedded default, but not in a dry run. Its class is the given one, if any.
func (g *globals) openOrCreate(ctx context.Context, create, dryRun bool, class string) (*opened, error) {
	o, err := g.open(ctx)
	create = create || g.repo == ""
	if err == nil && !dryRun {
		if err := o.finish(ctx, create); err != nil {
			return nil, errors.Join(err, o.Close())
		}
	}
	var missing hinted
	if err == nil || dryRun || !errors.As(err, &missing) || !create || !strings.HasPrefix(err.Error(), "no repository") {
		return o, err
	}
	dirs, location, err := g.where()
	if err != nil {
		return nil, err
	}
	if class == "" {
		class = string(tarn.Standard)
	}
	return g.create(ctx, dirs, location, initFlags{class: class, compression: archive.Auto.String()})
}

// finish refuses a repository that can't be written to. One that an init has
// left which was killed is completed if create says so.
func (o *opened) finish(ctx context.Context, create bool) error {
	if create {
		unfinished, err := o.Unfinished(ctx)
		if err != nil {
			return err
		}
		if unfinished {
			_, err = o.Mend(ctx)
			return err
		}
	}
	return o.Writable()
}

func (g *globals) backupTo(ctx context.Context, o *opened, f backupFlags, sources []scan.Config) error {
	cfg, err := g.backupConfig(f, o)
	if err != nil {
		return err
	}
	m := g.money(o.Storage())
	if err := f.maxCost.known(m); err != nil {
		return err
	}
	cfg.ClassOf = m.chooser(cfg.Class, f.exactClass)
	synced, err := g.prepare(ctx, o, f, sources, &cfg)
	if err != nil {
		return err
	}
	if f.maxCost.given && !f.dryRun {
		if err := g.affordable(ctx, m, f, cfg); err != nil {
			return err
		}
	}
	stop := g.showBackup(&cfg)
	res, err := backup.Run(ctx, cfg)
	stop()
	if err != nil {
		return err
	}
	cost, err := m.ofBackup(f, res)
	if err != nil {
		return err
	}
	g.reportBackup(f, m, cost, res)
	g.reportLost(f, synced.Lost, res)
	return f.maxCost.outcome(cost, f.dryRun, res.Problems > 0)
}

// prepare completes the configuration of a run: what it leaves out, what is
// lost, and what it compares with.
func (g *globals) prepare(ctx context.Context, o *opened, f backupFlags, sources []scan.Config, cfg *backup.Config) (synced warm.Result, err error) {
	recordExcludes(cfg.Options, sources[0]) // those of the user, before tarn's own
	if err := notOwn(o.location, sources); err != nil {
		return synced, err
	}
	g.leaveOut(o.dirs, o.location, sources)
	cfg.Sources = sources
	if synced, err = warm.SyncArchives(ctx, o.Repo, o.contents, g.log); err != nil {
		return synced, err
	}
	for _, l := range synced.Lost {
		cfg.Lost = append(cfg.Lost, l.Archive)
		g.log.Info("an archive is lost", "archive", l.Key, "problem", l.Problem)
	}
	return synced, g.chooseParent(ctx, o, f, cfg)
}

func (g *globals) backupConfig(f backupFlags, o *opened) (cfg backup.Config, err error) {
	cfg = backup.Config{
		Repo: o.Repo, Contents: o.contents, Tags: f.tags, Host: f.host, Program: program(),
		Class: o.Config.StorageClass, Force: f.force, DryRun: f.dryRun, Log: g.log, Now: g.now,
		Options: map[string]string{},
	}
	if cfg.ArchiveSize, err = f.size(); err != nil {
		return cfg, err
	}
	level := o.Config.Compression
	if f.compression != "" {
		level = f.compression
	}
	if cfg.Level, err = archive.ParseLevel(level); err != nil {
		return cfg, fmt.Errorf("--compression: %w", err)
	}
	if f.class != "" {
		if cfg.Class, err = tarn.ParseClass(f.class); err != nil {
			return cfg, fmt.Errorf("--storage-class: %w", err)
		}
	}
	if cfg.Host == "" {
		if cfg.Host, err = os.Hostname(); err != nil {
			return cfg, fmt.Errorf("finding the name of this machine: %w (give --host)", err)
		}
	}
	if u, err := user.Current(); err == nil {
		cfg.User = u.Username
	}
	if len(f.excludeFiles) > 0 {
		cfg.Options["exclude-file"] = strings.Join(f.excludeFiles, "\n")
	}
	return cfg, nil
}

// chooseParent sets the snapshot to compare with: the latest of this host that
// has all of the sources, else the latest that has one of them.
func (g *globals) chooseParent(ctx context.Context, o *opened, f backupFlags, cfg *backup.Config) (err error) {
	ids, err := o.SnapshotIDs(ctx)
	if err != nil {
		return err
	}
	if cfg.Newest, err = o.Newest(ctx, ids); err != nil {
		return err
	}
	if f.parent != "" {
		cfg.Parent, err = g.chosen(ctx, o, f.parent, browse.Filter{})
		return err
	}
	for _, id := range slices.Backward(ids) {
		s, err := o.Snapshot(ctx, id)
		if err != nil {
			if ofAll(err) {
				return err
			}
			level := slog.LevelWarn
			if errors.Is(err, tarn.ErrNoIdentity) { // another machine's, as a rule
				level = slog.LevelInfo
			}
			g.log.Log(ctx, level, "can't compare with a snapshot", "snapshot", id, "error", err)
			continue
		}
		if s.Host != cfg.Host {
			continue
		}
		switch n := sharedSources(s, cfg.Sources); {
		case n == len(cfg.Sources):
			cfg.Parent = s
			return nil
		case n > 0 && cfg.Parent == nil:
			cfg.Parent = s
		}
	}
	return nil
}

// sharedSources counts the sources that a snapshot has, too.
func sharedSources(s *repo.Snapshot, sources []scan.Config) (n int) {
	for _, b := range sources {
		if slices.ContainsFunc(s.Sources, func(a repo.SourceInfo) bool { return a.Name == b.Name && a.Path == b.Path }) {
			n++
		}
	}
	return n
}

// showBackup shows problems as they come, and the progress.
func (g *globals) showBackup(cfg *backup.Config) (stop func()) {
	var bar *progress
	cfg.Problem = g.problems(&bar)
	if g.quiet {
		return func() {}
	}
	cfg.Progress = new(backup.Progress)
	cfg.Count = g.json || g.terminal() > 0
	bar = g.newProgress(func() (shown, any) {
		s := cfg.Progress.Read()
		note := formatBytes(s.Stored) + " stored"
		return shown{done: s.Bytes, total: s.TotalBytes, counted: s.Counted, rate: s.Bytes, files: s.Files, note: note, current: s.Current},
			map[string]any{"type": "progress", "files": s.Files, "bytes": s.Bytes, "total_files": s.TotalFiles, "total_bytes": s.TotalBytes, "counted": s.Counted, "stored": s.Stored, "current": s.Current}
	})
	return bar.stop
}

func (g *globals) reportBackup(f backupFlags, m *money, cost *bill.Cost, res *backup.Result) {
	if g.json {
		g.printJSON(m.into(cost, map[string]any{
			"type": "summary", "snapshot": res.Snapshot, "parent": res.Parent, "dry_run": f.dryRun,
			"files": res.Total.Files, "dirs": res.Total.Dirs, "others": res.Total.Others, "bytes": res.Total.Bytes,
			"files_new": res.New, "files_changed": res.Changed, "files_unchanged": res.Unchanged, "new_bytes": res.NewBytes,
			"stored_bytes": res.Stored, "archives": res.Archives, "trees": res.Trees, "problems": res.Problems, "files_again": res.Again, "contents_lost": res.StillLost, "seconds": res.Duration.Seconds(),
		}))
		return
	}
	g.say("%s (%s): %d new, %d changed, %d unchanged", formatCount(res.Total.Files, "file", "files"), formatBytes(res.Total.Bytes), res.New, res.Changed, res.Unchanged)
	if f.dryRun {
		g.say("would store %s of new content; nothing was stored", formatBytes(res.NewBytes))
	} else {
		g.say("%s of new content, stored as %s in %s", formatBytes(res.NewBytes), formatBytes(res.Stored), formatCount(int64(res.Archives), "archive", "archives"))
		g.say("snapshot %s in %s", res.Snapshot, formatDuration(res.Duration))
	}
	g.reportCost(m, cost, f.dryRun)
	if res.Problems > 0 {
		fmt.Fprintf(g.stderr, "tarn: %s (listed above)\n", formatCount(int64(res.Problems), "file could not be backed up as it is", "files could not be backed up as they are"))
	}
}

// reportLost says what a run has done about archives that are lost. An index
// whose content lies elsewhere by now is not worth a word.
func (g *globals) reportLost(f backupFlags, lost []warm.Lost, res *backup.Result) {
	if res.Again == 0 && res.StillLost == 0 {
		return
	}
	what := printable(lost[0].Key) + " " + lost[0].Problem
	if len(lost) > 1 {
		what = fmt.Sprintf("%d archives are lost, among them %s", len(lost), what)
	}
	if res.Again > 0 {
		stored := "stored again"
		if f.dryRun {
			stored = "to be stored again"
		}
		g.say("%s %s: %s", formatCount(res.Again, "file", "files"), stored, what)
	}
	if res.StillLost > 0 && !f.dryRun {
		g.log.Warn("content of lost archives is not in these sources; `tarn check` names its files", "contents", res.StillLost, "lost", what)
	}
}
