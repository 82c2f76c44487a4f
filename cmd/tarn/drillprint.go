package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/drill"
)

// showDrawn says what was drawn.
func (d *drilling) showDrawn(drawn *drill.Drawn) error {
	if d.json {
		return d.printJSON(map[string]any{
			"type": "drawn", "snapshot": d.snapshot.ID, "seed": d.flags.seed, "archives": len(drawn.Parts), "of_archives": drawn.Of, "contents": drawn.Contents, "bytes": drawn.Bytes,
			"dry_run": d.flags.dryRun,
		})
	}
	d.say("drew %d of %s with something to prove, by chance (--seed %d): %s of files, %s", len(drawn.Parts), formatCount(int64(drawn.Of), "archive", "archives"), d.flags.seed,
		formatCount(drawn.Contents, "content", "contents"), formatBytes(drawn.Bytes))
	return nil
}

// showProving shows the progress of reading.
func (d *drilling) showProving(cfg *drill.Config) (stop func()) {
	if d.quiet {
		return func() {}
	}
	var bytes atomic.Int64
	cfg.Progress = func(n int64) { bytes.Add(n) }
	bar := d.newProgress(func() (shown, any) {
		n := bytes.Load()
		return shown{done: n, rate: n, note: "read"}, map[string]any{"type": "progress", "bytes": n}
	})
	return bar.stop
}

// reportProven says what was read, and what was found damaged.
func (d *drilling) reportProven(out *drill.Outcome, took time.Duration) {
	for _, b := range out.Bad {
		if d.json {
			d.printJSON(map[string]any{"type": "damage", "archive": b.Archive, "key": b.Key, "content": b.Content, "problem": b.Err.Error()})
			continue
		}
		what := fmt.Sprintf("content %s in archive %s", b.Content, b.Archive)
		if b.Key == "" {
			what = fmt.Sprintf("archive %s", b.Archive)
		}
		fmt.Fprintf(d.stderr, "tarn: %s: %s\n", what, printableError(b.Err))
	}
	if !d.json {
		d.say("read %s (%s) in %s: %s", formatCount(out.Contents, "content", "contents"), formatBytes(out.Bytes), formatDuration(took), verdict(len(out.Bad)))
	}
	for _, id := range out.Frozen {
		d.log.Warn("an archive ended to be readable on the way", "archive", id)
	}
}

func verdict(bad int) string {
	if bad == 0 {
		return "all have their hashes"
	}
	return fmt.Sprintf("%d more are damaged", bad)
}

// damageHint says what to do about contents that are damaged.
const damageHint = "Restore first what no source has any more. Then move such an archive away or delete it: the next `tarn backup` stores again what the sources\n      still have. `tarn check` names the files of all snapshots that an archive which is gone or damaged as a whole costs."

// end says what was proven by now, and what is to come.
func (d *drilling) end(ctx context.Context) error {
	s, err := drill.Look(ctx, d.config())
	if err != nil {
		return err
	}
	if err := d.share(s); err != nil && err != errProblems {
		return err
	}
	if d.record.Round == nil {
		if d.bad > 0 || len(s.Damaged) > 0 {
			return errProblems
		}
		return nil
	}
	return d.comeBack()
}

// comeBack says what was drawn and not read yet, and when to come back for it.
func (d *drilling) comeBack() error {
	list := d.in(cold.Thawing)
	thawing := int64(len(list))
	switch {
	case d.json:
		if err := d.printJSON(waitingDoc(thawing, int64(len(d.in(cold.Frozen))), d.ready())); err != nil {
			return err
		}
	case thawing > 0:
		tier := ""
		if d.record.Round.Tier != "" { // else other commands have asked for all of it
			tier = " in the tier " + tierName(d.record.Round.Tier)
		}
		fmt.Fprintf(d.stderr, "tarn: %s being thawed%s\n      Run the same command again %s: it reads what is ready, and pays for nothing twice. `tarn thaw --status` says how far it is.\n", are(thawing), tier, d.view.when(d.ready(), list))
	default:
		fmt.Fprintf(d.stderr, "tarn: not all that was drawn could be read\n      The same command goes on with the rest.\n")
	}
	return errProblems
}

// status says what was proven, and what is drawn and not read yet.
func (d *drilling) status(ctx context.Context) error {
	s, err := drill.Look(ctx, d.config())
	if err != nil {
		return err
	}
	if r := d.record.Round; r != nil && !d.json {
		d.say("drawn on %s, and not read yet: parts of %s (%d frozen, %d thawing)", formatTime(r.Began), formatCount(int64(len(r.Parts)), "archive", "archives"), len(d.keys(cold.Frozen)), len(d.keys(cold.Thawing)))
	}
	return d.share(s)
}

// share says what of the snapshot was proven, since when, and what is damaged.
func (d *drilling) share(s *drill.Survey) error {
	for _, each := range s.Damaged {
		if d.json {
			d.printJSON(map[string]any{"type": "damaged_file", "path": each.Path, "archive": each.Archive, "elsewhere": each.Elsewhere})
			continue
		}
		fmt.Fprintf(d.stderr, "tarn: %s: %s\n", printable(each.Path), damagedIn(each))
	}
	if d.json {
		left := 0
		if d.record.Round != nil {
			left = len(d.record.Round.Parts)
		}
		if err := d.printJSON(map[string]any{
			"type": "summary", "snapshot": d.snapshot.ID, "share": s.Share, "damaged_files": len(s.Damaged), "damaged_contents": d.bad, "archives_to_read": left,
		}); err != nil {
			return err
		}
	} else {
		d.say("proven of snapshot %s: %s of %s (%s), %s of %s (%s), %d of %s whole%s", d.snapshot.ID.Short(),
			strings.TrimSpace(formatCount(s.ProvenFiles, "", "")), formatCount(s.Files, "file", "files"), percent(s.ProvenFiles, s.Files), formatBytes(s.ProvenBytes), formatBytes(s.Bytes), percent(s.ProvenBytes, s.Bytes),
			s.ProvenArchives, formatCount(s.Archives, "archive", "archives"), since(s.Share))
	}
	if len(s.Damaged) == 0 && d.bad == 0 {
		return nil
	}
	if !d.json {
		fmt.Fprintf(d.stderr, "      %s\n", damageHint)
	}
	return errProblems
}

// damagedIn says where a content is damaged.
func damagedIn(f drill.Damaged) string {
	switch {
	case f.Archive == tarn.ArchiveID(""):
		return "its content is in no archive"
	case f.Elsewhere:
		return fmt.Sprintf("its content in archive %s is damaged or gone; another archive has it, too", f.Archive)
	}
	return fmt.Sprintf("its content in archive %s is damaged or gone", f.Archive)
}

// percent writes a share, which is 100% only if nothing is missing.
func percent(part, all int64) string {
	if part == all {
		return "100%"
	}
	return fmt.Sprintf("%.1f%%", min(float64(part)/float64(all)*100, 99.9))
}

// since says when the proofs are of.
func since(s drill.Share) string {
	days := slices.Compact([]string{s.Oldest.Local().Format(time.DateOnly), s.Newest.Local().Format(time.DateOnly)})
	switch {
	case s.Oldest.IsZero():
		return ""
	case len(days) == 1:
		return ", on " + days[0]
	}
	return ", from " + days[0] + " to " + days[1]
}
