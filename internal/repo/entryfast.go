package repo

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"

	"github.com/tarn-backup/tarn"
)

// parseCanonical reads a line that has the exact form that AppendEntry writes,
// which is every line that tarn wrote, several times faster than
// encoding/json. It returns false for any other; ParseEntry then takes the
// slow way, so that this one may give up wherever it is in doubt.
func parseCanonical(line []byte, e *tarn.Entry) bool {
	*e = tarn.Entry{}
	p := lineParser{rest: line, ok: true}
	p.expect(`{"path":`)
	e.Path = p.text(`,"path_raw":`)
	p.expect(`,"type":`)
	e.Type = tarn.Type(p.plain())
	p.expect(`,"mode":`)
	e.Mode = p.octal()
	e.UID = uint32(p.uint(`,"uid":`, 1<<32-1))
	e.GID = uint32(p.uint(`,"gid":`, 1<<32-1))
	e.User = p.optional(`,"user":`)
	e.Group = p.optional(`,"group":`)
	e.MTime = p.time(`,"mtime":`)
	e.CTime = p.time(`,"ctime":`)
	e.Size = int64(p.uint(`,"size":`, 1<<63-1))
	if p.has(`,"content":`) {
		h, err := tarn.ParseContentHash(p.plain())
		p.ok = p.ok && err == nil
		e.Content = h
	}
	if p.has(`,"target":`) {
		e.Target = p.text(`,"target_raw":`)
	}
	e.Inode = p.uint(`,"inode":`, 1<<64-1)
	if p.has(`,"xattrs":{`) {
		e.Xattrs = p.xattrs()
	}
	e.Sparse = p.has(`,"sparse":true`)
	p.expect("}")
	return p.ok && (len(p.rest) == 0 || string(p.rest) == "\n")
}

// parseContent is the same for a line of an index that names a content, as
// IndexWriter.Add writes it.
func parseContent(line []byte, l *indexLine) bool {
	p := lineParser{rest: line, ok: true}
	p.expect(`{"type":"content","content":`)
	if !p.ok {
		return false
	}
	h, err := tarn.ParseContentHash(p.plain())
	offset := p.uint(`,"offset":`, 1<<63-1)
	size := p.uint(`,"size":`, 1<<63-1)
	p.expect(`,"path":`)
	path := p.text(`,"path_raw":`)
	p.expect("}")
	if !p.ok || err != nil || len(p.rest) > 0 {
		return false
	}
	*l = indexLine{Type: "content", Content: h, Offset: int64(offset), Size: int64(size), Path: path}
	return true
}

// lineParser reads the pieces of a canonical line from the front of rest; ok
// turns false, for good, at the first surprise.
type lineParser struct {
	rest []byte
	ok   bool
}

func (p *lineParser) has(prefix string) bool {
	if len(p.rest) >= len(prefix) && string(p.rest[:len(prefix)]) == prefix {
		p.rest = p.rest[len(prefix):]
		return true
	}
	return false
}

func (p *lineParser) expect(prefix string) {
	if !p.has(prefix) {
		p.ok = false
	}
}

// plain reads a string without escapes.
func (p *lineParser) plain() string {
	if len(p.rest) < 2 || p.rest[0] != '"' {
		p.ok = false
		return ""
	}
	end := bytes.IndexByte(p.rest[1:], '"')
	if end < 0 {
		p.ok = false
		return ""
	}
	s := p.rest[1 : 1+end]
	for _, c := range s {
		if c < 0x20 || c == '\\' {
			p.ok = false
			return ""
		}
	}
	p.rest = p.rest[end+2:]
	if !utf8.Valid(s) {
		p.ok = false
	}
	return string(s)
}

// text reads a string without escapes that has no raw form beside it.
func (p *lineParser) text(rawMember string) string {
	s := p.plain()
	if bytes.HasPrefix(p.rest, []byte(rawMember)) {
		p.ok = false
	}
	return s
}

func (p *lineParser) optional(member string) string {
	if !p.has(member) {
		return ""
	}
	return p.plain()
}

func (p *lineParser) octal() (v uint32) {
	s := p.plain()
	if len(s) != 4 {
		p.ok = false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '7' {
			p.ok = false
		}
		v = v<<3 | uint32(s[i]-'0')
	}
	return v
}

func (p *lineParser) uint(member string, limit uint64) (v uint64) {
	if !p.has(member) {
		return 0
	}
	n := 0
	for n < len(p.rest) && p.rest[n] >= '0' && p.rest[n] <= '9' {
		d := uint64(p.rest[n] - '0')
		if v > (limit-d)/10 {
			p.ok = false
			return 0
		}
		v = v*10 + d
		n++
	}
	if n == 0 || p.rest[0] == '0' { // zero is left out, and JSON has no leading zeros
		p.ok = false
	}
	p.rest = p.rest[n:]
	return v
}

// time reads a time of seconds, or seconds and nine decimals, not negative.
func (p *lineParser) time(member string) (t tarn.Timespec) {
	if !p.has(member) {
		return t
	}
	p.expect(`"`)
	n := 0
	for n < len(p.rest) && n < 18 && p.rest[n] >= '0' && p.rest[n] <= '9' {
		t.Sec = t.Sec*10 + int64(p.rest[n]-'0')
		n++
	}
	if n == 0 {
		p.ok = false
	}
	p.rest = p.rest[n:]
	if p.has(".") {
		if len(p.rest) < 9 {
			p.ok = false
			return t
		}
		for _, c := range p.rest[:9] {
			if c < '0' || c > '9' {
				p.ok = false
			}
			t.Nsec = t.Nsec*10 + int32(c-'0')
		}
		p.rest = p.rest[9:]
	}
	p.expect(`"`)
	return t
}

func (p *lineParser) xattrs() (list []tarn.Xattr) {
	for p.ok {
		name := p.plain()
		p.expect(":")
		value, err := base64.StdEncoding.DecodeString(p.plain())
		if err != nil || len(list) > 0 && list[len(list)-1].Name >= name {
			p.ok = false
		}
		list = append(list, tarn.Xattr{Name: name, Value: value})
		if p.has("}") {
			return list
		}
		p.expect(",")
	}
	return nil
}
