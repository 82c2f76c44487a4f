package restore

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/catalog"
	"github.com/tarn-backup/tarn/internal/repo"
)

// Cat writes the content of a regular file to w, and checks its hash: an error
// that wraps tarn.ErrDamaged comes after bytes that are not right.
func Cat(ctx context.Context, r *repo.Repo, c *catalog.Contents, e *tarn.Entry, w io.Writer) error {
	if e.Type != tarn.TypeFile {
		return fmt.Errorf("%q is a %s, not a file", e.Path, e.Type)
	}
	if err := catTo(ctx, newArchives(r), c, e, w); err != nil {
		return fmt.Errorf("reading %q: %w", e.Path, err)
	}
	return nil
}

func catTo(ctx context.Context, a *archives, c *catalog.Contents, e *tarn.Entry, w io.Writer) error {
	h := sha256.New()
	if err := a.content(ctx, c, e, io.MultiWriter(w, h)); err != nil {
		return err
	}
	if e.Size > 0 && tarn.ContentHash(h.Sum(nil)) != e.Content {
		return fmt.Errorf("its content does not have its hash: %w", tarn.ErrDamaged)
	}
	return nil
}

// Dump writes entries of a snapshot as a tar to w: those at and below paths, or
// all. What the tar goes on without is given to skipped: sockets, which it can't hold,
// and files whose content or tree (with an empty path) is lost. The damage of a large
// file may show when some of it is written already: then the tar ends there,
// in an error.
func Dump(ctx context.Context, r *repo.Repo, c *catalog.Contents, s *repo.Snapshot, paths []string, w io.Writer, skipped func(path string, err error)) error {
	d := &dump{a: newArchives(r), c: c, tw: tar.NewWriter(w), links: map[linkKey]string{}, skipped: skipped}
	for e, err := range r.Entries(ctx, s, paths) {
		if err != nil && ofOneObject(err) {
			skipped("", err)
			continue
		} else if err != nil {
			return err
		}
		if err := d.entry(ctx, e); err != nil {
			return err
		}
	}
	return d.tw.Close()
}

// ofOneObject reports whether err is about one object, so that others may be whole.
func ofOneObject(err error) bool {
	for _, of := range []error{tarn.ErrDamaged, tarn.ErrNotAuthentic, tarn.ErrCold, tarn.ErrThawing, fs.ErrNotExist} {
		if errors.Is(err, of) {
			return true
		}
	}
	return false
}

type dump struct {
	a       *archives
	c       *catalog.Contents
	tw      *tar.Writer
	links   map[linkKey]string
	skipped func(string, error)
	held    []byte // of the member that is read
}

var tarTypes = map[tarn.Type]byte{
	tarn.TypeFile: tar.TypeReg, tarn.TypeDir: tar.TypeDir, tarn.TypeSymlink: tar.TypeSymlink,
	tarn.TypeFIFO: tar.TypeFifo, tarn.TypeChar: tar.TypeChar, tarn.TypeBlock: tar.TypeBlock,
}

func (d *dump) entry(ctx context.Context, e *tarn.Entry) error {
	flag, ok := tarTypes[e.Type]
	if !ok {
		d.skipped(e.Path, fmt.Errorf("a tar can't hold a %s", e.Type))
		return nil
	}
	h := &tar.Header{
		Typeflag: flag, Name: e.Path, Linkname: e.Target, Size: e.Size, Mode: int64(e.Mode), Uid: int(e.UID), Gid: int(e.GID),
		Uname: e.User, Gname: e.Group, ModTime: e.MTime.Time(), Devmajor: int64(e.Major), Devminor: int64(e.Minor), Format: tar.FormatPAX,
	}
	if e.Type == tarn.TypeDir {
		h.Name += "/"
	}
	for _, x := range e.Xattrs {
		if !strings.Contains(x.Name, "=") {
			if h.PAXRecords == nil {
				h.PAXRecords = map[string]string{}
			}
			h.PAXRecords["SCHILY.xattr."+x.Name] = string(x.Value)
		}
	}
	if e.Inode != 0 && e.Type != tarn.TypeDir {
		if first, ok := d.links[keyOf(e)]; ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
			return d.header(h)
		}
	}
	if ok, err := d.member(ctx, h, e); err != nil || !ok {
		return err
	}
	if e.Inode != 0 && e.Type != tarn.TypeDir {
		d.links[keyOf(e)] = e.Path
	}
	return nil
}

// member writes a member with its content; false if that is lost.
func (d *dump) member(ctx context.Context, h *tar.Header, e *tarn.Entry) (bool, error) {
	m := &late{d: d, h: h}
	d.held = d.held[:0]
	if e.Size > 0 {
		if err := catTo(ctx, d.a, d.c, e, m); err != nil && !m.begun && ofOneObject(err) {
			d.skipped(e.Path, err)
			return false, nil
		} else if err != nil {
			return false, fmt.Errorf("reading %q: %w", e.Path, err)
		}
	}
	return true, m.begin()
}

// heldMost is how much of a content is read before its member begins: whole
// files, as a rule, whose hash is checked by then.
const heldMost = 4 << 20

// late writes a member, and begins with it as late as it can.
type late struct {
	d     *dump
	h     *tar.Header
	begun bool
}

// Write writes a piece of the content.
func (l *late) Write(p []byte) (int, error) {
	if !l.begun && len(l.d.held)+len(p) <= heldMost {
		l.d.held = append(l.d.held, p...)
		return len(p), nil
	}
	if err := l.begin(); err != nil {
		return 0, err
	}
	return l.d.tw.Write(p)
}

// begin writes the header, and what was held back.
func (l *late) begin() error {
	if l.begun {
		return nil
	}
	l.begun = true
	if err := l.d.header(l.h); err != nil {
		return err
	}
	_, err := l.d.tw.Write(l.d.held)
	return err
}

func (d *dump) header(h *tar.Header) error {
	if err := d.tw.WriteHeader(h); err != nil {
		return fmt.Errorf("writing %q to the tar: %w", h.Name, err)
	}
	return nil
}
