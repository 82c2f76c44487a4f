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
	Delimiter             string  `xml:",omitempty"`
	StartAfter            string  `xml:",omitempty"`
	Marker                *string // of version 1, which has it always
	NextMarker            string  `xml:",omitempty"`
	MaxKeys               int
	KeyCount              *int // of version 2
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

// listTime is the form of LastModified in listings.
const listTime = "2006-01-02T15:04:05.000Z"

// list answers ListObjectsV2, and ListObjects, which says where to go on in
// another way.
func (s *Server) list(w http.ResponseWriter, r *request) *Error {
	v2 := r.operation() == "ListObjectsV2"
	res := listResult{
		Name: r.bucket, Delimiter: r.param("delimiter"), EncodingType: r.param("encoding-type"),
		ContinuationToken: r.param("continuation-token"), MaxKeys: s.cfg.MaxKeys,
	}
	start := r.param("start-after")
	if !v2 {
		res.ContinuationToken, start = "", r.param("marker")
		if res.Delimiter != "" && strings.HasSuffix(start, res.Delimiter) {
			start += afterAll // the prefix was on the page before
		}
	}
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
	encode := encoding(res.EncodingType)
	res.Prefix = encode(r.param("prefix"))
	last := s.fill(r, &res, start, encode)
	if v2 {
		res.StartAfter, res.KeyCount = encode(r.param("start-after")), new(len(res.Contents)+len(res.CommonPrefixes))
		if res.IsTruncated {
			res.NextContinuationToken = base64.URLEncoding.EncodeToString([]byte(last))
		}
		return writeXML(w, http.StatusOK, res)
	}
	res.Marker = new(encode(r.param("marker")))
	if res.IsTruncated {
		res.NextMarker = encode(strings.TrimSuffix(last, afterAll))
	}
	return writeXML(w, http.StatusOK, res)
}

// encoding is how a listing writes keys.
func encoding(name string) func(string) string {
	if name == "url" {
		return url.QueryEscape
	}
	return func(s string) string { return s }
}

// afterAll comes after every key of a prefix: no UTF-8 has this byte.
const afterAll = "\xff"

// fill puts a page of entries after start into res, and returns what they end with.
func (s *Server) fill(r *request, res *listResult, start string, encode func(string) string) string {
	prefix := r.param("prefix")
	restore := strings.Contains(r.Header.Get("x-amz-optional-object-attributes"), "RestoreStatus")
	for len(res.Contents)+len(res.CommonPrefixes) < res.MaxKeys {
		found := s.store.after(r.bucket, prefix, start, 1)
		if len(found) == 0 {
			return start
		}
		o := found[0]
		start = o.Key
		if i := strings.Index(o.Key[len(prefix):], res.Delimiter); res.Delimiter != "" && i >= 0 {
			common := o.Key[:len(prefix)+i+len(res.Delimiter)]
			res.CommonPrefixes = append(res.CommonPrefixes, listPrefix{encode(common)})
			start = common + afterAll
			continue
		}
		res.Contents = append(res.Contents, s.entry(o, restore, encode))
	}
	res.IsTruncated = res.MaxKeys > 0 && len(s.store.after(r.bucket, prefix, start, 1)) > 0
	return start
}

func (s *Server) entry(o *object, restore bool, encode func(string) string) listEntry {
	e := listEntry{
		Key: encode(o.Key), LastModified: o.Modified.UTC().Format(listTime), ETag: o.ETag, Size: o.Size,
		StorageClass: o.Class, ChecksumAlgorithm: strings.ToUpper(o.Checksum.Algorithm), ChecksumType: o.Checksum.Kind,
	}
	if restore {
		e.RestoreStatus = statusOf(s.cfg.Cold, o.Info)
	}
	return e
}

// statusOf is what a listing says of a thaw, nil if there is none.
func statusOf(cold Cold, o Info) *restoreStatus {
	if cold == nil {
		return nil
	}
	c := cold.Restoration(o)
	switch {
	case c == nil:
		return nil
	case c.Ongoing:
		return &restoreStatus{IsRestoreInProgress: true}
	}
	return &restoreStatus{RestoreExpiryDate: c.Expiry.UTC().Format(time.RFC3339)}
}
