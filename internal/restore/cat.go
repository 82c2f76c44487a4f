package restore

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
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
	return catTo(ctx, newArchives(r), c, e, w)
}

func catTo(ctx context.Context, a *archives, c *catalog.Contents, e *tarn.Entry, w io.Writer) error {
	h := sha256.New()
	if err := a.content(ctx, c, e, io.MultiWriter(w, h)); err != nil {
		return fmt.Errorf("reading %q: %w", e.Path, err)
	}
	if e.Size > 0 && tarn.ContentHash(h.Sum(nil)) != e.Content {
		return fmt.Errorf("content of %q does not have its hash: %w", e.Path, tarn.ErrDamaged)
	}
	return nil
}

// Dump writes entries of a snapshot as a tar to w: those at and below paths, or
// all. Sockets, which tar can't hold, are given to skipped.
func Dump(ctx context.Context, r *repo.Repo, c *catalog.Contents, s *repo.Snapshot, paths []string, w io.Writer, skipped func(path string, err error)) error {
	d := &dump{a: newArchives(r), c: c, tw: tar.NewWriter(w), links: map[linkKey]string{}, skipped: skipped}
	for e, err := range r.Entries(ctx, s, paths) {
		if err != nil {
			return err
		}
		if err := d.entry(ctx, e); err != nil {
			return err
		}
	}
	return d.tw.Close()
}

type dump struct {
	a       *archives
	c       *catalog.Contents
	tw      *tar.Writer
	links   map[linkKey]string
	skipped func(string, error)
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
		d.links[keyOf(e)] = e.Path
	}
	if err := d.header(h); err != nil || e.Size == 0 {
		return err
	}
	return catTo(ctx, d.a, d.c, e, d.tw)
}

func (d *dump) header(h *tar.Header) error {
	if err := d.tw.WriteHeader(h); err != nil {
		return fmt.Errorf("writing %q to the tar: %w", h.Name, err)
	}
	return nil
}
