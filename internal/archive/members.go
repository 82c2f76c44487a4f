package archive

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/tarn-backup/tarn"
)

// maxWindow is the most memory that a frame may ask of Members, in bytes. It is
// more than tarn's frames need, so that archives from other hands can be read.
const maxWindow = 32 << 20

// Member is one member of an archive.
type Member struct {
	// Entry is what the tar knows: no content hash, inode, extents or holes.
	Entry tarn.Entry
	// Link is the path of the member that this one is a hard link to; "" if it
	// is none.
	Link    string
	Offset  int64     // of the content in the tar stream
	Content io.Reader // e.Size bytes; valid until the next member
}

// Members yields the members of an archive, in order, from its object's bytes
// from first to last. It needs neither index nor seek table, and reads with
// age, a stream decoder of zstd and archive/tar, not with the code of Reader.
// An error is yielded last: damage of any part of the object, down to its last
// byte, wraps tarn.ErrDamaged; errors of object do not.
func Members(ctx context.Context, object io.Reader, ids []age.Identity) iter.Seq2[*Member, error] {
	return func(yield func(*Member, error) bool) {
		src := &source{ctx: ctx, r: object}
		d := &tarDecoder{src: src}
		err := d.open(ids)
		if err == nil {
			defer d.z.Close()
			err = d.each(func(m *Member) bool { return yield(m, nil) })
		}
		if err != nil && err != errStopped {
			yield(nil, fmt.Errorf("reading an archive: %w", err))
		}
	}
}

var errStopped = errors.New("the caller wants no more members")

// source remembers why the object could not be read, since decoders hide it.
type source struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	if s.err == nil {
		s.err = s.ctx.Err()
	}
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		s.err = err
	}
	return n, err
}

// tarDecoder reads members off the decoded stream and knows how far it is.
type tarDecoder struct {
	src   *source
	z     *zstd.Decoder
	n     int64 // bytes of the tar stream that were read
	ended bool  // something was read for behind the end of the stream
}

// open takes off the encryption, if there is one, and starts the decoder.
func (d *tarDecoder) open(ids []age.Identity) error {
	b := bufio.NewReaderSize(d.src, chunkSize)
	var plain io.Reader = b
	head, err := b.Peek(len(ageIntro))
	if err != nil && d.src.err != nil {
		return d.src.err
	}
	if isAge(head) {
		if len(ids) == 0 {
			return tarn.ErrNoIdentity
		}
		if plain, err = age.Decrypt(b, ids...); errors.As(err, new(*age.NoIdentityMatchError)) {
			return fmt.Errorf("%w: none at hand fits", tarn.ErrNoIdentity)
		} else if err != nil {
			return d.damage(err)
		}
	}
	d.z, err = zstd.NewReader(plain, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return d.damage(err)
	}
	return nil
}

// Read implements io.Reader over the tar stream.
func (d *tarDecoder) Read(p []byte) (int, error) {
	n, err := d.z.Read(p)
	d.n += int64(n)
	if n == 0 && len(p) > 0 && err == io.EOF {
		d.ended = true
	}
	return n, err
}

// damage says what an error of decoding means.
func (d *tarDecoder) damage(err error) error {
	if d.src.err != nil {
		return d.src.err
	}
	return fmt.Errorf("%w: %w", tarn.ErrDamaged, err)
}

func (d *tarDecoder) each(yield func(*Member) bool) error {
	tr := tar.NewReader(d)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) && !d.ended {
			return d.rest()
		} else if errors.Is(err, io.EOF) {
			return fmt.Errorf("the tar has no end: %w", d.damage(io.ErrUnexpectedEOF))
		} else if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return d.damage(err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		m, err := newMember(h)
		if err != nil {
			return err
		}
		m.Offset, m.Content = d.n, &memberReader{d, tr}
		if !yield(m) {
			return errStopped
		}
	}
}

// rest reads what stands behind the tar: zeros, then the frames' end and age's
// end. Something hidden there is damage as well.
func (d *tarDecoder) rest() error {
	buf := make([]byte, 32<<10)
	for {
		n, err := d.Read(buf)
		for _, c := range buf[:n] {
			if c != 0 {
				return fmt.Errorf("there is something behind the end of the tar: %w", tarn.ErrDamaged)
			}
		}
		if err == io.EOF {
			return nil
		} else if err != nil {
			return d.damage(err)
		}
	}
}

type memberReader struct {
	d  *tarDecoder
	tr *tar.Reader
}

// Read implements io.Reader.
func (m *memberReader) Read(p []byte) (int, error) {
	n, err := m.tr.Read(p)
	if err != nil && err != io.EOF {
		err = m.d.damage(err)
	}
	return n, err
}

func entryType(flag byte) tarn.Type {
	switch flag {
	case tar.TypeReg, tar.TypeLink, tar.TypeCont:
		return tarn.TypeFile
	case tar.TypeSymlink:
		return tarn.TypeSymlink
	case tar.TypeChar:
		return tarn.TypeChar
	case tar.TypeBlock:
		return tarn.TypeBlock
	case tar.TypeDir:
		return tarn.TypeDir
	case tar.TypeFifo:
		return tarn.TypeFIFO
	}
	return ""
}

// newMember makes a member of a header, and refuses what no archive of format
// 1 has: other types, paths that point elsewhere, maps of holes (which make few bytes
// into exabytes).
func newMember(h *tar.Header) (*Member, error) {
	e := tarn.Entry{
		Path: strings.TrimSuffix(h.Name, "/"), Type: entryType(h.Typeflag),
		Mode: uint32(h.Mode) & 0o7777, UID: uint32(h.Uid), GID: uint32(h.Gid), User: h.Uname, Group: h.Gname,
		MTime: tarn.TimespecOf(h.ModTime), Major: uint32(h.Devmajor), Minor: uint32(h.Devminor),
	}
	if e.Type == "" || !tarn.ValidPath(e.Path) || len(e.Path) > maxPath || !fits(int64(h.Uid), int64(h.Gid), h.Devmajor, h.Devminor) {
		return nil, fmt.Errorf("member %.300q of type %q is not for an archive: %w", h.Name, h.Typeflag, tarn.ErrDamaged)
	}
	if !h.ChangeTime.IsZero() {
		e.CTime = tarn.TimespecOf(h.ChangeTime)
	}
	m := &Member{Entry: e}
	switch {
	case h.Typeflag == tar.TypeLink:
		m.Link = h.Linkname
	case e.Type == tarn.TypeSymlink:
		m.Entry.Target = h.Linkname
	case e.Type == tarn.TypeFile:
		m.Entry.Size = h.Size
	}
	if h.Typeflag == tar.TypeLink && !tarn.ValidPath(m.Link) {
		return nil, fmt.Errorf("member %.300q links to %.300q: %w", h.Name, m.Link, tarn.ErrDamaged)
	}
	for key, value := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return nil, fmt.Errorf("member %.300q has a map of holes: %w", h.Name, tarn.ErrDamaged)
		}
		if name, ok := strings.CutPrefix(key, xattrPrefix); ok {
			x := tarn.Xattr{Name: unescapeXattr.Replace(name), Value: []byte(value)}
			m.Entry.Xattrs = append(m.Entry.Xattrs, x)
		}
	}
	slices.SortFunc(m.Entry.Xattrs, func(a, b tarn.Xattr) int { return strings.Compare(a.Name, b.Name) })
	return m, nil
}

// fits reports whether all numbers are of 32 bits.
func fits(list ...int64) bool {
	for _, n := range list {
		if n < 0 || n > math.MaxUint32 {
			return false
		}
	}
	return true
}
