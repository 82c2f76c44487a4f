package repo

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"unicode/utf8"

	"github.com/tarn-backup/tarn"
)

// AppendEntry appends the tree line of e, with its newline, to b. Equal
// entries give equal bytes, which is what makes trees content-addressed.
func AppendEntry(b []byte, e *tarn.Entry) []byte {
	b = appendText(append(b, '{'), "path", e.Path)
	b = append(b, `,"type":"`...)
	b = append(append(b, e.Type...), '"')
	b = append(b, `,"mode":"`...)
	b = append(b, '0'+byte(e.Mode>>9&7), '0'+byte(e.Mode>>6&7), '0'+byte(e.Mode>>3&7), '0'+byte(e.Mode&7), '"')
	b = appendUint(b, `,"uid":`, uint64(e.UID))
	b = appendUint(b, `,"gid":`, uint64(e.GID))
	b = appendName(b, `,"user":`, e.User)
	b = appendName(b, `,"group":`, e.Group)
	b = appendTime(b, `,"mtime":"`, e.MTime)
	b = appendTime(b, `,"ctime":"`, e.CTime)
	b = appendUint(b, `,"size":`, uint64(e.Size))
	if !e.Content.IsZero() {
		b = append(b, `,"content":"`...)
		b = append(hex.AppendEncode(b, e.Content[:]), '"')
	}
	if len(e.Extents) > 0 {
		b = appendExtents(b, e.Extents)
	}
	if e.Target != "" {
		b = appendText(append(b, ','), "target", e.Target)
	}
	b = appendUint(b, `,"inode":`, e.Inode)
	if e.Type == tarn.TypeChar || e.Type == tarn.TypeBlock {
		b = append(b, `,"device":[`...)
		b = append(strconv.AppendUint(b, uint64(e.Major), 10), ',')
		b = append(strconv.AppendUint(b, uint64(e.Minor), 10), ']')
	}
	if len(e.Xattrs) > 0 {
		b = appendXattrs(b, e.Xattrs)
	}
	if e.Sparse {
		b = append(b, `,"sparse":true`...)
	}
	return append(b, '}', '\n')
}

func appendUint(b []byte, member string, v uint64) []byte {
	if v == 0 {
		return b
	}
	return strconv.AppendUint(append(b, member...), v, 10)
}

func appendName(b []byte, member, name string) []byte {
	if name == "" {
		return b
	}
	return appendString(append(b, member...), name)
}

func appendTime(b []byte, member string, t tarn.Timespec) []byte {
	if t.IsZero() {
		return b
	}
	return append(t.Append(append(b, member...)), '"')
}

func appendExtents(b []byte, extents []tarn.Extent) []byte {
	b = append(b, `,"extents":[`...)
	for i, x := range extents {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '[', '"')
		b = append(hex.AppendEncode(b, x.Content[:]), '"', ',')
		b = append(strconv.AppendInt(b, x.Offset, 10), ',')
		b = append(strconv.AppendInt(b, x.Length, 10), ']')
	}
	return append(b, ']')
}

func appendXattrs(b []byte, xattrs []tarn.Xattr) []byte {
	b = append(b, `,"xattrs":{`...)
	for i, x := range xattrs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, x.Name), ':', '"')
		b = append(base64.StdEncoding.AppendEncode(b, x.Value), '"')
	}
	return append(b, '}')
}

// appendText appends the member name with the text s, and name_raw with its
// bytes where they are not UTF-8.
func appendText(b []byte, name, s string) []byte {
	b = append(append(append(b, '"'), name...), '"', ':')
	if utf8.ValidString(s) {
		return appendString(b, s)
	}
	b = appendString(b, s)
	b = append(append(append(b, ',', '"'), name...), `_raw":`...)
	return appendString(b, rawOf(s)) // its backslashes are escaped once more
}

// appendString appends s as a JSON string that escapes only what has to be,
// with U+FFFD for each byte that is not part of valid UTF-8.
func appendString(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[start:i]...), "\uFFFD"...)
				start = i + 1
			}
			i += n
			continue
		}
		if c >= 0x20 && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(append(b, s[start:i]...), '\\')
		switch c {
		case '"', '\\':
			b = append(b, c)
		case '\n':
			b = append(b, 'n')
		case '\r':
			b = append(b, 'r')
		case '\t':
			b = append(b, 't')
		default:
			b = append(b, 'u', '0', '0', digits[c>>4], digits[c&15])
		}
		i++
		start = i
	}
	return append(append(b, s[start:]...), '"')
}
