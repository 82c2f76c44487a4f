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

	"golang.org/x/sync/errgroup"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/catalog"
)

// Dump writes entries of a snapshot as a tar to w: those at and below paths, or
// all. What the tar goes on without is given to skipped: sockets, which it can't hold,
// and files whose content or tree (with an empty path) is lost. The damage of a large
// file may show when some of it is written already: then the tar ends there,
// in an error. Of the configuration it takes the repository, the contents, the
// snapshot, the paths and the access.
func Dump(ctx context.Context, cfg Config, w io.Writer, skipped func(path string, err error)) error {
	d := &dump{a: archivesOf(cfg), c: cfg.Contents, tw: tar.NewWriter(w), links: map[linkKey]string{}, skipped: skipped}
	for e, err := range cfg.Repo.Entries(ctx, cfg.Snapshot, cfg.Paths) {
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
	if err := d.flush(ctx); err != nil {
		return err
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
	window  []*member
	bytes   int64 // of content that the window will hold
}

// member is one of the tar's, with its content if that was read ahead.
type member struct {
	header *tar.Header
	entry  *tarn.Entry
	data   []byte
}

// What is read ahead: contents up to dumpWhole, in the order in which archives
// hold them, so that a frame with many of them is fetched once.
const (
	dumpWhole   = 16 << 20
	dumpBytes   = 48 << 20
	dumpMembers = 8192
)

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
	kept := *e // which holds for this iteration only
	d.window = append(d.window, &member{header: h, entry: &kept})
	if e.Size <= dumpWhole {
		d.bytes += e.Size
	}
	if d.bytes < dumpBytes && len(d.window) < dumpMembers {
		return nil
	}
	return d.flush(ctx)
}

// flush writes what the window has.
func (d *dump) flush(ctx context.Context) error {
	if err := d.fetch(ctx); err != nil {
		return err
	}
	for _, m := range d.window {
		if err := d.write(ctx, m); err != nil {
			return err
		}
		m.data = nil
	}
	d.window, d.bytes = d.window[:0], 0
	return nil
}

// fetch reads ahead what it can. What it could not read, write tries once more.
func (d *dump) fetch(ctx context.Context) error {
	var jobs []job
	of := map[*tarn.Entry]*member{}
	names := map[linkKey]bool{}
	for _, m := range d.window {
		e := m.entry
		if e.Type != tarn.TypeFile || e.Size == 0 || e.Size > dumpWhole || len(e.Extents) > 0 {
			continue
		}
		if e.Inode != 0 {
			key := keyOf(e)
			if _, written := d.links[key]; written || names[key] {
				continue
			}
			names[key] = true
		}
		at, ok, err := d.a.locate(d.c, e.Content)
		if err != nil {
			return err
		}
		if ok && at.Size == e.Size && d.a.readable(at.Archive) == nil {
			jobs, of[e] = append(jobs, job{entry: e, at: at}), m
		}
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(fetches)
	for _, s := range d.a.plan(ctx, jobs) {
		group.Go(func() error { return d.read(gctx, s, of) })
	}
	return group.Wait()
}

// read reads the contents of a stretch, as far as they are whole. The error is fatal.
func (d *dump) read(ctx context.Context, s stretch, of map[*tarn.Entry]*member) error {
	err := d.readOnce(ctx, s, of)
	if err != nil && fatal(ctx, err) {
		return err
	}
	return nil
}

func (d *dump) readOnce(ctx context.Context, s stretch, of map[*tarn.Entry]*member) error {
	a, err := d.a.get(ctx, s.archive)
	if err != nil {
		return err
	}
	at := s.jobs[0].at.Offset
	src, err := a.Stretch(ctx, at, s.end-at)
	if err != nil {
		return err
	}
	defer src.Close()
	var data []byte
	for i, j := range s.jobs {
		if i == 0 || s.jobs[i-1].at != j.at {
			data = make([]byte, j.at.Size)
			if err := src.CopyTo(io.Discard, j.at.Offset-at); err != nil {
				return err
			}
			if _, err := io.ReadFull(src, data); err != nil {
				return err
			}
			at = j.at.Offset + j.at.Size
			if sha256.Sum256(data) != j.entry.Content {
				data = nil // and is looked for elsewhere
			}
		}
		of[j.entry].data = data
	}
	return nil
}

// write writes a member.
func (d *dump) write(ctx context.Context, m *member) error {
	h, e := m.header, m.entry
	named := e.Inode != 0 && e.Type != tarn.TypeDir
	if first, ok := d.links[keyOf(e)]; named && ok {
		h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
		return d.header(h)
	}
	if m.data != nil {
		if err := d.header(h); err != nil {
			return err
		}
		if _, err := d.tw.Write(m.data); err != nil {
			return err
		}
	} else if ok, err := d.stream(ctx, h, e); err != nil || !ok {
		return err
	}
	if named {
		d.links[keyOf(e)] = e.Path
	}
	return nil
}

// stream writes a member whose content was not read ahead; false if that is lost.
func (d *dump) stream(ctx context.Context, h *tar.Header, e *tarn.Entry) (bool, error) {
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
