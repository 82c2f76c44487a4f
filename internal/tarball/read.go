package tarball

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"strings"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// Reading says how an archive is read, and who hears of what.
type Reading struct {
	Storage storage.Storage
	Tarball *Tarball
	// Member, if set, is called with each member; it may read the content. What
	// it leaves is read after it. The error ends the reading.
	Member func(m *Member, content io.Reader) error
	// Enough, if set, ends the reading once it is true: then nobody knows whether
	// the files are those that the hash is of.
	Enough func() bool
	// Problem is called with what is wrong with a file, and with the archive
	// itself under the name "".
	Problem func(member string, err error)
	// Progress, if set, is called with the bytes of the archive that were read.
	Progress func(n int64)
}

// Findings is what was read of an archive.
type Findings struct {
	Files, Bytes int64 // of regular files, with their further names
	Others       int64
	Read         int64 // bytes of the archive
	Tars         int
	Missing      int64 // files of the list that are not in the archive
	Surplus      int64 // files that are not in the list
	// Doubles are the files beside others in which tar on macOS keeps what has no
	// place in a tar.
	Doubles int64
	// Proved says that all files are those that the hash beside the archive is of.
	Proved bool
	// Ended says that Enough ended the reading.
	Ended bool
}

// What can be wrong with the files of an archive. All are tarn.ErrDamaged.
var (
	ErrMissing = fmt.Errorf("is in the list of files and not in the archive: %w", tarn.ErrDamaged)
	ErrSurplus = fmt.Errorf("is in the archive and not in the list of files: %w", tarn.ErrDamaged)
	ErrSum     = fmt.Errorf("the content of some file is not what its hash (.md5) is of: %w", tarn.ErrDamaged)
	ErrETag    = fmt.Errorf("the content is not that which S3 has the MD5 of: %w", tarn.ErrDamaged)
)

// errEnough ends the reading early.
var errEnough = errors.New("enough")

// Read reads an archive from its beginning to its end, and compares what is in
// it with the list and the hash beside it. There is no hash of a single file: what
// shows that one is right is the hash over all. The error is nil also if something
// is wrong with files; Problem was told.
func (r Reading) Read(ctx context.Context) (*Findings, error) {
	rd := &reading{Reading: r, found: new(Findings)}
	err := rd.all(ctx)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return rd.found, fmt.Errorf("reading %s: %w", r.Tarball.Body.Key, err)
	}
	return rd.found, nil
}

type reading struct {
	Reading
	found *Findings
	want  *MD5
	list  *listed // nil if there is none
	etag  hash.Hash
}

func (r *reading) all(ctx context.Context) error {
	if err := r.sidecars(ctx); err != nil {
		return err
	}
	body, err := openObject(ctx, r.Storage, &r.Tarball.Body)
	if err != nil {
		return err
	}
	defer body.Close()
	counted := &countingReader{ctx: ctx, r: body, n: &r.found.Read, progress: r.Progress}
	if raw, err := hex.DecodeString(r.Tarball.Body.ETag); err == nil && len(raw) == md5.Size {
		r.etag = md5.New()
		counted.sum = r.etag
	}
	err = r.members(ctx, counted)
	switch {
	case errors.Is(err, errEnough):
		r.found.Ended = true
		return nil
	case err != nil:
		return err
	}
	return r.judge(ctx)
}

// sidecars reads what lies beside the archive.
func (r *reading) sidecars(ctx context.Context) error {
	t := r.Tarball
	if t.Sum != nil {
		sum, err := t.ReadSum(ctx, r.Storage)
		switch {
		case errors.Is(err, tarn.ErrDamaged):
			r.Problem("", err)
		case err != nil:
			return err
		default:
			r.want = &sum
		}
	}
	if t.List == nil {
		return nil
	}
	var err error
	if r.list, err = readListed(t.Names(ctx, r.Storage)); errors.Is(err, tarn.ErrDamaged) {
		r.Problem("", err) // the archive may be whole
		return nil
	}
	return err
}

func (r *reading) members(ctx context.Context, body io.Reader) error {
	ms, err := NewMembers(body)
	if err != nil {
		return err
	}
	defer ms.Close()
	buf := make([]byte, 256<<10)
	for {
		m, err := ms.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		r.found.Tars = ms.Tars()
		if err := r.member(m, ms, buf); err != nil {
			return err
		}
		if r.Enough != nil && r.Enough() {
			return errEnough
		}
	}
	// The rest of the object: the decoder has read its end, or there is more than
	// a tar.gz.
	_, err = io.CopyBuffer(io.Discard, body, buf)
	return err
}

func (r *reading) member(m *Member, ms *Members, buf []byte) error {
	if m.Entry.Type == "" {
		return nil // a label of a volume, say
	}
	if r.double(m) {
		r.found.Doubles++
		return nil
	}
	if m.Link != "" && r.list != nil {
		if sum, ok := r.list.sumOf(m.Link); ok {
			m.linked = &sum
		}
	}
	sum := md5.New()
	content := io.TeeReader(ms, sum)
	if r.Member != nil {
		if err := r.Member(m, content); err != nil {
			return err
		}
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, content, buf); err != nil {
		return err
	}
	if m.Entry.Type != tarn.TypeFile {
		r.found.Others++
		return nil
	}
	r.found.Files++
	r.found.Bytes += m.Entry.Size
	r.note(m, MD5(sum.Sum(nil)))
	return nil
}

// note compares a file with the list.
func (r *reading) note(m *Member, sum MD5) {
	if r.list == nil || !Listed(m.Name) {
		return
	}
	if m.Link != "" {
		_, own := r.list.place(m.Link)
		switch {
		case m.linked != nil:
			sum = *m.linked
		case !own: // the list is wrong, as was told of that file, or the hash will not be right
			sum = MD5{}
		default:
			r.Problem(m.Name, fmt.Errorf("is a further name of %q, which is not in the archive before it: %w", m.Link, tarn.ErrDamaged))
			return
		}
	}
	if !r.list.found(m.Name, sum) {
		r.found.Surplus++
		r.Problem(m.Name, ErrSurplus)
	}
}

// double reports whether a member is what tar on macOS adds beside a file of
// that name: its attributes, as ._name.
func (r *reading) double(m *Member) bool {
	dir, base := path.Split(m.Name)
	of, ok := strings.CutPrefix(base, "._")
	if !ok || r.list == nil || m.Entry.Type != tarn.TypeFile {
		return false
	}
	if _, own := r.list.place(m.Name); own {
		return false
	}
	_, beside := r.list.place(dir + of)
	return beside
}

// judge compares what was read with what was stored beside it.
func (r *reading) judge(ctx context.Context) error {
	if r.etag != nil && hex.EncodeToString(r.etag.Sum(nil)) != strings.ToLower(r.Tarball.Body.ETag) {
		r.Problem("", ErrETag)
	}
	if r.list == nil {
		return nil
	}
	h, err := r.list.compare(r.Tarball.Names(ctx, r.Storage), func(name string) {
		r.found.Missing++
		r.Problem(name, ErrMissing)
	})
	if err != nil || r.want == nil || r.found.Missing > 0 {
		return err
	}
	if r.found.Proved = h.Is(*r.want); !r.found.Proved && r.found.Surplus == 0 { // else the list is wrong, as was told
		r.Problem("", ErrSum)
	}
	return nil
}

// countingReader counts and sums what is read of an object, and ends with its
// context.
type countingReader struct {
	ctx      context.Context
	r        io.Reader
	n        *int64
	sum      hash.Hash // nil if nobody wants it
	progress func(n int64)
}

func (c *countingReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	*c.n += int64(n)
	if c.sum != nil {
		c.sum.Write(p[:n])
	}
	if c.progress != nil {
		c.progress(int64(n))
	}
	return n, err
}
