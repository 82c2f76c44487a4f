package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/cold"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/tarball"
)

// tarballView is a backup of tarballs as a command has found it.
type tarballView struct {
	*tarball.Bucket
	*coldView
	s   storage.Storage
	at  *tarballPlace
	now func() (*tarball.Bucket, error) // looks again
	// clock is the server's time where it tells one.
	clock func() time.Time
}

// lookTarballs opens the bucket and looks at the backup.
func (g *globals) lookTarballs(ctx context.Context, at *tarballPlace) (*tarballView, error) {
	s, err := g.tarballs(ctx, at, true)
	if err != nil {
		return nil, err
	}
	return g.viewTarballs(ctx, s, at)
}

// viewTarballs looks at a backup in a bucket that is open.
func (g *globals) viewTarballs(ctx context.Context, s storage.Storage, at *tarballPlace) (*tarballView, error) {
	v := &tarballView{s: s, at: at, coldView: &coldView{money: g.money(s)}}
	v.clock = func() time.Time { return storage.TimeOf(s, g.now()) }
	if v.why != nil && g.priceOf != "" {
		return nil, v.why
	}
	v.now = func() (*tarball.Bucket, error) { return tarball.Look(ctx, s, at.name, g.now()) }
	if err := v.look(); err != nil {
		return nil, err
	}
	if len(v.Archives)+len(v.Older)+len(v.Files)+len(v.Orphans) == 0 {
		return nil, hinted{fmt.Errorf("no backup %s in %s", at.name, s.Location()), "Its keys begin with the name that was given with -n, and a slash; `aws s3 ls` shows what there is."}
	}
	return v, nil
}

// look looks at the backup once more.
func (v *tarballView) look() error {
	b, err := v.now()
	if err != nil {
		return err
	}
	v.Bucket = b
	v.coldView.Listing = &cold.Listing{Objects: map[string]cold.Object{}, Requests: b.Requests, Cold: b.Cold}
	return nil
}

// chosen is something of a backup that a command works on.
type chosen struct {
	*tarball.Object
	tarball *tarball.Tarball    // nil if it is a single file, or
	side    bool                // one of the objects beside an archive, which has gone cold
	newer   *tarball.Superseded // nil, or what newer tarballs say of its files
	below   string              // the folder of tarballs that it was chosen with, "." for all; "" if it was named itself
	only    string              // what is wanted of it; "" means everything
}

// withCold adds what lies beside tarballs and has gone cold.
func withCold(list []chosen) []chosen {
	all := slices.Clone(list)
	for _, c := range list {
		if c.tarball == nil {
			continue
		}
		for i := range c.tarball.Cooled {
			all = append(all, chosen{Object: &c.tarball.Cooled[i], side: true})
		}
	}
	return all
}

// coldSides is the way out where a lifecycle rule has cooled what lies beside a tarball.
func coldSides(title string) string {
	return fmt.Sprintf("Let no lifecycle rule move .md5 and .txt. `tarn tarball thaw %s` asks for copies that can be read, and the next `tarn tarball` stores them in STANDARD again.", title)
}

// choose finds what the user names: one tarball, a folder of them, or . for all. With
// a slash at its end it is a folder, with a tarball of that name.
// With a version it is that of one tarball.
func (v *tarballView) choose(name, version string) ([]chosen, error) {
	title := strings.Trim(strings.TrimSuffix(strings.TrimPrefix(name, v.at.name+"/"), tarball.Suffix), "/")
	title = strings.TrimPrefix(title, "./")
	var list []chosen
	add := func(all []*tarball.Tarball, is func(t *tarball.Tarball) bool) {
		for _, t := range all {
			if is(t) {
				list = append(list, chosen{Object: &t.Body, tarball: t})
			}
		}
	}
	one := func(t *tarball.Tarball) bool { return t.Title() == title }
	if version != "" {
		add(slices.Concat(v.Archives, v.Older), func(t *tarball.Tarball) bool { return one(t) && t.Body.Version == version })
		for _, o := range v.files() {
			if v.named(o, name) && o.Version == version {
				list = append(list, chosen{Object: o})
			}
		}
		if len(list) == 0 {
			return nil, hinted{fmt.Errorf("no version %s of %s", version, name), v.versionsHint()}
		}
		return list, nil
	}
	if !strings.HasSuffix(name, "/") {
		if add(v.Archives, one); len(list) > 0 {
			return list, nil
		}
	}
	below := func(t string) bool { return title == "." || tarn.Within(t, title) }
	add(v.Archives, func(t *tarball.Tarball) bool { return below(t.Title()) })
	for i := range list {
		list[i].below = title
	}
	for i := range v.Files {
		if v.named(&v.Files[i], name) || below(strings.TrimPrefix(v.Files[i].Key, v.at.name+"/")) {
			list = append(list, chosen{Object: &v.Files[i]})
		}
	}
	if len(list) == 0 {
		return nil, hinted{fmt.Errorf("no tarball %s in the backup %s", name, v.at.name), "`tarn tarball list` shows them; . means all."}
	}
	return list, nil
}

// named reports whether the user names a single file, with or without the name of the
// backup.
func (v *tarballView) named(o *tarball.Object, name string) bool {
	name = strings.TrimPrefix(strings.Trim(name, "/"), "./")
	return o.Key == name || o.Key == v.at.name+"/"+name
}

// files are all versions of single files.
func (v *tarballView) files() (all []*tarball.Object) {
	for _, list := range [][]tarball.Object{v.Files, v.OlderFiles} {
		for i := range list {
			all = append(all, &list[i])
		}
	}
	return all
}

func (v *tarballView) versionsHint() string {
	if v.Unversioned != nil {
		return "The versions of this bucket are not known here: " + printableError(v.Unversioned)
	}
	return "`tarn tarball list --versions` shows them."
}

// current replaces what was chosen by what it is now.
func (v *tarballView) current(list []chosen) []chosen {
	for i, c := range list {
		for _, t := range slices.Concat(v.Archives, v.Older) {
			if t.Body.Key == c.Key && t.Body.Version == c.Version && t.Body.Modified.Equal(c.Modified) {
				list[i].Object, list[i].tarball = &t.Body, t
			}
		}
		for _, o := range v.files() {
			if o.Key == c.Key && o.Version == c.Version && o.Modified.Equal(c.Modified) {
				list[i].Object = o
			}
		}
	}
	return list
}

// needs are the archives of a plan: each is read whole, with one request.
func needs(list []chosen) (archives []cold.Archive) {
	for _, c := range list {
		archives = append(archives, cold.Archive{Object: c.Object.Object, Gets: 1, Fetched: c.Size})
	}
	slices.SortFunc(archives, func(a, b cold.Archive) int { return cold.Soonest(a.Object, b.Object) })
	return archives
}

// plan prices the reading of what was chosen, and the thaw of what is frozen of it.
func (v *tarballView) plan(list []chosen, r cold.Request) (p *cold.Plan, err error) {
	r.Archives, r.Pages = needs(list), v.Bucket.Requests
	if r.Beside, err = v.beside(); err != nil {
		return nil, err
	}
	return cold.NewPlan(r, v.prices)
}

// pinned is a storage that thaws versions.
type pinned struct {
	storage.Storage
	versions map[string]string
}

// thawer is the storage that thaws what was chosen.
func (v *tarballView) thawer(list []chosen) storage.Storage {
	p := pinned{v.s, map[string]string{}}
	for _, c := range list {
		if !c.Latest {
			p.versions[c.Key] = c.Version
		}
	}
	return p
}

// Thaw implements storage.Storage.
func (p pinned) Thaw(ctx context.Context, key string, opts storage.ThawOptions) error {
	err := error(nil)
	if id, ok := p.versions[key]; !ok {
		err = p.Storage.Thaw(ctx, key, opts)
	} else if v, able := p.Storage.(storage.Versioner); able {
		err = v.ThawVersion(ctx, key, id, opts)
	} else {
		err = errors.ErrUnsupported
	}
	if errors.Is(err, tarn.ErrDenied) {
		return hinted{err, "The user that the script's stack makes may not thaw: allow it s3:RestoreObject (s3:ListBucketVersions and s3:GetObjectVersion, too, for older versions)."}
	}
	return err
}

// counted counts the files in the lists of what was chosen, and the bytes of all.
func (v *tarballView) counted(ctx context.Context, list []chosen) (files, bytes int64, err error) {
	var tarballs []*tarball.Tarball
	for _, c := range list {
		bytes += c.Size
		switch {
		case c.only != "":
			n, err := v.countOnly(ctx, c)
			if err != nil {
				return 0, 0, err
			}
			files += max(n, 0)
		case c.tarball != nil:
			tarballs = append(tarballs, c.tarball)
		case !c.side:
			files++
		}
	}
	counts, err := tarball.CountFiles(ctx, v.s, tarballs)
	for _, n := range counts {
		files += max(n, 0)
	}
	return files, bytes, err
}
