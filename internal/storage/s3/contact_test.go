package s3_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage/s3"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

// TestFirstContact: what a user has written wrongly is told at once and by a
// sentinel of its own, whether the first request is a GET or a HEAD.
func TestFirstContact(t *testing.T) {
	page := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, "<html><body>Welcome!</body></html>")
		}
	}
	says := func(status int, code, message string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			if r.Method != http.MethodHead {
				fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
			}
		}
	}
	for name, test := range map[string]struct {
		server http.HandlerFunc
		get    error
		head   error // nil where nothing but a status can be told
		region string
	}{
		"a web page":       {page(400), s3.ErrNoServer, nil, ""},
		"a forbidden page": {page(403), s3.ErrNoServer, tarn.ErrDenied, ""},
		"a wrong region":   {says(400, "AuthorizationHeaderMalformed", "the region 'x' is wrong; expecting 'eu-north-1'"), s3.ErrRegion, s3.ErrRegion, "eu-north-1"},
		"a wrong key":      {says(403, "InvalidAccessKeyId", "no"), s3.ErrCredentials, s3.ErrCredentials, ""},
		"an old key":       {says(400, "ExpiredToken", "no"), s3.ErrCredentials, s3.ErrCredentials, ""},
		"a policy":         {says(403, "AccessDenied", "no"), tarn.ErrDenied, tarn.ErrDenied, ""},
		"no bucket":        {says(404, "NoSuchBucket", "no"), s3.ErrNoBucket, nil, ""},
	} {
		var requests atomic.Int64
		cfg := config(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			test.server(w, r)
		})))
		_, err := open(t, cfg).Get(t.Context(), "key", 0, -1)
		if n := requests.Load(); !errors.Is(err, test.get) || s3.Region(err) != test.region || n > 2 {
			t.Errorf("%s: GET, %d requests: %v", name, n, err)
		}
		if _, err := open(t, cfg).Stat(t.Context(), "key"); err == nil || test.head != nil && !errors.Is(err, test.head) || s3.Region(err) != test.region {
			t.Errorf("%s: HEAD: %v", name, err)
		}
	}
}

// TestSilence: a server that takes a connection and says nothing is given up
// after two attempts, and one that has answered before is not.
func TestSilence(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := config("http://" + l.Addr().String())
	cfg.IdleTimeout = 20 * time.Millisecond
	if _, err := open(t, cfg).Stat(t.Context(), "key"); err == nil || !strings.Contains(err.Error(), "after 2 attempts") {
		t.Errorf("%v", err)
	}
	var requests atomic.Int64
	cfg = config(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) > 1 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusNotFound)
	})))
	cfg.MaxAttempts = 5
	s := open(t, cfg)
	for range 2 {
		_, err = s.Stat(t.Context(), "key")
	}
	if err == nil || !strings.Contains(err.Error(), "after 5 attempts") {
		t.Errorf("%v", err)
	}
}

func TestTLS(t *testing.T) {
	plain := config(strings.Replace(serve(t, http.NotFoundHandler()), "http://", "https://", 1))
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	for _, test := range []struct {
		cfg  s3.Config
		want error
	}{{plain, s3.ErrNoTLS}, {config(server.URL), s3.ErrCertificate}} {
		test.cfg.MinDelay = time.Hour // of a retry, which there is none
		if _, err := open(t, test.cfg).Stat(t.Context(), "key"); !errors.Is(err, test.want) {
			t.Errorf("%v, want %v", err, test.want)
		}
	}
}

func TestNoCredentials(t *testing.T) {
	storagetest.Endpoint{URL: "http://127.0.0.1:1", Region: "us-east-1"}.Setenv(t)
	with := func(name, value string, want error, text string) {
		t.Helper()
		t.Setenv(name, value)
		if _, err := s3.Open(t.Context(), s3.Config{Bucket: bucket}); !errors.Is(err, want) || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
		t.Setenv(name, "")
	}
	with("AWS_ACCESS_KEY_ID", "id", s3.ErrNoCredentials, "without AWS_SECRET_ACCESS_KEY")
	with("AWS_SECRET_ACCESS_KEY", "s3cret", s3.ErrNoCredentials, "without AWS_ACCESS_KEY_ID")
	with("AWS_PROFILE", "absent", s3.ErrNoProfile, `"absent"`)
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte("[profile p]\ncredential_process = false\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", file)
	with("AWS_PROFILE", "p", s3.ErrCredentials, "credentials")
}
