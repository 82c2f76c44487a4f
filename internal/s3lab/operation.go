package s3lab

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// request is one request, taken apart.
type request struct {
	*http.Request
	bucket, key string
	query       map[string][]string
}

func newRequest(hr *http.Request) *request {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(hr.URL.Path, "/"), "/")
	return &request{Request: hr, bucket: bucket, key: key, query: hr.URL.Query()}
}

func (r *request) has(param string) bool { _, ok := r.query[param]; return ok }

func (r *request) param(name string) string {
	if v := r.query[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// subresources are the parameters that make a request another operation, with
// what its name then ends in. They are looked for in this order.
var subresources = []struct{ param, name string }{
	{"acl", "Acl"}, {"attributes", "Attributes"}, {"cors", "Cors"}, {"encryption", "Encryption"}, {"legal-hold", "LegalHold"},
	{"lifecycle", "LifecycleConfiguration"}, {"location", "Location"}, {"logging", "Logging"}, {"notification", "NotificationConfiguration"},
	{"object-lock", "ObjectLockConfiguration"}, {"ownershipControls", "OwnershipControls"}, {"policy", "Policy"},
	{"publicAccessBlock", "PublicAccessBlock"}, {"replication", "Replication"}, {"retention", "Retention"}, {"tagging", "Tagging"},
	{"versioning", "Versioning"}, {"website", "Website"},
}

func (r *request) subresource() string {
	for _, s := range subresources {
		if r.has(s.param) {
			return s.name
		}
	}
	return ""
}

// operation is S3's name of what the request asks for, "Unknown" if it is none
// that the lab knows by name.
func (r *request) operation() string {
	switch {
	case r.bucket == "" && r.Method == http.MethodGet:
		return "ListBuckets"
	case r.bucket == "":
		return "Unknown"
	case r.key == "":
		return r.bucketOperation()
	}
	return r.objectOperation()
}

func (r *request) bucketOperation() string {
	sub := r.subresource()
	switch r.Method {
	case http.MethodHead:
		return "HeadBucket"
	case http.MethodPut:
		if sub == "" {
			return "CreateBucket"
		}
		return "PutBucket" + sub
	case http.MethodDelete:
		return "DeleteBucket" + sub
	case http.MethodPost:
		if r.has("delete") {
			return "DeleteObjects"
		}
	case http.MethodGet:
		switch {
		case sub != "":
			return "GetBucket" + sub
		case r.has("uploads"):
			return "ListMultipartUploads"
		case r.has("versions"):
			return "ListObjectVersions"
		case r.param("list-type") == "2":
			return "ListObjectsV2"
		}
		return "ListObjects"
	}
	return "Unknown"
}

func (r *request) objectOperation() string {
	sub := r.subresource()
	copies := r.Header.Get("x-amz-copy-source") != ""
	switch {
	case r.Method == http.MethodPut && r.has("uploadId") && copies:
		return "UploadPartCopy"
	case r.Method == http.MethodPut && r.has("uploadId"):
		return "UploadPart"
	case r.Method == http.MethodPut && sub == "" && copies:
		return "CopyObject"
	case r.Method == http.MethodPut:
		return "PutObject" + sub
	case r.Method == http.MethodGet && r.has("uploadId"):
		return "ListParts"
	case r.Method == http.MethodGet:
		return "GetObject" + sub
	case r.Method == http.MethodHead:
		return "HeadObject"
	case r.Method == http.MethodDelete && r.has("uploadId"):
		return "AbortMultipartUpload"
	case r.Method == http.MethodDelete:
		return "DeleteObject" + sub
	case r.Method == http.MethodPost && r.has("uploads"):
		return "CreateMultipartUpload"
	case r.Method == http.MethodPost && r.has("uploadId"):
		return "CompleteMultipartUpload"
	case r.Method == http.MethodPost && r.has("restore"):
		return "RestoreObject"
	}
	return "Unknown"
}

// copySource is the object that CopyObject and UploadPartCopy read.
func (r *request) copySource() (place, *Error) {
	source, _, _ := strings.Cut(r.Header.Get("x-amz-copy-source"), "?")
	name, err := url.PathUnescape(source)
	bucket, key, ok := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	if err != nil || !ok || key == "" {
		return place{}, invalidArgument("Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	return place{bucket, key}, nil
}

// writes reports whether an operation stores an object under the request's key.
func writes(operation string) bool {
	return slices.Contains([]string{"PutObject", "CopyObject", "CompleteMultipartUpload"}, operation)
}
