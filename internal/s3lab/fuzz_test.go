package s3lab

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What was chunked in any way is read back; anything else is an error and no panic.
func FuzzChunked(f *testing.F) {
	f.Add("5\r\n12345\r\n0\r\n\r\n", "content", 3)
	f.Add("5;chunk-signature=x\r\n12345\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n", "", 1)
	f.Add("ffffffffffffffff\r\n", "x", 1)
	f.Add("-1\r\n", "x", 1)
	f.Fuzz(func(t *testing.T, raw, data string, size int) {
		var b strings.Builder
		if n, _, err := readChunked(&b, bufio.NewReader(strings.NewReader(raw)), ""); err == nil && (b.Len() > len(raw) || n != int64(b.Len())) {
			t.Errorf("%d bytes out of %d", b.Len(), len(raw))
		}
		size = max(1, min(size, len(data)))
		var chunked strings.Builder
		for rest := data; rest != ""; {
			n := min(size, len(rest))
			fmt.Fprintf(&chunked, "%x\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		chunked.WriteString("0\r\nX-Trailer: yes\r\n\r\n")
		b.Reset()
		_, trailer, err := readChunked(&b, bufio.NewReader(strings.NewReader(chunked.String())), fmt.Sprint(len(data)))
		if err != nil || b.String() != data || trailer.Get("x-trailer") != "yes" {
			t.Errorf("%q came back as %q, %v, %v", data, b.String(), trailer, err)
		}
	})
}

func FuzzRange(f *testing.F) {
	for _, s := range []string{"bytes=0-", "bytes=-5", "bytes=3-7", "bytes=9-1", "bytes=-", "bytes=0-1,4-5", "bytes=9223372036854775807-", "bytes=0-9223372036854775807"} {
		f.Add(s, int64(10))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		size = max(0, size)
		start, end, err := parseRange(header, size)
		if err == nil && (start < 0 || start > end || end > size) {
			t.Errorf("%q of %d: %d to %d", header, size, start, end)
		}
	})
}

// No request makes the server panic.
func FuzzServer(f *testing.F) {
	f.Add("PUT", "/b/k", "x", "If-None-Match", "*")
	f.Add("GET", "/b?list-type=2&prefix=%00&delimiter=/", "", "Range", "bytes=1-")
	f.Add("POST", "/b/k?uploads", "", "x-amz-checksum-algorithm", "CRC32")
	f.Add("POST", "/b/k?restore", "", "", "")
	f.Add("POST", "/b/k?uploadId=u", "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>", "", "")
	f.Add("PUT", "/b/k?uploadId=u&partNumber=1", "1\r\nx", "x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
	f.Fuzz(func(t *testing.T, method, path, body, name, value string) {
		r, err := http.NewRequest(method, "http://lab"+path, strings.NewReader(body))
		if err != nil || !strings.HasPrefix(path, "/") {
			return
		}
		r.Header.Set(name, value)
		s := New(Config{})
		s.CreateBucket("b")
		s.store.addUpload("u", &object{Info: Info{Bucket: "b", Key: "k"}, content: content{Checksum: checksum{Kind: "FULL_OBJECT"}}})
		s.ServeHTTP(httptest.NewRecorder(), r)
	})
}
