package s3lab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
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

// What is taken for a request to thaw has days and a tier, and what the lab
// then does is within S3's bounds.
func FuzzRestore(f *testing.F) {
	f.Add(thawBody("Bulk", 1))
	f.Add(thawBody("Expedited", 2147483647))
	f.Add("<RestoreRequest xmlns='x'><Days> 3 </Days><Tier>Standard</Tier></RestoreRequest>")
	f.Add("<RestoreRequest><Days>1</Days><GlacierJobParameters/></RestoreRequest>")
	f.Add("<!DOCTYPE x [<!ENTITY a 'b'>]><RestoreRequest><Days>&a;</Days></RestoreRequest>")
	f.Fuzz(func(t *testing.T, body string) {
		days, tier, err := parseRestore([]byte(body))
		if err != nil {
			return
		}
		if days < 1 || !slices.Contains(tiers, tier) {
			t.Errorf("%q: %d days, %s", body, days, tier)
		}
		for _, class := range []string{glacier, deepArchive} {
			g := newGlacier(newLedger(still, forgetful{}))
			status, got, err := g.thaw(&cooled{Info: Info{Key: body, Class: class}}, start, days, tier)
			if err != nil {
				continue
			}
			least, most := delays[class][tier][0], delays[class][tier][1]
			if d := got.ready.Sub(start); status != 202 || d < least || d > most || got.expiry.Before(got.ready.Add(day)) || got.expiry.Truncate(day) != got.expiry {
				t.Errorf("%q: %+v", body, got)
			}
		}
	})
}

// A line of the journal is an event that is read again as it is written, or an
// error; what an event says is applied without a panic.
func FuzzJournal(f *testing.F) {
	for _, line := range []string{
		`{"kind":"clock","time":"2026-10-15T10:30:00Z","offset":3600000000000}`,
		`{"kind":"created","time":"2026-10-15T10:30:00Z","bucket":"b","key":"k","class":"GLACIER","size":7,"content":{"blob":"ABCDEFGHIJKLMNOPQRSTUVWXYZ","etag":"x"}}`,
		`{"kind":"created","bucket":"b","key":"k","content":{"blob":"../../x"}}`,
		`{"kind":"thaw","bucket":"b","key":"k","tier":"Bulk","days":2,"ready":"2026-10-15T10:30:00Z","expiry":"9999-12-31T23:59:59Z"}`,
		`{"kind":"part","upload":"u","part":1,"size":5}`, `{"kind":"upload","upload":"u"}`, `{"kind":"aborted","upload":"u"}`,
		`{"kind":"moved","bucket":"b","key":"k","class":"NONE"}`, `{"kind":"removed","bucket":"b","key":"k"}`, `{"kind":"request","op":"RestoreObject","status":202,"out":-1}`,
	} {
		f.Add([]byte(line), []byte(line))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		l, err := Open(LabConfig{Now: still})
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range [][]byte{first, second} {
			e, err := parseEvent(line)
			if err != nil {
				continue
			}
			b, err := json.Marshal(e)
			if err != nil {
				continue // a time that was read and can't be written
			}
			if again, err := parseEvent(b); err != nil || !reflect.DeepEqual(again, e) && string(must(json.Marshal(again))) != string(b) {
				t.Errorf("%s became %s: %v", line, b, err)
			}
			l.ledger.replay(e)
			_ = l.ledger.keep.append(e)
		}
		if _, err := l.Bill(); err != nil {
			t.Error(err)
		}
		l.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/b/k", nil))
		l.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/b?list-type=2", nil))
	})
}

func must(b []byte, _ error) []byte { return b }

// A listing that is rewritten has each entry's key as before, and nothing else
// is lost; what is no listing is an error.
func FuzzRewriteList(f *testing.F) {
	f.Add("<L><Contents><Key>a&amp;b</Key><Size>3</Size><StorageClass>STANDARD</StorageClass></Contents><Prefix>p</Prefix></L>")
	f.Add("<?xml version='1.0'?><L xmlns='x'><EncodingType>url</EncodingType><Contents><LastModified>x</LastModified><Key>a%2Bb</Key><Owner><Key>no</Key></Owner></Contents><Contents/></L>")
	f.Add("<L><Contents></L>")
	f.Fuzz(func(t *testing.T, body string) {
		var before []string
		out, err := rewriteList([]byte(body), func(e listed) (*Info, *restoreStatus, error) {
			before = append(before, e.key)
			return &Info{Key: e.key, Class: glacier, Modified: start}, &restoreStatus{IsRestoreInProgress: true}, nil
		})
		if err != nil {
			return
		}
		after, err := entriesOf(out)
		if err != nil || len(after) != len(before) {
			t.Fatalf("%q became %q: %v", body, out, err)
		}
		for i, e := range after {
			if e.class != glacier {
				t.Errorf("entry %d of %q: class %q", i, out, e.class)
			}
		}
	})
}
