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
	Size int64 `json:"size"`
	// Free is from when on the tarball can be deleted at no further cost.
	Free string `json:"free_from"`
	Why  string `json:"why,omitempty"`
}

// coveredBy says what of the tarballs a folder still has.
func (g *globals) coveredBy(ctx context.Context, v *tarballView, source string) error {
	path, err := filepath.Abs(source)
	if err != nil {
		return fmt.Errorf("finding %s: %w", source, err)
	}
	covered, owed := 0, price.Usage{}
	for _, t := range v.Archives {
		d, err := g.cover(ctx, v, t, path)
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
	}
	return g.reportCovered(v, source, covered, owed)
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
		if covered > 0 {
			g.say("note: `tarn backup` leaves out what its --exclude, .tarnignore files and the folders of systems say; the comparison does not know of that")
		}
		if len(v.Older) > 0 {
			g.say("note: %s of tarballs are kept, too; those hold what was backed up before", formatCount(int64(len(v.Older)), "older version", "older versions"))
		}
	}
	if covered < len(v.Archives) {
		return errProblems
	}
	return nil
}

// cover compares one tarball with the folder. That of a split depth of 0 names
// the folder itself.
func (g *globals) cover(ctx context.Context, v *tarballView, t *tarball.Tarball, path string) (d coverDoc, err error) {
	d = coverDoc{Type: "cover", Tarball: t.Title(), Size: t.Body.Size, Free: t.Body.Modified.Local().Format("2006-01-02")}
	if v.prices != nil {
		d.Free = t.Body.Free(v.prices.Classes[t.Body.Class].MinimumDays).Local().Format("2006-01-02")
	}
	folders := []string{path}
	if t.Key.Dir == filepath.Base(path) && !t.Key.OwnFiles {
		folders = append(folders, filepath.Dir(path))
	}
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
		if d.Covered = d.Same; d.Covered || d.Files > 0 {
			break
		}
	}
	switch {
	case d.Missing > 0:
		d.Why = fmt.Sprintf("the folder lacks %d of its %s", d.Missing, formatCount(d.Missing+d.Files, "file", "files"))
	case !d.Covered:
		d.Why = "the content of a file is another by now"
	}
	return d, nil
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
