package restore

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/tarn-backup/tarn"
)

// journal remembers what FinishDirs has to set. The entries are spilled to a
// file without a name in the target: a directory's path and xattrs may be long,
// and 5 million of them would not fit into memory. In memory stays where each
// one lies and how deep its directory is: 16 bytes.
type journal struct {
	f     *os.File
	w     *bufio.Writer
	end   int64
	marks []journalMark
	buf   []byte
	// remove removes the file where an open one can't be; else it is nil.
	remove func() error
}

type journalMark struct {
	off   int64
	depth uint32
	size  uint32
}

// add appends what FinishDirs needs of e. The caller holds the target's lock.
func (j *journal) add(t *Target, e *tarn.Entry) error {
	if j.f == nil {
		if err := j.open(t); err != nil {
			return err
		}
	}
	j.buf = appendDir(j.buf[:0], e)
	if _, err := j.w.Write(j.buf); err != nil {
		return err
	}
	depth := strings.Count(e.Path, "/")
	j.marks = append(j.marks, journalMark{j.end, uint32(depth), uint32(len(j.buf))})
	j.end += int64(len(j.buf))
	return nil
}

// open makes the file, in the target if one may write there: the temporary
// folder may be memory. A user who restores into /home may not.
func (j *journal) open(t *Target) error {
	d := t.handles.top.dir
	tmp, err := t.withTemp(func(tmp string) (err error) {
		j.f, err = d.create(tmp)
		return err
	})
	j.remove = func() error { return d.remove(tmp) }
	if errors.Is(err, fs.ErrPermission) {
		if j.f, err = os.CreateTemp("", tempPrefix+"*"); err == nil {
			name := j.f.Name()
			j.remove = func() error { return os.Remove(name) }
		}
	}
	if err != nil {
		return err
	}
	if j.remove() == nil {
		j.remove = nil
	}
	j.w = bufio.NewWriterSize(j.f, 64<<10)
	return nil
}

// close throws the journal away.
func (j *journal) close() error {
	if j.f == nil {
		return nil
	}
	err := j.f.Close()
	if j.remove != nil {
		err = errors.Join(err, j.remove())
	}
	*j = journal{}
	return err
}

// maxDirErrors bounds how many errors FinishDirs joins.
const maxDirErrors = 100

// FinishDirs gives all directories that Mkdir was called for the owner, mode,
// xattrs and mtime of their entries, the deepest first, since one without
// permission to search hides those below it. It goes on after errors, returns
// up to 100 of them, and forgets the directories.
func (t *Target) FinishDirs(ctx context.Context) error {
	t.dropAll() // and so remove their marks, which changes the time of a directory
	t.mu.Lock()
	j := t.journal
	t.journal = journal{}
	t.mu.Unlock()
	if j.f == nil {
		return nil
	}
	err := t.finish(ctx, &j)
	return errors.Join(err, t.fail("closing the list of directories", "", j.close()))
}

func (t *Target) finish(ctx context.Context, j *journal) error {
	if err := j.w.Flush(); err != nil {
		return t.fail("writing the list of directories", "", err)
	}
	// Stable, so that of two entries for one directory the later counts.
	slices.SortStableFunc(j.marks, func(a, b journalMark) int { return cmp.Compare(b.depth, a.depth) })
	var errs []error
	for _, m := range j.marks {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(errs, err)...)
		}
		j.buf = slices.Grow(j.buf[:0], int(m.size))[:m.size]
		if _, err := j.f.ReadAt(j.buf, m.off); err != nil {
			return errors.Join(append(errs, t.fail("reading the list of directories", "", err))...)
		}
		e, err := parseDir(j.buf)
		if err == nil {
			err = t.SetMetadata(e)
		}
		if err != nil && len(errs) < maxDirErrors {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// appendDir appends the members of e that a directory's metadata consists of.
func appendDir(b []byte, e *tarn.Entry) []byte {
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	text(e.Path)
	for _, n := range []uint32{e.Mode, e.UID, e.GID, uint32(e.MTime.Nsec), uint32(len(e.Xattrs))} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = binary.AppendVarint(b, e.MTime.Sec)
	for _, x := range e.Xattrs {
		text(x.Name)
		text(string(x.Value))
	}
	return b
}

// parseDir reads what appendDir wrote.
func parseDir(b []byte) (*tarn.Entry, error) {
	r := bytes.NewReader(b)
	var err error
	number := func() uint64 {
		n, e := binary.ReadUvarint(r)
		err = cmp.Or(err, e)
		return n
	}
	text := func() []byte {
		n := number()
		if n > uint64(r.Len()) {
			err = cmp.Or(err, io.ErrUnexpectedEOF)
			return nil
		}
		s := make([]byte, n)
		r.Read(s) // has them all
		return s
	}
	e := &tarn.Entry{Type: tarn.TypeDir, Path: string(text())}
	e.Mode, e.UID, e.GID = uint32(number()), uint32(number()), uint32(number())
	e.MTime.Nsec = int32(number())
	xattrs := number()
	sec, secErr := binary.ReadVarint(r)
	e.MTime.Sec, err = sec, cmp.Or(err, secErr)
	for range xattrs {
		if err != nil {
			break
		}
		e.Xattrs = append(e.Xattrs, tarn.Xattr{Name: string(text()), Value: text()})
	}
	if err != nil {
		return nil, fmt.Errorf("reading the list of directories: %w", err)
	}
	return e, nil
}
