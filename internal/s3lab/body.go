package s3lab

import (
	"bufio"
	"bytes"
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

func sumOf(algorithm string, data []byte) string {
	h := algorithms[algorithm]()
	h.Write(data)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func md5Hex(data []byte) string {
	sum := md5.Sum(data)
	return hex.EncodeToString(sum[:])
}

// content reads the body of an upload, checks every checksum that came with
// it, and returns the one to keep: the client's, or a CRC64NVME as S3 makes one.
func content(r *request) ([]byte, checksum, *Error) {
	data, trailer, err := readBody(r)
	if err != nil {
		return nil, checksum{}, err
	}
	if err := checkDigests(r.Header, data); err != nil {
		return nil, checksum{}, err
	}
	kept := checksum{}
	for name := range algorithms {
		want := r.Header.Get("x-amz-checksum-" + name)
		if want == "" {
			want = trailer.Get("x-amz-checksum-" + name)
		}
		if want == "" {
			continue
		}
		if sumOf(name, data) != want {
			return nil, checksum{}, errBadDigest
		}
		kept = checksum{name, want, "FULL_OBJECT"}
	}
	if kept.algorithm == "" {
		kept = checksum{"crc64nvme", sumOf("crc64nvme", data), "FULL_OBJECT"}
	}
	return data, kept, nil
}

// checkDigests checks the checksums that are not S3's own.
func checkDigests(h http.Header, data []byte) *Error {
	if want := h.Get("Content-MD5"); want != "" {
		if sum := md5.Sum(data); base64.StdEncoding.EncodeToString(sum[:]) != want {
			return errBadDigest
		}
	}
	if want := h.Get("x-amz-content-sha256"); len(want) == 2*sha256.Size {
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want {
			return &Error{http.StatusBadRequest, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed."}
		}
	}
	return nil
}

func readBody(r *request) ([]byte, http.Header, *Error) {
	streaming := strings.HasPrefix(r.Header.Get("x-amz-content-sha256"), "STREAMING-") ||
		strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked")
	if streaming {
		return readChunked(bufio.NewReader(http.MaxBytesReader(nil, r.Body, maxObject)), r.Header.Get("x-amz-decoded-content-length"))
	}
	if r.ContentLength < 0 {
		return nil, nil, &Error{http.StatusLengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header."}
	}
	if r.ContentLength > maxObject {
		return nil, nil, &Error{http.StatusBadRequest, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size"}
	}
	// The buffer grows with what arrives, not with what is announced.
	var b bytes.Buffer
	if _, err := io.Copy(&b, r.Body); err != nil || int64(b.Len()) != r.ContentLength {
		return nil, nil, errIncomplete
	}
	return b.Bytes(), nil, nil
}

// readChunked decodes aws-chunked content: chunks of "<hex size>[;extension]",
// the last of size 0, then trailers. Signatures of chunks are not checked.
func readChunked(r *bufio.Reader, decodedLength string) ([]byte, http.Header, *Error) {
	var b bytes.Buffer
	for {
		line, err := readLine(r)
		if err != nil {
			return nil, nil, errIncomplete
		}
		digits, _, _ := strings.Cut(line, ";")
		size, err := strconv.ParseInt(digits, 16, 64)
		if err != nil || size < 0 || size > maxObject {
			return nil, nil, invalidArgument("the size of a chunk is not a number")
		}
		if size == 0 {
			break
		}
		if _, err := io.CopyN(&b, r, size); err != nil {
			return nil, nil, errIncomplete
		}
		if line, err := readLine(r); err != nil || line != "" {
			return nil, nil, errIncomplete
		}
	}
	if decodedLength != "" && decodedLength != strconv.Itoa(b.Len()) {
		return nil, nil, errIncomplete
	}
	trailer, err := readTrailer(r)
	if err != nil {
		return nil, nil, errIncomplete
	}
	return b.Bytes(), trailer, nil
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
