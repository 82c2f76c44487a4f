package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/restore"
)

// archiveDoc is a line of thaw --status.
type archiveDoc struct {
	Archive tarn.ArchiveID `json:"archive"`
	Split   string         `json:"split"`
	cold.Object
}

// thawStatus lists the archives that are needed, or all cold ones.
func (g *globals) thawStatus(ctx context.Context, o *opened, v *coldView, needs []restore.Need) error {
	if needs == nil {
		for _, id := range slices.Sorted(maps.Keys(v.byID)) {
			// One that is lost may be a leftover, which check says.
			if s := v.byID[id].State; s != cold.Warm && s != cold.Missing {
				needs = append(needs, restore.Need{Archive: id})
			}
		}
	}
	docs := g.statusOf(ctx, o, v, needs)
	if err := g.showStatus(docs); err != nil {
		return err
	}
	if slices.ContainsFunc(docs, func(d archiveDoc) bool { return d.Lost() }) {
		return errProblems
	}
	return nil
}

func (g *globals) showStatus(docs []archiveDoc) error {
	switch {
	case g.json:
		for _, d := range docs {
			if err := g.printJSON(d); err != nil {
				return err
			}
		}
	case len(docs) == 0:
		g.say("no archive is in a cold class")
	case !g.quiet:
		return g.printStatus(docs)
	}
	return nil
}

// statusOf is what there is to say of archives, the nearest first.
func (g *globals) statusOf(ctx context.Context, o *opened, v *coldView, needs []restore.Need) []archiveDoc {
	docs := make([]archiveDoc, 0, len(needs))
	for _, n := range needs {
		d := archiveDoc{Archive: n.Archive, Object: v.byID[n.Archive]}
		if ix, err := o.Index(ctx, n.Archive, nil); err == nil {
			d.Split = ix.Split
		} else {
			g.log.Info("the split of an archive is not known", "archive", n.Archive, "error", err)
		}
		docs = append(docs, d)
	}
	slices.SortFunc(docs, func(a, b archiveDoc) int { return cold.Soonest(a.Object, b.Object) })
	return docs
}

func (g *globals) printStatus(docs []archiveDoc) error {
	sums := map[cold.State]cold.Sum{}
	w := tabwriter.NewWriter(g.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ARCHIVE\tSPLIT\tSIZE\tCLASS\tSTATE\tUNTIL")
	for _, d := range docs {
		until := "-"
		if !d.Until.IsZero() {
			until = d.Until.Local().Format(time.DateTime)
		}
		class, state := string(d.Class), string(d.State)
		switch d.State {
		case cold.Missing:
			class, state = "-", "LOST"
		case cold.Damaged:
			state = "DAMAGED"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", d.Archive, printable(d.Split), formatBytes(d.Size), class, state, until)
		s := sums[d.State]
		sums[d.State] = cold.Sum{Archives: s.Archives + 1, Bytes: s.Bytes + d.Size}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("printing the archives: %w", err)
	}
	var parts []string
	for _, state := range []cold.State{cold.Warm, cold.Thawed, cold.Thawing, cold.Frozen, cold.Damaged, cold.Missing} {
		if s := sums[state]; s.Archives > 0 {
			parts = append(parts, fmt.Sprintf("%d %s (%s)", s.Archives, state, formatBytes(s.Bytes)))
		}
	}
	g.say("%s", strings.Join(parts, ", "))
	return nil
}
