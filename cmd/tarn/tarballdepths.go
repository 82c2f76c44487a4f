package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/price"
	"github.com/tarn-backup/tarn/internal/tarball"
)

// superseded finds, of the tarballs in a folder that was chosen, those for whose files
// there are newer ones, as runs at another split depth leave them. It leaves out those of
// which nothing is left, and adds what newer ones of folders above have of the folder.
func (v *tarballView) superseded(ctx context.Context, list []chosen) (left, out []chosen, err error) {
	if len(list) == 0 || list[0].below == "" {
		return list, nil, nil
	}
	newer, err := tarball.Supersede(ctx, v.s, tarballsOf(list), v.Archives)
	if err != nil {
		return nil, nil, err
	}
	var above []chosen
	for _, c := range list {
		if c.newer = newer[c.tarball]; c.newer == nil {
			left = append(left, c)
			continue
		}
		for _, t := range c.newer.By {
			is := func(have chosen) bool { return have.tarball == t }
			if !slices.ContainsFunc(list, is) && !slices.ContainsFunc(above, is) {
				above = append(above, chosen{Object: &t.Body, tarball: t, only: t.Member(c.below)})
			}
		}
		if c.newer.Left == 0 {
			out = append(out, c)
		} else {
			left = append(left, c)
		}
	}
	above, err = v.having(ctx, above)
	return append(left, above...), out, err
}

func tarballsOf(list []chosen) (tarballs []*tarball.Tarball) {
	for _, c := range list {
		if c.tarball != nil {
			tarballs = append(tarballs, c.tarball)
		}
	}
	return tarballs
}

// having leaves out the tarballs of folders above that have no files of the folder.
func (v *tarballView) having(ctx context.Context, above []chosen) (list []chosen, err error) {
	newer, err := tarball.Supersede(ctx, v.s, tarballsOf(above), v.Archives)
	if err != nil {
		return nil, err
	}
	for _, c := range above {
		c.newer = newer[c.tarball]
		if n, err := v.countOnly(ctx, c); err != nil {
			return nil, err
		} else if n != 0 {
			list = append(list, c)
		}
	}
	return list, nil
}

// countOnly counts the files that are wanted of a tarball that is not wanted whole; -1
// if nobody knows.
func (v *tarballView) countOnly(ctx context.Context, c chosen) (n int64, err error) {
	if c.tarball.List == nil {
		return -1, nil
	}
	for name, err := range c.tarball.Names(ctx, v.s) {
		switch {
		case errors.Is(err, tarn.ErrDamaged):
			return -1, nil
		case err != nil:
			return 0, err
		case tarn.Within(name, c.only) && !c.newer.Covers(c.tarball.Place(name), false):
			n++
		}
	}
	return n, nil
}

// newest is superseded, and says what is left out or added.
func (g *globals) newest(ctx context.Context, v *tarballView, list []chosen) ([]chosen, error) {
	left, out, err := v.superseded(ctx, list)
	if err != nil {
		return nil, err
	}
	for _, c := range append(out, left...) {
		switch {
		case c.only != "":
			err = g.sayAdded(c)
		case c.newer != nil:
			err = g.saySuperseded(c)
		}
		if err != nil {
			return nil, err
		}
	}
	return left, nil
}

func (g *globals) sayAdded(c chosen) error {
	if g.json {
		return g.printJSON(map[string]any{"type": "added", "tarball": c.tarball.Title(), "path": c.only})
	}
	g.say("%s: %s of it is taken, too: it is newer than tarballs of that folder", printable(c.tarball.Title()), printable(c.only))
	return nil
}

func (g *globals) saySuperseded(c chosen) error {
	n, name := c.newer, printable(c.tarball.Title())
	if g.json {
		return g.printJSON(map[string]any{
			"type": "superseded", "tarball": c.tarball.Title(), "by": titles(n.By), "files": n.Files, "left": n.Left, "gone": n.Gone,
		})
	}
	what := "left out"
	switch {
	case n.Left > 0:
		what = fmt.Sprintf("only %d of its %s", n.Left, formatCount(n.Files, "file", "files"))
	case n.Left < 0:
		what = "only what others do not cover"
	}
	missing := ""
	if n.Gone > 0 {
		missing = fmt.Sprintf("; %d of its %s not in those, being deleted since or unreadable then", n.Gone, areFiles(n.Files))
	}
	why := "newer"
	if !c.tarball.Finished() {
		why = "it was never finished (" + c.tarball.Unproved() + "), and whole"
	}
	g.say("%s: %s: it is of %s, and %s is what %s%s. Alone, as `tarn tarball restore %s`, it is restored whole",
		name, what, formatTime(c.Modified), why, few(titles(n.By), "has", "have"), missing, name)
	return nil
}

// sayOlder says of the one tarball that was named that newer ones have files of it.
func (g *globals) sayOlder(ctx context.Context, v *tarballView, c chosen) error {
	if c.tarball == nil || !c.Latest {
		return nil
	}
	newer, err := tarball.Supersede(ctx, v.s, []*tarball.Tarball{c.tarball}, v.Archives)
	if err != nil || newer[c.tarball] == nil {
		return err
	}
	by := titles(newer[c.tarball].By)
	if g.json {
		return g.printJSON(map[string]any{"type": "stale", "tarball": c.tarball.Title(), "by": by})
	}
	g.say("note: %s is of %s, and %s newer files. `.` takes each file from the newest, as does a folder of tarballs with a slash at its end",
		printable(c.tarball.Title()), formatTime(c.Modified), few(by, "has", "have"))
	return nil
}

func titles(list []*tarball.Tarball) (names []string) {
	for _, t := range list {
		names = append(names, t.Title())
	}
	return names
}

// fewNames is how many names a line has.
const fewNames = 4

// few names the first few of several, and says what one or all of them do.
func few(names []string, one, all string) string {
	shown := make([]string, 0, fewNames)
	for _, name := range names[:min(len(names), fewNames)] {
		shown = append(shown, printable(name))
	}
	text := strings.Join(shown, ", ")
	if n := len(names) - len(shown); n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	if len(names) == 1 {
		return text + " " + one
	}
	return text + " " + all
}

// markSuperseded says in the lines of a list which tarballs newer ones supersede.
func (v *tarballView) markSuperseded(ctx context.Context, docs []*tarballDoc) error {
	newer, err := tarball.Supersede(ctx, v.s, v.Archives, v.Archives)
	if err != nil {
		return err
	}
	byKey := map[string]*tarball.Superseded{}
	for t, n := range newer {
		byKey[t.Body.Key] = n
	}
	for _, d := range docs {
		if n := byKey[d.Key]; n != nil && d.Type == "tarball" && d.Latest {
			d.By, d.Left = titles(n.By), &n.Left
		}
	}
	return nil
}

// saySupersededCost says what the superseded tarballs of a list cost.
func (g *globals) saySupersededCost(v *tarballView, docs []*tarballDoc) error {
	var n, size int64
	var month price.Usage
	for _, d := range docs {
		if len(d.By) > 0 {
			n++
			size += d.Size
			month.Add(d.month)
		}
	}
	if n == 0 {
		return nil
	}
	cost, err := v.money.ofMonth(month)
	if err != nil {
		return err
	}
	g.say("note: %s superseded by newer ones, of another split depth or since a folder became a file: %s%s. Nothing deletes them; `restore` takes each file from the newest",
		areTarballs(n), formatBytes(size), cost)
	return nil
}

// ofMonth is a text that says what is stored costs; "" if nobody knows the prices.
func (m *money) ofMonth(u price.Usage) (string, error) {
	if m.prices == nil {
		return "", nil
	}
	b, err := m.prices.Bill(u, 0)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(", %s a month", b.Total), nil
}

// reportStale says which archives of the backup a run did not bring up to date.
func (g *globals) reportStale(m *money, res *tarball.Result) error {
	for _, left := range []struct {
		kind, text string
		list       []tarball.Stale
	}{
		{"stale", "of another split depth %s files of this folder, too: they stay as they are (%s%s), and get stale. Nothing deletes them; `tarn tarball list` marks them", res.Stale},
		{"vanished", "%s no files in this folder any more, or are of another: they stay as they are (%s%s). Nothing deletes them, and `restore .` brings their files back where nothing newer stands", res.Vanished},
		{"superseded", "%s no files in this folder any more, and newer ones stand for them: they stay as they are (%s%s). Nothing deletes them, and `restore .` leaves them out", res.Superseded},
	} {
		if err := g.reportLeft(m, left.kind, left.text, left.list); err != nil {
			return err
		}
	}
	return nil
}

func (g *globals) reportLeft(m *money, kind, text string, list []tarball.Stale) error {
	if len(list) == 0 {
		return nil
	}
	var names []string
	var size int64
	var month price.Usage
	for _, a := range list {
		names = append(names, a.Key)
		size += a.Size
		if g.json {
			if err := g.printJSON(map[string]any{"type": kind, "key": a.Key, "class": a.Class, "size": a.Size, "modified": a.Modified}); err != nil {
				return err
			}
		}
		if m.prices != nil {
			if err := m.prices.Store(&month, a.Class, 1, a.Size, price.Month); err != nil {
				return err
			}
		}
	}
	cost, err := m.ofMonth(month)
	if err != nil || g.json {
		return err
	}
	g.say("note: "+text, few(names, "has", "have"), formatBytes(size), cost)
	return nil
}
