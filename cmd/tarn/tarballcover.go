package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/tarball"
)

// coverDoc is what a folder has of a tarball.
type coverDoc struct {
	Type    string `json:"type"`
	Tarball string `json:"tarball"`
	Covered bool   `json:"covered"`
	tarball.Compared
	LeftOut int64 `json:"left_out"` // files that `tarn backup` would leave out
	Size    int64 `json:"size"`
	// Free is from when on the tarball can be deleted at no further cost.
	Free string `json:"free_from"`
	Why  string `json:"why,omitempty"`
	// By are newer tarballs that say what is where it has files.
	By []string `json:"superseded_by,omitempty"`
}

// covering compares tarballs with a folder, and with what a backup of it has.
type covering struct {
	*globals
	view   *tarballView
	path   string // absolute
	walked *tarball.Walked
	newer  map[*tarball.Tarball]*tarball.Superseded
}

// coveredBy says what of the tarballs a folder still has, and `tarn backup` of it
// would have.
func (g *globals) coveredBy(ctx context.Context, v *tarballView, source string) error {
	c, err := g.newCovering(ctx, v, source)
	if err != nil {
		return err
	}
	covered, owed := 0, price.Usage{}
	for _, t := range v.Archives {
		d, err := c.cover(ctx, t)
		if err != nil {
			return err
		}
		if d.Covered {
			covered++
			if err := v.owed(t, &owed); err != nil {
				return err
			}
		}
		if g.json {
			if err := g.printJSON(d); err != nil {
				return err
			}
			continue
		}
		if d.Covered {
			g.say("%s: covered, %s as backed up; can be deleted at no further cost from %s on", printable(d.Tarball), formatCount(d.Files, "file", "files"), d.Free)
		} else {
			g.say("%s: not covered: %s", printable(d.Tarball), d.Why)
		}
		if !d.Covered && len(d.By) > 0 {
			g.say("%s: %s newer files", printable(d.Tarball), few(d.By, "has", "have"))
		}
	}
	return g.reportCovered(v, source, covered, owed)
}

// newCovering walks the folder as `tarn backup` of it does, without further flags.
func (g *globals) newCovering(ctx context.Context, v *tarballView, source string) (*covering, error) {
	path, err := filepath.Abs(source)
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", source, err)
	}
	sources, err := backupFlags{packing: packing{archiveSize: "512MiB"}}.sources([]string{path})
	if err != nil {
		return nil, err
	}
	dirs, location, err := g.where()
	if err != nil {
		return nil, err
	}
	g.leaveOut(dirs, location, sources)
	walked, err := tarball.Walk(ctx, sources[0])
	if err != nil {
		return nil, fmt.Errorf("walking %s: %w", source, err)
	}
	newer, err := tarball.Supersede(ctx, v.s, v.Archives, v.Archives)
	return &covering{globals: g, view: v, path: path, walked: walked, newer: newer}, err
}

func (g *globals) reportCovered(v *tarballView, source string, covered int, owed price.Usage) error {
	if !g.json {
		g.say("`tarn backup %s` covers %d of %s: nothing of those has to be thawed or read", source, covered, formatCount(int64(len(v.Archives)), "tarball", "tarballs"))
		if v.prices != nil && covered > 0 {
			b, err := v.prices.Bill(owed, 0)
			if err != nil {
				return err
			}
			g.say("deleting the covered ones now would still cost %s for the minimum days of their classes", b.Total)
		}
		if len(v.Files) > 0 {
			g.say("note: %s of the backup were not compared; `tarn tarball list` shows them", formatCount(int64(len(v.Files)), "single file", "single files"))
		}
		if len(v.Older) > 0 {
			g.say("note: %s of tarballs are kept, too; those hold what was backed up before", formatCount(int64(len(v.Older)), "older version", "older versions"))
		}
	}
	if g.json {
		doc := map[string]any{"type": "summary", "tarballs": len(v.Archives), "covered": covered, "older": len(v.Older), "single_files": len(v.Files)}
		if err := g.printJSON(doc); err != nil {
			return err
		}
	}
	if covered < len(v.Archives) {
		return errProblems
	}
	return nil
}

// cover compares one tarball with the folder. That of a split depth of 0 names
// the folder itself.
func (c *covering) cover(ctx context.Context, t *tarball.Tarball) (d coverDoc, err error) {
	v := c.view
	d = coverDoc{Type: "cover", Tarball: t.Title(), Size: t.Body.Size, Free: t.Body.Modified.Local().Format("2006-01-02")}
	if v.prices != nil {
		d.Free = t.Body.Free(v.prices.Classes[t.Body.Class].MinimumDays).Local().Format("2006-01-02")
	}
	if n := c.newer[t]; n != nil {
		d.By = titles(n.By)
	}
	folders := []string{c.path}
	if t.Key.Dir == filepath.Base(c.path) && !t.Key.OwnFiles {
		folders = append(folders, filepath.Dir(c.path))
	}
	top := ""
	for _, folder := range slices.Backward(folders) {
		root, err := os.OpenRoot(folder)
		if err != nil {
			return d, fmt.Errorf("opening %s: %w", folder, err)
		}
		d.Compared, err = t.Compare(ctx, v.s, root)
		root.Close()
		switch {
		case errors.Is(err, tarball.ErrNothingBeside):
			d.Why = t.Unproved()
			return d, nil
		case errors.Is(err, tarn.ErrDamaged): // of what lies beside it
			d.Why = err.Error()
			return d, nil
		case err != nil:
			return d, err
		}
		if top = filepath.Base(c.path) + "/"; folder != c.path {
			top = ""
		}
		if d.Same || d.Files > 0 {
			break
		}
	}
	if d.Same {
		err = c.leftOut(ctx, t, top, &d)
	}
	d.Covered = d.Same && d.LeftOut == 0
	d.Why = d.why()
	return d, err
}

// leftOut names the files of a tarball that a backup of the folder would leave out.
func (c *covering) leftOut(ctx context.Context, t *tarball.Tarball, top string, d *coverDoc) error {
	return t.LeftOut(ctx, c.view.s, c.walked, top, func(place string) error {
		d.LeftOut++
		if c.json {
			return c.printJSON(map[string]any{"type": "left_out", "tarball": d.Tarball, "path": place})
		}
		c.say("%s: `tarn backup` would leave out %s", printable(d.Tarball), printable(place))
		return nil
	})
}

// why is why a tarball is not covered; "" if it is.
func (d *coverDoc) why() string {
	switch {
	case d.Missing > 0:
		return fmt.Sprintf("the folder lacks %d of its %s", d.Missing, formatCount(d.Missing+d.Files, "file", "files"))
	case d.Unlisted > 0:
		return fmt.Sprintf("it has %s with a newline in the name, which no list has to compare", formatCount(d.Unlisted, "file", "files"))
	case !d.Same:
		return "the content of a file is another by now"
	case d.LeftOut > 0:
		return fmt.Sprintf("a backup would leave out %d of its %s, by %s or as a folder of the system", d.LeftOut, formatCount(d.Files, "file", "files"), ignoreFile)
	}
	return ""
}

// owed adds what deleting a tarball now would still cost.
func (v *tarballView) owed(t *tarball.Tarball, u *price.Usage) error {
	if v.prices == nil {
		return nil
	}
	o, err := v.prices.Owed(t.Body.Class, 1, t.Body.Size, v.clock().Sub(t.Body.Modified))
	if err == nil {
		u.Add(o)
	}
	return err
}
