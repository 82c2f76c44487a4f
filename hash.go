package tarn

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// ContentHash is the SHA-256 of a file's whole content, so that sha256sum
// checks it. The zero value means "no content hash".
type ContentHash [sha256.Size]byte

// String returns the hash as 64 lower-case hexadecimal digits.
func (h ContentHash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h is the zero value.
func (h ContentHash) IsZero() bool { return h == ContentHash{} }

// ParseContentHash reads the form that String writes.
func ParseContentHash(s string) (ContentHash, error) {
	var h ContentHash
	return h, parseHex(h[:], s, "content hash")
}

// TreeID names a tree: the SHA-256 of its lines, or in an encrypted
// repository an HMAC-SHA256 of them (docs/format.md, "Trees").
type TreeID [sha256.Size]byte

// String returns the id as 64 lower-case hexadecimal digits.
func (t TreeID) String() string { return hex.EncodeToString(t[:]) }

// IsZero reports whether t is the zero value.
func (t TreeID) IsZero() bool { return t == TreeID{} }

// ParseTreeID reads the form that String writes.
func ParseTreeID(s string) (TreeID, error) {
	var t TreeID
	return t, parseHex(t[:], s, "tree id")
}

// parseHex decodes s into all of dst and accepts lower-case digits only, so
// that each value has exactly one text form.
func parseHex(dst []byte, s, what string) error {
	if len(s) != 2*len(dst) {
		return fmt.Errorf("%s %.80q: want %d hexadecimal digits", what, s, 2*len(dst))
	}
	for i := range dst {
		hi, lo := hexDigit(s[2*i]), hexDigit(s[2*i+1])
		if hi > 15 || lo > 15 {
			return fmt.Errorf("%s %.80q: want %d lower-case hexadecimal digits", what, s, 2*len(dst))
		}
		dst[i] = hi<<4 | lo
	}
	return nil
}

func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// MarshalText implements encoding.TextMarshaler.
func (h ContentHash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *ContentHash) UnmarshalText(b []byte) (err error) {
	*h, err = ParseContentHash(string(b))
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (t TreeID) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *TreeID) UnmarshalText(b []byte) (err error) {
	*t, err = ParseTreeID(string(b))
	return err
}
