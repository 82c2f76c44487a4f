package restore

import (
	"errors"
	"io"
	"io/fs"
)

// commitNamed seals the file and renames it. It ends it in any case.
func (w *File) commitNamed() error {
	f := w.f
	w.f = nil
	defer w.t.release(w.h)
	if err := w.h.dir.seal(f, w.tmp, w.e, w.t.warner(w.e.Path)); err != nil {
		return errors.Join(err, w.h.dir.remove(w.tmp))
	}
	return w.t.put(w.h.dir, w.tmp, w.name, w.e.Path)
}

// commitAnonymous gives the file its metadata and then, in one step, its name:
// its own if that is free, else a temporary one to be renamed from. It ends it
// in any case.
func (w *File) commitAnonymous() error {
	d := w.h.dir
	err := d.dress(w.f, w.e, w.h.bare, w.t.warner(w.e.Path))
	if err == nil {
		err = d.publish(w.f, w.name)
	}
	if errors.Is(err, fs.ErrExist) {
		var tmp string
		tmp, err = w.t.withTemp(func(tmp string) error { return d.publish(w.f, tmp) })
		if err == nil {
			err = w.t.put(d, tmp, w.name, w.e.Path)
			return w.closed(err)
		}
	}
	if err != nil && !isNoSpace(err) && !isReadOnly(err) {
		return w.rename()
	}
	return w.closed(err)
}

// closed closes an anonymous file and gives back its directory.
func (w *File) closed(err error) error {
	f := w.f
	w.f = nil
	w.t.release(w.h)
	return errors.Join(err, f.Close())
}

// rename writes the file, which can't be given a name, once more to one that
// has one, and commits that. No file after it is made without.
func (w *File) rename() error {
	w.t.named.Store(true)
	from := w.f
	defer from.Close() // it was only read
	if err := w.open(); err != nil {
		w.f = nil
		w.t.release(w.h)
		return err
	}
	buf := contentBuffers.Get().(*contentBuffer)
	defer contentBuffers.Put(buf)
	src := io.NewSectionReader(from, 0, w.e.Size)
	if _, err := io.CopyBuffer(struct{ io.Writer }{w.f}, src, buf[:]); err != nil {
		w.Abort()
		return err
	}
	return w.commitNamed()
}
