package restore

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/tarn-backup/tarn"
)

// Symlink makes the symbolic link of e. Where it points to is not looked at:
// nothing here ever follows it.
func (t *Target) Symlink(e *tarn.Entry) error {
	if e.Type != tarn.TypeSymlink {
		return fmt.Errorf("linking %q: entry is a %s", e.Path, e.Type)
	}
	return t.fail("linking", e.Path, t.place(e, func(d *dir, tmp string) error {
		return d.symlink(e.Target, tmp)
	}))
}

// Special makes the FIFO, socket or device of e. Devices need root.
func (t *Target) Special(e *tarn.Entry) error {
	switch e.Type {
	case tarn.TypeFIFO, tarn.TypeSocket, tarn.TypeChar, tarn.TypeBlock:
	default:
		return fmt.Errorf("making special file %q: entry is a %s", e.Path, e.Type)
	}
	return t.fail("making "+string(e.Type), e.Path, t.place(e, func(d *dir, tmp string) error {
		return d.special(tmp, e)
	}))
}

// place makes something under a temporary name, gives it e's metadata and puts
// it at e's path.
func (t *Target) place(e *tarn.Entry, create func(d *dir, tmp string) error) error {
	t.keep(e.Path)
	return t.inParent(e.Path, true, func(d *dir, name string) error {
		tmp, err := t.withTemp(func(tmp string) error { return create(d, tmp) })
		if err != nil {
			return err
		}
		if err := d.setMeta(tmp, e, t.warner(e.Path)); err != nil {
			return errors.Join(err, d.remove(tmp))
		}
		return t.put(d, tmp, name, e.Path)
	})
}

// Link makes e another name of what was restored at existing, a path below the
// target, which must have e's type. The metadata is that of existing.
func (t *Target) Link(existing string, e *tarn.Entry) error {
	if e.Type == tarn.TypeDir {
		return fmt.Errorf("linking %q: entry is a %s", e.Path, e.Type)
	}
	t.keep(e.Path)
	return t.fail("linking", e.Path, t.inParent(existing, false, func(from *dir, base string) error {
		st, err := from.stat(base)
		if err != nil {
			return fmt.Errorf("looking at %q: %w", existing, err)
		}
		if st.typ != e.Type {
			return fmt.Errorf("%q is a %s, not a %s", existing, st.typ, e.Type)
		}
		return t.inParent(e.Path, true, func(d *dir, name string) error {
			if now, err := d.stat(name); err == nil && now.ino != 0 && now.ino == st.ino && now.dev == st.dev {
				return nil
			}
			tmp, err := t.withTemp(func(tmp string) error { return from.link(base, d, tmp) })
			if err != nil {
				return err
			}
			if err := t.put(d, tmp, name, e.Path); err != nil {
				return err
			}
			// If both became names of one file in the meantime, rename did nothing.
			if err := d.remove(tmp); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		})
	}))
}

// put renames tmp to name as far as the options allow, and removes it otherwise.
func (t *Target) put(d *dir, tmp, name, path string) error {
	err := d.rename(tmp, name, t.opts.Replace)
	if err == nil {
		return nil
	}
	if st, statErr := d.stat(name); statErr == nil && st.typ == tarn.TypeDir {
		if err = t.clearDir(d, name, path); err == nil {
			err = d.rename(tmp, name, true)
		}
	}
	if err == nil {
		return nil
	}
	return errors.Join(err, d.remove(tmp))
}

// clearDir removes the directory that stands where an entry of another type
// is to be.
func (t *Target) clearDir(d *dir, name, path string) error {
	filled, err := t.Filled(path)
	switch {
	case err != nil:
		return err
	case !filled && !t.opts.Replace:
		return inTheWay("an empty folder stands there")
	case filled && (!t.opts.Replace || t.opts.ReplaceTrees == nil):
		return ErrFilled
	}
	t.drop(path)
	if filled {
		return t.opts.ReplaceTrees(t, path)
	}
	return d.rmdir(name)
}

// Filled reports whether a directory with something in it stands at path.
func (t *Target) Filled(path string) (bool, error) {
	names, err := t.Names(path)
	return len(names) > 0, err
}
