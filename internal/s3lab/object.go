package s3lab

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// httpTime is the form of Last-Modified, which has whole seconds.
const httpTime = http.TimeFormat

// newObject returns an object without content from the headers of a request.
func (s *Server) newObject(r *request) object {
	o := object{
		Info:   Info{Bucket: r.bucket, Key: r.key, Class: r.Header.Get("x-amz-storage-class")},
		header: map[string]string{},
	}
	if o.Class == "" {
		o.Class = "STANDARD"
	}
	for name := range r.Header {
		if name == "Content-Type" || strings.HasPrefix(name, "X-Amz-Meta-") {
			o.header[name] = r.Header.Get(name)
		}
	}
	return o
}

// createOnly reports whether the request asks for a key that is free. S3
// knows no other value of the header in a write.
func createOnly(r *request) (bool, *Error) {
	switch v := r.Header.Get("If-None-Match"); v {
	case "":
		return false, nil
	case "*":
		return true, nil
	default:
		return false, &Error{http.StatusNotImplemented, "NotImplemented", "If-None-Match of a write has to be *"}
	}
}

func (s *Server) putObject(w http.ResponseWriter, r *request) *Error {
	only, err := createOnly(r)
	if err != nil {
		return err
	}
	data, sum, err := content(r)
	if err != nil {
		return err
	}
	o := s.newObject(r)
	o.data, o.checksum, o.etag = data, sum, `"`+md5Hex(data)+`"`
	o.Size, o.Modified = int64(len(data)), s.cfg.Now()
	if !s.store.put(&o, only) {
		return errPrecondition
	}
	w.Header().Set("ETag", o.etag)
	setChecksum(w.Header(), o.checksum)
	return nil
}

func setChecksum(h http.Header, c checksum) {
	if c.algorithm != "" {
		h.Set("x-amz-checksum-"+c.algorithm, c.value)
		h.Set("x-amz-checksum-type", c.kind)
	}
}

// getObject answers GET and HEAD.
func (s *Server) getObject(w http.ResponseWriter, r *request) *Error {
	o := s.store.get(r.bucket, r.key)
	if o == nil {
		return errNoSuchKey
	}
	if want := r.Header.Get("If-Match"); want != "" && want != "*" && want != o.etag {
		return errPrecondition
	}
	if s.cfg.Cold != nil && r.Method == http.MethodGet {
		if err := s.cfg.Cold.Read(o.Info); err != nil {
			return err
		}
	}
	start, end, err := parseRange(r.Header.Get("Range"), o.Size)
	if err != nil {
		return err
	}
	h := w.Header()
	s.describe(h, o)
	h.Set("Content-Length", strconv.FormatInt(end-start, 10))
	status := http.StatusOK
	if r.Header.Get("Range") != "" {
		status = http.StatusPartialContent
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, end-1, o.Size))
	} else if strings.EqualFold(r.Header.Get("x-amz-checksum-mode"), "ENABLED") {
		setChecksum(h, o.checksum)
	}
	w.WriteHeader(status)
	if r.Method == http.MethodGet {
		_, _ = w.Write(o.data[start:end]) // a client that went away reads nothing
	}
	return nil
}

// describe sets the headers of an object that GET and HEAD have in common.
func (s *Server) describe(h http.Header, o *object) {
	h.Set("ETag", o.etag)
	h.Set("Last-Modified", o.Modified.UTC().Format(httpTime))
	h.Set("Accept-Ranges", "bytes")
	for name, value := range o.header {
		h.Set(name, value)
	}
	if o.Class != "STANDARD" { // which S3 leaves out
		h.Set("x-amz-storage-class", o.Class)
	}
	if s.cfg.Cold == nil {
		return
	}
	switch c := s.cfg.Cold.Restoration(o.Info); {
	case c == nil:
	case c.Ongoing:
		h.Set("x-amz-restore", `ongoing-request="true"`)
	default:
		h.Set("x-amz-restore", fmt.Sprintf(`ongoing-request="false", expiry-date="%s"`, c.Expiry.UTC().Format(httpTime)))
	}
}

// parseRange returns the bytes from start up to end of one range. A header of
// another form is ignored, as HTTP has it.
func parseRange(header string, size int64) (start, end int64, err *Error) {
	spec, ok := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !ok || !dash || strings.Contains(spec, ",") {
		return 0, size, nil
	}
	if first == "" {
		n, e := strconv.ParseInt(last, 10, 64)
		if e != nil || n <= 0 || size == 0 {
			return 0, 0, errRange
		}
		return max(0, size-n), size, nil
	}
	start, e := strconv.ParseInt(first, 10, 64)
	if e != nil || start < 0 || start >= size {
		return 0, 0, errRange
	}
	end = size
	if last != "" {
		n, e := strconv.ParseInt(last, 10, 64)
		if e != nil || n < start {
			return 0, 0, errRange
		}
		end = min(size-1, n) + 1
	}
	return start, end, nil
}

// restoreObject answers RestoreObject. Without a Cold every object is warm,
// to which S3 says InvalidObjectState.
func (s *Server) restoreObject(w http.ResponseWriter, r *request) *Error {
	o := s.store.get(r.bucket, r.key)
	if o == nil {
		return errNoSuchKey
	}
	if s.cfg.Cold == nil {
		return &Error{http.StatusForbidden, "InvalidObjectState", "Restore is not allowed for the object's current storage class"}
	}
	body, e := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if e != nil {
		return errIncomplete
	}
	status, err := s.cfg.Cold.Restore(o.Info, body)
	if err == nil {
		w.WriteHeader(status)
	}
	return err
}

type locationConstraint struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ LocationConstraint"`
}

func (s *Server) listBuckets(w http.ResponseWriter, r *request) *Error {
	if r.Method != http.MethodGet {
		return errNotImplemented(r)
	}
	type entry struct {
		Name         string
		CreationDate string
	}
	var doc struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListAllMyBucketsResult"`
		Buckets []entry  `xml:"Buckets>Bucket"`
	}
	for _, name := range s.store.bucketNames() {
		doc.Buckets = append(doc.Buckets, entry{name, s.cfg.Now().UTC().Format(time.RFC3339)})
	}
	return writeXML(w, http.StatusOK, doc)
}
