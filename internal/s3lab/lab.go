// Package s3lab is an S3 server for tests and for trying things on a laptop:
// an http.Handler with a store of its own, a reverse proxy to a real S3
// server, and a wrapper around either that counts requests, records them and
// makes chosen ones fail (Faults). It uses the standard library only.
//
// The server speaks path-style S3: buckets, objects with conditional writes
// and checked checksums, multipart uploads, ranges and paged listings. It
// does not check signatures.
package s3lab

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Config says how a Server behaves. The zero value is a server with nothing in it.
type Config struct {
	// AccessKey, when set, is the only access key whose requests are let in.
	AccessKey string
	// MinPart is the least size in bytes of a part that is not the last;
	// 0 means S3's 5 MiB.
	MinPart int64
	// MaxKeys is the most keys on a page of a listing; 0 means S3's 1,000.
	MaxKeys int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Cold says what archive classes do; nil lets every object be read at once.
	Cold Cold
}

// Info is what the server knows about an object.
type Info struct {
	Bucket, Key string
	Size        int64 // bytes
	Class       string
	Modified    time.Time
}

// Restoration is the state of the temporary copy of a cold object.
type Restoration struct {
	Ongoing bool
	Expiry  time.Time // zero while it is ongoing
}

// Cold gives archive classes their meaning. Its methods are called at the
// same time from several goroutines.
type Cold interface {
	// Read returns the error of a GET of the object, or nil to let it be read.
	Read(Info) *Error
	// Restoration returns the state of the object's copy, nil if it has none.
	Restoration(Info) *Restoration
	// Restore answers a RestoreObject request, whose XML body it is given,
	// with an HTTP status or an error.
	Restore(o Info, body []byte) (status int, err *Error)
}

// Server is an S3 server in memory. It implements http.Handler.
type Server struct {
	cfg   Config
	store *store
}

// New returns an empty server.
func New(cfg Config) *Server {
	if cfg.MinPart == 0 {
		cfg.MinPart = 5 << 20
	}
	if cfg.MaxKeys == 0 {
		cfg.MaxKeys = 1000
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Server{cfg: cfg, store: newStore()}
}

// CreateBucket makes a bucket, as the request does. One that is there stays
// as it is.
func (s *Server) CreateBucket(name string) { s.store.createBucket(name) }

// Uploads returns the number of multipart uploads that are neither complete
// nor aborted, which cost money on S3.
func (s *Server) Uploads() int { return s.store.openUploads() }

// request is one request, taken apart.
type request struct {
	*http.Request
	bucket, key string
	query       map[string][]string
}

func (r *request) has(param string) bool { _, ok := r.query[param]; return ok }

func (r *request) param(name string) string {
	if v := r.query[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(hr.URL.Path, "/"), "/")
	r := &request{Request: hr, bucket: bucket, key: key, query: hr.URL.Query()}
	w.Header().Set("Server", "s3lab")
	err := s.admit(r)
	if err == nil {
		err = s.route(w, r)
	}
	if err != nil {
		writeError(w, r, err)
	}
}

// admit checks who asks.
func (s *Server) admit(r *request) *Error {
	if s.cfg.AccessKey == "" {
		return nil
	}
	auth := r.Header.Get("Authorization")
	_, credential, ok := strings.Cut(auth, "Credential=")
	if !ok {
		return &Error{http.StatusForbidden, "AccessDenied", "Access Denied"}
	}
	if id, _, _ := strings.Cut(credential, "/"); id != s.cfg.AccessKey {
		return &Error{http.StatusForbidden, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."}
	}
	return nil
}

func (s *Server) route(w http.ResponseWriter, r *request) *Error {
	switch {
	case r.bucket == "":
		return s.listBuckets(w, r)
	case r.key == "":
		return s.routeBucket(w, r)
	}
	if !s.store.hasBucket(r.bucket) {
		return errNoSuchBucket
	}
	if len(r.key) > 1024 {
		return &Error{http.StatusBadRequest, "KeyTooLongError", "Your key is too long"}
	}
	return s.routeObject(w, r)
}

func (s *Server) routeBucket(w http.ResponseWriter, r *request) *Error {
	if r.Method == http.MethodPut && len(r.query) == 0 {
		s.store.createBucket(r.bucket)
		w.Header().Set("Location", "/"+r.bucket)
		return nil
	}
	if !s.store.hasBucket(r.bucket) {
		return errNoSuchBucket
	}
	switch {
	case r.Method == http.MethodHead:
		w.Header().Set("x-amz-bucket-region", "us-east-1")
		return nil
	case r.Method == http.MethodGet && r.param("list-type") == "2":
		return s.list(w, r)
	case r.Method == http.MethodGet && r.has("location"):
		return writeXML(w, http.StatusOK, locationConstraint{})
	}
	return errNotImplemented(r)
}

func (s *Server) routeObject(w http.ResponseWriter, r *request) *Error {
	switch {
	case r.Method == http.MethodPut && r.Header.Get("x-amz-copy-source") != "":
		return errNotImplemented(r)
	case r.Method == http.MethodPut && r.has("uploadId"):
		return s.uploadPart(w, r)
	case r.Method == http.MethodPut:
		return s.putObject(w, r)
	case r.Method == http.MethodGet && r.has("uploadId"):
		return errNotImplemented(r)
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		return s.getObject(w, r)
	case r.Method == http.MethodDelete && r.has("uploadId"):
		return s.abortUpload(w, r)
	case r.Method == http.MethodDelete:
		s.store.remove(r.bucket, r.key)
		w.WriteHeader(http.StatusNoContent)
		return nil
	case r.Method == http.MethodPost && r.has("uploads"):
		return s.createUpload(w, r)
	case r.Method == http.MethodPost && r.has("uploadId"):
		return s.completeUpload(w, r)
	case r.Method == http.MethodPost && r.has("restore"):
		return s.restoreObject(w, r)
	}
	return errNotImplemented(r)
}

func errNotImplemented(r *request) *Error {
	return &Error{http.StatusNotImplemented, "NotImplemented", fmt.Sprintf("The lab does not know %s %s", r.Method, r.URL.RequestURI())}
}
