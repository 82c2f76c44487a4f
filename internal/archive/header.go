package archive

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tarn-backup/tarn"
)

const block = 512

var typeFlags = map[tarn.Type]byte{
	tarn.TypeFile: '0', tarn.TypeSymlink: '2', tarn.TypeChar: '3', tarn.TypeBlock: '4', tarn.TypeDir: '5', tarn.TypeFIFO: '6',
}

// appendHeader appends the headers of a member: a pax extended header if ustar
// can't hold everything, and the ustar header (POSIX.1-2001, "pax interchange
// format"). A link names its target in linkTo and has no content.
func appendHeader(b []byte, e *tarn.Entry, linkTo string) ([]byte, error) {
	flag, ok := typeFlags[e.Type]
	if !ok {
		return b, fmt.Errorf("adding %q: a tar can't hold a %s", e.Path, e.Type)
	}
	name, target, size := e.Path, e.Target, e.Size
	if e.Type == tarn.TypeDir {
		name += "/"
	}
	if linkTo != "" {
		flag, target, size = '1', linkTo, 0
	}
	var pax []byte
	if len(name) > 100 || !ascii(name) {
		pax = appendRecord(pax, "path", name)
	}
	if len(target) > 100 || !ascii(target) {
		pax = appendRecord(pax, "linkpath", target)
	}
	if size > 1<<33-1 {
		pax = appendRecord(pax, "size", strconv.FormatInt(size, 10))
	}
	if e.UID > 0o7777777 {
		pax = appendRecord(pax, "uid", strconv.FormatUint(uint64(e.UID), 10))
	}
	if e.GID > 0o7777777 {
		pax = appendRecord(pax, "gid", strconv.FormatUint(uint64(e.GID), 10))
	}
	if len(e.User) > 31 || !ascii(e.User) {
		pax = appendRecord(pax, "uname", e.User)
	}
	if len(e.Group) > 31 || !ascii(e.Group) {
		pax = appendRecord(pax, "gname", e.Group)
	}
	if e.MTime.Nsec != 0 || e.MTime.Sec < 0 || e.MTime.Sec > 1<<33-1 {
		pax = appendRecord(pax, "mtime", e.MTime.String())
	}
	if !e.CTime.IsZero() {
		pax = appendRecord(pax, "ctime", e.CTime.String())
	}
	for _, x := range e.Xattrs {
		if !strings.Contains(x.Name, "=") { // which ends a record's key; the tree has it
			pax = appendRecord(pax, "SCHILY.xattr."+x.Name, string(x.Value))
		}
	}
	if pax != nil {
		b = appendUstar(b, &ustar{name: "PaxHeaders/" + clip(name, 80), mode: 0o644, size: int64(len(pax)), flag: 'x', mtime: max(e.MTime.Sec, 0)})
		b = pad(append(b, pax...))
	}
	return appendUstar(b, &ustar{
		name: clip(name, 100), link: clip(target, 100), mode: e.Mode, uid: e.UID, gid: e.GID, size: size, flag: flag,
		mtime: e.MTime.Sec, user: clip(e.User, 31), group: clip(e.Group, 31), major: e.Major, minor: e.Minor,
	}), nil
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// clip cuts s for a field that a pax record overrides, and leaves no byte in
// it that is not ASCII.
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

// appendRecord appends a pax record "LENGTH KEY=VALUE\n", whose length counts
// its own digits.
func appendRecord(b []byte, key, value string) []byte {
	n := len(key) + len(value) + 3
	digits := len(strconv.Itoa(n))
	if len(strconv.Itoa(n+digits)) > digits {
		digits++
	}
	b = strconv.AppendInt(b, int64(n+digits), 10)
	b = append(append(append(b, ' '), key...), '=')
	return append(append(b, value...), '\n')
}

// pad fills b up with zeros to whole blocks.
func pad(b []byte) []byte {
	if n := len(b) % block; n != 0 {
		b = append(b, zeroBlock[n:]...)
	}
	return b
}

var zeroBlock [block]byte

type ustar struct {
	name, link, user, group string
	mode, uid, gid          uint32
	major, minor            uint32
	size, mtime             int64
	flag                    byte
}

// appendUstar appends a ustar header. Numbers that do not fit are zero: a pax
// record holds them. b's length must be a multiple of the block.
func appendUstar(b []byte, u *ustar) []byte {
	start := len(b)
	b = append(b, zeroBlock[:]...)
	h := b[start:]
	copy(h[0:100], u.name)
	octal(h[100:108], uint64(u.mode))
	octal(h[108:116], uint64(u.uid))
	octal(h[116:124], uint64(u.gid))
	octal(h[124:136], uint64(u.size))
	octal(h[136:148], uint64(max(u.mtime, 0)))
	h[156] = u.flag
	copy(h[157:257], u.link)
	copy(h[257:265], "ustar\x0000")
	copy(h[265:297], u.user)
	copy(h[297:329], u.group)
	octal(h[329:337], uint64(u.major))
	octal(h[337:345], uint64(u.minor))
	var sum uint64
	for i := range h {
		if i >= 148 && i < 156 {
			sum += ' '
			continue
		}
		sum += uint64(h[i])
	}
	octal(h[148:155], sum)
	h[155] = ' '
	return b
}

// octal fills a field with octal digits and a closing zero byte.
func octal(field []byte, v uint64) {
	n := len(field) - 1
	if v >= 1<<(3*n) {
		v = 0
	}
	for i := n - 1; i >= 0; i-- {
		field[i] = byte('0' + v&7)
		v >>= 3
	}
}
