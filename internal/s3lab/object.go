package s3lab

import (
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// httpTime is the form of Last-Modified, which has whole seconds.
const httpTime = http.TimeFormat

const standard = "STANDARD"

// newObject returns an object without content from the headers of a request.
func (s *Server) newObject(r *request) (*object, *Error) {
	o := &object{
		Info:    Info{Bucket: r.bucket, Key: r.key, Class: classAsked(r)},
		content: content{Header: map[string]string{}},
	}
	if !slices.Contains(classes, o.Class) {
		return nil, newError(http.StatusBadRequest, "InvalidStorageClass", "The storage class you specified is not valid")
	}
	for name := range r.Header {
		if name == "Content-Type" || strings.HasPrefix(name, "X-Amz-Meta-") {
			o.Header[name] = r.Header.Get(name)
		}
	}
	return o, nil
}

// classAsked is the class that a write asks for.
func classAsked(r *request) string {
	if class := r.Header.Get("x-amz-storage-class"); class != "" {
		return class
	}
	return standard
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
		return false, newError(http.StatusNotImplemented, "NotImplemented", "If-None-Match of a write has to be *")
	}
}

func (s *Server) putObject(w http.ResponseWriter, r *request) *Error {
	only, err := createOnly(r)
	if err != nil {
		return err
	}
	o, err := s.newObject(r)
	if err != nil {
		return err
	}
	err = s.keep(&o.content, func(w io.Writer) *Error {
		got, err := receive(r, w)
		o.Size, o.ETag, o.Checksum = got.size, quoted(got.md5), got.checksum
		return err
	}, func() *Error { return s.store.put(o, only, "") })
	if err != nil {
		return err
	}
	w.Header().Set("ETag", o.ETag)
	setChecksum(w.Header(), o.Checksum)
	return nil
}

// keep stores what write writes as the content c, and then has commit refer to
// it. If either fails, nothing is left of it.
func (s *Server) keep(c *content, write func(io.Writer) *Error, commit func() *Error) *Error {
	b, e := s.store.blobs.create()
	if e != nil {
		return internal(e)
	}
	err := write(b)
	if e := b.Close(); err == nil && e != nil {
		err = internal(e)
	}
	if err == nil {
		c.Blob = b.id()
		err = commit()
	}
	if err != nil {
		s.store.drop(b.id())
	}
	return err
}

func quoted(md5 []byte) string { return `"` + hex.EncodeToString(md5) + `"` }

func setChecksum(h http.Header, c checksum) {
	if c.Algorithm != "" {
		h.Set("x-amz-checksum-"+c.Algorithm, c.Value)
		h.Set("x-amz-checksum-type", c.Kind)
	}
}

// getObject answers GET and HEAD.
func (s *Server) getObject(w http.ResponseWriter, r *request) *Error {
	o, from, err := s.store.fetch(r.bucket, r.key)
	if err != nil {
		return err
	}
	if o == nil {
		return errNoSuchKey
	}
	defer from.Close()
	if want := r.Header.Get("If-Match"); want != "" && want != "*" && want != o.ETag {
		return errPrecondition
	}
	if r.Method == http.MethodGet {
		if err := s.readable(o); err != nil {
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
		setChecksum(h, o.Checksum)
	}
	w.WriteHeader(status)
	if r.Method == http.MethodGet {
		_, _ = io.Copy(w, section(from, start, end)) // a client that went away reads nothing
	}
	return nil
}

// readable returns the error of reading an object that is cold.
func (s *Server) readable(o *object) *Error {
	if s.cfg.Cold == nil {
		return nil
	}
	return s.cfg.Cold.Read(o.Info)
}

// describe sets the headers of an object that GET and HEAD have in common.
func (s *Server) describe(h http.Header, o *object) {
	h.Set("ETag", o.ETag)
	h.Set("Last-Modified", o.Modified.UTC().Format(httpTime))
	h.Set("Accept-Ranges", "bytes")
	for name, value := range o.Header {
		h.Set(name, value)
	}
	describeClass(h, s.cfg.Cold, o.Info)
}

// describeClass sets the headers that say in which class an object is and what
// became of a thaw.
func describeClass(h http.Header, cold Cold, o Info) {
	h.Del("x-amz-storage-class")
	if o.Class != standard { // which S3 leaves out
		h.Set("x-amz-storage-class", o.Class)
	}
	if cold == nil {
		return
	}
	switch c := cold.Restoration(o); {
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
		return errWarm(o.Class)
	}
	body, e := io.ReadAll(io.LimitReader(r.Body, maxDocument))
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
		doc.Buckets = append(doc.Buckets, entry{name, s.store.ledger.Now().Format(time.RFC3339)})
	}
	return writeXML(w, http.StatusOK, doc)
}
