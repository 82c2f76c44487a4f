package tarball

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"strings"

	"github.com/tarn-backup/tarn"
)

// MD5 is the MD5 of a file's content, or of the lines of a Hasher.
type MD5 [md5.Size]byte

// String returns the hash as 32 lower-case hexadecimal digits.
func (m MD5) String() string { return hex.EncodeToString(m[:]) }

// Listed reports whether a file of that name is in an archive's list and hash.
// A list has a name a line, so that the script can't have one with a newline.
func Listed(name string) bool { return !strings.Contains(name, "\n") }

// AppendSumLine appends the line that md5sum prints of a file. It escapes
// backslashes and newlines, and begins the line with a backslash if there is
// one of them in the name. So does it with carriage returns, from coreutils 9
// on: escapeCR says whether.
func AppendSumLine(b []byte, sum MD5, name string, escapeCR bool) []byte {
	special := "\\\n"
	if escapeCR {
		special += "\r"
	}
	escape := strings.ContainsAny(name, special)
	if escape {
		b = append(b, '\\')
	}
	b = hex.AppendEncode(b, sum[:])
	b = append(b, "  "...)
	if !escape {
		return append(append(b, name...), '\n')
	}
	for _, c := range []byte(name) {
		switch {
		case c == '\\':
			b = append(b, `\\`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r' && escapeCR:
			b = append(b, `\r`...)
		default:
			b = append(b, c)
		}
	}
	return append(b, '\n')
}

// Hasher makes the hash of an archive: the MD5 of what md5sum prints of its
// files, in the order of the bytes of their names, relative to the archived
// directory. What is not Listed is not for it.
type Hasher struct {
	sum hash.Hash
	old hash.Hash // as md5sum was before coreutils 9; nil as long as it is the same
	buf []byte
}

// NewHasher returns a Hasher of no files.
func NewHasher() *Hasher { return &Hasher{sum: md5.New()} }

// Add adds a file.
func (h *Hasher) Add(name string, sum MD5) {
	if h.old == nil && strings.Contains(name, "\r") {
		h.old = md5.New()
		if err := copyState(h.old, h.sum); err != nil {
			panic(err) // crypto/md5 can marshal its state
		}
	}
	h.buf = AppendSumLine(h.buf[:0], sum, name, true)
	h.sum.Write(h.buf)
	if h.old != nil {
		h.buf = AppendSumLine(h.buf[:0], sum, name, false)
		h.old.Write(h.buf)
	}
}

func copyState(to, from hash.Hash) error {
	state, err := from.(interface{ MarshalBinary() ([]byte, error) }).MarshalBinary()
	if err != nil {
		return err
	}
	return to.(interface{ UnmarshalBinary([]byte) error }).UnmarshalBinary(state)
}

// Sum returns the hash of the files so far.
func (h *Hasher) Sum() MD5 { return MD5(h.sum.Sum(nil)) }

// Is reports whether want is the hash of the files, by the md5sum of today or
// by one that does not escape carriage returns.
func (h *Hasher) Is(want MD5) bool {
	return h.Sum() == want || h.old != nil && MD5(h.old.Sum(nil)) == want
}

// ErrNoSum says that an object is not what the script writes into an .md5.
var ErrNoSum = errors.New("not an MD5 in hexadecimal digits")

// FormatSum returns the content of an .md5.
func FormatSum(m MD5) []byte { return append(hex.AppendEncode(nil, m[:]), '\n') }

// ParseSum reads the content of an .md5.
func ParseSum(b []byte) (m MD5, err error) {
	digits := bytes.TrimRight(b, "\n")
	if len(digits) != 2*len(m) || bytes.ContainsAny(digits, "ABCDEF") {
		return m, ErrNoSum
	}
	if _, err := hex.Decode(m[:], digits); err != nil {
		return m, ErrNoSum
	}
	return m, nil
}

// AppendName appends a line of a .txt. The names stand there as they are: only
// md5sum escapes.
func AppendName(b []byte, name string) []byte { return append(append(b, name...), '\n') }

// maxName is more than any system has names for.
const maxName = 1 << 20

// Names yields the names in a .txt: those of the files that are Listed, sorted
// by their bytes. An empty list has one empty line.
func Names(r io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		s := bufio.NewScanner(r)
		s.Buffer(make([]byte, 0, 64<<10), maxName)
		s.Split(lines)
		for s.Scan() {
			if len(s.Bytes()) > 0 && !yield(s.Text(), nil) {
				return
			}
		}
		err := s.Err()
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("%w: it has a line of more than %d bytes, which is no name of a file", tarn.ErrDamaged, maxName)
		}
		if err != nil {
			yield("", fmt.Errorf("reading the list of files: %w", err))
		}
	}
}

// lines is bufio.ScanLines, which takes carriage returns off names.
func lines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}
