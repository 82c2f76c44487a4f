package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/bill"
	"github.com/tarn-backup/tarn/internal/machine"
	"github.com/tarn-backup/tarn/internal/tarball"
)

// tarballFlags are the flags of a backup in the script's layout.
type tarballFlags struct {
	path       string
	splitDepth int
	class      string
	maxSize    gib
	trustMTime bool
	without    bool // what may not be read
	dryRun     bool
	maxCost    limit
}

func (f *tarballFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVarP(&f.path, "path", "p", "", "folder or file to back up")
	fl.IntVar(&f.splitDepth, "split-depth", 0, "depth of the folders that get an archive each; 0 makes one archive of all")
	fl.StringVar(&f.class, "storage-class", string(tarn.Glacier), "storage class of archives")
	fl.Var(&f.maxSize, "max-size", "refuse archives of more than so many GiB (default: what S3 takes)")
	fl.BoolVar(&f.trustMTime, "trust-mtime", false, "do not read files whose size and times are those that they had when they were last read")
	fl.BoolVar(&f.without, "without-unreadable", false, "let an archive without the files that may not be read take the place of one that has them")
	fl.BoolVar(&f.dryRun, "dry-run", false, "say what would be uploaded, and upload nothing")
	fl.Var(&f.maxCost, "max-cost", "refuse if it could cost more than so many dollars, which is said before anything is uploaded")
}

// tarballConfig checks the flags.
func (g *globals) tarballConfig(at *tarballPlace, f *tarballFlags) (cfg tarball.Config, err error) {
	if f.path == "" {
		return cfg, hinted{errors.New("nothing to back up is named"), "Name a folder or a file with -p PATH."}
	}
	cfg = tarball.Config{
		Name: at.name, Path: f.path, SplitDepth: f.splitDepth, MaxSize: f.limit(), TrustMTime: f.trustMTime, WithoutUnreadable: f.without, DryRun: f.dryRun,
		Log: g.log, Now: g.now,
	}
	if cfg.Class, err = tarn.ParseClass(f.class); err != nil {
		return cfg, fmt.Errorf("--storage-class: %w", err)
	}
	dirs, err := machine.UserDirs(g.getenv)
	if err != nil {
		return cfg, err
	}
	cfg.Memory = filepath.Join(dirs.Cache, "tarball")
	return cfg, nil
}

// gib is a number of GiB that an archive may have; 0 is that of a flag that was
// not given.
type gib int64

// Set reads the number.
func (n *gib) Set(value string) error {
	v, err := strconv.ParseInt(value, 10, 64)
	if most := int64(maxArchive >> 30); err != nil || v < 1 || v > most {
		return fmt.Errorf("want 1 to %d GiB", most)
	}
	*n = gib(v)
	return nil
}

// String shows the number; nothing if the flag was not given.
func (n *gib) String() string {
	if *n == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*n), 10)
}

// Type is what the help calls a value.
func (n *gib) Type() string { return "GiB" }

// limit is what the script's --max-size comes to: 10,000 parts of whole MiB.
func (f *tarballFlags) limit() int64 {
	if f.maxSize == 0 {
		return 0
	}
	return (int64(f.maxSize)*1024/10_000 + 1) << 20 * 10_000
}

// tarball brings a backup in the script's layout up to date.
func (g *globals) tarball(ctx context.Context, at *tarballPlace, f *tarballFlags) error {
	if err := at.check(true); err != nil {
		return err
	}
	cfg, err := g.tarballConfig(at, f)
	if err != nil {
		return err
	}
	s, err := g.tarballs(ctx, at, true)
	if err != nil {
		return err
	}
	cfg.Storage = s
	m := g.money(s)
	if err := f.maxCost.known(m); err != nil {
		return err
	}
	if f.maxCost.given && !f.dryRun {
		if err := g.tarballAffordable(ctx, m, f, cfg); err != nil {
			return err
		}
		// What the estimate has just read need not be read again.
		cfg.TrustMTime = true
	}
	stop := g.showTarball(&cfg)
	res, err := tarball.Run(ctx, cfg)
	stop()
	if err != nil {
		return err
	}
	cost, err := m.ofTarball(f.dryRun, res)
	if err != nil {
		return err
	}
	if err := g.reportStale(m, res); err != nil {
		return err
	}
	g.reportTarball(f.dryRun, m, cost, res)
	return f.maxCost.outcome(cost, f.dryRun, res.Problems > 0)
}

// tarballAffordable refuses a run that could cost more than it may.
func (g *globals) tarballAffordable(ctx context.Context, m *money, f *tarballFlags, cfg tarball.Config) error {
	cfg.DryRun = true
	res, err := tarball.Run(ctx, cfg)
	if err != nil {
		return err
	}
	cost, err := m.ofTarball(true, res)
	if err != nil || cost == nil {
		return err
	}
	return f.maxCost.allows(cost)
}

// ofTarball is what a run has cost, or would cost; nil if nobody knows the prices.
func (m *money) ofTarball(dryRun bool, res *tarball.Result) (*bill.Cost, error) {
	if m.prices == nil {
		return nil, nil
	}
	var s bill.Stored
	for _, a := range res.Made {
		s.Archives = append(s.Archives, bill.Objects{Class: a.Class, Count: 1, Size: a.Size})
	}
	s.Archives = bill.Sum(s.Archives)
	if dryRun {
		// Beside each archive lie a hash and a list: of the two objects the plan
		// counts one as the archive's index, and one as a tree.
		s.Metadata = res.Files*bytesPerLine + int64(len(res.Made))*bytesPerObject
		return bill.Estimate(m.prices, m.meter.Metered(), bill.Plan{Stored: s, Trees: int64(len(res.Made))})
	}
	for _, n := range m.meter.Metered().Stored {
		s.Metadata += n
	}
	s.Metadata -= res.Stored()
	return m.cost(s)
}

// showTarball shows what happens, in the words and signs of the script, and the
// progress.
func (g *globals) showTarball(cfg *tarball.Config) (stop func()) {
	var bar *progress
	cfg.Problem = g.problems(&bar)
	if g.quiet {
		return func() {}
	}
	var mu sync.Mutex
	cfg.Event = func(e tarball.Event) {
		mu.Lock()
		defer mu.Unlock()
		if g.json {
			g.printTarballEvent(e)
		} else if text := tarballText(e); text != "" {
			bar.print(g, formatTime(g.now())+" "+text)
		}
	}
	cfg.Progress = new(tarball.Progress)
	cfg.Count = g.json || g.terminal() > 0
	bar = g.newProgress(func() (shown, any) {
		s := cfg.Progress.Read()
		note := formatBytes(s.Stored) + " uploaded"
		return shown{done: s.Bytes, total: s.TotalBytes, counted: s.Counted, rate: s.Bytes, files: s.Files, note: note, current: s.Current},
			map[string]any{"type": "progress", "files": s.Files, "bytes": s.Bytes, "total_files": s.TotalFiles, "total_bytes": s.TotalBytes, "counted": s.Counted, "stored": s.Stored, "current": s.Current}
	})
	return bar.stop
}

// tarballText is what the script says at the same step. Several archives are
// worked on at a time, so that each line says which it is of.
func tarballText(e tarball.Event) string {
	path, key := `"`+printable(e.Path)+`"`, printable(e.Key)
	of := "for directory " + path
	switch {
	case e.Own:
		of = "for files in path " + path
	case e.File:
		of = "for file " + path
	}
	switch e.Kind {
	case tarball.Listing:
		if e.Own {
			return "🔍 Listing files in " + path + "..."
		}
		return "🔍 Listing all files under " + path + "..."
	case tarball.Skipped:
		return "⏭️ Skipping " + path + ", which the system keeps for itself"
	case tarball.Empty:
		return "🟫 No files found in " + path
	case tarball.Found:
		return fmt.Sprintf("ℹ️ Found %s (%s) %s", formatCount(e.Files, "file", "files"), formatBytes(e.Bytes), of)
	case tarball.Unknown:
		return fmt.Sprintf("ℹ️ File %s is made again: %s", key, printableError(e.Err))
	case tarball.Hashing:
		return "#️⃣ Calculating hash " + of + "..."
	case tarball.Hashed:
		return fmt.Sprintf("ℹ️ Hash is: %s %s", e.Hash, of)
	case tarball.Unchanged:
		return "🟨 File " + key + " already exists with the same content hash"
	case tarball.Uploading:
		return "⬆️ Uploading file " + key
	case tarball.Uploaded:
		return fmt.Sprintf("🟩 File %s uploaded (%s)", key, formatBytes(e.Bytes))
	case tarball.Mended:
		return "🟨 File " + key + " already exists with the same content hash; its list of files was missing, or cold, and is there now"
	case tarball.Confirmed:
		return "🟨 File " + key + " already exists with the same content hash; its list was stored again, as another archive of its place was newer"
	case tarball.Failed:
		return "🟥 File " + key + " not uploaded"
	}
	return ""
}

// printTarballEvent prints how an archive ended.
func (g *globals) printTarballEvent(e tarball.Event) {
	what, ok := map[tarball.EventKind]string{
		tarball.Skipped: "skipped", tarball.Empty: "empty", tarball.Unchanged: "unchanged", tarball.Uploading: "uploading",
		tarball.Uploaded: "uploaded", tarball.Mended: "mended", tarball.Confirmed: "confirmed", tarball.Failed: "failed",
		tarball.Unknown: "again",
	}[e.Kind]
	if !ok {
		return
	}
	doc := map[string]any{"type": "archive", "state": what, "key": e.Key, "path": e.Path, "files": e.Files, "bytes": e.Bytes}
	if e.Kind == tarball.Unknown {
		doc["reason"] = printableError(e.Err)
	}
	g.printJSON(doc)
}

func (g *globals) reportTarball(dryRun bool, m *money, cost *bill.Cost, res *tarball.Result) {
	if g.json {
		g.printJSON(m.into(cost, map[string]any{
			"type": "summary", "dry_run": dryRun, "files": res.Files, "bytes": res.Bytes, "uploaded": len(res.Made), "stored_bytes": res.Stored(),
			"unchanged": res.Unchanged, "empty": res.Empty, "failed": res.Failed, "mended": res.Mended, "problems": res.Problems, "seconds": res.Duration.Seconds(),
		}))
		return
	}
	did, stored := "uploaded", formatBytes(res.Stored())+" stored"
	if dryRun {
		did, stored = "to be uploaded", "nothing was stored"
	}
	g.say("%s (%s): %s %s, %d unchanged; %s, in %s", formatCount(res.Files, "file", "files"), formatBytes(res.Bytes),
		formatCount(int64(len(res.Made)), "object", "objects"), did, res.Unchanged, stored, formatDuration(res.Duration))
	g.reportCost(m, cost, dryRun)
	if res.Problems > 0 {
		fmt.Fprintf(g.stderr, "tarn: %s (listed above)\n", formatCount(int64(res.Problems), "thing could not be backed up as it is", "things could not be backed up as they are"))
	}
}
