package s3lab

import (
	"bufio"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const maxObject = 5 << 30 // bytes of one request, as on S3

var crc64NVME = crc64.MakeTable(0x9a6c9329ac4bc9b5)

// algorithms are the checksums of x-amz-checksum-*.
var algorithms = map[string]func() hash.Hash{
	"crc64nvme": func() hash.Hash { return crc64.New(crc64NVME) },
	"crc32":     func() hash.Hash { return crc32.NewIEEE() },
	"crc32c":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"sha1":      sha1.New,
	"sha256":    sha256.New,
}

// received is what came in the body of an upload: its size, its MD5 and the
// checksum to keep, which is the client's, or a CRC64NVME as S3 makes one.
type received struct {
	size     int64
	md5      []byte
	checksum checksum
}

// receive copies the body of an upload to w and checks every checksum that
// came with it.
func receive(r *request, w io.Writer) (received, *Error) {
	sums := sumsFor(r.Header)
	to := &sink{w: io.MultiWriter(append(sums.writers(), w)...)}
	n, trailer, err := copyBody(to, r)
	if to.err != nil {
		return received{}, internal(to.err)
	}
	if err != nil {
		return received{}, err
	}
	kept, err := sums.check(r.Header, trailer)
	return received{n, sums.md5.Sum(nil), kept}, err
}

// sink remembers why it could not be written, to tell that from a body that
// could not be read.
type sink struct {
	w   io.Writer
	err error
}

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err != nil {
		s.err = err
	}
	return n, err
}

// sums are the checksums of a body while it passes.
type sums struct {
	md5    hash.Hash
	sha256 hash.Hash            // nil if no header has one that is not S3's own
	named  map[string]hash.Hash // by algorithm
}

// sumsFor returns those that the headers have, or say that a trailer will have.
func sumsFor(h http.Header) sums {
	s := sums{md5: md5.New(), named: map[string]hash.Hash{}}
	if len(h.Get("x-amz-content-sha256")) == 2*sha256.Size {
		s.sha256 = sha256.New()
	}
	for name, algorithm := range algorithms {
		header := "x-amz-checksum-" + name
		if h.Get(header) != "" || strings.Contains(strings.ToLower(h.Get("x-amz-trailer")), header) {
			s.named[name] = algorithm()
		}
	}
	if len(s.named) == 0 {
		s.named["crc64nvme"] = algorithms["crc64nvme"]()
	}
	return s
}

func (s sums) writers() []io.Writer {
	w := []io.Writer{s.md5}
	if s.sha256 != nil {
		w = append(w, s.sha256)
	}
	for _, h := range s.named {
		w = append(w, h)
	}
	return w
}

// check compares the sums with what the client says, and returns the one to keep.
func (s sums) check(h, trailer http.Header) (checksum, *Error) {
	if want := h.Get("Content-MD5"); want != "" && want != base64.StdEncoding.EncodeToString(s.md5.Sum(nil)) {
		return checksum{}, errBadDigest
	}
	if s.sha256 != nil && h.Get("x-amz-content-sha256") != hex.EncodeToString(s.sha256.Sum(nil)) {
		return checksum{}, newError(http.StatusBadRequest, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	var kept checksum
	for name, sum := range s.named {
		value := base64.StdEncoding.EncodeToString(sum.Sum(nil))
		want := h.Get("x-amz-checksum-" + name)
		if want == "" {
			want = trailer.Get("x-amz-checksum-" + name)
		}
		if want != "" && want != value {
			return checksum{}, errBadDigest
		}
		kept = checksum{name, value, "FULL_OBJECT"}
	}
	for name := range trailer {
		algorithm, ok := strings.CutPrefix(strings.ToLower(name), "x-amz-checksum-")
		if ok && s.named[algorithm] == nil {
			return checksum{}, newError(http.StatusBadRequest, "MalformedTrailerError", "The trailer has a checksum that x-amz-trailer does not name")
		}
	}
	return kept, nil
}

// copyBody copies the body as it was before it was chunked, and returns the trailers.
func copyBody(w io.Writer, r *request) (int64, http.Header, *Error) {
	streaming := strings.HasPrefix(r.Header.Get("x-amz-content-sha256"), "STREAMING-") ||
		strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked")
	if streaming {
		return readChunked(w, bufio.NewReader(http.MaxBytesReader(nil, r.Body, maxObject)), r.Header.Get("x-amz-decoded-content-length"))
	}
	if r.ContentLength < 0 {
		return 0, nil, newError(http.StatusLengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header.")
	}
	if r.ContentLength > maxObject {
		return 0, nil, newError(http.StatusBadRequest, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
	}
	n, err := io.Copy(w, r.Body)
	if err != nil || n != r.ContentLength {
		return 0, nil, errIncomplete
	}
	return n, nil, nil
}

// readChunked decodes aws-chunked content: chunks of "<hex size>[;extension]",
// the last of size 0, then trailers. Signatures of chunks are not checked.
func readChunked(w io.Writer, r *bufio.Reader, decodedLength string) (total int64, _ http.Header, _ *Error) {
	for {
		line, err := readLine(r)
		if err != nil {
			return 0, nil, errIncomplete
		}
		digits, _, _ := strings.Cut(line, ";")
		size, err := strconv.ParseInt(digits, 16, 64)
		if err != nil || size < 0 || size > maxObject {
			return 0, nil, invalidArgument("the size of a chunk is not a number")
		}
		if size == 0 {
			break
		}
		if _, err := io.CopyN(w, r, size); err != nil {
			return 0, nil, errIncomplete
		}
		total += size
		if line, err := readLine(r); err != nil || line != "" {
			return 0, nil, errIncomplete
		}
	}
	if decodedLength != "" && decodedLength != strconv.FormatInt(total, 10) {
		return 0, nil, errIncomplete
	}
	trailer, err := readTrailer(r)
	if err != nil {
		return 0, nil, errIncomplete
	}
	return total, trailer, nil
}

func readTrailer(r *bufio.Reader) (http.Header, error) {
	h := http.Header{}
	for range 16 {
		line, err := readLine(r)
		if line != "" {
			name, value, _ := strings.Cut(line, ":")
			h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		}
		if errors.Is(err, io.EOF) || err == nil && line == "" {
			return h, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, errors.New("too many trailers")
}

// readLine reads up to a line feed; an end of the stream ends the line too.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	return strings.TrimRight(string(line), "\r\n"), err
}
