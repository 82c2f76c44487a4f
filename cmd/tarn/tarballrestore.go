package main

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/restore"
	"github.com/tarn-backup/tarn/internal/tarball"
)

// tarballRestoreFlags are the flags of tarball restore.
type tarballRestoreFlags struct {
	target, overwrite, version string
	quick, dryRun              bool
	tarballWait
}

func newTarballRestore(g *globals, at *tarballPlace) *cobra.Command {
	var f tarballRestoreFlags
	cmd := &cobra.Command{
		Use:   "restore TARBALL [PATH]...",
		Short: "Get files back out of tarballs",
		Long: `restore reads TARBALL from its beginning to its end and writes its files to DIR, each where it was below the backed up folder. TARBALL is
named as in list; a folder of them (with a slash at its end where a tarball has that name, too) or . means several. Where runs at other split
depths have left tarballs of the same files, several are restored so that each file comes from the newest that covers it. PATHs are files and folders in one tarball, as ls prints them. It restores what the
script made by several tars in one .tar.gz whole, and never writes outside of DIR.

A tarball has no hash of each file, but one over all of them (.md5): read to its end, restore says whether every file is what was
backed up. --quick stops when the PATHs, if all are files, are written: that is cheaper, and proves nothing but gzip's checksum on the way.
A further name of a file (a hard link) without the file has its tarball read a second time, unless that would cost more than --max-cost.
A tarball whose files all stand in DIR already, with that hash, is not read again: the same command goes on where it stopped. One that
newer ones supersede in part is, since its hash is over all of its files.

What lies in a cold class has to be thawed first. restore shows what each tier costs, asks (or takes --tier and --yes), asks S3 for the
tarballs that it needs, and ends with exit code 3. The same command, run later, reads what is ready. --wait stays. Without a terminal and
without --yes nothing is spent; --max-cost refuses what costs more, and --dry-run prints the price and does nothing.` + "\n" + exitCodes,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.target == "" {
				return errors.New("restore needs --target DIR, the folder to write to")
			}
			if err := f.check(); err != nil {
				return err
			}
			return g.tarballRestore(cmd.Context(), at, f, args)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.target, "target", "", "folder to write to (required)")
	fl.StringVar(&f.overwrite, "overwrite", string(tarball.Changed), "files that are there: never, changed (size or time differ) or always")
	fl.StringVar(&f.version, "version", "", "version of the tarball to restore from (list --versions)")
	fl.BoolVar(&f.quick, "quick", false, "stop reading when the PATHs, if all are files, are written")
	fl.BoolVar(&f.dryRun, "dry-run", false, "say what would be read and what it costs, and do nothing")
	f.tarballWait.register(fl)
	return cmd
}

// tarballTarget is what tarballs are restored to.
type tarballTarget struct{ *restore.Target }

// Create implements tarball.Target.
func (t tarballTarget) Create(e *tarn.Entry) (tarball.TargetFile, error) { return t.CreateUnsummed(e) }

// Sum implements tarball.Target.
func (t tarballTarget) Sum(ctx context.Context, path string) (sum tarball.MD5, err error) {
	h := md5.New()
	err = t.SumFile(ctx, path, h)
	h.Sum(sum[:0])
	return sum, err
}

// Stands implements tarball.Target.
func (t tarballTarget) Stands(e *tarn.Entry) (there, same bool, err error) {
	state, err := t.State(e)
	return state != restore.Missing, state == restore.Same, err
}

// tarballRestoring is a restore of tarballs in progress.
type tarballRestoring struct {
	*globals
	f      tarballRestoreFlags
	view   *tarballView
	target *restore.Target
	paths  []string
	job    *tarballJob
	sum    struct {
		tarballs, proved, whole                   int
		files, written, bytes, same, left, others int64
		problems                                  int64
	}
}

func (g *globals) tarballRestore(ctx context.Context, at *tarballPlace, f tarballRestoreFlags, args []string) error {
	policy, err := restore.ParseOverwrite(f.overwrite)
	if err != nil {
		return err
	}
	v, err := g.lookTarballs(ctx, at)
	if err != nil {
		return err
	}
	list, err := v.choose(args[0], f.version)
	if err != nil {
		return err
	}
	paths, err := tarballPaths(list, args)
	if err != nil {
		return err
	}
	if list[0].below == "" || len(paths) > 0 {
		err = g.sayOlder(ctx, v, list[0])
	} else {
		list, err = g.newest(ctx, v, list)
	}
	if err != nil {
		return err
	}
	r := &tarballRestoring{globals: g, f: f, view: v, paths: paths}
	if len(paths) == 0 {
		if list, err = r.unrestored(ctx, list); err != nil {
			return err
		}
	}
	r.job = &tarballJob{globals: g, view: v, flags: f.tarballWait, paths: paths, dryRun: f.dryRun, left: list, do: r.one, report: r.report}
	if !f.dryRun {
		if r.target, err = restore.OpenTarget(f.target, restore.TargetOptions{Replace: policy != restore.Never, Logger: g.log}); err != nil {
			return err
		}
	}
	err = r.job.run(ctx)
	if r.target != nil {
		err = joinProblems(err, r.target.FinishDirs(ctx), r.target.Close())
		for _, w := range r.target.Warnings() {
			g.log.Warn("not all of the metadata could be set", "what", w.What, "path", w.Path, "times", w.Count, "error", w.Err)
		}
	}
	return err
}

// joinProblems adds errors to one that may be errProblems, which other errors outweigh.
func joinProblems(err error, others ...error) error {
	if other := errors.Join(others...); other != nil && (err == nil || err == errProblems) {
		return other
	}
	return err
}

// tarballPaths are the paths in a tarball that the user names.
func tarballPaths(list []chosen, args []string) (paths []string, err error) {
	if len(args) > 1 && (len(list) > 1 || list[0].tarball == nil) {
		return nil, hinted{fmt.Errorf("%s is not one tarball, so it has no paths to choose from", args[0]), "Name the tarball, as `tarn tarball list` has it."}
	}
	for _, p := range args[1:] {
		p = strings.TrimSuffix(strings.TrimPrefix(p, "./"), "/")
		if !tarn.ValidPath(p) {
			return nil, fmt.Errorf("%q is no path in a tarball: `tarn tarball ls` prints them", p)
		}
		paths = append(paths, p)
	}
	return paths, nil
}

// unrestored leaves out the tarballs whose files all stand in the target.
func (r *tarballRestoring) unrestored(ctx context.Context, list []chosen) (left []chosen, err error) {
	folder, err := os.OpenRoot(r.f.target)
	if err != nil {
		return list, nil // there is no such folder yet, or making it says what is wrong
	}
	defer folder.Close()
	for _, c := range list {
		if c.tarball == nil || c.only != "" || r.f.overwrite == string(tarball.Always) {
			left = append(left, c)
			continue
		}
		cmp, err := c.tarball.Compare(ctx, r.view.s, folder)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil && cmp.Same:
			r.sum.whole++
			r.sum.files += cmp.Files
			r.say("%s: all of its %s in %s already, as backed up", printable(c.tarball.Title()), areFiles(cmp.Files), printable(r.f.target))
			continue
		}
		left = append(left, c)
	}
	return left, nil
}

func areFiles(n int64) string {
	if n == 1 {
		return "1 file is"
	}
	return formatCount(n, "file", "files") + " are"
}

// one restores what is wanted of one tarball.
func (r *tarballRestoring) one(ctx context.Context, c chosen) error {
	if c.tarball == nil {
		return r.plain(ctx, c)
	}
	before := r.sum.problems
	var bar *progress
	problem := r.problems(&bar)
	read := new(atomic.Int64)
	bar = r.readingBar(c, read)
	paths := r.paths
	if c.only != "" {
		paths = []string{c.only}
	}
	res, err := tarball.Restoring{
		Storage: r.view.s, Tarball: c.tarball, Paths: paths, Newer: c.newer, Target: tarballTarget{r.target}, Overwrite: tarball.Overwrite(r.f.overwrite),
		Quick: r.f.quick, Now: r.now, Progress: func(n int64) { read.Add(n) },
		Again: func(names int) error {
			if err := r.job.affordAgain(c); err != nil {
				return err
			}
			read.Store(0)
			r.sayAgain(&bar, c, names)
			return nil
		},
		Problem: func(path string, err error) {
			r.sum.problems++
			problem(path, err)
		},
	}.Restore(ctx)
	if bar != nil {
		bar.stop()
	}
	if errors.Is(err, tarn.ErrDamaged) { // of this tarball: the others may be whole
		r.sum.problems++
		problem(c.Key, err)
		err = nil
	}
	if err != nil {
		return err
	}
	for _, p := range res.Unfound {
		if c.only != "" {
			continue // the user did not ask this tarball for it
		}
		r.sum.problems++
		problem(p, fmt.Errorf("is not in the tarball %s", c.tarball.Title()))
	}
	r.add(c, res, r.sum.problems == before)
	if (c.tarball.OldSum || c.tarball.OldList) && !res.Ended {
		r.sum.problems++
		problem(c.Key, fmt.Errorf("was restored, and nothing proves it: %s; run `tarn tarball` on its folder again, if there is one", c.tarball.Unproved()))
	}
	if r.sum.problems > before {
		return errProblems
	}
	return nil
}

// sayAgain says that a tarball is read once more.
func (r *tarballRestoring) sayAgain(bar **progress, c chosen, names int) {
	if r.json {
		r.printJSON(map[string]any{"type": "again", "tarball": c.tarball.Title(), "names": names})
	} else if !r.quiet {
		(*bar).print(r.globals, fmt.Sprintf("%s: is read once more, for %s of files that were not written", printable(c.tarball.Title()), formatCount(int64(names), "further name", "further names")))
	}
}

// readingBar shows how far the reading of a tarball is; nil if nobody wants it.
func (g *globals) readingBar(c chosen, read *atomic.Int64) *progress {
	if g.quiet {
		return nil
	}
	return g.newProgress(func() (shown, any) {
		n := read.Load()
		return shown{done: n, total: c.Size, counted: true, rate: n, note: "read", current: c.Key},
			map[string]any{"type": "progress", "key": c.Key, "bytes": n, "total_bytes": c.Size}
	})
}

// plain restores a single file.
func (r *tarballRestoring) plain(ctx context.Context, c chosen) error {
	var none *progress
	proved, err := tarball.RestorePlain(ctx, r.view.s, c.Object, tarballTarget{r.target}, nil)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if tarball.TargetFails(err) {
		return err
	}
	if err != nil {
		r.sum.problems++
		r.problems(&none)(c.Key, err)
		return errProblems
	}
	r.sum.files++
	r.sum.written++
	r.sum.bytes += c.Size
	if proved {
		r.say("%s: its MD5 is the one that S3 has", printable(c.Key))
	}
	return nil
}

// add sums up, and says what the hash of the tarball proves.
func (r *tarballRestoring) add(c chosen, res *tarball.Restored, well bool) {
	s := &r.sum
	s.tarballs++
	s.files += res.Files
	s.others += res.Others
	s.written += res.Written
	s.bytes += res.WrittenBytes
	s.same += res.Same
	s.left += res.Left
	name := printable(c.tarball.Title())
	if res.Tars > 1 {
		r.say("%s: is %d tars glued together, all of which were read; plain tar would have stopped after the first", name, res.Tars)
	}
	switch {
	case res.Proved && well:
		s.proved++
		r.say("%s: all %s in it are what was backed up, by the hash of the tarball", name, formatCount(res.Files, "file", "files"))
	case res.Ended:
		r.say("%s: not read to its end (--quick), so the hash of the tarball proves nothing", name)
	case c.tarball.OldSum || c.tarball.OldList: // which is a problem
	case c.tarball.Sum == nil || c.tarball.List == nil:
		r.say("%s: %s: nothing says that the files are all, and those that were backed up", name, c.tarball.Unproved())
		if len(c.tarball.Cooled) > 0 {
			r.say("%s", coldSides(name))
		}
	}
}

func (r *tarballRestoring) report() {
	s := &r.sum
	if r.json {
		r.printJSON(map[string]any{
			"type": "summary", "tarballs": s.tarballs, "proved": s.proved, "restored_before": s.whole, "written": s.written, "bytes": s.bytes,
			"same": s.same, "kept": s.left, "problems": s.problems, "waiting": len(r.job.left),
		})
		return
	}
	if s.tarballs > 0 || s.written > 0 {
		r.say("wrote %s (%s), %d were there already, %d left as they are", formatCount(s.written, "file", "files"), formatBytes(s.bytes), s.same, s.left)
	}
	if s.problems > 0 {
		fmt.Fprintf(r.stderr, "tarn: %s (listed above)\n", formatCount(s.problems, "problem", "problems"))
	}
}
