package s3lab

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/http"
)

// maxDocument is more than the bytes of any XML that S3 takes.
const maxDocument = 4 << 20

type copyResult struct {
	XMLName      xml.Name
	ETag         string
	LastModified string
}

func (s *Server) copyResult(w http.ResponseWriter, element, etag string) *Error {
	name := xml.Name{Space: "http://s3.amazonaws.com/doc/2006-03-01/", Local: element}
	return writeXML(w, http.StatusOK, copyResult{name, etag, s.store.ledger.Now().Format(listTime)})
}

// source returns the object that a copy reads, which has to be readable.
func (s *Server) source(r *request) (*object, *Error) {
	from, err := r.copySource()
	if err != nil {
		return nil, err
	}
	o := s.store.get(from.bucket, from.key)
	if o == nil {
		return nil, errNoSuchKey
	}
	return o, s.readable(o)
}

func (s *Server) copyObject(w http.ResponseWriter, r *request) *Error {
	only, err := createOnly(r)
	if err != nil {
		return err
	}
	from, err := s.source(r)
	if err != nil {
		return err
	}
	o, err := s.newObject(r)
	if err != nil {
		return err
	}
	replace := r.Header.Get("x-amz-metadata-directive") == "REPLACE"
	if !replace {
		o.Header = from.Header
	}
	if o.Bucket == from.Bucket && o.Key == from.Key && o.Class == from.Class && !replace {
		return newError(http.StatusBadRequest, "InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	err = s.keep(&o.content, func(w io.Writer) *Error {
		got, err := s.copyContent(w, from, 0, from.Size)
		o.Size, o.ETag, o.Checksum = got.size, quoted(got.md5), got.checksum
		return err
	}, func() *Error { return s.store.put(o, only, "") })
	if err != nil {
		return err
	}
	return s.copyResult(w, "CopyObjectResult", o.ETag)
}

// copyContent is receive for bytes that are in the store already.
func (s *Server) copyContent(w io.Writer, from *object, start, end int64) (received, *Error) {
	sums := sumsFor(http.Header{})
	if err := s.copyBlob(io.MultiWriter(append(sums.writers(), w)...), from.Blob, start, end); err != nil {
		return received{}, err
	}
	kept, err := sums.check(http.Header{}, nil)
	return received{end - start, sums.md5.Sum(nil), kept}, err
}

func (s *Server) copyPart(w http.ResponseWriter, r *request) *Error {
	from, err := s.source(r)
	if err != nil {
		return err
	}
	n, err := s.partOf(r)
	if err != nil {
		return err
	}
	start, end, err := parseRange(r.Header.Get("x-amz-copy-source-range"), from.Size)
	if err != nil {
		return err
	}
	p := &part{}
	err = s.keep(&p.content, func(w io.Writer) *Error {
		got, err := s.copyContent(w, from, start, end)
		p.size, p.ETag, p.Checksum = got.size, quoted(got.md5), got.checksum
		return err
	}, func() *Error { return s.store.addPart(r.param("uploadId"), n, p) })
	if err != nil {
		return err
	}
	return s.copyResult(w, "CopyPartResult", p.ETag)
}

// deletion is the body of DeleteObjects.
type deletion struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool
	Objects []struct{ Key string } `xml:"Object"`
}

// keys reads the keys that DeleteObjects names.
func deletedKeys(body []byte) (keys []string, quiet bool, _ *Error) {
	var doc deletion
	if xml.NewDecoder(bytes.NewReader(body)).Decode(&doc) != nil || len(doc.Objects) == 0 || len(doc.Objects) > 1000 {
		return nil, false, errMalformedXML
	}
	for _, o := range doc.Objects {
		keys = append(keys, o.Key)
	}
	return keys, doc.Quiet, nil
}

func (s *Server) deleteObjects(w http.ResponseWriter, r *request) *Error {
	var body bytes.Buffer
	if _, err := receive(&request{Request: r.Request}, &body); err != nil {
		return err
	}
	keys, quiet, err := deletedKeys(body.Bytes())
	if err != nil {
		return err
	}
	if err := s.store.remove(r.bucket, keys...); err != nil {
		return err
	}
	type deleted struct{ Key string }
	var doc struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ DeleteResult"`
		Deleted []deleted
	}
	if !quiet {
		for _, key := range keys {
			doc.Deleted = append(doc.Deleted, deleted{key})
		}
	}
	return writeXML(w, http.StatusOK, doc)
}
