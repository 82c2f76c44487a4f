package s3lab

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// oneShot does not keep connections: on one that was used before, it would
// repeat a request by itself when the connection is cut.
var oneShot = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// client makes requests to a handler over a real connection.
type client struct {
	t   *testing.T
	url string
}

func newClient(t *testing.T, h http.Handler) client {
	t.Helper()
	ts := httptest.NewServer(h)
	t.Cleanup(ts.Close)
	return client{t, ts.URL}
}

// do makes a request; header holds names and values in turn.
func (c client) do(method, path, body string, header ...string) (*http.Response, string) {
	c.t.Helper()
	resp, got, err := c.try(method, path, body, header...)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp, got
}

func (c client) try(method, path, body string, header ...string) (*http.Response, string, error) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := oneShot.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

// want makes a request and checks its status and, if code is not empty, the
// code of its error.
func (c client) want(status int, code, method, path, body string, header ...string) (*http.Response, string) {
	c.t.Helper()
	resp, got := c.do(method, path, body, header...)
	if resp.StatusCode != status || !strings.Contains(got, "<Code>"+code+"</Code>") && code != "" {
		c.t.Errorf("%s %s: %d %s, want %d %s", method, path, resp.StatusCode, got, status, code)
	}
	return resp, got
}

func bucketClient(t *testing.T, cfg Config) client {
	t.Helper()
	s := New(cfg)
	s.CreateBucket("b")
	return newClient(t, s)
}

func sumOf(data string) string {
	h := algorithms["crc64nvme"]()
	io.WriteString(h, data)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func TestBuckets(t *testing.T) {
	c := newClient(t, New(Config{}))
	c.want(404, "", "HEAD", "/b", "")
	c.want(404, "NoSuchBucket", "GET", "/b?list-type=2", "")
	c.want(404, "NoSuchBucket", "PUT", "/b/k", "x")
	c.want(200, "", "PUT", "/b", "")
	c.want(200, "", "HEAD", "/b", "")
	c.want(501, "NotImplemented", "GET", "/b?lifecycle", "")
	if _, body := c.want(200, "", "GET", "/", ""); !strings.Contains(body, "<Name>b</Name>") {
		t.Errorf("buckets: %s", body)
	}
}

func TestObjects(t *testing.T) {
	c := bucketClient(t, Config{})
	c.want(404, "NoSuchKey", "GET", "/b/k", "")
	c.want(200, "", "PUT", "/b/a%20b/%C3%A4+%25", "0123456789", "x-amz-storage-class", "GLACIER", "x-amz-meta-mine", "yes")
	resp, body := c.want(200, "", "GET", "/b/a%20b/%C3%A4+%25", "", "x-amz-checksum-mode", "ENABLED")
	h := resp.Header
	if body != "0123456789" || h.Get("x-amz-storage-class") != "GLACIER" || h.Get("x-amz-meta-mine") != "yes" ||
		h.Get("ETag") != fmt.Sprintf(`"%x"`, md5.Sum([]byte(body))) || h.Get("x-amz-checksum-crc64nvme") != sumOf(body) {
		t.Errorf("%q, %v", body, h)
	}
	for span, want := range map[string]string{"0-3": "0123", "4-": "456789", "-2": "89", "8-100": "89", "0-0": "0"} {
		if _, body := c.want(206, "", "GET", "/b/a%20b/%C3%A4+%25", "", "Range", "bytes="+span); body != want {
			t.Errorf("%s: %q", span, body)
		}
	}
	c.want(416, "InvalidRange", "GET", "/b/a%20b/%C3%A4+%25", "", "Range", "bytes=10-")
	c.want(412, "PreconditionFailed", "GET", "/b/a%20b/%C3%A4+%25", "", "If-Match", `"x"`)
	c.want(204, "", "DELETE", "/b/a%20b/%C3%A4+%25", "")
	c.want(404, "", "HEAD", "/b/a%20b/%C3%A4+%25", "")
}

func TestConditionalWrite(t *testing.T) {
	c := bucketClient(t, Config{})
	c.want(200, "", "PUT", "/b/k", "one", "If-None-Match", "*")
	c.want(412, "PreconditionFailed", "PUT", "/b/k", "two", "If-None-Match", "*")
	c.want(501, "NotImplemented", "PUT", "/b/k", "two", "If-None-Match", `"etag"`)
	c.want(200, "", "PUT", "/b/k", "three")
	if _, body := c.do("GET", "/b/k", ""); body != "three" {
		t.Errorf("%q", body)
	}
	var wg sync.WaitGroup
	statuses := make(chan int, 8)
	for range 8 {
		wg.Go(func() {
			if resp, _, err := c.try("PUT", "/b/race", "x", "If-None-Match", "*"); err == nil {
				statuses <- resp.StatusCode
			}
		})
	}
	wg.Wait()
	close(statuses)
	var won int
	for s := range statuses {
		if s == 200 {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d writers won", won)
	}
}

// The sums of "123456789" are those that every catalogue of checksums lists.
func TestChecksumsAreChecked(t *testing.T) {
	c := bucketClient(t, Config{})
	const data = "123456789"
	sums := map[string]string{
		"x-amz-checksum-crc64nvme": base64.StdEncoding.EncodeToString([]byte{0xae, 0x8b, 0x14, 0x86, 0x0a, 0x79, 0x98, 0x88}),
		"x-amz-checksum-crc32":     base64.StdEncoding.EncodeToString([]byte{0xcb, 0xf4, 0x39, 0x26}),
		"x-amz-checksum-crc32c":    base64.StdEncoding.EncodeToString([]byte{0xe3, 0x06, 0x92, 0x83}),
		"x-amz-checksum-sha1":      "98O8HYCOBHMq32eZZczDTKeuNEE=",
		"x-amz-checksum-sha256":    "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
		"Content-MD5":              "JfnnlDI7RTiF9RgfG2JNCw==",
		"x-amz-content-sha256":     "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
	}
	for name, sum := range sums {
		c.want(200, "", "PUT", "/b/"+name, data, name, sum)
		resp, got := c.do("PUT", "/b/bad", data+"0", name, sum)
		if resp.StatusCode != 400 || !strings.Contains(got, "BadDigest") && !strings.Contains(got, "XAmzContentSHA256Mismatch") {
			t.Errorf("%s: %s", name, got)
		}
	}
	c.want(404, "", "HEAD", "/b/bad", "")
}

func TestChunkedUpload(t *testing.T) {
	c := bucketClient(t, Config{})
	const chunks = "5;chunk-signature=00\r\n12345\r\n4\r\n6789\r\n0\r\n"
	headers := []string{
		"x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "Content-Encoding", "aws-chunked",
		"x-amz-decoded-content-length", "9", "x-amz-trailer", "x-amz-checksum-crc32",
	}
	c.want(200, "", "PUT", "/b/k", chunks+"x-amz-checksum-crc32:y/Q5Jg==\r\n\r\n", headers...)
	if _, body := c.do("GET", "/b/k", ""); body != "123456789" {
		t.Errorf("%q", body)
	}
	c.want(400, "BadDigest", "PUT", "/b/bad", chunks+"x-amz-checksum-crc32:AAAAAA==\r\n\r\n", headers...)
	c.want(400, "IncompleteBody", "PUT", "/b/bad", "5\r\n123", headers...)
	c.want(400, "IncompleteBody", "PUT", "/b/bad", "5\r\n12345\r\n0\r\n\r\n", headers...)
	c.want(400, "InvalidArgument", "PUT", "/b/bad", "zz\r\n", headers...)
}

func TestMultipart(t *testing.T) {
	server := New(Config{MinPart: 5})
	server.CreateBucket("b")
	c := newClient(t, server)
	begin := func() string {
		_, body := c.want(200, "", "POST", "/b/k?uploads", "", "x-amz-checksum-algorithm", "CRC64NVME", "x-amz-checksum-type", "FULL_OBJECT", "x-amz-storage-class", "GLACIER")
		var res struct{ UploadId string } //revive:disable-line the name is S3's
		if err := xml.Unmarshal([]byte(body), &res); err != nil || res.UploadId == "" {
			t.Fatalf("%s: %v", body, err)
		}
		return res.UploadId
	}
	id := begin()
	var list strings.Builder
	for n, data := range []string{1: "12345", 2: "6789"} {
		if data == "" {
			continue
		}
		resp, _ := c.want(200, "", "PUT", fmt.Sprintf("/b/k?partNumber=%d&uploadId=%s", n, id), data)
		fmt.Fprintf(&list, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", n, resp.Header.Get("ETag"))
	}
	complete := func(id, parts string, header ...string) func(int, string) {
		return func(status int, code string) {
			t.Helper()
			c.want(status, code, "POST", "/b/k?uploadId="+id, "<CompleteMultipartUpload>"+parts+"</CompleteMultipartUpload>", header...)
		}
	}
	sum := sumOf("123456789")
	complete("no", list.String())(404, "NoSuchUpload")
	complete(id, "")(400, "MalformedXML")
	complete(id, "<Part><PartNumber>7</PartNumber><ETag>x</ETag></Part>")(400, "InvalidPart")
	complete(id, list.String()+list.String())(400, "InvalidPartOrder")
	complete(id, list.String(), "x-amz-checksum-crc64nvme", "AAAAAAAAAAA=")(400, "BadDigest")
	complete(id, list.String(), "x-amz-mp-object-size", "8")(400, "InvalidRequest")
	c.want(404, "NoSuchKey", "GET", "/b/k", "")
	complete(id, list.String(), "x-amz-checksum-crc64nvme", sum, "If-None-Match", "*")(200, "")
	resp, body := c.do("GET", "/b/k", "", "x-amz-checksum-mode", "ENABLED")
	if body != "123456789" || resp.Header.Get("x-amz-checksum-crc64nvme") != sum || !strings.HasSuffix(resp.Header.Get("ETag"), `-2"`) || resp.Header.Get("x-amz-storage-class") != "GLACIER" {
		t.Errorf("%q, %v", body, resp.Header)
	}
	complete(id, list.String())(404, "NoSuchUpload")
	id = begin()
	c.want(200, "", "PUT", "/b/k?partNumber=1&uploadId="+id, "12345")
	complete(id, `<Part><PartNumber>1</PartNumber><ETag>827ccb0eea8a706c4c34a16891f84e7b</ETag></Part>`, "If-None-Match", "*")(412, "PreconditionFailed")
	if server.Uploads() != 1 {
		t.Errorf("%d uploads", server.Uploads())
	}
	c.want(204, "", "DELETE", "/b/k?uploadId="+id, "")
	c.want(404, "NoSuchUpload", "DELETE", "/b/k?uploadId="+id, "")
	c.want(404, "NoSuchUpload", "PUT", "/b/k?partNumber=1&uploadId="+id, "12345")
	c.want(400, "InvalidArgument", "PUT", "/b/k?partNumber=0&uploadId="+id, "12345")
}

func TestList(t *testing.T) {
	c := bucketClient(t, Config{MaxKeys: 2})
	keys := []string{"a b&c", "a.b", "a/b", "a/c", "b", "ä"}
	for _, k := range keys {
		c.want(200, "", "PUT", "/b/"+url.PathEscape(k), "x")
	}
	page := func(query string) (res listResult) {
		t.Helper()
		_, body := c.want(200, "", "GET", "/b?list-type=2"+query, "")
		if err := xml.Unmarshal([]byte(body), &res); err != nil {
			t.Fatal(err)
		}
		return res
	}
	all := func(query string) (got []string) {
		token := ""
		for {
			res := page(query + token)
			for _, o := range res.Contents {
				got = append(got, o.Key)
			}
			for _, p := range res.CommonPrefixes {
				got = append(got, p.Prefix)
			}
			if *res.KeyCount > 2 || !res.IsTruncated {
				slices.Sort(got) // a page has its prefixes after its keys
				return got
			}
			token = "&continuation-token=" + url.QueryEscape(res.NextContinuationToken)
		}
	}
	tests := map[string][]string{
		"":                           keys,
		"&prefix=a/":                 {"a/b", "a/c"},
		"&prefix=absent":             nil,
		"&start-after=a/c":           {"b", "ä"},
		"&delimiter=/":               {"a b&c", "a.b", "a/", "b", "ä"},
		"&encoding-type=url":         {"%C3%A4", "a%2Fb", "a%2Fc", "a+b%26c", "a.b", "b"},
		"&max-keys=1&prefix=a/":      {"a/b", "a/c"},
		"&prefix=a/&start-after=a/b": {"a/c"},
	}
	for query, want := range tests {
		if got := all(query); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	if got, want := c.listV1("&delimiter=/&max-keys=1"), []string{"a b&c", "a.b", "a/", "b", "ä"}; !slices.Equal(got, want) {
		t.Errorf("version 1: %q, want %q", got, want)
	}
	c.want(400, "InvalidArgument", "GET", "/b?list-type=2&continuation-token=%21", "")
	c.want(400, "InvalidArgument", "GET", "/b?list-type=2&max-keys=x", "")
}

// listV1 goes through the pages of ListObjects, of at most 9.
func (c client) listV1(query string) (got []string) {
	c.t.Helper()
	marker := ""
	for range 9 {
		_, body := c.want(200, "", "GET", "/b?marker="+url.QueryEscape(marker)+query, "")
		var res listResult
		if err := xml.Unmarshal([]byte(body), &res); err != nil || res.KeyCount != nil {
			c.t.Fatalf("%s: %v", body, err)
		}
		for _, o := range res.Contents {
			got = append(got, o.Key)
		}
		for _, p := range res.CommonPrefixes {
			got = append(got, p.Prefix)
		}
		if marker = res.NextMarker; !res.IsTruncated {
			break
		}
	}
	slices.Sort(got)
	return got
}

func TestAccessKey(t *testing.T) {
	c := bucketClient(t, Config{AccessKey: "mine"})
	c.want(403, "AccessDenied", "GET", "/b/k", "")
	c.want(403, "InvalidAccessKeyId", "GET", "/b/k", "", "Authorization", "AWS4-HMAC-SHA256 Credential=yours/x")
	c.want(404, "NoSuchKey", "GET", "/b/k", "", "Authorization", "AWS4-HMAC-SHA256 Credential=mine/x")
	c.want(404, "NoSuchKey", "GET", "/b/k?X-Amz-Credential=mine%2Fx", "")
}

// frozen is a Cold under which GLACIER can't be read until it was restored.
type frozen struct {
	mu    sync.Mutex
	state *Restoration
}

func (f *frozen) Read(o Info) *Error {
	if r := f.Restoration(o); o.Class == "GLACIER" && (r == nil || r.Ongoing) {
		return newError(403, "InvalidObjectState", "The operation is not valid for the object's storage class")
	}
	return nil
}

func (f *frozen) Restoration(Info) *Restoration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

func (f *frozen) Restore(_ Info, body []byte) (int, *Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !bytes.Contains(body, []byte("<Days>")) {
		return 0, errMalformedXML
	}
	f.state = &Restoration{Ongoing: true}
	return 202, nil
}

func TestCold(t *testing.T) {
	f := &frozen{}
	c := bucketClient(t, Config{Cold: f})
	c.want(200, "", "PUT", "/b/k", "x", "x-amz-storage-class", "GLACIER")
	c.want(403, "InvalidObjectState", "GET", "/b/k", "")
	c.want(404, "NoSuchKey", "POST", "/b/absent?restore", "<Days>1</Days>")
	c.want(400, "MalformedXML", "POST", "/b/k?restore", "")
	c.want(202, "", "POST", "/b/k?restore", "<Days>1</Days>")
	if resp, _ := c.want(200, "", "HEAD", "/b/k", ""); resp.Header.Get("x-amz-restore") != `ongoing-request="true"` {
		t.Errorf("%v", resp.Header)
	}
	f.mu.Lock()
	f.state = &Restoration{Expiry: time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC)}
	f.mu.Unlock()
	if resp, _ := c.want(200, "", "GET", "/b/k", ""); !strings.Contains(resp.Header.Get("x-amz-restore"), `expiry-date="Thu, 24 Dec 2026`) {
		t.Errorf("%v", resp.Header)
	}
	for attributes, want := range map[string]bool{"RestoreStatus": true, "": false} {
		_, body := c.do("GET", "/b?list-type=2", "", "x-amz-optional-object-attributes", attributes)
		if strings.Contains(body, "<RestoreExpiryDate>2026-12-24T00:00:00Z<") != want {
			t.Errorf("%q: %s", attributes, body)
		}
	}
}
