package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/s3lab"
	"github.com/tarn-backup/tarn/internal/storage"
	"github.com/tarn-backup/tarn/internal/storage/s3"
	"github.com/tarn-backup/tarn/internal/storage/storagetest"
)

var errExist = fs.ErrExist

// older is a server that lacks what tarn would like, before a real one.
type older struct {
	next   http.Handler
	refuse func(r *http.Request) *s3lab.Error
	strip  []string // headers of requests that it does not look at
}

func (o older) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if e := o.refuse(r); e != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(e.Status)
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", e.Code, e.Message)
		return
	}
	for _, name := range o.strip {
		r.Header.Del(name)
	}
	o.next.ServeHTTP(w, r)
}

func TestServersThatLackSomething(t *testing.T) {
	t.Parallel()
	all := storagetest.All(t)
	tests := map[string]older{
		"conditional writes": {refuse: func(r *http.Request) *s3lab.Error {
			if r.Header.Get("If-None-Match") != "" {
				return &s3lab.Error{Status: 501, Code: "NotImplemented", Message: "A header you provided implies functionality that is not implemented"}
			}
			return nil
		}},
		"CRC64NVME": {refuse: func(r *http.Request) *s3lab.Error {
			if r.Header.Get("x-amz-checksum-crc64nvme") != "" || r.Header.Get("x-amz-checksum-algorithm") == "CRC64NVME" {
				return &s3lab.Error{Status: 400, Code: "InvalidRequest", Message: "Checksum algorithm provided is unsupported."}
			}
			return nil
		}},
		"any checksum": {refuse: func(r *http.Request) *s3lab.Error {
			if r.Header.Get("x-amz-restore-request") == "" && !r.URL.Query().Has("restore") {
				for name := range r.Header {
					if strings.HasPrefix(name, "X-Amz-Checksum-") && name != "X-Amz-Checksum-Mode" {
						return &s3lab.Error{Status: 501, Code: "NotImplemented", Message: "checksum headers are not known here"}
					}
				}
			}
			return nil
		}},
		"restore status": {refuse: func(r *http.Request) *s3lab.Error {
			if r.Header.Get("x-amz-optional-object-attributes") != "" {
				return &s3lab.Error{Status: 400, Code: "InvalidArgument", Message: "what is that?"}
			}
			return nil
		}},
	}
	for name, server := range tests {
		if !all && name != "conditional writes" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T) storage.Storage {
				if name == "conditional writes" && strings.HasSuffix(t.Name(), "one_of_many_wins") {
					t.Skip("that needs conditional writes")
				}
				inner := s3lab.New(s3lab.Config{})
				inner.CreateBucket(bucket)
				server.next = inner
				return open(t, config(serve(t, server)))
			})
		})
	}
}

// On a server that keeps no CRC64NVME a lost answer is known by the entity tag.
func TestLostAnswerWithoutChecksums(t *testing.T) {
	for _, size := range []int{5000, 3 * partSize} {
		inner := s3lab.New(s3lab.Config{MinPart: 1})
		inner.CreateBucket(bucket)
		server := older{next: inner, refuse: func(*http.Request) *s3lab.Error { return nil }, strip: []string{"X-Amz-Checksum-Mode"}}
		faults := s3lab.NewFaults(server)
		cfg := config(serve(t, faults))
		cfg.PartSize = partSize
		s := open(t, cfg)
		faults.Choose(func(r s3lab.Record) s3lab.Kind {
			if r.Method == http.MethodPut && size < partSize || r.Method == http.MethodPost && strings.Contains(r.Query, "uploadId") {
				faults.Choose(nil)
				return s3lab.CutAfter
			}
			return s3lab.NoFault
		})
		if _, err := s.Put(t.Context(), "key", bytes.NewReader(storagetest.Content(1, size)), storage.PutOptions{}); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		if faults.Fired() != 1 {
			t.Error("the fault did not fire")
		}
	}
}

func TestErrors(t *testing.T) {
	answer := func(status int, code string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("x-amz-bucket-region", "eu-north-1")
			w.WriteHeader(status)
			if r.Method != http.MethodHead {
				fmt.Fprintf(w, "<Error><Code>%s</Code><Message>so it is</Message></Error>", code)
			}
		}
	}
	tests := []struct {
		status int
		code   string
		want   error // of Get and Put; nil where there is no sentinel
		text   string
	}{
		{403, "AccessDenied", tarn.ErrDenied, "AccessDenied"},
		{403, "InvalidAccessKeyId", tarn.ErrDenied, "InvalidAccessKeyId"},
		{403, "SignatureDoesNotMatch", tarn.ErrDenied, "SignatureDoesNotMatch"},
		{400, "ExpiredToken", tarn.ErrDenied, "ExpiredToken"},
		{403, "InvalidObjectState", tarn.ErrCold, "thawed"},
		{409, "ExistingObjectIsDirectory", tarn.ErrKey, "can't have this key"},
		{404, "NoSuchKey", fs.ErrNotExist, "NoSuchKey"},
		{404, "NoSuchBucket", nil, "the bucket tarn does not exist"},
		{301, "PermanentRedirect", nil, "another region (eu-north-1)"},
		{400, "AuthorizationHeaderMalformed", nil, "another region"},
		{503, "SlowDown", nil, "after 2 attempts"},
		{409, "ConditionalRequestConflict", nil, "after 2 attempts"},
		{400, "InvalidStorageClass", nil, "so it is"},
	}
	for _, test := range tests {
		cfg := config(serve(t, answer(test.status, test.code)))
		cfg.MaxAttempts = 2
		s := open(t, cfg)
		_, getErr := s.Get(t.Context(), "some/key", 0, -1)
		_, putErr := s.Put(t.Context(), "some/key", strings.NewReader("x"), storage.PutOptions{})
		for op, err := range map[string]error{"getting": getErr, "putting": putErr} {
			switch {
			case err == nil:
				t.Errorf("%s: %s: no error", op, test.code)
			case test.want != nil && !errors.Is(err, test.want), !strings.Contains(err.Error(), test.text):
				t.Errorf("%s: %s: %v", op, test.code, err)
			case !strings.HasPrefix(err.Error(), op+" some/key: "), strings.Contains(err.Error(), "labsecret"):
				t.Errorf("%s: %s: %v", op, test.code, err)
			}
			if test.code == "NoSuchBucket" && errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: an absent bucket passes for an absent object", op)
			}
		}
	}
}

func TestThawErrors(t *testing.T) {
	tests := []struct {
		status int
		code   string
		want   error
	}{
		{409, "RestoreAlreadyInProgress", tarn.ErrThawing},
		{403, "AccessDenied", tarn.ErrDenied},
		{202, "", nil},
		{200, "", nil},
	}
	for _, test := range tests {
		s := open(t, config(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(test.status)
			if test.code != "" {
				fmt.Fprintf(w, "<Error><Code>%s</Code><Message>so it is</Message></Error>", test.code)
			}
		}))))
		if err := s.Thaw(t.Context(), "key", storage.ThawOptions{Days: 1, Tier: storage.Bulk}); !errors.Is(err, test.want) {
			t.Errorf("%d %s: %v", test.status, test.code, err)
		}
	}
}

func TestColdState(t *testing.T) {
	var restore atomic.Value
	s := open(t, config(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("x-amz-storage-class", "DEEP_ARCHIVE")
		w.Header().Set("x-amz-restore", restore.Load().(string))
		w.Header().Set("Content-Length", "5")
	}))))
	tests := []struct {
		header  string
		thawing bool
		year    int
	}{
		{`ongoing-request="true"`, true, 1},
		{`ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"`, false, 2012},
		{`ongoing-request="false", expiry-date="whenever"`, false, 1},
	}
	for _, test := range tests {
		restore.Store(test.header)
		o, err := s.Stat(t.Context(), "key")
		if err != nil {
			t.Fatal(err)
		}
		if o.Class != tarn.DeepArchive || o.Thawing != test.thawing || o.Thawed.Year() != test.year {
			t.Errorf("%s: %+v", test.header, o)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	for _, change := range []func(*s3.Config){
		func(c *s3.Config) { c.Bucket = "" },
		func(c *s3.Config) { c.Prefix = "a/../b" },
		func(c *s3.Config) { c.Endpoint = "localhost:9000" },
		func(c *s3.Config) { c.Endpoint = "http://user:labsecret@localhost" },
	} {
		cfg := config("http://127.0.0.1:1")
		change(&cfg)
		if _, err := s3.Open(t.Context(), cfg); !errors.Is(err, fs.ErrInvalid) || strings.Contains(err.Error(), "labsecret") {
			t.Errorf("%v", err)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	s := open(t, config("http://127.0.0.1:1"))
	_, err := s.Stat(t.Context(), "key")
	if err == nil || !strings.Contains(err.Error(), "connection refused") || !strings.Contains(err.Error(), "after 2 attempts") {
		t.Errorf("%v", err)
	}
}

func TestEnvironment(t *testing.T) {
	_, faults, url := lab(t, s3lab.Config{AccessKey: "fromenv"})
	storagetest.Endpoint{URL: url, Region: "eu-west-1", AccessKey: "fromenv", SecretKey: "x"}.Setenv(t)
	s := open(t, s3.Config{Bucket: bucket})
	if _, err := s.Put(t.Context(), "key", strings.NewReader("x"), storage.PutOptions{}); err != nil {
		t.Error(err)
	}
	if got := faults.Log()[0]; got.Bucket != bucket || got.Key != "key" || s.Location() != "s3://tarn at "+url {
		t.Errorf("%+v, %s", got, s.Location())
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "other")
	if _, err := open(t, s3.Config{Bucket: bucket}).Stat(t.Context(), "key"); !errors.Is(err, tarn.ErrDenied) {
		t.Errorf("with another key: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	if _, err := s3.Open(t.Context(), s3.Config{Bucket: bucket}); !errors.Is(err, s3.ErrNoCredentials) || !strings.Contains(err.Error(), "credentials") {
		t.Errorf("without a key: %v", err)
	}
}

func TestRemover(t *testing.T) {
	_, faults, url := lab(t, s3lab.Config{})
	s := open(t, config(url))
	if _, err := s.Put(t.Context(), "key", strings.NewReader("x"), storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	faults.RefuseDeletes(true)
	if err := s.Remover().Remove(t.Context(), "key"); !errors.Is(err, tarn.ErrDenied) {
		t.Errorf("remove without permission: %v", err)
	}
	faults.RefuseDeletes(false)
	for _, want := range []error{nil, fs.ErrNotExist} {
		if err := s.Remover().Remove(t.Context(), "key"); !errors.Is(err, want) {
			t.Errorf("remove: %v, want %v", err, want)
		}
	}
}

// zeros is an object that is larger than the memory it may take.
type zeros struct{ left, most int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	var m runtime.MemStats
	if z.left%(1<<20) == 0 {
		runtime.ReadMemStats(&m)
		z.most = max(z.most, int64(m.HeapAlloc))
	}
	n := min(int64(len(p)), z.left, 1<<20)
	clear(p[:n])
	z.left -= n
	return int(n), nil
}

// The server here keeps nothing, so what the heap holds is the Put's.
func TestMemoryIsBounded(t *testing.T) {
	s := open(t, config(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch {
		case r.Method == http.MethodPost && r.URL.Query().Has("uploads"):
			fmt.Fprint(w, "<R><UploadId>u</UploadId></R>")
		case r.Method == http.MethodPost:
			fmt.Fprint(w, "<R><ETag>e</ETag></R>")
		default:
			w.Header().Set("ETag", `"e"`)
		}
	}))))
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	z := &zeros{left: 512 << 20}
	o, err := s.Put(t.Context(), "key", z, storage.PutOptions{MaxSize: 513 << 20})
	if err != nil || o.Size != 512<<20 {
		t.Fatalf("%+v, %v", o, err)
	}
	if grown := z.most - int64(before.HeapAlloc); grown > 112<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

// Long objects whose bodies come in turns, as those of archives do that share
// memory further up, must not wait for each other in a ring: one is read to
// its end while the others wait empty-handed, and small ones pass.
func TestLongPutsGoOneByOne(t *testing.T) {
	cfg := config(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch {
		case r.Method == http.MethodPost && r.URL.Query().Has("uploads"):
			fmt.Fprint(w, "<R><UploadId>u</UploadId></R>")
		case r.Method == http.MethodPost:
			fmt.Fprint(w, "<R><ETag>e</ETag></R>")
		default:
			w.Header().Set("ETag", `"e"`)
		}
	})))
	cfg.PartSize, cfg.Memory = 4<<20, 8<<20
	s := open(t, cfg)
	// Four bodies, each stopped in the middle of a part.
	var puts sync.WaitGroup
	var bodies []*io.PipeWriter
	for i := range 4 {
		r, w := io.Pipe()
		bodies = append(bodies, w)
		puts.Go(func() {
			if _, err := s.Put(t.Context(), fmt.Sprintf("long%d", i), r, storage.PutOptions{MaxSize: 64 << 20}); err != nil {
				t.Error(err)
			}
		})
	}
	chunk := make([]byte, 6<<20)
	var written sync.WaitGroup
	for _, w := range bodies {
		written.Go(func() {
			_, _ = w.Write(chunk)
			w.Close()
		})
	}
	if _, err := s.Put(t.Context(), "small", bytes.NewReader(chunk[:1<<20]), storage.PutOptions{}); err != nil {
		t.Error(err)
	}
	written.Wait()
	puts.Wait()
}
