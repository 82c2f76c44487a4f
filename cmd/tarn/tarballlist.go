package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/tarball"
)

func newTarballList(g *globals, at *tarballPlace) *cobra.Command {
	var versions bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the tarballs of a backup, with what they cost",
		Long: `list shows the tarballs of the backup NAME, which the script or tarn made: how many files each has by its list (.txt), its size as it is stored,
its class and whether it can be read, how many versions the bucket keeps, and what all of them cost a month. --versions shows each
version with its id, for restore --version. It says which uploads have not ended, and reads no tarball. Without -n it lists the backups that the bucket has.` + "\n" + exitCodes,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return g.tarballList(cmd.Context(), at, versions) },
	}
	cmd.Flags().BoolVar(&versions, "versions", false, "list each version")
	return cmd
}

// tarballDoc is a tarball in a list: of what is there, with what its older
// versions cost, or of one version.
type tarballDoc struct {
	Type    string `json:"type"` // tarball, file, or orphan
	Tarball string `json:"tarball"`
	Files   *int64 `json:"files"` // null if no list says it
	tarball.Object
	Versions int    `json:"versions"` // that the bucket keeps, with the one that is there
	Kept     int64  `json:"kept_bytes"`
	Beside   string `json:"beside"` // "" if its .md5 and .txt are there and its own
	// By are newer tarballs that say what is where it has files, and Left is how
	// many of its files none of them covers; -1 if nobody knows.
	By    []string `json:"superseded_by,omitempty"`
	Left  *int64   `json:"left,omitempty"`
	month price.Usage
	Month *price.Money `json:"month"`
}

func (g *globals) tarballList(ctx context.Context, at *tarballPlace, versions bool) error {
	if at.name == "" {
		return g.tarballNames(ctx, at)
	}
	v, err := g.lookTarballs(ctx, at)
	if err != nil {
		return err
	}
	docs, err := v.docs(ctx, versions)
	if err != nil {
		return err
	}
	total, err := v.months(docs)
	if err != nil {
		return err
	}
	if err := v.markSuperseded(ctx, docs); err != nil {
		return err
	}
	unfinished, err := tarball.Unfinished(ctx, v.s, at.name)
	if err != nil {
		return err
	}
	if g.json {
		for _, d := range docs {
			if err := g.printJSON(d); err != nil {
				return err
			}
		}
		doc := map[string]any{
			"type": "summary", "tarballs": len(v.Archives), "files": len(v.Files), "orphans": len(v.Orphans), "older": len(v.Older), "month": total,
			"unfinished_uploads": len(unfinished),
		}
		if v.Unversioned != nil {
			doc["no_versions"] = printableError(v.Unversioned)
		}
		return g.printJSON(v.money.into(nil, doc))
	}
	if err := g.printTarballs(v, docs, total, versions); err != nil {
		return err
	}
	g.sayUnfinished(unfinished)
	return g.saySupersededCost(v, docs)
}

// sayUnfinished says which uploads have not ended, and what ends them.
func (g *globals) sayUnfinished(list []storage.Upload) {
	if len(list) == 0 {
		return
	}
	g.say("note: %s under way, or left by runs that were killed; what is stored of those costs, and is not in the sum:", areUploads(int64(len(list))))
	for _, u := range list {
		g.say("  %s, begun %s, with the id %s", printable(u.Key), formatTime(u.Begun), printable(u.ID))
	}
	g.say("A lifecycle rule of the bucket for incomplete uploads ends them, as that of the script's stack does after 3 days; so does `aws s3api abort-multipart-upload`.")
}

func areUploads(n int64) string {
	if n == 1 {
		return "1 upload is"
	}
	return formatCount(n, "upload", "uploads") + " are"
}

// tarballNames lists the backups in a bucket.
func (g *globals) tarballNames(ctx context.Context, at *tarballPlace) error {
	s, err := g.tarballs(ctx, at, false)
	if err != nil {
		return err
	}
	list, err := tarball.Backups(ctx, s)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("no backup of tarballs in %s", s.Location())
	}
	for _, b := range list {
		if g.json {
			if err := g.printJSON(b); err != nil {
				return err
			}
			continue
		}
		g.say("%s: %s, %s", printable(b.Name), formatCount(b.Archives, "tarball", "tarballs"), formatBytes(b.Bytes))
	}
	return nil
}

// docs are the lines of a list.
func (v *tarballView) docs(ctx context.Context, versions bool) (docs []*tarballDoc, err error) {
	tarballs := v.Archives
	if versions {
		tarballs = slices.Concat(v.Archives, v.Older)
		slices.SortStableFunc(tarballs, func(a, b *tarball.Tarball) int { return strings.Compare(a.Body.Key, b.Body.Key) })
	}
	counts, err := tarball.CountFiles(ctx, v.s, tarballs)
	if err != nil {
		return nil, err
	}
	byKey := map[string]*tarballDoc{}
	for i, t := range tarballs {
		d := &tarballDoc{Type: "tarball", Tarball: t.Title(), Object: t.Body, Versions: 1, Beside: beside(t)}
		if counts[i] >= 0 {
			d.Files = &counts[i]
		}
		d.add(v, t.Body)
		for _, o := range append([]*tarball.Object{t.Sum, t.List}, cooled(t)...) {
			if o != nil && o.Latest && t.Body.Latest { // the others are lines of their own
				d.add(v, *o)
			}
		}
		docs = append(docs, d)
		if _, ok := byKey[t.Body.Key]; !ok {
			byKey[t.Body.Key] = d
		}
	}
	for _, t := range v.Older {
		d := byKey[t.Body.Key]
		if d == nil || versions {
			continue
		}
		d.Versions++
		d.Kept += t.Body.Size
		d.add(v, t.Body)
	}
	return append(docs, v.others(byKey, versions)...), nil
}

func cooled(t *tarball.Tarball) (list []*tarball.Object) {
	for i := range t.Cooled {
		list = append(list, &t.Cooled[i])
	}
	return list
}

// others are the lines of what is no tarball, and of what nothing belongs to any
// more.
func (v *tarballView) others(byKey map[string]*tarballDoc, versions bool) (docs []*tarballDoc) {
	one := int64(1)
	for _, o := range v.Files {
		d := &tarballDoc{Type: "file", Tarball: strings.TrimPrefix(o.Key, v.at.name+"/"), Files: &one, Object: o, Versions: 1}
		d.add(v, o)
		byKey[o.Key] = d
		docs = append(docs, d)
	}
	kept := v.Kept
	if !versions {
		kept = slices.Concat(kept, v.OlderFiles)
	} else {
		for _, o := range v.OlderFiles {
			d := &tarballDoc{Type: "file", Tarball: strings.TrimPrefix(o.Key, v.at.name+"/"), Files: &one, Object: o, Versions: 1}
			d.add(v, o)
			docs = append(docs, d)
		}
		slices.SortStableFunc(docs, func(a, b *tarballDoc) int { return strings.Compare(a.Key, b.Key) })
	}
	for _, o := range v.Orphans {
		d := &tarballDoc{Type: "orphan", Tarball: strings.TrimPrefix(o.Key, v.at.name+"/"), Object: o, Versions: 1, Beside: "no tarball"}
		d.add(v, o)
		docs = append(docs, d)
	}
	rest := &tarballDoc{Type: "older", Tarball: "(older .md5 and .txt, deleted files)"}
	for _, o := range kept {
		d := byKey[o.Key]
		if d == nil {
			d = rest
		}
		d.Versions++
		d.Kept += o.Size
		d.add(v, o)
	}
	if !versions {
		for _, t := range v.Older {
			if byKey[t.Body.Key] == nil {
				rest.Versions++
				rest.Kept += t.Body.Size
				rest.add(v, t.Body)
			}
		}
	}
	if rest.Versions > 0 {
		docs = append(docs, rest)
	}
	return docs
}

// beside says what is wrong with what lies beside a tarball.
func beside(t *tarball.Tarball) string {
	switch {
	case len(t.Cooled) > 0:
		return "cold .md5 or .txt"
	case t.OldSum || t.OldList:
		return "older .md5 or .txt"
	case t.Sum == nil && t.List == nil:
		return "no .md5, no .txt"
	case t.Sum == nil:
		return "no .md5"
	case t.List == nil:
		return "no .txt"
	}
	return ""
}

// add adds an object that is kept for a month. One in a class that nobody knows the
// price of is left out, as its total says.
func (d *tarballDoc) add(v *tarballView, o tarball.Object) {
	if v.prices == nil {
		return
	}
	if err := v.prices.Store(&d.month, o.Class, 1, o.Size, price.Month); err != nil {
		v.prices, v.why = nil, err
	}
}

// months prices the lines, and returns the sum; nil if no prices are known.
func (v *tarballView) months(docs []*tarballDoc) (*price.Money, error) {
	var all price.Usage
	for _, d := range docs {
		all.Add(d.month)
		if v.prices == nil {
			continue
		}
		b, err := v.prices.Bill(d.month, 0)
		if err != nil {
			return nil, err
		}
		d.Month = &b.Total
	}
	if v.prices == nil {
		return nil, nil
	}
	b, err := v.prices.Bill(all, 0)
	return &b.Total, err
}

func (g *globals) printTarballs(v *tarballView, docs []*tarballDoc, total *price.Money, versions bool) error {
	if g.quiet {
		return nil
	}
	w := tabwriter.NewWriter(g.stdout, 0, 0, 2, ' ', 0)
	last := "VERSIONS"
	if versions {
		last = "VERSION"
	}
	fmt.Fprintf(w, "TARBALL\tFILES\tSIZE\tCLASS\tSTATE\tSTORED\t%s\tA MONTH\n", last)
	var bytes, kept int64
	for _, d := range docs {
		kept += d.Kept
		if d.Latest {
			bytes += d.Size
		} else {
			kept += d.Size // each of them is a line of its own
		}
		fmt.Fprintln(w, strings.Join(d.cells(versions), "\t"))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("printing the tarballs: %w", err)
	}
	sum := formatBytes(bytes)
	if kept > 0 {
		sum += fmt.Sprintf(" and %s in older versions", formatBytes(kept))
	}
	if total == nil {
		g.say("%s; %s", sum, v.money.none())
	} else {
		g.say("%s: %s a month. Prices of %s", sum, total, v.money.source())
	}
	if v.Unversioned != nil {
		g.say("older versions are not known, and not in the sum: %s", printableError(v.Unversioned))
	}
	return nil
}

// cells are a line of the table.
func (d *tarballDoc) cells(versions bool) []string {
	files, state, stored, last, month := "?", string(d.State), "-", fmt.Sprint(d.Versions), "?"
	if d.Files != nil {
		files = fmt.Sprint(*d.Files)
	}
	if d.Type == "older" || d.Type == "orphan" {
		files = "-"
	}
	if !d.Until.IsZero() {
		state += " until " + d.Until.Local().Format(time.DateTime)
	}
	if d.Beside != "" {
		state += " (" + d.Beside + ")"
	}
	if d.Left != nil {
		state += " (superseded"
		if *d.Left != 0 {
			state += " in part"
		}
		state += " by " + strings.TrimSpace(few(d.By, "", "")) + ")"
	}
	if !d.Modified.IsZero() {
		stored = formatTime(d.Modified)
	}
	switch {
	case versions && d.Type == "older":
		last = "-"
	case versions && d.Latest:
		last = d.Version
	case versions:
		last = d.Version + " (older)"
	}
	if d.Month != nil {
		month = d.Month.String()
	}
	return []string{printable(d.Tarball), files, formatBytes(d.Size), string(d.Class), state, stored, last, month}
}
