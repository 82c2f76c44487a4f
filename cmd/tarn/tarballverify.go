package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/bill"
	"github.com/tarn-backup/tarn/internal/tarball"
)

func newTarballVerify(g *globals, at *tarballPlace) *cobra.Command {
	var read bool
	cmd := &cobra.Command{
		Use:   "verify [TARBALL]...",
		Short: "Check that tarballs are whole",
		Long: `verify looks at every tarball of the backup, or at those named, without reading one: whether its hash (.md5) and its list (.txt) are there,
belong to it, and make sense, and whether there are any without a tarball. With --read it reads the tarballs, too, that are warm or
thawed; cold ones are left out, never thawed. Of each it compares the MD5 that S3 has of what was put in one piece, gzip's checksums, and every
file's content with the hash over all of them, and names files that are missing or that the list does not have. Single files are compared
with the MD5 that is kept with them. In the end it says what that took, and its price.

Exit codes: 0 whole; 1 damaged, or failed; 130 interrupted.`,
		RunE: func(cmd *cobra.Command, args []string) error { return g.tarballVerify(cmd.Context(), at, args, read) },
	}
	cmd.Flags().BoolVar(&read, "read", false, "read the tarballs and single files that can be read without a thaw")
	return cmd
}

func (g *globals) tarballVerify(ctx context.Context, at *tarballPlace, args []string, read bool) error {
	v, err := g.lookTarballs(ctx, at)
	if err != nil {
		return err
	}
	tarballs, files, err := v.verified(args)
	if err != nil {
		return err
	}
	total := readableBytes(tarballs, files)
	var bar *progress
	done := new(atomic.Int64)
	if read && !g.quiet {
		bar = g.newProgress(func() (shown, any) {
			n := done.Load()
			return shown{done: n, total: total, counted: true, rate: n, note: "read"},
				map[string]any{"type": "progress", "bytes": n, "total_bytes": total}
		})
	}
	res, err := tarball.Verifying{
		Storage: v.s, Bucket: v.Bucket, Tarballs: tarballs, Files: files, Data: read, Progress: func(n int64) { done.Add(n) }, Report: g.damageOf(&bar),
	}.Verify(ctx)
	if bar != nil {
		bar.stop()
	}
	if err != nil {
		return err
	}
	return g.reportTarballVerify(v, res, read)
}

func (g *globals) reportTarballVerify(v *tarballView, res *tarball.Verified, read bool) error {
	m := v.money
	var cost *bill.Cost
	if m.prices != nil {
		var err error
		if cost, err = m.cost(bill.Stored{}); err != nil {
			return err
		}
	}
	if g.json {
		if err := g.printJSON(m.into(cost, map[string]any{"type": "summary", "verified": res})); err != nil {
			return err
		}
	} else {
		g.say("%s with %s in their lists; %s", formatCount(int64(res.Tarballs), "tarball", "tarballs"), formatCount(res.Files, "file", "files"), formatCount(int64(res.Singles), "single file", "single files"))
		if read {
			g.say("read %d whole (%s), of which %d are proved by their hash; %d cold ones left out", res.Read+res.SinglesRead, formatBytes(res.Bytes), res.Proved+res.SinglesProved, res.Cold)
		}
		if res.Glued > 0 {
			g.say("note: %d of them are several tars glued together, of which plain tar extracts the first: restore them with tarn, or `tar --ignore-zeros`", res.Glued)
		}
		g.reportCost(m, cost, false)
	}
	if res.Damages > 0 {
		return hinted{fmt.Errorf("%s in the backup %s: %w", formatCount(int64(res.Damages), "damage", "damages"), v.at.name, tarn.ErrDamaged), "Restore what is not damaged while it lasts."}
	}
	g.say("no damage found")
	return nil
}

// verified are the tarballs and single files that are verified: those named, each
// once, or all.
func (v *tarballView) verified(args []string) (tarballs []*tarball.Tarball, files []*tarball.Object, err error) {
	if len(args) == 0 {
		for i := range v.Files {
			files = append(files, &v.Files[i])
		}
		return v.Archives, files, nil
	}
	for _, arg := range args {
		list, err := v.choose(arg, "")
		if err != nil {
			return nil, nil, err
		}
		for _, c := range list {
			switch {
			case c.tarball == nil && !slices.Contains(files, c.Object):
				files = append(files, c.Object)
			case c.tarball != nil && !slices.Contains(tarballs, c.tarball):
				tarballs = append(tarballs, c.tarball)
			}
		}
	}
	return tarballs, files, nil
}

// readableBytes is how much there is to read without a thaw.
func readableBytes(tarballs []*tarball.Tarball, files []*tarball.Object) (n int64) {
	for _, t := range tarballs {
		if t.Body.Readable() {
			n += t.Body.Size
		}
	}
	for _, o := range files {
		if o.Readable() {
			n += o.Size
		}
	}
	return n
}

// damageOf prints damage as it is found, and what to do about several once.
func (g *globals) damageOf(bar **progress) func(d tarball.Damage) {
	advice := ""
	return func(d tarball.Damage) {
		if g.json {
			g.printJSON(map[string]any{"type": "damage", "key": d.Key, "file": d.File, "problem": d.Problem, "advice": d.Advice})
			return
		}
		what := printable(d.Key)
		if d.File != "" {
			what += ": " + printable(d.File)
		}
		line := fmt.Sprintf("tarn: %s: %s", what, d.Problem)
		if d.Advice != advice {
			advice = d.Advice
			line += "\n      " + advice
		}
		(*bar).print(g, line)
	}
}
