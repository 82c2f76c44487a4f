package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/archive"
)

const (
	fetches      = 4        // stretches that are read at the same time
	stretchBytes = 16 << 20 // of the tar stream, at which a stretch may end
	maxGap       = 1 << 20  // bytes of the object that are read along instead of asking anew
	maxCopies    = 32       // files that one content is written to at once
	smallContent = 1 << 20  // up to which a content is checked before its file is made; and the piece of larger ones
)

func partition(jobs []job) (whole, extents []job) {
	for _, j := range jobs {
		if len(j.entry.Extents) > 0 {
			extents = append(extents, j)
		} else {
			whole = append(whole, j)
		}
	}
	return whole, extents
}

// stretch is a part of an archive that one request reads, with the files in it
// in order of their offset.
type stretch struct {
	archive tarn.ArchiveID
	jobs    []job
	end     int64 // of the last content in the tar stream
}

// plan sorts jobs by where their content lies, first those in archives that can be
// read for the shortest time, and joins neighbours.
func (a *archives) plan(ctx context.Context, jobs []job) (list []stretch) {
	slices.SortFunc(jobs, func(x, y job) int {
		return cmp.Or(a.sooner(x.at.Archive, y.at.Archive), cmp.Compare(x.at.Archive, y.at.Archive), cmp.Compare(x.at.Offset, y.at.Offset), tarn.ComparePaths(x.entry.Path, y.entry.Path))
	})
	copies := 0
	for i, j := range jobs {
		if n := len(list); n > 0 && list[n-1].archive == j.at.Archive {
			s := &list[n-1]
			if i > 0 && jobs[i-1].at == j.at {
				copies++
			} else {
				copies = 0
			}
			if copies < maxCopies && a.joins(ctx, s, j) {
				s.jobs = append(s.jobs, j)
				s.end = max(s.end, j.at.Offset+j.at.Size)
				continue
			}
			copies = 0
		}
		list = append(list, stretch{j.at.Archive, []job{j}, j.at.Offset + j.at.Size})
	}
	return list
}

// joins reports whether reading j with the stretch is better than asking for
// it: it lies in frames that are read anyway, or close behind them.
func (a *archives) joins(ctx context.Context, s *stretch, j job) bool {
	r, err := a.get(ctx, s.archive)
	if err != nil {
		return true // and fails with the stretch
	}
	start := s.jobs[0].at.Offset
	from, length := r.Cost(start, s.end-start)
	next, _ := r.Cost(j.at.Offset, j.at.Size)
	if next < from+length {
		return true
	}
	return s.end-start < stretchBytes && next-(from+length) <= maxGap
}

// fetch reads a stretch and writes its files. If something is wrong with it,
// each of the files that are left is tried once more by itself: the bytes may
// have changed on their way, and damage to one file must cost no other. What
// fails again is read from another archive, if there is one that has it.
func (r *run) fetch(ctx context.Context, s stretch) error {
	done, err := r.fetchOnce(ctx, s)
	if err == nil || fatal(ctx, err) {
		return err
	}
	left := s.jobs[done:]
	gone := errors.Is(err, errNotOpen) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, tarn.ErrCold) || errors.Is(err, tarn.ErrThawing)
	for i, j := range left {
		if !gone {
			_, err = r.fetchOnce(ctx, stretch{s.archive, left[i : i+1], j.at.Offset + j.at.Size})
		}
		if err == nil {
			continue
		}
		if err := r.elsewhere(ctx, j, err); err != nil {
			return err
		}
	}
	return nil
}

// fetchOnce returns how many files are finished, also those that failed for a
// reason of their own, and the error that ended the stretch.
func (r *run) fetchOnce(ctx context.Context, s stretch) (done int, err error) {
	a, err := r.archives.get(ctx, s.archive)
	if err != nil {
		return 0, fmt.Errorf("%w archive %s: %w", errNotOpen, s.archive, err)
	}
	start := s.jobs[0].at.Offset
	src, err := a.Stretch(ctx, start, s.end-start)
	if err != nil {
		return 0, archiveError(s.archive, err)
	}
	defer src.Close()
	at := start
	for done < len(s.jobs) {
		j := s.jobs[done]
		if err := src.CopyTo(io.Discard, j.at.Offset-at); err != nil {
			return done, archiveError(s.archive, err)
		}
		n := 1
		for done+n < len(s.jobs) && s.jobs[done+n].at == j.at {
			n++
		}
		if err := r.write(ctx, s.jobs[done:done+n], src); err != nil {
			return done, archiveError(s.archive, err)
		}
		at = j.at.Offset + j.at.Size
		done += n
	}
	return done, nil
}

// write writes one content to all files that have it. The error is one of
// reading; what goes wrong with a file is that file's problem, unless fatal.
func (r *run) write(ctx context.Context, jobs []job, src *archive.Stretch) error {
	if jobs[0].at.Size <= smallContent {
		return r.writeSmall(ctx, jobs, src)
	}
	var open []job
	out := fan{}
	abort := func() {
		for _, f := range out.files {
			f.Abort() // after Commit it does nothing
		}
	}
	for _, j := range jobs {
		f, err := r.target.Create(j.entry)
		if err != nil {
			if err := r.unwritten(ctx, j.entry, err); err != nil {
				abort()
				return err
			}
			continue
		}
		out.files, open = append(out.files, f), append(open, j)
	}
	out.failed = make([]error, len(open))
	if err := src.CopyTo(&out, jobs[0].at.Size); err != nil {
		abort()
		return err
	}
	for i, f := range out.files {
		if err := r.commit(ctx, open[i], f, out.failed[i]); err != nil {
			abort()
			return err
		}
	}
	return nil
}

// writeSmall is write for a content that fits into memory.
func (r *run) writeSmall(ctx context.Context, jobs []job, src io.Reader) error {
	buf := contentBuffers.Get().(*contentBuffer)
	defer contentBuffers.Put(buf)
	content := buf[:jobs[0].at.Size]
	if _, err := io.ReadFull(src, content); err != nil {
		return err
	}
	for _, j := range jobs {
		if err := r.written(ctx, j, r.target.WriteFile(j.entry, content)); err != nil {
			return err
		}
	}
	return nil
}

type contentBuffer [smallContent]byte

var contentBuffers = sync.Pool{New: func() any { return new(contentBuffer) }}

// commit ends a file, which err, if it is not nil, has befallen already. Only a
// fatal error is returned.
func (r *run) commit(ctx context.Context, j job, f *File, err error) error {
	if err == nil {
		err = f.Commit()
	} else {
		f.Abort()
	}
	return r.written(ctx, j, err)
}

// written takes the outcome of writing a file. Only a fatal error is returned.
func (r *run) written(ctx context.Context, j job, err error) error {
	switch {
	case err == nil:
		r.count(j.entry)
		return nil
	case errors.Is(err, tarn.ErrDamaged):
		return r.elsewhere(ctx, j, err)
	}
	return r.unwritten(ctx, j.entry, err)
}

// fan writes to several files; one that fails does not end the others.
type fan struct {
	files  []*File
	failed []error
}

func (w *fan) Write(p []byte) (int, error) {
	for i, f := range w.files {
		if w.failed[i] == nil {
			_, w.failed[i] = f.Write(p)
		}
	}
	return len(p), nil
}

// assemble writes a file that is made of stretches of other contents. Only a
// fatal error is returned.
func (r *run) assemble(ctx context.Context, e *tarn.Entry) error {
	f, err := r.target.Create(e)
	if err != nil {
		return r.unwritten(ctx, e, err)
	}
	out := &sink{w: f}
	read := r.archives.content(ctx, r.Contents, e, out)
	if err = read; err != nil {
		f.Abort()
	} else if err = f.Commit(); err == nil {
		r.count(e)
		return nil
	}
	if out.err == nil && (read != nil || errors.Is(err, tarn.ErrDamaged)) {
		return r.unread(ctx, e, err)
	}
	return r.unwritten(ctx, e, err)
}
