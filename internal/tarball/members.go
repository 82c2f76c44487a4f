package tarball

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"

	"github.com/tarn-backup/tarn"
)

// Members reads the members of a tar.gz. The script's may hold several tars one
// after the other, each compressed for itself: xargs runs tar once for as many
// names as fit on a command line. Any other reader of tars stops at the end of the first.
// Memory does not depend on what the archive says.
type Members struct {
	gz   *gzip.Reader
	buf  *bufio.Reader
	tar  *tar.Reader
	tars int
}

// NewMembers reads the beginning of an archive.
func NewMembers(r io.Reader) (*Members, error) {
	gz, err := gzip.NewReader(bufio.NewReaderSize(r, 256<<10))
	if err != nil {
		return nil, damage("reading a tar.gz", err)
	}
	return &Members{gz: gz, buf: bufio.NewReaderSize(gz, 256<<10)}, nil
}

// damage marks errors of the formats as those of damaged content. Others, as of
// a network, stay what they are.
func damage(doing string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if corrupt := flate.CorruptInputError(0); errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, tar.ErrHeader) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &corrupt) {
		return fmt.Errorf("%s: %w: %w", doing, tarn.ErrDamaged, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// Tars is the number of tars that have begun so far.
func (m *Members) Tars() int { return m.tars }

// Next goes to the next member, of whichever tar. It returns io.EOF after the
// last.
func (m *Members) Next() (*Member, error) {
	for {
		if m.tar == nil {
			if err := m.seek(); err != nil {
				return nil, damage("reading a tar.gz", err)
			}
			m.tar = tar.NewReader(m.buf)
			m.tars++
		}
		h, err := m.tar.Next()
		if err == io.EOF {
			m.tar = nil
			continue
		}
		if err != nil {
			return nil, damage("reading a tar", err)
		}
		return memberOf(h), nil
	}
}

// seek goes over the zeros that end a tar and fill up its last record, to the
// header of the next. At the end of all it is io.EOF.
func (m *Members) seek() error {
	for {
		block, err := m.buf.Peek(tarBlock)
		if i := slices.IndexFunc(block, func(b byte) bool { return b != 0 }); i >= 0 {
			if len(block) < tarBlock && err == io.EOF {
				return io.ErrUnexpectedEOF
			}
			return err
		}
		if _, discardErr := m.buf.Discard(len(block)); err == nil {
			err = discardErr
		}
		if err != nil {
			return err
		}
	}
}

// Read reads the content of the member that Next has returned.
func (m *Members) Read(p []byte) (int, error) {
	n, err := m.tar.Read(p)
	return n, damage("reading content", err)
}

// Close releases the decoder.
func (m *Members) Close() error { return m.gz.Close() }

// Member is a member of a tar.
type Member struct {
	// Name is relative to the archived folder: without ./ at its beginning and
	// a slash at its end, "" for the folder itself. It is what the archive says,
	// and may be anything.
	Name string
	// Link is the Name of the file that the member is a hard link to, "" if it
	// is none.
	Link   string
	linked *MD5 // the content of that file, nil if it is not known
	// Entry is the rest. Its Path is not set.
	Entry tarn.Entry
}

func memberOf(h *tar.Header) *Member {
	m := &Member{Name: memberName(h.Name)}
	e := &m.Entry
	e.Mode = uint32(h.Mode) & 0o7777
	e.UID, e.GID, e.User, e.Group = id(h.Uid), id(h.Gid), h.Uname, h.Gname
	e.MTime = tarn.TimespecOf(h.ModTime)
	e.Type = typeOf(h.Typeflag)
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		e.Size = h.Size
		e.Sparse = h.Typeflag == tar.TypeGNUSparse || h.PAXRecords["GNU.sparse.major"] != ""
	case tar.TypeLink:
		m.Link = memberName(h.Linkname)
	case tar.TypeSymlink:
		e.Target = h.Linkname
	case tar.TypeChar, tar.TypeBlock:
		e.Major, e.Minor = uint32(h.Devmajor), uint32(h.Devminor)
	}
	for key, value := range h.PAXRecords {
		if name, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok {
			e.Xattrs = append(e.Xattrs, tarn.Xattr{Name: name, Value: []byte(value)})
		}
	}
	slices.SortFunc(e.Xattrs, func(a, b tarn.Xattr) int { return strings.Compare(a.Name, b.Name) })
	return m
}

// typeOf is "" for what is no file of any kind.
func typeOf(flag byte) tarn.Type {
	switch flag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse, tar.TypeLink:
		return tarn.TypeFile
	case tar.TypeDir:
		return tarn.TypeDir
	case tar.TypeSymlink:
		return tarn.TypeSymlink
	case tar.TypeFifo:
		return tarn.TypeFIFO
	case tar.TypeChar:
		return tarn.TypeChar
	case tar.TypeBlock:
		return tarn.TypeBlock
	}
	return ""
}

// id is a number of a user or group, that of nobody if the tar's makes no sense.
func id(n int) uint32 {
	if n < 0 || n > math.MaxUint32-1 {
		return 65534
	}
	return uint32(n)
}

func memberName(s string) string {
	for {
		rest, ok := strings.CutPrefix(s, "./")
		if !ok {
			break
		}
		s = strings.TrimLeft(rest, "/")
	}
	if s == "." {
		return ""
	}
	return strings.TrimSuffix(s, "/")
}
