package s3lab

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestControl(t *testing.T) {
	l := openLab(t, LabConfig{AccessKey: "mine"})
	c := newClient(t, l)
	key := []string{ControlKey, "mine"}
	auth := []string{"Authorization", "AWS4-HMAC-SHA256 Credential=mine/x"}
	c.want(200, "", "PUT", "/b/meta/k", "x", auth...)
	order := func(status int, method, path string, want ...string) {
		t.Helper()
		_, body := c.want(status, "", method, "/-/"+path, "", key...)
		for _, w := range want {
			if !strings.Contains(body, w) {
				t.Errorf("%s: %s, want %s", path, body, w)
			}
		}
	}
	order(200, "POST", "advance?by=1d12h", `"now":"2026-10-16T22:30:00Z"`)
	order(200, "POST", "move?bucket=b&prefix=meta/&class=GLACIER", `"moved":1`)
	order(200, "POST", "expedited?available=false")
	c.want(503, "GlacierExpeditedRetrievalNotAvailable", "POST", "/b/meta/k?restore", thawBody("Expedited", 1), auth...)
	order(200, "POST", "limit?restores=1")
	order(200, "GET", "bill", `"item":"storage","class":"STANDARD"`, `"item":"lifecycle transitions"`)
	order(400, "POST", "advance?by=-1h", "want one such as")
	order(400, "POST", "advance?by=60000d", "100 years")
	order(400, "POST", "move?bucket=b&class=FROZEN", "want one of")
	order(400, "POST", "expedited", "true or false")
	order(400, "POST", "limit?all=x", "number")
	order(404, "POST", "stop")
	order(405, "GET", "advance?by=1h")
	c.want(403, "", "POST", "/-/advance?by=1h", "")
	c.want(403, "", "POST", "/-/advance?by=1h", "", ControlKey, "other")
	if l.Now() != start.Add(36*time.Hour) {
		t.Errorf("the clock is at %s", l.Now())
	}
	// Nobody else's machine, whatever the key.
	r := httptest.NewRequest(http.MethodPost, "/-/advance?by=1h", nil)
	r.Header.Set(ControlKey, "mine")
	w := httptest.NewRecorder()
	if l.ServeHTTP(w, r); w.Code != http.StatusForbidden {
		t.Errorf("from %s: %d", r.RemoteAddr, w.Code)
	}
	for e, err := range l.Events() {
		if err != nil || e.Bucket == "-" {
			t.Errorf("orders are requests in the log: %+v, %v", e, err)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{"12h": 12 * time.Hour, "2d": 48 * time.Hour, "1d30m": 24*time.Hour + 30*time.Minute, "90s": 90 * time.Second, "0s": 0} {
		if got, err := ParseDuration(s); err != nil || got != want {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "d", "-1h", "-1d", "1d-1h", "2", "x", "1.5d", "1d1d", "99999d", "9999999h"} {
		if got, err := ParseDuration(s); err == nil {
			t.Errorf("%s: %v", s, got)
		}
	}
}

// No order makes the lab panic, whatever it says, and every answer in JSON is a document.
func FuzzControl(f *testing.F) {
	for _, s := range []string{"advance?by=1d", "advance?by=9223372036854775807ns", "bill", "move?bucket=b&prefix=&class=GLACIER", "expedited?available=0", "limit?all=1&restores=-1", "%2e%2e/x", "bill?%zz"} {
		f.Add("POST", s)
		f.Add("GET", s)
	}
	f.Fuzz(func(t *testing.T, method, order string) {
		r, err := http.NewRequest(method, "http://lab"+ControlPath+order, nil)
		if err != nil || !strings.HasPrefix(r.URL.Path, ControlPath) {
			return
		}
		l, err := Open(LabConfig{Now: still})
		if err != nil {
			t.Fatal(err)
		}
		r.RemoteAddr = "[::1]:99"
		w := httptest.NewRecorder()
		l.ServeHTTP(w, r)
		if w.Code == http.StatusOK && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %s: %s", method, order, w.Body)
		}
		if l.Now().Before(start) {
			t.Errorf("%s set the clock to %s", order, l.Now())
		}
	})
}
