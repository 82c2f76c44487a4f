package s3lab

import (
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

type listResult struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name                  string
	Prefix                string
	Delimiter             string `xml:",omitempty"`
	StartAfter            string `xml:",omitempty"`
	MaxKeys               int
	KeyCount              int
	IsTruncated           bool
	EncodingType          string `xml:",omitempty"`
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	Contents              []listEntry
	CommonPrefixes        []listPrefix
}

type listEntry struct {
	Key               string
	LastModified      string
	ETag              string
	Size              int64
	StorageClass      string
	ChecksumAlgorithm string         `xml:",omitempty"`
	ChecksumType      string         `xml:",omitempty"`
	RestoreStatus     *restoreStatus `xml:",omitempty"`
}

type restoreStatus struct {
	IsRestoreInProgress bool
	RestoreExpiryDate   string `xml:",omitempty"`
}

type listPrefix struct{ Prefix string }

// list answers ListObjectsV2.
func (s *Server) list(w http.ResponseWriter, r *request) *Error {
	res := listResult{
		Name: r.bucket, Delimiter: r.param("delimiter"), EncodingType: r.param("encoding-type"),
		ContinuationToken: r.param("continuation-token"), MaxKeys: s.cfg.MaxKeys,
	}
	start := r.param("start-after")
	if res.ContinuationToken != "" {
		b, err := base64.URLEncoding.DecodeString(res.ContinuationToken)
		if err != nil {
			return invalidArgument("The continuation token provided is incorrect")
		}
		start = string(b)
	}
	if v := r.param("max-keys"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return invalidArgument("max-keys is not a number")
		}
		res.MaxKeys = min(n, s.cfg.MaxKeys)
	}
	encode := func(s string) string { return s }
	if res.EncodingType == "url" {
		encode = url.QueryEscape
	}
	res.Prefix, res.StartAfter = encode(r.param("prefix")), encode(r.param("start-after"))
	s.fill(r, &res, start, encode)
	res.KeyCount = len(res.Contents) + len(res.CommonPrefixes)
	return writeXML(w, http.StatusOK, res)
}

// fill puts a page of entries after start into res.
func (s *Server) fill(r *request, res *listResult, start string, encode func(string) string) {
	prefix := r.param("prefix")
	restore := strings.Contains(r.Header.Get("x-amz-optional-object-attributes"), "RestoreStatus")
	for len(res.Contents)+len(res.CommonPrefixes) < res.MaxKeys {
		found := s.store.after(r.bucket, prefix, start, 1)
		if len(found) == 0 {
			return
		}
		o := found[0]
		start = o.Key
		if i := strings.Index(o.Key[len(prefix):], res.Delimiter); res.Delimiter != "" && i >= 0 {
			common := o.Key[:len(prefix)+i+len(res.Delimiter)]
			res.CommonPrefixes = append(res.CommonPrefixes, listPrefix{encode(common)})
			start = common + "\xff" // after every key of the prefix: no UTF-8 has this byte
			continue
		}
		res.Contents = append(res.Contents, s.entry(o, restore, encode))
	}
	if res.MaxKeys > 0 && len(s.store.after(r.bucket, prefix, start, 1)) > 0 {
		res.IsTruncated = true
		res.NextContinuationToken = base64.URLEncoding.EncodeToString([]byte(start))
	}
}

func (s *Server) entry(o *object, restore bool, encode func(string) string) listEntry {
	e := listEntry{
		Key: encode(o.Key), LastModified: o.Modified.UTC().Format("2006-01-02T15:04:05.000Z"), ETag: o.etag, Size: o.Size,
		StorageClass: o.Class, ChecksumAlgorithm: strings.ToUpper(o.checksum.algorithm), ChecksumType: o.checksum.kind,
	}
	if s.cfg.Cold != nil && restore {
		if c := s.cfg.Cold.Restoration(o.Info); c != nil {
			e.RestoreStatus = &restoreStatus{IsRestoreInProgress: c.Ongoing}
			if !c.Ongoing {
				e.RestoreStatus.RestoreExpiryDate = c.Expiry.UTC().Format(time.RFC3339)
			}
		}
	}
	return e
}
