package s3lab

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

func (s *Server) createUpload(w http.ResponseWriter, r *request) *Error {
	algorithm := strings.ToLower(r.Header.Get("x-amz-checksum-algorithm"))
	kind := r.Header.Get("x-amz-checksum-type")
	switch {
	case algorithm != "" && algorithms[algorithm] == nil:
		return newError(http.StatusBadRequest, "InvalidRequest", "Checksum algorithm provided is unsupported.")
	case kind == "" && (algorithm == "sha1" || algorithm == "sha256"):
		kind = "COMPOSITE"
	case kind == "":
		kind = "FULL_OBJECT"
	}
	o, err := s.newObject(r)
	if err != nil {
		return err
	}
	o.Checksum = checksum{Algorithm: algorithm, Kind: kind}
	id := rand.Text()
	if err := s.store.addUpload(id, o); err != nil {
		return err
	}
	return writeXML(w, http.StatusOK, struct {
		XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ InitiateMultipartUploadResult"`
		Bucket   string
		Key      string
		UploadID string `xml:"UploadId"`
	}{Bucket: r.bucket, Key: r.key, UploadID: id})
}

// partOf returns the upload and the number of the part that a request is about.
func (s *Server) partOf(r *request) (n int, err *Error) {
	n, e := strconv.Atoi(r.param("partNumber"))
	if e != nil || n < 1 || n > 10_000 {
		return 0, invalidArgument("Part number must be an integer between 1 and 10000, inclusive")
	}
	if s.store.upload(r.param("uploadId"), r.bucket, r.key) == nil {
		return 0, errNoSuchUpload
	}
	return n, nil
}

func (s *Server) uploadPart(w http.ResponseWriter, r *request) *Error {
	n, err := s.partOf(r)
	if err != nil {
		return err
	}
	p := &part{}
	err = s.keep(&p.content, func(w io.Writer) *Error {
		got, err := receive(r, w)
		p.size, p.ETag, p.Checksum = got.size, quoted(got.md5), got.checksum
		return err
	}, func() *Error { return s.store.addPart(r.param("uploadId"), n, p) })
	if err != nil {
		return err
	}
	w.Header().Set("ETag", p.ETag)
	w.Header().Set("x-amz-checksum-"+p.Checksum.Algorithm, p.Checksum.Value)
	return nil
}

func (s *Server) abortUpload(w http.ResponseWriter, r *request) *Error {
	if err := s.store.dropUpload(r.param("uploadId"), r.bucket, r.key); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type completion struct {
	Parts []struct {
		PartNumber int
		ETag       string
		// Checksums of the part, by the name of their element.
		Checksums []struct {
			XMLName xml.Name
			Value   string `xml:",chardata"`
		} `xml:",any"`
	} `xml:"Part"`
}

func (s *Server) completeUpload(w http.ResponseWriter, r *request) *Error {
	only, err := createOnly(r)
	if err != nil {
		return err
	}
	id := r.param("uploadId")
	u := s.store.upload(id, r.bucket, r.key)
	if u == nil {
		return errNoSuchUpload
	}
	var list completion
	body, e := io.ReadAll(io.LimitReader(r.Body, maxDocument))
	if e != nil {
		return errIncomplete
	}
	if xml.Unmarshal(body, &list) != nil || len(list.Parts) == 0 {
		return errMalformedXML
	}
	parts, err := s.listed(u, list)
	if err != nil {
		return err
	}
	o := u.object
	err = s.keep(&o.content, func(w io.Writer) *Error { return s.assemble(w, r, &o, parts) },
		func() *Error { return s.store.put(&o, only, id) })
	if err != nil {
		return err
	}
	return writeXML(w, http.StatusOK, struct {
		XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUploadResult"`
		Bucket       string
		Key          string
		ETag         string
		CRC64NVME    string `xml:"ChecksumCRC64NVME,omitempty"`
		ChecksumType string
	}{
		Bucket: r.bucket, Key: r.key, ETag: o.ETag, ChecksumType: o.Checksum.Kind,
		CRC64NVME: map[string]string{"crc64nvme": o.Checksum.Value}[o.Checksum.Algorithm],
	})
}

// listed returns the parts that the client lists, and checks what it says of each.
func (s *Server) listed(u *upload, list completion) (parts []*part, _ *Error) {
	for i := 1; i < len(list.Parts); i++ {
		if list.Parts[i].PartNumber <= list.Parts[i-1].PartNumber {
			return nil, errPartOrder
		}
	}
	for i, want := range list.Parts {
		p := u.parts[want.PartNumber]
		if p == nil || strings.Trim(p.ETag, `"`) != strings.Trim(want.ETag, `"`) {
			return nil, errInvalidPart
		}
		for _, c := range want.Checksums {
			name := strings.ToLower(strings.TrimPrefix(c.XMLName.Local, "Checksum"))
			if name == p.Checksum.Algorithm && c.Value != p.Checksum.Value {
				return nil, errInvalidPart
			}
		}
		if i < len(list.Parts)-1 && p.size < s.cfg.MinPart {
			return nil, errTooSmall
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// assemble writes the object that its parts make, and checks what the client
// says of the whole.
func (s *Server) assemble(w io.Writer, r *request, o *object, parts []*part) *Error {
	name := o.Checksum.Algorithm
	if name == "" {
		name = "crc64nvme"
	}
	whole, ofParts, etags := algorithms[name](), algorithms[name](), md5.New()
	for _, p := range parts {
		if err := s.copyBlob(io.MultiWriter(w, whole), p.Blob, 0, p.size); err != nil {
			return err
		}
		etag, _ := hex.DecodeString(strings.Trim(p.ETag, `"`)) // our own
		sum, _ := base64.StdEncoding.DecodeString(p.Checksum.Value)
		etags.Write(etag)
		ofParts.Write(sum)
		o.Size += p.size
	}
	o.ETag = fmt.Sprintf(`"%x-%d"`, etags.Sum(nil), len(parts))
	o.Checksum.Algorithm = name
	o.Checksum.Value = base64.StdEncoding.EncodeToString(whole.Sum(nil))
	if o.Checksum.Kind == "COMPOSITE" {
		o.Checksum.Value = fmt.Sprintf("%s-%d", base64.StdEncoding.EncodeToString(ofParts.Sum(nil)), len(parts))
	}
	if want := r.Header.Get("x-amz-checksum-" + name); want != "" && want != o.Checksum.Value {
		return errBadDigest
	}
	if want := r.Header.Get("x-amz-mp-object-size"); want != "" && want != strconv.FormatInt(o.Size, 10) {
		return newError(http.StatusBadRequest, "InvalidRequest", "The size of the object is not what x-amz-mp-object-size says")
	}
	return nil
}

// copyBlob writes the bytes of a content from start up to end.
func (s *Server) copyBlob(w io.Writer, id string, start, end int64) *Error {
	from, err := s.store.open(id)
	if err != nil {
		return err
	}
	defer from.Close()
	if n, err := io.CopyN(w, section(from, start, end), end-start); err != nil {
		return internal(fmt.Errorf("copying %d of %d bytes: %w", n, end-start, err))
	}
	return nil
}
