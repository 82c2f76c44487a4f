package archive

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tarn-backup/tarn"
)

const (
	// maxPath is the longest path of the format, in bytes.
	maxPath = 1 << 16
	// maxPax bounds a pax header, since readers refuse more (archive/tar: 1 MiB).
	maxPax = 1<<20 - 4096

	xattrPrefix = "SCHILY.xattr."
)

func typeFlag(t tarn.Type) byte {
	switch t {
	case tarn.TypeFile:
		return '0'
	case tarn.TypeSymlink:
		return '2'
	case tarn.TypeChar:
		return '3'
	case tarn.TypeBlock:
		return '4'
	case tarn.TypeDir:
		return '5'
	case tarn.TypeFIFO:
		return '6'
	}
	return 0
}

// headers makes the headers of members in buffers that it reuses.
type headers struct {
	buf, pax []byte
}

// make returns the headers of a member, whole blocks that are valid until the
// next call: a pax header if ustar can't hold everything (POSIX.1-2001, "pax
// Interchange Format"), and the ustar header. linkTo, if not empty, makes it a
// hard link to that member.
func (m *headers) make(e *tarn.Entry, linkTo string) ([]byte, error) {
	flag := typeFlag(e.Type)
	switch {
	case flag == 0:
		return nil, fmt.Errorf("adding %q: a tar can't hold a %s", e.Path, e.Type)
	case len(e.Path) > maxPath || !tarn.ValidPath(e.Path):
		return nil, fmt.Errorf("adding %.300q: it is no path for an archive", e.Path)
	case e.Size < 0 || e.Mode > 0o7777:
		return nil, fmt.Errorf("adding %q: size %d or mode %o is out of range", e.Path, e.Size, e.Mode)
	}
	u := ustar{mode: e.Mode, major: e.Major, minor: e.Minor, flag: flag}
	target := ""
	switch {
	case linkTo != "":
		u.flag, target = '1', linkTo
	case e.Type == tarn.TypeSymlink:
		target = e.Target
	case e.Type == tarn.TypeFile:
		u.size = e.Size
	}
	if len(target) > maxPath || strings.IndexByte(target, 0) >= 0 || strings.IndexByte(e.User, 0) >= 0 || strings.IndexByte(e.Group, 0) >= 0 {
		return nil, fmt.Errorf("adding %q: a string of it can't stand in a tar", e.Path)
	}
	name := e.Path
	if e.Type == tarn.TypeDir {
		name += "/"
	}
	m.pax = m.pax[:0]
	m.path(&u, name)
	u.link = m.text("linkpath", target, maxUstarName)
	u.user = m.text("uname", e.User, maxUstarUser)
	u.group = m.text("gname", e.Group, maxUstarUser)
	m.numbers(&u, e)
	m.xattrs(e.Xattrs)

	m.buf = m.buf[:0]
	if len(m.pax) > 0 {
		x := ustar{name: "PaxHeaders/" + clip(name, maxUstarName-11), mode: 0o644, size: int64(len(m.pax)), mtime: u.mtime, flag: 'x'}
		m.buf = append(x.append(m.buf), m.pax...)
		m.buf = append(m.buf, zeroBlock[:-len(m.pax)&(block-1)]...)
	}
	m.buf = u.append(m.buf)
	return m.buf, nil
}

// path puts a name into the ustar header, in two parts if it must, or into a
// record.
func (m *headers) path(u *ustar, name string) {
	if len(name) > maxUstarName && len(name) <= maxUstarPath && ascii(name) {
		// The first slash that leaves no more than a name behind it.
		from := max(len(name)-maxUstarName-1, 0)
		if i := strings.IndexByte(name[from:len(name)-1], '/'); i >= 0 && from+i > 0 && from+i <= 155 {
			u.prefix, u.name = name[:from+i], name[from+i+1:]
			return
		}
	}
	u.name = m.text("path", name, maxUstarName)
}

// text returns s as a ustar field of n bytes may hold it, and adds the record
// key if that is not all. Other bytes than ASCII go into a record, for ustar
// leaves their meaning to the reader's locale, while pax says UTF-8 (and bytes
// that are not UTF-8 are taken as they are by GNU tar).
func (m *headers) text(key, s string, n int) string {
	short := clip(s, n)
	if short != s {
		m.pax = appendRecord(m.pax, key, "", s)
	}
	return short
}

func (m *headers) numbers(u *ustar, e *tarn.Entry) {
	var d [40]byte
	if u.size > maxUstarSize {
		m.pax = appendRecord(m.pax, "size", "", strconv.AppendInt(d[:0], u.size, 10))
		u.size = 0
	}
	if u.uid = e.UID; u.uid > maxUstarID {
		m.pax = appendRecord(m.pax, "uid", "", strconv.AppendInt(d[:0], int64(u.uid), 10))
		u.uid = 0
	}
	if u.gid = e.GID; u.gid > maxUstarID {
		m.pax = appendRecord(m.pax, "gid", "", strconv.AppendInt(d[:0], int64(u.gid), 10))
		u.gid = 0
	}
	u.mtime = min(max(e.MTime.Sec, 0), maxUstarSize)
	if e.MTime.Nsec != 0 || e.MTime.Sec != u.mtime {
		m.pax = appendRecord(m.pax, "mtime", "", e.MTime.Append(d[:0]))
	}
	if !e.CTime.IsZero() {
		m.pax = appendRecord(m.pax, "ctime", "", e.CTime.Append(d[:0]))
	}
}

// xattrs adds the attributes. One that would make the header larger than
// readers take is left to the tree.
func (m *headers) xattrs(list []tarn.Xattr) {
	for _, x := range list {
		if x.Name == "" || strings.IndexByte(x.Name, 0) >= 0 || len(m.pax)+len(x.Name)*3+len(x.Value)+64 > maxPax {
			continue
		}
		m.pax = appendRecord(m.pax, xattrPrefix, escapeXattr.Replace(x.Name), x.Value)
	}
}

// A keyword of a pax record ends at the first "=", so GNU tar writes the names
// of xattrs with these two bytes escaped, and so does tarn.
var (
	escapeXattr   = strings.NewReplacer("%", "%25", "=", "%3D")
	unescapeXattr = strings.NewReplacer("%25", "%", "%3D", "=")
)

// appendRecord appends a pax record "LENGTH KEY=VALUE\n", whose length counts
// its own digits. The keyword is key and more.
func appendRecord[V string | []byte](b []byte, key, more string, value V) []byte {
	n := len(key) + len(more) + len(value) + 3
	digits := decimals(n)
	digits = decimals(n + digits) // one more digit may need one more digit
	b = strconv.AppendInt(b, int64(n+digits), 10)
	b = append(b, ' ')
	b = append(b, key...)
	b = append(b, more...)
	b = append(b, '=')
	b = append(b, value...)
	return append(b, '\n')
}

func decimals(n int) int {
	d := 1
	for ; n >= 10; n /= 10 {
		d++
	}
	return d
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// clip returns s if it is ASCII and not over n bytes, and something like it for
// a field that a record overrides if not.
func clip(s string, n int) string {
	if len(s) <= n && ascii(s) {
		return s
	}
	b := []byte(s[:min(n, len(s))])
	for i, c := range b {
		if c >= utf8.RuneSelf {
			b[i] = '_'
		}
	}
	return string(b)
}
