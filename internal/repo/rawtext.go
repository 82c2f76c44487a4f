package repo

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// rawOf returns the raw string of s, which stands beside its readable form
// where s is not UTF-8, and "" where it is.
func rawOf(s string) string {
	if utf8.ValidString(s) {
		return ""
	}
	return string(appendRaw(nil, s))
}

// appendRaw appends s as a raw string: bash's $'…' quoting in its octal form.
func appendRaw(b []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if c >= 0x21 && c <= 0x7e && c != '\'' && c != '"' && c != '\\' {
			b = append(b, c)
			continue
		}
		b = append(b, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
	}
	return b
}

// fromRaw gives the bytes of text whose raw form is raw; where raw is empty
// the text is its own bytes.
func fromRaw(text, raw string) (string, error) {
	if raw == "" {
		return text, nil
	}
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c != '\\' {
			b.WriteByte(c)
			continue
		}
		if i+3 >= len(raw) {
			return "", fmt.Errorf("raw string %.80q: cut escape", raw)
		}
		x, y, z := raw[i+1]-'0', raw[i+2]-'0', raw[i+3]-'0'
		if x > 3 || y > 7 || z > 7 {
			return "", fmt.Errorf("raw string %.80q: want three octal digits after a backslash", raw)
		}
		b.WriteByte(x<<6 | y<<3 | z)
		i += 3
	}
	return b.String(), nil
}
