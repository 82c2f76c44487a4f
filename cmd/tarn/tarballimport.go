package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/backup"
	"github.com/tarn-backup/tarn/internal/bill"
	"github.com/tarn-backup/tarn/internal/browse"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/restore"
	"github.com/tarn-backup/tarn/internal/scan"
	"github.com/tarn-backup/tarn/internal/tarball"
)

// importFlags are the flags of tarball import.
type importFlags struct {
	source, temp, host string
	dryRun             bool
	tarballWait
}

func newTarballImport(g *globals, at *tarballPlace) *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import NAME",
		Short: "Take a backup of tarballs over into a repository",
		Long: `import takes the backup NAME of the bucket -b over into the repository --repo. A tar.gz can't become an archive of a repository where it
lies: nobody knows the SHA-256 of its files, it can't be read in parts, and S3 does not let a cold object be rewritten. So there are two ways.

With --source PATH, the folder that was backed up, nothing is read but that folder: import says which tarballs it still has all files of,
by their lists and hashes. Those a normal ` + "`tarn backup PATH`" + ` covers, and they can be deleted after it: import says from when on at no
further cost. It changes nothing, and ends with 3 if a tarball has something that the folder does not have, or that the backup would leave
out: what a .tarnignore says, and folders that a system keeps for itself.

Without it, import says for each tarball what has to be thawed, read and stored, and what that costs; with --yes it does it. Each
tarball that can be read becomes a snapshot, with the tag tarball; those all of whose files newer ones cover are left out. Its files are unpacked one tarball at a time into a folder below --temp,
which needs room for the largest one and is removed at once; what a killed import has left there, the next one removes. Run again, it goes on with the tarballs that are not in the
repository yet. A damaged tarball is not imported; ` + "`tarn tarball restore`" + ` gets what can be read of it.` + "\n" + exitCodes,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			if at.name != "" && at.name != args[0] {
				return fmt.Errorf("import %s, and -n %s: name one backup", args[0], at.name)
			}
			at.name = args[0]
			return g.tarballImport(cmd.Context(), at, f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.source, "source", "", "folder that was backed up: say what of the tarballs it still has")
	fl.StringVar(&f.temp, "temp", os.TempDir(), "folder to unpack one tarball at a time in")
	fl.StringVar(&f.host, "host", "", "name of the machine in the snapshots (default: its host name)")
	fl.BoolVar(&f.dryRun, "dry-run", false, "say what would be read and stored and what it costs, and do nothing")
	f.tarballWait.register(fl)
	return cmd
}

func (g *globals) tarballImport(ctx context.Context, at *tarballPlace, f importFlags) error {
	if err := at.check(true); err != nil {
		return err
	}
	s, err := g.storage(ctx, schemeS3+at.bucket, false)
	if err != nil {
		return err
	}
	v, err := g.viewTarballs(ctx, s, at)
	if err != nil {
		return err
	}
	if f.source != "" {
		return g.coveredBy(ctx, v, f.source)
	}
	return g.with(ctx, func(o *opened) error {
		if err := o.Writable(); err != nil {
			return err
		}
		im := &importing{globals: g, o: o, view: v, f: f}
		return im.run(ctx)
	})
}

// importing is an import in progress.
type importing struct {
	*globals
	o    *opened
	view *tarballView
	f    importFlags
	job  *tarballJob
}

// importTag is the tag of the snapshots, and importOption the option that says
// of which version of which tarball one is.
const (
	importTag    = "tarball"
	importOption = "tarball"
)

func (im *importing) run(ctx context.Context) error {
	all, err := im.wanted(ctx)
	if err != nil {
		return err
	}
	done, err := im.done(ctx)
	if err != nil {
		return err
	}
	var left []chosen
	for _, c := range all {
		if !done[im.id(c)] {
			left = append(left, c)
		}
	}
	if n := len(all) - len(left); n > 0 {
		im.say("%d of %s in the repository already", n, areTarballs(int64(len(all))))
	}
	if !im.f.dryRun {
		sweepImports(im.f.temp)
	}
	im.job = &tarballJob{globals: im.globals, view: im.view, flags: im.f.tarballWait, dryRun: im.f.dryRun, left: left, more: im.price, do: im.one}
	return im.job.run(ctx)
}

// wanted are the tarballs that newer ones don't supersede wholly. One that they supersede
// in part is imported whole: what is left of it may be more when they are gone, and a
// tarball that is in the repository is not read again.
func (im *importing) wanted(ctx context.Context) ([]chosen, error) {
	all, err := im.view.choose(".", "")
	if err != nil {
		return nil, err
	}
	all, out, err := im.view.superseded(ctx, all)
	if err != nil {
		return nil, err
	}
	for _, c := range out {
		if err := im.saySuperseded(c); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func areTarballs(n int64) string {
	if n == 1 {
		return "1 tarball is"
	}
	return formatCount(n, "tarball", "tarballs") + " are"
}

// id names a version of an object in the bucket.
func (im *importing) id(c chosen) string {
	return fmt.Sprintf("s3://%s/%s %s %s", im.view.at.bucket, c.Key, c.Version, c.Modified.UTC().Format("20060102T150405Z"))
}

// done are the versions that have a snapshot.
func (im *importing) done(ctx context.Context) (map[string]bool, error) {
	var u unread
	list, err := browse.Snapshots(ctx, im.o.Repo, browse.Filter{Tags: tagList{importTag}}, u.snapshot)
	if err != nil {
		return nil, err
	}
	done := map[string]bool{}
	for _, s := range list {
		done[s.Options[importOption]] = true
	}
	return done, nil
}

// price says what is stored and what that costs, beside what a plan reads.
func (im *importing) price(p *cold.Plan) error {
	m := im.money(im.o.Storage())
	var cost *bill.Cost
	if m.prices != nil {
		plan := bill.Plan{Trees: int64(len(im.job.left)), Snapshots: int64(len(im.job.left))}
		for _, c := range im.job.left {
			plan.Archives = append(plan.Archives, bill.Objects{Class: im.o.Config.StorageClass, Count: 1, Size: c.Size})
		}
		var err error
		if cost, err = bill.Estimate(m.prices, m.meter.Metered(), plan); err != nil {
			return err
		}
	}
	if im.json {
		if err := im.printJSON(m.into(cost, map[string]any{"type": "import", "tarballs": len(im.job.left)})); err != nil {
			return err
		}
	} else if !im.quiet {
		im.say("to read once, and to store in %s as about as much: %s", printable(im.o.location), formatCount(int64(len(im.job.left)), "tarball", "tarballs"))
		im.printNeeds()
		im.reportCost(m, cost, true)
	}
	if im.f.dryRun {
		return nil
	}
	if err := im.affordable(p, cost); err != nil {
		return err
	}
	return im.confirm()
}

// printNeeds says per tarball what has to be done.
func (im *importing) printNeeds() {
	for _, c := range im.job.left {
		what := "read"
		switch c.State {
		case cold.Frozen:
			what = "thaw, read"
		case cold.Thawing:
			what = "wait, read"
		}
		im.say("  %s: %s and store %s (%s, %s)", printable(c.title(im.view)), what, formatBytes(c.Size), c.Class, c.State)
	}
}

// affordable refuses what reading and storing cost together beyond --max-cost.
func (im *importing) affordable(p *cold.Plan, cost *bill.Cost) error {
	if im.f.maxCost == "" || cost == nil {
		return nil
	}
	most, err := price.ParseMoney(im.f.maxCost)
	if err != nil {
		return err
	}
	sum := cost.Committed()
	for _, o := range p.Offers {
		if o.Bill != nil && (o.Tier == "" || strings.EqualFold(string(o.Tier), im.f.tier) || im.f.tier == "" && o.Tier == p.Offers[0].Tier) {
			sum = sum.Add(o.Bill.Total)
		}
	}
	if sum.Cmp(most) > 0 {
		return hinted{fmt.Errorf("reading and storing costs %s together: %w", sum, cold.ErrTooDear), "Nothing was spent. Allow more, or take a cheaper tier (--tier)."}
	}
	return nil
}

// confirm asks before anything is read where nothing has to be thawed; else the
// thaw asks.
func (im *importing) confirm() error {
	if im.f.yes || im.job.any(cold.Frozen) {
		return nil
	}
	if im.password == nil {
		return hinted{errors.New("nothing was read or stored"), "Add --yes to import at that price; --source PATH says what of it the folder still has."}
	}
	answer, err := im.ask("Import them? [y/N] ")
	if err == nil && answer != "y" && answer != "yes" {
		err = errors.New("not imported: nothing was spent")
	}
	return err
}

// one imports one tarball: unpacked into a temporary folder, backed up from there.
func (im *importing) one(ctx context.Context, c chosen) (err error) {
	temp, err := newImportTemp(im.f.temp)
	if err != nil {
		return fmt.Errorf("making a folder to unpack %s in: %w", c.Key, err)
	}
	defer func() { err = joinProblems(err, temp.remove()) }()
	dir := temp.files
	if err := im.unpack(ctx, c, dir); err != nil {
		return err
	}
	unpacked, err := countFiles(dir)
	if err != nil {
		return err
	}
	return im.store(ctx, c, dir, unpacked)
}

func (im *importing) unpack(ctx context.Context, c chosen, dir string) error {
	target, err := restore.OpenTarget(dir, restore.TargetOptions{Replace: true, Logger: im.log})
	if err != nil {
		return err
	}
	var bar *progress
	problem := im.problems(&bar)
	read := new(atomic.Int64)
	bar = im.readingBar(c, read)
	problems := 0
	progress := func(n int64) { read.Add(n) }
	var found *tarball.Restored
	if c.tarball == nil {
		_, err = tarball.RestorePlain(ctx, im.view.s, c.Object, tarballTarget{target}, progress)
	} else {
		found, err = tarball.Restoring{
			Storage: im.view.s, Tarball: c.tarball, Target: tarballTarget{target}, Overwrite: tarball.Always, Now: im.now, Progress: progress,
			Problem: func(path string, err error) {
				problems++
				problem(path, err)
			},
		}.Restore(ctx)
	}
	if bar != nil {
		bar.stop()
	}
	err = errors.Join(err, target.FinishDirs(ctx), target.Close())
	if errors.Is(err, tarn.ErrDamaged) {
		problems++
		problem(c.Key, err)
		err = nil
	}
	if err == nil && problems > 0 {
		problem(c.Key, errors.New("was not imported; `tarn tarball restore` gets what can be read of it"))
		return errProblems
	}
	if err == nil && found != nil && !found.Proved {
		im.say("%s: %s: nothing says that the files are all, and those that were backed up", printable(c.title(im.view)), c.tarball.Unproved())
	}
	return err
}

// store backs a folder up as the snapshot of a tarball, of which so many files were
// unpacked.
func (im *importing) store(ctx context.Context, c chosen, dir string, unpacked int64) error {
	f := backupFlags{packing: packing{archiveSize: "512MiB"}, host: im.f.host, tags: []string{importTag}}
	cfg, err := im.backupConfig(f, im.o)
	if err != nil {
		return err
	}
	m := im.money(im.o.Storage())
	cfg.ClassOf = m.chooser(cfg.Class, f.exactClass)
	cfg.Options[importOption] = im.id(c)
	name := im.view.at.name
	source := name[strings.LastIndexByte(name, '/')+1:]
	cfg.Origins = map[string]string{source: "s3://" + im.view.at.bucket + "/" + c.Key}
	// All of it: what the script has archived is no longer to be left out.
	sources := []scan.Config{{Path: dir, Name: source, KeepSystem: true}}
	if _, err := im.prepare(ctx, im.o, f, sources, &cfg); err != nil {
		return err
	}
	stop := im.showBackup(&cfg)
	res, err := backup.Run(ctx, cfg)
	stop()
	if err != nil {
		return err
	}
	im.say("%s is in the repository:", printable(c.title(im.view)))
	im.reportBackup(f, &money{}, nil, res)
	if got := res.New + res.Changed + res.Unchanged; got != unpacked {
		im.problems(new(*progress))(c.Key, fmt.Errorf("%d files are in the repository of the %d that were unpacked", got, unpacked))
		return errProblems
	}
	if res.Problems > 0 {
		return errProblems
	}
	return nil
}

// countFiles counts what a folder holds beside folders.
func countFiles(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	return n, err
}
