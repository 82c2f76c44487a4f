package s3lab

import (
	"bufio"
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const digits = "0123456789abcdef"

func faulty(t *testing.T) (*Server, *Faults, client) {
	t.Helper()
	s := New(Config{})
	s.CreateBucket("b")
	f := NewFaults(s)
	return s, f, newClient(t, f)
}

// What each kind does to the PUT of an object and to its GET.
func TestFaultKinds(t *testing.T) {
	tests := map[Kind]struct {
		stored    bool // whether the PUT took effect
		putStatus int  // 0 for a cut connection
		getStatus int
		got       string
	}{
		NoFault:          {true, 200, 200, digits},
		ErrorBefore:      {false, 500, 500, ""},
		ErrorAfter:       {true, 500, 500, ""},
		SlowDownBefore:   {false, 503, 503, ""},
		SlowDownAfter:    {true, 503, 503, ""},
		BadDigestBefore:  {false, 400, 400, ""},
		CutBefore:        {false, 0, 0, ""},
		CutAfter:         {true, 0, 0, ""},
		CutUpload:        {false, 0, 0, ""},
		CutDownload:      {true, 0, 0, digits[:8]},
		TruncateDownload: {true, 200, 200, digits[:8]},
		FlipDownload:     {true, 200, 200, "012345679" + digits[9:]},
	}
	for kind, want := range tests {
		server, f, c := faulty(t)
		f.Nth(1, kind)
		check := func(method string, status int) string {
			t.Helper()
			resp, body, err := c.try(method, "/b/k", map[string]string{"PUT": digits}[method])
			if status == 0 && err == nil || status != 0 && (err != nil || resp.StatusCode != status) {
				t.Errorf("%v: %s: %v, %v", kind, method, resp, err)
			}
			return body
		}
		check("PUT", want.putStatus)
		if stored := server.store.get("b", "k") != nil; stored != want.stored {
			t.Errorf("%v: stored: %t", kind, stored)
		}
		c.do("PUT", "/b/k", digits)
		f.Reset()
		f.Nth(1, kind)
		if body := check("GET", want.getStatus); want.got != "" && body != want.got {
			t.Errorf("%v: got %q, want %q", kind, body, want.got)
		}
		if kind != NoFault && f.Fired() != 1 {
			t.Errorf("%v fired %d times", kind, f.Fired())
		}
		if body := check("GET", 200); body != digits {
			t.Errorf("%v: afterwards: %q", kind, body)
		}
	}
	if len(tests) != len(Kinds()) { // all but StallDownload, and NoFault
		t.Errorf("%d kinds tested of %d", len(tests), len(Kinds()))
	}
}

func TestStall(t *testing.T) {
	_, f, c := faulty(t)
	c.do("PUT", "/b/k", digits)
	f.Reset()
	f.Nth(1, StallDownload)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", c.url+"/b/k", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	if b, err := r.Peek(8); err != nil || string(b) != digits[:8] {
		t.Fatalf("%q, %v", b, err)
	}
	cancel() // nothing more comes: the client has to leave
	if b, err := r.Peek(9); err == nil {
		t.Errorf("more came: %q", b)
	}
}

func TestRefuseDeletes(t *testing.T) {
	_, f, c := faulty(t)
	c.do("PUT", "/b/k", digits)
	f.RefuseDeletes(true)
	c.want(403, "AccessDenied", "DELETE", "/b/k", "")
	f.Reset()
	c.want(403, "AccessDenied", "DELETE", "/b/k?uploadId=x", "")
	f.RefuseDeletes(false)
	c.want(204, "", "DELETE", "/b/k", "")
}

// done waits until the handlers have written their records, which they do
// after the client has its answer.
func done(t *testing.T, f *Faults) []Record {
	t.Helper()
	for {
		log := f.Log()
		open := 0
		for _, r := range log {
			if !r.Done {
				open++
			}
		}
		if open == 0 {
			return log
		}
		if t.Context().Err() != nil {
			t.Fatal("a request never ends")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestLog(t *testing.T) {
	_, f, c := faulty(t)
	c.do("PUT", "/b/a/k", digits)
	c.do("GET", "/b/a/k", "", "Range", "bytes=0-3")
	f.Choose(func(r Record) Kind {
		if r.Method == "GET" && r.Key == "a/k" && r.Query == "x=y" {
			return ErrorBefore
		}
		return NoFault
	})
	c.do("GET", "/b/a/k?x=y", "")
	log := done(t, f)
	want := []Record{
		{N: 1, Method: "PUT", Bucket: "b", Key: "a/k", In: 16, Status: 200, Done: true},
		{N: 2, Method: "GET", Bucket: "b", Key: "a/k", Out: 4, Status: 206, Done: true},
		{N: 3, Method: "GET", Bucket: "b", Key: "a/k", Query: "x=y", Status: 500, Fault: ErrorBefore, Done: true},
	}
	for i, w := range want {
		got := log[i]
		if i == 2 {
			got.Out = 0 // the length of an error's text
		}
		if got.Status == 0 {
			got.Status = 200
		}
		if got != w {
			t.Errorf("%+v, want %+v", got, w)
		}
	}
	if f.Count() != 3 {
		t.Errorf("%d requests", f.Count())
	}
}

// The proxy passes on what a signature covers, byte by byte.
func TestProxyKeepsTheRequest(t *testing.T) {
	var seen *http.Request
	upstream := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen = r }))
	u, err := url.Parse(upstream.url)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, Proxy(u))
	const path = "/b/a%20b/%2Bc+d/%C3%A4/!$&'()*,=@~?x-id=Get&prefix=a%2Fb;c&empty"
	c.do("GET", path, "", "X-Amz-Date", "now", "Authorization", "signed", "User-Agent", "me")
	if seen.RequestURI != path || "http://"+seen.Host != c.url || seen.Header.Get("Authorization") != "signed" {
		t.Errorf("%s, %s, %v", seen.RequestURI, seen.Host, seen.Header)
	}
	if seen.Header.Get("X-Forwarded-For") != "" || strings.Contains(seen.Header.Get("Accept-Encoding"), "br") {
		t.Errorf("added: %v", seen.Header)
	}
	gone := newClient(t, Proxy(&url.URL{Scheme: "http", Host: "127.0.0.1:1"}))
	gone.want(502, "BadGateway", "GET", "/b/k", "")
}
