package s3lab

import (
	"bytes"
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
		return &Error{http.StatusBadRequest, "InvalidRequest", "Checksum algorithm provided is unsupported."}
	case kind == "" && (algorithm == "sha1" || algorithm == "sha256"):
		kind = "COMPOSITE"
	case kind == "":
		kind = "FULL_OBJECT"
	}
	id := rand.Text()
	s.store.addUpload(id, &upload{object: s.newObject(r), algorithm: algorithm, kind: kind, parts: map[int]*part{}})
	return writeXML(w, http.StatusOK, struct {
		XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ InitiateMultipartUploadResult"`
		Bucket   string
		Key      string
		UploadID string `xml:"UploadId"`
	}{Bucket: r.bucket, Key: r.key, UploadID: id})
}

func (s *Server) uploadPart(w http.ResponseWriter, r *request) *Error {
	n, e := strconv.Atoi(r.param("partNumber"))
	if e != nil || n < 1 || n > 10_000 {
		return invalidArgument("Part number must be an integer between 1 and 10000, inclusive")
	}
	u := s.store.upload(r.param("uploadId"), r.bucket, r.key)
	if u == nil {
		return errNoSuchUpload
	}
	data, sum, err := content(r)
	if err != nil {
		return err
	}
	p := &part{data: data, checksum: sum, etag: `"` + md5Hex(data) + `"`}
	s.store.addPart(u, n, p)
	w.Header().Set("ETag", p.etag)
	w.Header().Set("x-amz-checksum-"+sum.algorithm, sum.value)
	return nil
}

func (s *Server) abortUpload(w http.ResponseWriter, r *request) *Error {
	if !s.store.dropUpload(r.param("uploadId"), r.bucket, r.key) {
		return errNoSuchUpload
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
	body, e := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if e != nil {
		return errIncomplete
	}
	if xml.Unmarshal(body, &list) != nil || len(list.Parts) == 0 {
		return errMalformedXML
	}
	o, err := s.assemble(r, u, list)
	if err != nil {
		return err
	}
	if !s.store.complete(id, o, only) {
		return errPrecondition
	}
	return writeXML(w, http.StatusOK, struct {
		XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUploadResult"`
		Bucket       string
		Key          string
		ETag         string
		CRC64NVME    string `xml:"ChecksumCRC64NVME,omitempty"`
		ChecksumType string
	}{
		Bucket: r.bucket, Key: r.key, ETag: o.etag, ChecksumType: o.checksum.kind,
		CRC64NVME: map[string]string{"crc64nvme": o.checksum.value}[o.checksum.algorithm],
	})
}

// assemble makes the object of the parts that the client lists and checks
// what the client says of them and of the whole.
func (s *Server) assemble(r *request, u *upload, list completion) (*object, *Error) {
	for i := 1; i < len(list.Parts); i++ {
		if list.Parts[i].PartNumber <= list.Parts[i-1].PartNumber {
			return nil, errPartOrder
		}
	}
	o := u.object
	parts := s.store.partsOf(u)
	var data bytes.Buffer
	var etags, sums []byte
	for i, want := range list.Parts {
		p := parts[want.PartNumber]
		if p == nil || strings.Trim(p.etag, `"`) != strings.Trim(want.ETag, `"`) {
			return nil, errInvalidPart
		}
		for _, c := range want.Checksums {
			name := strings.ToLower(strings.TrimPrefix(c.XMLName.Local, "Checksum"))
			if name == p.checksum.algorithm && c.Value != p.checksum.value {
				return nil, errInvalidPart
			}
		}
		if i < len(list.Parts)-1 && int64(len(p.data)) < s.cfg.MinPart {
			return nil, errTooSmall
		}
		data.Write(p.data)
		etag, _ := hex.DecodeString(strings.Trim(p.etag, `"`)) // our own
		sum, _ := base64.StdEncoding.DecodeString(p.checksum.value)
		etags, sums = append(etags, etag...), append(sums, sum...)
	}
	o.data, o.Size, o.Modified = data.Bytes(), int64(data.Len()), s.cfg.Now()
	o.etag = fmt.Sprintf(`"%x-%d"`, md5.Sum(etags), len(list.Parts))
	return &o, checkWhole(r, u, &o, sums, len(list.Parts))
}

// checkWhole sets the checksum of the finished object, and compares it and the
// size with what the client says.
func checkWhole(r *request, u *upload, o *object, sums []byte, parts int) *Error {
	name := u.algorithm
	if name == "" {
		name = "crc64nvme"
	}
	o.checksum = checksum{name, sumOf(name, o.data), u.kind}
	if u.kind == "COMPOSITE" {
		o.checksum.value = fmt.Sprintf("%s-%d", sumOf(name, sums), parts)
	}
	if want := r.Header.Get("x-amz-checksum-" + name); want != "" && want != o.checksum.value {
		return errBadDigest
	}
	if want := r.Header.Get("x-amz-mp-object-size"); want != "" && want != strconv.FormatInt(o.Size, 10) {
		return &Error{http.StatusBadRequest, "InvalidRequest", "The size of the object is not what x-amz-mp-object-size says"}
	}
	return nil
}
