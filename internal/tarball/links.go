package tarball

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"

	"github.com/tarn-backup/tarn"
)

// links are the further names of files that a restore comes to.
type links struct {
	seed maphash.Seed
	made map[uint64]struct{} // places of files that this restore has written
	// owed are those for which the content has to be read once more, by the name in
	// the archive that they are further names of.
	owed map[string][]*Member
}

func newLinks() links {
	return links{seed: maphash.MakeSeed(), made: map[uint64]struct{}{}, owed: map[string][]*Member{}}
}

func (l *links) has(place string) bool {
	_, ok := l.made[maphash.String(l.seed, place)]
	return ok
}

func (l *links) add(place string) { l.made[maphash.String(l.seed, place)] = struct{}{} }

// link makes a further name of a file. What stands at the file's name may be
// somebody else's, as it may have been left as it is, or not have been asked for.
func (w *restoring) link(m *Member, e *tarn.Entry) error {
	there, _, err := w.Target.Stands(e)
	if err != nil {
		return err
	}
	if there && w.Overwrite == Never {
		w.res.Left++
		return nil
	}
	of := w.Tarball.Place(m.Link)
	switch {
	case w.links.has(of):
	case there && w.Overwrite != Always && w.isContent(e.Path, m):
		w.res.Same++
		return nil
	case !w.isContent(of, m):
		kept := *m
		w.links.owed[m.Link] = append(w.links.owed[m.Link], &kept)
		return nil
	}
	return w.linkTo(of, e)
}

func (w *restoring) linkTo(of string, e *tarn.Entry) error {
	if err := w.Target.Link(of, e); err != nil {
		return fmt.Errorf("it is a further name of %q: %w", of, err)
	}
	w.links.add(e.Path)
	w.res.Written++
	return nil
}

// isContent reports whether what stands at a place has the content of the file that
// a member is a further name of.
func (w *restoring) isContent(place string, m *Member) bool {
	if m.linked == nil || !tarn.ValidPath(place) {
		return false
	}
	sum, err := w.Target.Sum(w.ctx, place)
	return err == nil && sum == *m.linked
}

// errNoContent says that a further name has no file.
var errNoContent = fmt.Errorf("the archive does not have that: %w", tarn.ErrDamaged)

// again reads the archive once more, as far as needed, for further names of files
// that were not written.
func (w *restoring) again(ctx context.Context) error {
	owed := w.links.owed
	if len(owed) == 0 {
		return nil
	}
	if w.Again != nil {
		n := 0
		for _, names := range owed {
			n += len(names)
		}
		if err := w.Again(n); err != nil {
			w.owes(err)
			return nil
		}
	}
	t := *w.Tarball
	t.Sum, t.List = nil, nil // the first reading has compared with them
	_, err := Reading{
		Storage: w.Storage, Tarball: &t, Member: w.second, Progress: w.Progress,
		Enough: func() bool { return len(owed) == 0 }, Problem: func(string, error) {},
	}.Read(ctx)
	if err != nil && !errors.Is(err, tarn.ErrDamaged) { // which the first reading has told
		return err
	}
	w.owes(errNoContent)
	return nil
}

// owes tells why further names were not written.
func (w *restoring) owes(err error) {
	for of, names := range w.links.owed {
		for _, m := range names {
			w.Problem(w.name(m.Name), fmt.Errorf("it is a further name of %q: %w", w.Tarball.Place(of), err))
		}
	}
}

// second writes a file to the first of the names that are owed, and makes the
// others further names of that.
func (w *restoring) second(m *Member, content io.Reader) error {
	if m.Entry.Type != tarn.TypeFile || m.Link != "" {
		return nil
	}
	names := w.links.take(m.Name)
	if len(names) == 0 {
		return nil
	}
	first := m.Entry
	first.Path = w.Tarball.Place(names[0].Name)
	err := w.above(first.Path)
	if err == nil {
		err = w.file(&first, content)
	}
	if err != nil {
		return w.failed(first.Path, err)
	}
	for _, name := range names[1:] {
		e := name.Entry
		e.Path = w.Tarball.Place(name.Name)
		err := w.above(e.Path)
		if err == nil {
			err = w.linkTo(first.Path, &e)
		}
		if err != nil {
			if err := w.failed(e.Path, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// take takes what is owed of a file, by further names of further names, too.
func (l *links) take(name string) []*Member {
	names := l.owed[name]
	delete(l.owed, name)
	for i := 0; i < len(names); i++ {
		more := l.owed[names[i].Name]
		delete(l.owed, names[i].Name)
		names = append(names, more...)
	}
	return names
}
