package s3lab

import (
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
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

// Server is an S3 server with a store of its own. It implements http.Handler.
type Server struct {
	cfg   Config
	store *store
}

// New returns an empty server in memory.
func New(cfg Config) *Server {
	return newServer(cfg, newLedger(cfg.Now, forgetful{}), &memoryBlobs{})
}

// newServer returns a server that keeps content in blobs, and everything else
// in a ledger, whose clock is the server's.
func newServer(cfg Config, ledger *Ledger, blobs blobs) *Server {
	if cfg.MinPart == 0 {
		cfg.MinPart = 5 << 20
	}
	if cfg.MaxKeys == 0 {
		cfg.MaxKeys = 1000
	}
	return &Server{cfg: cfg, store: newStore(ledger, blobs)}
}

// CreateBucket makes a bucket, as the request does. One that is there stays
// as it is.
func (s *Server) CreateBucket(name string) {
	_ = s.store.createBucket(name) // fails where a journal can't be written, and so does the next request then
}

// Uploads returns the number of multipart uploads that are neither complete
// nor aborted, which cost money on S3.
func (s *Server) Uploads() int { return s.store.openUploads() }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	r := newRequest(hr)
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
	_, credential, ok := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if !ok {
		credential = r.param("X-Amz-Credential") // of a URL that was signed
	}
	if credential == "" {
		return newError(http.StatusForbidden, "AccessDenied", "Access Denied")
	}
	if id, _, _ := strings.Cut(credential, "/"); id != s.cfg.AccessKey {
		return newError(http.StatusForbidden, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
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
	if !utf8.ValidString(r.key) {
		return errInvalidURI
	}
	if len(r.key) > 1024 {
		return newError(http.StatusBadRequest, "KeyTooLongError", "Your key is too long")
	}
	return s.routeObject(w, r)
}

func (s *Server) routeBucket(w http.ResponseWriter, r *request) *Error {
	if r.operation() == "CreateBucket" {
		w.Header().Set("Location", "/"+r.bucket)
		return s.store.createBucket(r.bucket)
	}
	if !s.store.hasBucket(r.bucket) {
		return errNoSuchBucket
	}
	switch r.operation() {
	case "HeadBucket":
		w.Header().Set("x-amz-bucket-region", "us-east-1")
		return nil
	case "ListObjectsV2", "ListObjects":
		return s.list(w, r)
	case "GetBucketLocation":
		return writeXML(w, http.StatusOK, locationConstraint{})
	case "DeleteObjects":
		return s.deleteObjects(w, r)
	}
	return errNotImplemented(r)
}

func (s *Server) routeObject(w http.ResponseWriter, r *request) *Error {
	switch r.operation() {
	case "CopyObject":
		return s.copyObject(w, r)
	case "UploadPartCopy":
		return s.copyPart(w, r)
	case "UploadPart":
		return s.uploadPart(w, r)
	case "PutObject":
		return s.putObject(w, r)
	case "GetObject", "HeadObject":
		return s.getObject(w, r)
	case "AbortMultipartUpload":
		return s.abortUpload(w, r)
	case "DeleteObject":
		if err := s.store.remove(r.bucket, r.key); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	case "CreateMultipartUpload":
		return s.createUpload(w, r)
	case "CompleteMultipartUpload":
		return s.completeUpload(w, r)
	case "RestoreObject":
		return s.restoreObject(w, r)
	}
	return errNotImplemented(r)
}

func errNotImplemented(r *request) *Error {
	return newError(http.StatusNotImplemented, "NotImplemented", fmt.Sprintf("The lab does not know %s %s", r.Method, r.URL.RequestURI()))
}
