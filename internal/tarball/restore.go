package tarball

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// Target is where files are restored to. It never writes outside of itself,
// whatever paths and links say.
type Target interface {
	Mkdir(e *tarn.Entry) error
	Symlink(e *tarn.Entry) error
	Special(e *tarn.Entry) error
	Link(existing string, e *tarn.Entry) error
	// Create opens a file that is not to be seen before Commit.
	Create(e *tarn.Entry) (TargetFile, error)
	// Stands says whether something stands at the path of e, and whether it is
	// what e says by type, size and time.
	Stands(e *tarn.Entry) (there, same bool, err error)
	// Sum is the MD5 of the file at a path.
	Sum(ctx context.Context, path string) (MD5, error)
}

// TargetFile is a file on its way into a Target, ended by one of Commit and Abort.
type TargetFile interface {
	io.Writer
	Commit() error
	Abort()
}

// Overwrite says what happens to what stands in the target already.
type Overwrite string

// The ways to treat what is there.
const (
	Never   Overwrite = "never"
	Changed Overwrite = "changed" // size or time differ
	Always  Overwrite = "always"
)

// Restoring says what of an archive is restored, and to where.
type Restoring struct {
	Storage storage.Storage
	Tarball *Tarball
	// Paths are the members that are wanted, and all below them; none means everything.
	Paths []string
	// Newer, if set, says what is left to newer archives.
	Newer     *Superseded
	Target    Target
	Overwrite Overwrite
	// Quick ends the reading when all Paths that are files have been written. What
	// was written is not proved then.
	Quick   bool
	Problem func(path string, err error)
	// Again, if set, is told that the archive is read once more, for so many further
	// names of files that were not written; an error is why it may not be.
	Again    func(names int) error
	Progress func(n int64) // bytes of the archive
	Now      func() time.Time
}

// Restored is what a restore has done.
type Restored struct {
	*Findings
	Written, WrittenBytes int64 // regular files
	Same, Left            int64
	Covered               int64    // members that are left to newer archives
	Unfound               []string // Paths that the archive does not have
}

// Restore reads an archive once, but for names of files that it could not know to need, and writes what is wanted of it. What stands in
// the archive twice ends as its last copy. It goes on after a file that can't be written.
func (r Restoring) Restore(ctx context.Context) (*Restored, error) {
	w := &restoring{Restoring: r, ctx: ctx, links: newLinks(), res: &Restored{}, hits: make([]bool, len(r.Paths)), files: make([]bool, len(r.Paths)), dirs: map[string]bool{}}
	reading := Reading{
		Storage: r.Storage, Tarball: r.Tarball, Member: w.member, Progress: r.Progress,
		Problem: func(member string, err error) { r.Problem(w.name(member), err) },
	}
	if r.Quick && len(r.Paths) > 0 {
		reading.Enough = w.enough
	}
	found, err := reading.Read(ctx)
	w.res.Findings = found
	if err == nil || errors.Is(err, tarn.ErrDamaged) {
		if againErr := w.again(ctx); err == nil {
			err = againErr
		}
	}
	for i, p := range r.Paths {
		if !w.hits[i] {
			w.res.Unfound = append(w.res.Unfound, p)
		}
	}
	return w.res, err
}

type restoring struct {
	Restoring
	ctx   context.Context
	links links
	res   *Restored
	hits  []bool // of Paths
	files []bool // Paths that are one file, which was written
	dirs  map[string]bool
	last  string
}

// name is a member for messages.
func (w *restoring) name(member string) string {
	if member == "" {
		return w.Tarball.Body.Key
	}
	return w.Tarball.Place(member)
}

func (w *restoring) enough() bool {
	for _, done := range w.files {
		if !done {
			return false
		}
	}
	return true
}

// wanted reports whether a member is asked for.
func (w *restoring) wanted(name string, file bool) bool {
	want := len(w.Paths) == 0
	for i, p := range w.Paths {
		if name == p || strings.HasPrefix(name, p+"/") {
			want, w.hits[i] = true, true
			w.files[i] = w.files[i] || file && name == p
		}
	}
	return want
}

// errEscapes says that a member would lie outside of the target.
var errEscapes = errors.New("the archive has a name that leads out of the folder, or is none: it was left out")

func (w *restoring) member(m *Member, content io.Reader) error {
	e := m.Entry
	e.Path = w.Tarball.Place(m.Name)
	if !w.wanted(m.Name, e.Type == tarn.TypeFile) {
		return nil
	}
	if w.Newer.Covers(e.Path, e.Type == tarn.TypeDir) {
		w.res.Covered++
		return nil
	}
	if e.Path == "" {
		return nil // the target itself, which stays as its owner has made it
	}
	if !tarn.ValidPath(e.Path) || m.Name != "" && !tarn.ValidPath(m.Name) {
		w.Problem(e.Path, errEscapes)
		return nil
	}
	if err := w.write(m, &e, content); err != nil {
		return w.failed(e.Path, err)
	}
	return nil
}

// failed tells of a path that can't be written, and returns what ends the reading:
// also what all paths after it would meet, for which a whole archive would be fetched.
func (w *restoring) failed(path string, err error) error {
	if TargetFails(err) {
		return err
	}
	if broken, ok := errors.AsType[*contentError](err); ok {
		return broken.err // nothing after it can be read
	}
	w.Problem(path, err)
	return nil
}

// TargetFails reports whether an error is that of a target to which nothing more can
// be written.
func TargetFails(err error) bool {
	return slices.ContainsFunc([]error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EIO}, func(of error) bool { return errors.Is(err, of) })
}

// contentError is an error of the archive, and not of the target.
type contentError struct{ err error }

func (e *contentError) Error() string { return e.err.Error() }

func (w *restoring) write(m *Member, e *tarn.Entry, content io.Reader) error {
	if err := w.above(e.Path); err != nil {
		return err
	}
	if e.Type == tarn.TypeDir {
		w.dirs[e.Path] = true
		return w.Target.Mkdir(e)
	}
	if m.Link != "" {
		return w.link(m, e)
	}
	if keep, err := w.keeps(e); err != nil || keep {
		return err
	}
	switch {
	case e.Type == tarn.TypeSymlink:
		return w.Target.Symlink(e)
	case e.Type != tarn.TypeFile:
		return w.Target.Special(e)
	}
	return w.file(e, content)
}

// keeps reports whether what stands there stays.
func (w *restoring) keeps(e *tarn.Entry) (bool, error) {
	there, same, err := w.Target.Stands(e)
	switch {
	case err != nil:
		return false, err
	case there && w.Overwrite == Never:
		w.res.Left++
		return true, nil
	case same && w.Overwrite != Always:
		w.res.Same++
		return true, nil
	}
	return false, nil
}

func (w *restoring) file(e *tarn.Entry, content io.Reader) error {
	f, err := w.Target.Create(e)
	if err != nil {
		return err
	}
	in := &sourceReader{r: content}
	if _, err := io.Copy(f, in); err != nil {
		f.Abort()
		if in.err != nil {
			return &contentError{in.err}
		}
		return err
	}
	if err := f.Commit(); err != nil {
		return err
	}
	w.links.add(e.Path)
	w.res.Written++
	w.res.WrittenBytes += e.Size
	return nil
}

// sourceReader remembers its error, so that it can be told from the writer's.
type sourceReader struct {
	r   io.Reader
	err error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// above makes the folders above a path that the archive does not have: the
// script's have none at all. What stands there stays as it is.
func (w *restoring) above(path string) error {
	i := strings.LastIndexByte(path, '/')
	if i < 0 || path[:i] == w.last {
		return nil
	}
	for at, c := range path[:i+1] {
		if c != '/' || w.dirs[path[:at]] {
			continue
		}
		dir := &tarn.Entry{
			Path: path[:at], Type: tarn.TypeDir, Mode: 0o755, MTime: tarn.TimespecOf(w.Now()), UID: id(os.Getuid()), GID: id(os.Getgid()),
		}
		_, same, err := w.Target.Stands(dir)
		if err == nil && !same {
			err = w.Target.Mkdir(dir)
		}
		if err != nil {
			return err
		}
		w.dirs[dir.Path] = true
	}
	w.last = path[:i]
	return nil
}
