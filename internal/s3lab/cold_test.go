package s3lab

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// start is when the clock of each lab starts here: 10:30 of a day, as in S3's
// example of how an expiry is rounded.
var start = time.Date(2026, 10, 15, 10, 30, 0, 0, time.UTC)

func still() time.Time { return start }

// plain is a real server as far as the lab goes: it drops classes, and says
// that it knows no RestoreObject.
func plain(t *testing.T) *url.URL {
	t.Helper()
	s := New(Config{MinPart: 5})
	s.CreateBucket("b")
	c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("x-amz-storage-class")
		if newRequest(r).operation() == "RestoreObject" {
			writeError(w, newRequest(r), newError(501, "NotImplemented", "what is that?"))
			return
		}
		s.ServeHTTP(w, r)
	}))
	u, err := url.Parse(c.url)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func openLab(t *testing.T, cfg LabConfig) *Lab {
	t.Helper()
	if cfg.Now == nil {
		cfg.Now = still
	}
	cfg.MinPart = 5
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil && !strings.Contains(err.Error(), "already closed") {
			t.Error(err)
		}
	})
	if cfg.Upstream == nil {
		if err := l.CreateBucket(t.Context(), "b"); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// inEveryHome runs a test on a lab in memory, on one in a folder, and on one
// before another server.
func inEveryHome(t *testing.T, test func(t *testing.T, l *Lab, c client)) {
	for name, cfg := range map[string]func(t *testing.T) LabConfig{
		"memory":   func(*testing.T) LabConfig { return LabConfig{} },
		"disk":     func(t *testing.T) LabConfig { return LabConfig{Dir: t.TempDir()} },
		"upstream": func(t *testing.T) LabConfig { return LabConfig{Upstream: plain(t), Dir: t.TempDir()} },
	} {
		t.Run(name, func(t *testing.T) {
			l := openLab(t, cfg(t))
			test(t, l, newClient(t, l))
		})
	}
}

func (c client) put(key, body, class string) {
	c.t.Helper()
	c.want(200, "", "PUT", "/b/"+key, body, "x-amz-storage-class", class)
}

// thaw requests a thaw and checks the answer.
func (c client) thaw(status int, code, key, tier string, days int) {
	c.t.Helper()
	c.want(status, code, "POST", "/b/"+key+"?restore", thawBody(tier, days))
}

func thawBody(tier string, days int) string {
	return fmt.Sprintf("<RestoreRequest><Days>%d</Days><GlacierJobParameters><Tier>%s</Tier></GlacierJobParameters></RestoreRequest>", days, tier)
}

// state checks what HEAD, LIST and GET say of an object: cold, thawing, or
// readable until a time.
func (c client) state(key, class, want string) {
	c.t.Helper()
	header := map[string]string{"cold": "", "warm": "", "thawing": `ongoing-request="true"`}
	status := map[string]string{"thawing": "<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>"}
	head, known := header[want]
	inList := status[want]
	if !known {
		expiry, err := time.Parse(time.RFC3339, want)
		if err != nil {
			c.t.Fatal(err)
		}
		head = fmt.Sprintf(`ongoing-request="false", expiry-date="%s"`, expiry.Format(http.TimeFormat))
		inList = "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress><RestoreExpiryDate>" + want + "</RestoreExpiryDate></RestoreStatus>"
	}
	resp, _ := c.want(200, "", "HEAD", "/b/"+key, "")
	shown := class
	if class == standard {
		shown = ""
	}
	if got := resp.Header.Get("x-amz-restore"); got != head || resp.Header.Get("x-amz-storage-class") != shown {
		c.t.Errorf("HEAD of %s: %s, %s; want %s, %s", key, resp.Header.Get("x-amz-storage-class"), got, class, head)
	}
	for _, query := range []string{"list-type=2&prefix=", "encoding-type=url&prefix="} {
		_, body := c.want(200, "", "GET", "/b?"+query+key, "", "x-amz-optional-object-attributes", "RestoreStatus")
		if !strings.Contains(body, "<StorageClass>"+class+"</StorageClass>") || !strings.Contains(body, inList) || strings.Contains(body, "<RestoreStatus>") != (inList != "") ||
			strings.Count(body, "<StorageClass>") != strings.Count(body, "<Key>") || strings.Count(body, "<LastModified>") != strings.Count(body, "<Key>") {
			c.t.Errorf("LIST of %s: %s; want %s", key, body, inList)
		}
		if _, body = c.want(200, "", "GET", "/b?"+query+key, ""); strings.Contains(body, "<RestoreStatus>") {
			c.t.Errorf("LIST tells what was not asked: %s", body)
		}
	}
	if want == "cold" || want == "thawing" {
		_, body := c.want(403, "InvalidObjectState", "GET", "/b/"+key, "", "Range", "bytes=0-1")
		if !strings.Contains(body, "<StorageClass>"+class+"</StorageClass>") {
			c.t.Errorf("GET of %s: %s", key, body)
		}
	} else {
		c.want(200, "", "GET", "/b/"+key, "")
	}
}

func advance(t *testing.T, l *Lab, by string) {
	t.Helper()
	d, err := ParseDuration(by)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Advance(d); err != nil {
		t.Fatal(err)
	}
}

// The life of an object in each class and tier: the copy is there no later
// than S3 says, no sooner either, and ends at midnight.
func TestThaw(t *testing.T) {
	tests := []struct {
		class, tier string
		least, most string // when it is not ready yet, and how much later it is
		expiry      string
	}{
		{"GLACIER", "Expedited", "59s", "4m1s", "2026-10-19T00:00:00Z"},
		{"GLACIER", "Standard", "2h59m", "2h1m", "2026-10-19T00:00:00Z"},
		{"GLACIER", "Bulk", "4h59m", "7h1m", "2026-10-19T00:00:00Z"},
		{"DEEP_ARCHIVE", "Standard", "11h59m", "1m", "2026-10-19T00:00:00Z"},
		{"DEEP_ARCHIVE", "Bulk", "1d23h59m", "1m", "2026-10-21T00:00:00Z"},
	}
	for _, test := range tests {
		t.Run(test.class+" "+test.tier, func(t *testing.T) {
			inEveryHome(t, func(t *testing.T, l *Lab, c client) {
				c.put("k", "content", test.class)
				c.state("k", test.class, "cold")
				c.thaw(202, "", "k", test.tier, 3)
				c.state("k", test.class, "thawing")
				c.thaw(409, "RestoreAlreadyInProgress", "k", test.tier, 3)
				advance(t, l, test.least)
				c.state("k", test.class, "thawing")
				advance(t, l, test.most)
				c.state("k", test.class, test.expiry)
				expiry, _ := time.Parse(time.RFC3339, test.expiry)
				advance(t, l, (expiry.Sub(l.Now()) - time.Second).String())
				c.state("k", test.class, test.expiry)
				advance(t, l, "1s")
				c.state("k", test.class, "cold")
				c.thaw(202, "", "k", test.tier, 1)
			})
		})
	}
}

func TestThawLonger(t *testing.T) {
	inEveryHome(t, func(t *testing.T, l *Lab, c client) {
		c.put("k", "content", "GLACIER")
		c.thaw(202, "", "k", "Standard", 1)
		advance(t, l, "5h")
		c.state("k", "GLACIER", "2026-10-17T00:00:00Z")
		c.thaw(200, "", "k", "Bulk", 10)
		c.state("k", "GLACIER", "2026-10-26T00:00:00Z")
		c.thaw(200, "", "k", "Expedited", 2) // the days count from the request, also if that is sooner
		c.state("k", "GLACIER", "2026-10-18T00:00:00Z")
	})
}

func TestThawFaster(t *testing.T) {
	inEveryHome(t, func(t *testing.T, l *Lab, c client) {
		c.put("k", "content", "GLACIER")
		c.thaw(202, "", "k", "Bulk", 3)
		advance(t, l, "1m")
		c.thaw(202, "", "k", "Standard", 9)
		c.thaw(409, "RestoreAlreadyInProgress", "k", "Standard", 3)
		c.thaw(409, "RestoreAlreadyInProgress", "k", "Bulk", 3)
		if err := l.Expedited(false); err != nil {
			t.Fatal(err)
		}
		c.thaw(503, "GlacierExpeditedRetrievalNotAvailable", "k", "Expedited", 3)
		if err := l.Expedited(true); err != nil {
			t.Fatal(err)
		}
		c.state("k", "GLACIER", "thawing")
		c.thaw(202, "", "k", "Expedited", 9)
		advance(t, l, "5m")
		c.state("k", "GLACIER", "2026-10-19T00:00:00Z") // the days that were asked for first
	})
}

func TestThawRefused(t *testing.T) {
	inEveryHome(t, func(t *testing.T, l *Lab, c client) {
		for _, class := range classes {
			c.put(class, "content", class)
			if !cold(class) {
				c.state(class, class, "warm")
				c.thaw(403, "InvalidObjectState", class, "Standard", 1)
			}
		}
		c.thaw(404, "NoSuchKey", "absent", "Standard", 1)
		c.thaw(400, "InvalidArgument", "DEEP_ARCHIVE", "Expedited", 1)
		if err := l.Expedited(false); err != nil {
			t.Fatal(err)
		}
		c.thaw(503, "GlacierExpeditedRetrievalNotAvailable", "GLACIER", "Expedited", 1)
		for _, body := range []string{
			"", "x", "<RestoreRequest/>", "<Restore><Days>1</Days></Restore>", thawBody("Standard", 0), thawBody("Standard", -1),
			thawBody("standard", 1), thawBody("", 1), strings.Replace(thawBody("Bulk", 1), "1", "x", 1), strings.Replace(thawBody("Bulk", 1), "1", "99999999999", 1),
			"<RestoreRequest><Days>1</Days><Type>SELECT</Type></RestoreRequest>", "<RestoreRequest><Days>1</Days>",
		} {
			c.want(400, "MalformedXML", "POST", "/b/GLACIER?restore", body)
		}
		c.state("GLACIER", "GLACIER", "cold")
		const space = ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`
		c.want(202, "", "POST", "/b/GLACIER?restore", "<RestoreRequest"+space+"><Days>2147483647</Days></RestoreRequest>")
		advance(t, l, "2h")
		c.state("GLACIER", "GLACIER", "thawing") // Standard, since no tier was named
	})
}

// A thaw is of the object that it was asked for, and goes with it.
func TestThawEndsWithTheObject(t *testing.T) {
	inEveryHome(t, func(t *testing.T, l *Lab, c client) {
		thawed := func() {
			t.Helper()
			c.put("k", "content", "GLACIER")
			c.state("k", "GLACIER", "cold")
			c.thaw(202, "", "k", "Expedited", 1)
			advance(t, l, "5m")
			c.want(200, "", "GET", "/b/k", "")
		}
		thawed()
		thawed() // overwritten
		c.put("k", "content", "STANDARD")
		c.state("k", "STANDARD", "warm")
		c.want(204, "", "DELETE", "/b/k", "")
		thawed()
		c.want(200, "", "POST", "/b?delete", "<Delete><Object><Key>k</Key></Object><Object><Key>absent</Key></Object></Delete>")
		c.want(404, "NoSuchKey", "GET", "/b/k", "")
		thawed()
		if n, err := l.Move("b", "k", "DEEP_ARCHIVE"); n != 1 || err != nil {
			t.Errorf("moved %d, %v", n, err)
		}
		c.state("k", "DEEP_ARCHIVE", "cold")
	})
}

func TestMove(t *testing.T) {
	inEveryHome(t, func(t *testing.T, l *Lab, c client) {
		c.put("meta/a", "content", "STANDARD")
		c.put("meta/b", "content", "GLACIER_IR")
		c.put("meta/c", "content", "DEEP_ARCHIVE")
		c.put("other", "content", "STANDARD")
		if n, err := l.Move("b", "meta/", "GLACIER"); n != 2 || err != nil {
			t.Errorf("moved %d, %v", n, err)
		}
		c.state("meta/a", "GLACIER", "cold")
		c.state("meta/b", "GLACIER", "cold")
		c.state("meta/c", "DEEP_ARCHIVE", "cold") // no rule warms anything
		c.state("other", "STANDARD", "warm")
		if _, err := l.Move("b", "", "FROZEN"); err == nil {
			t.Error("moved to a class that is none")
		}
	})
}

// upload stores an object in parts and returns the id of the upload.
func (c client) upload(key, class string, parts ...string) string {
	c.t.Helper()
	_, body := c.want(200, "", "POST", "/b/"+key+"?uploads", "", "x-amz-storage-class", class)
	var res struct{ UploadId string } //revive:disable-line the name is S3's
	if err := xml.Unmarshal([]byte(body), &res); err != nil || res.UploadId == "" {
		c.t.Fatalf("%s: %v", body, err)
	}
	var list strings.Builder
	for i, data := range parts {
		resp, _ := c.want(200, "", "PUT", fmt.Sprintf("/b/%s?partNumber=%d&uploadId=%s", key, i+1, res.UploadId), data)
		fmt.Fprintf(&list, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, resp.Header.Get("ETag"))
	}
	c.want(200, "", "POST", "/b/"+key+"?uploadId="+res.UploadId, "<CompleteMultipartUpload>"+list.String()+"</CompleteMultipartUpload>")
	return res.UploadId
}

// What is written in parts or copied has the class that was asked for, and
// cold objects are not copied from.
func TestClassOfUploadsAndCopies(t *testing.T) {
	inEveryHome(t, func(t *testing.T, l *Lab, c client) {
		c.upload("k", "DEEP_ARCHIVE", "12345", "67")
		c.state("k", "DEEP_ARCHIVE", "cold")
		if o := l.info(place{"b", "k"}); o == nil || o.Size != 7 {
			t.Errorf("%+v", o)
		}
		c.want(403, "InvalidObjectState", "PUT", "/b/copy", "", "x-amz-copy-source", "/b/k")
		c.want(403, "InvalidObjectState", "PUT", "/b/copy?uploadId=x&partNumber=1", "", "x-amz-copy-source", "b/k")
		c.want(404, "", "HEAD", "/b/copy", "")
		c.thaw(202, "", "k", "Standard", 1)
		advance(t, l, "12h")
		c.want(200, "", "PUT", "/b/copy", "", "x-amz-copy-source", "b/k", "x-amz-storage-class", "STANDARD_IA")
		c.state("copy", "STANDARD_IA", "warm")
		if _, body := c.want(200, "", "GET", "/b/copy", ""); body != "1234567" {
			t.Errorf("%q", body)
		}
		if o := l.info(place{"b", "copy"}); o == nil || o.Size != 7 {
			t.Errorf("%+v", o)
		}
		c.want(404, "NoSuchKey", "PUT", "/b/copy", "", "x-amz-copy-source", "b/absent")
		c.want(400, "InvalidArgument", "PUT", "/b/copy", "", "x-amz-copy-source", "b")
	})
}

func TestSlowDown(t *testing.T) {
	inEveryHome(t, func(t *testing.T, l *Lab, c client) {
		now := start
		l.gate.now = func() time.Time { return now }
		for i := range 5 {
			c.put(fmt.Sprint(i), "x", "GLACIER")
		}
		l.Limit(0, 2)
		c.thaw(202, "", "0", "Bulk", 1)
		c.thaw(202, "", "1", "Bulk", 1)
		c.thaw(503, "SlowDown", "2", "Bulk", 1)
		c.want(200, "", "HEAD", "/b/2", "")
		now = now.Add(time.Second)
		c.thaw(202, "", "2", "Bulk", 1)
		now = now.Add(time.Second)
		l.Limit(1, 0)
		c.want(200, "", "HEAD", "/b/2", "")
		c.want(503, "", "HEAD", "/b/2", "")
		l.Limit(0, 0)
		c.thaw(202, "", "3", "Bulk", 1)
	})
}

// Before a real server, an answer of its own that refuses somebody stays.
func TestUpstreamRefuses(t *testing.T) {
	denied := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		writeError(w, newRequest(r), newError(403, "SignatureDoesNotMatch", "no"))
	}))
	u, err := url.Parse(denied.url)
	if err != nil {
		t.Fatal(err)
	}
	l := openLab(t, LabConfig{Upstream: u})
	if err := (&front{glacier: l.Glacier}).record(Event{Kind: eventCreated, Bucket: "b", Key: "k", Class: "GLACIER"}); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, l)
	c.thaw(403, "SignatureDoesNotMatch", "k", "Bulk", 1)
	c.want(403, "SignatureDoesNotMatch", "GET", "/b/k", "")
	c.want(403, "SignatureDoesNotMatch", "PUT", "/b/k", "x")
	if o := l.info(place{"b", "k"}); o.Class != "GLACIER" {
		t.Errorf("%+v", o)
	}
}

// A listing that a real server would compress is asked for as it is; one that
// is compressed all the same is an error that says so.
func TestUpstreamCompresses(t *testing.T) {
	zipped := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" {
			w.Header().Set("Content-Encoding", "gzip")
		}
		fmt.Fprint(w, "<ListBucketResult><Contents><Key>k</Key></Contents></ListBucketResult>")
	}))
	u, err := url.Parse(zipped.url)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, openLab(t, LabConfig{Upstream: u}))
	if _, body := c.want(200, "", "GET", "/b?list-type=2", "", "Accept-Encoding", "gzip"); !strings.Contains(body, "<StorageClass>STANDARD</StorageClass></Contents>") {
		t.Errorf("%s", body)
	}
	_, body := c.want(502, "BadGateway", "GET", "/b?list-type=2", "", "Accept-Encoding", "gzip", "Authorization", "SignedHeaders=accept-encoding;host")
	if !strings.Contains(body, "gzip") {
		t.Errorf("%s", body)
	}
}

// What was in the real server before is known once it was seen.
func TestUpstreamHasObjects(t *testing.T) {
	u := plain(t)
	(client{t, u.String()}).put("old", "content", "STANDARD")
	l := openLab(t, LabConfig{Upstream: u})
	c := newClient(t, l)
	c.thaw(404, "NoSuchKey", "old", "Bulk", 1)
	c.want(200, "", "GET", "/b?list-type=2", "")
	c.thaw(403, "InvalidObjectState", "old", "Bulk", 1)
	if n, err := l.Move("b", "", "GLACIER"); n != 1 || err != nil {
		t.Errorf("moved %d, %v", n, err)
	}
	c.state("old", "GLACIER", "cold")
}

// A write whose answer never came may have been stored: the lab knows its class
// when it sees it, also after it was killed, and takes nothing for stored in a
// cold class that was refused.
func TestUpstreamIsCutOff(t *testing.T) {
	u := plain(t)
	cut := NewFaults(Proxy(u))
	c := newClient(t, cut)
	through, err := url.Parse(c.url)
	if err != nil {
		t.Fatal(err)
	}
	(client{t, u.String()}).put("there", "content", "STANDARD")
	dir := t.TempDir()
	l := openLab(t, LabConfig{Upstream: through, Dir: dir})
	c = newClient(t, l)
	c.want(412, "PreconditionFailed", "PUT", "/b/there", "x", "x-amz-storage-class", "GLACIER", "If-None-Match", "*")
	cut.Choose(func(Record) Kind { return CutAfter })
	c.want(502, "BadGateway", "PUT", "/b/k", "content", "x-amz-storage-class", "GLACIER")
	cut.Choose(func(Record) Kind { return CutBefore })
	c.want(502, "BadGateway", "PUT", "/b/never", "content", "x-amz-storage-class", "GLACIER")
	cut.Choose(nil)
	for _, lab := range []*Lab{l, killed(t, dir, LabConfig{Upstream: through}, "")} {
		c := newClient(t, lab)
		c.state("k", "GLACIER", "cold")
		c.state("there", "STANDARD", "warm")
		c.want(404, "NoSuchKey", "GET", "/b/never", "")
		if o := lab.info(place{"b", "k"}); o == nil || o.Size != 7 || lab.info(place{"b", "never"}) != nil {
			t.Errorf("%+v", o)
		}
	}
}
