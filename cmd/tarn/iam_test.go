package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tarn-backup/tarn/internal/cloud"
)

// iam stands before an S3 server and lets in what policies allow. No server
// that runs here does: moto knows neither the Resource of a statement nor its
// Condition, and takes names of operations for names of actions. So this
// is written from AWS's documentation of how policies are evaluated: a Deny that
// matches counts before anything, then an Allow, and without one nothing is allowed.
// What the user's policy allows counts only if its boundary, if it has one, does so, too.
// It fails the test at what it does not know.
type iam struct {
	t    *testing.T
	next http.Handler
	tls  bool   // whether requests count as sent by TLS
	key  string // the ARN of the KMS key of the bucket; "" for none

	mu       sync.Mutex
	identity []cloud.Statement // of the user's policy
	boundary []cloud.Statement // of the user's permissions boundary; nil if it has none
	bucket   []cloud.Statement // of the bucket's policy
	used     map[string]bool   // actions that were asked for
}

// set replaces the user's policy, and forgets what was asked for.
func (i *iam) set(list []cloud.Statement) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.identity, i.used = list, map[string]bool{}
}

// access is one request as policies see it.
type access struct {
	action, resource string
	context          map[string]string
}

func (i *iam) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := i.access(r)
	i.mu.Lock()
	i.used[a.action] = true
	allowed := i.allowed(a)
	if use := keyUse(r, a); allowed && use != "" && i.key != "" {
		a = access{use, i.key, map[string]string{"kms:ViaService": "s3.us-east-1.amazonaws.com", "aws:ResourceTag/tarn:stack": "tarn"}}
		i.used[use] = true
		allowed = i.allowed(a)
	}
	lists := i.allowed(access{"s3:ListBucket", bucketOf(a.resource), map[string]string{"aws:SecureTransport": a.context["aws:SecureTransport"], "aws:ResourceAccount": leastAccount}})
	i.mu.Unlock()
	if !allowed {
		deny(w, r, fmt.Sprintf("User: arn:aws:iam::123456789012:user/machine is not authorized to perform: %s on resource: %q", a.action, a.resource))
		return
	}
	if a.action != "s3:GetObject" || lists {
		i.next.ServeHTTP(w, r)
		return
	}
	// Who may not list the bucket is not told that an object is not there. A
	// condition on s3:prefix is not met by a request that has none.
	rec := httptest.NewRecorder()
	i.next.ServeHTTP(rec, r)
	if rec.Code == http.StatusNotFound {
		deny(w, r, "Access Denied")
		return
	}
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes()) // a client that is gone needs no answer
}

// keyUse is what S3 asks of the bucket's key on behalf of who sends a request, by
// its documentation of SSE-KMS: a data key for what is begun, and for what reads or
// goes on with an upload, that key decrypted.
func keyUse(r *http.Request, a access) string {
	switch q := r.URL.Query(); {
	case a.action == "s3:GetObject" && r.Method == http.MethodGet, a.action == "s3:PutObject" && q.Has("uploadId"):
		return "kms:Decrypt"
	case a.action == "s3:PutObject":
		return "kms:GenerateDataKey"
	}
	return ""
}

func deny(w http.ResponseWriter, r *http.Request, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Connection", "close") // the body is not read
	w.WriteHeader(http.StatusForbidden)
	if r.Method != http.MethodHead {
		fmt.Fprintf(w, "<Error><Code>AccessDenied</Code><Message>%s</Message></Error>", message)
	}
}

func bucketOf(resource string) string {
	bucket, _, _ := strings.Cut(resource, "/")
	return bucket
}

// access says what a request takes, by the table of actions in S3's documentation.
func (i *iam) access(r *http.Request) access {
	bucket, key, object := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	object = object && key != ""
	q := r.URL.Query()
	a := access{resource: "arn:aws:s3:::" + bucket, context: map[string]string{"aws:SecureTransport": fmt.Sprint(i.tls), "aws:RequestedRegion": "us-east-1", "aws:ResourceAccount": leastAccount}}
	if object {
		a.resource += "/" + key
	}
	upload := q.Has("uploads") || q.Has("uploadId")
	switch method := r.Method; {
	case !object && q.Has("versions") && method == http.MethodGet:
		a.action = "s3:ListBucketVersions"
	case !object && (q.Has("policy") || q.Has("versioning") || q.Has("lifecycle") || q.Has("versions")):
		a.action = "s3:" + map[string]string{"GET": "Get", "PUT": "Put", "DELETE": "Delete"}[method] + "Bucket" + strings.ToUpper(r.URL.RawQuery[:1]) + r.URL.RawQuery[1:]
	case !object && method == http.MethodGet:
		a.action = "s3:ListBucket"
		for _, name := range []string{"prefix", "delimiter", "max-keys"} {
			if q.Has(name) {
				a.context["s3:"+name] = q.Get(name)
			}
		}
	case !object:
		a.action = "s3:" + map[string]string{"HEAD": "List", "PUT": "Create", "DELETE": "Delete"}[method] + "Bucket"
	case method == http.MethodPost && q.Has("restore"):
		a.action = "s3:RestoreObject"
	case method == http.MethodGet, method == http.MethodHead:
		a.action = "s3:GetObject"
	case method == http.MethodPut, method == http.MethodPost && upload:
		a.action = "s3:PutObject"
		// That is what makes an object: neither the beginning of an upload nor a part.
		a.context["s3:ObjectCreationOperation"] = fmt.Sprint(!upload || method == http.MethodPost && q.Has("uploadId"))
		if h := r.Header.Get("If-None-Match"); h != "" {
			a.context["s3:if-none-match"] = h
		}
	case method == http.MethodDelete && upload:
		a.action = "s3:AbortMultipartUpload"
	case method == http.MethodDelete:
		a.action = "s3:DeleteObject"
	default:
		i.t.Errorf("%s %s: no action is known for it", method, r.URL)
	}
	return a
}

// allowed evaluates the policies.
func (i *iam) allowed(a access) bool {
	own, denied := i.says(i.identity, a)
	most, denies := i.says(i.boundary, a)
	bucket, refused := i.says(i.bucket, a)
	return !denied && !denies && !refused && (own && (most || i.boundary == nil) || bucket)
}

// says is what one policy says of a request.
func (i *iam) says(list []cloud.Statement, a access) (allows, denies bool) {
	for _, s := range list {
		if i.matches(s, a) {
			allows, denies = allows || s.Effect == "Allow", denies || s.Effect == "Deny"
		}
	}
	return allows, denies
}

func (i *iam) matches(s cloud.Statement, a access) bool {
	if len(s.NotAction)+len(s.NotResource) > 0 {
		i.t.Errorf("statement %s: NotAction and NotResource are not known here", s.Sid)
	}
	action := func(p string) bool { return like(strings.ToLower(p), strings.ToLower(a.action)) }
	resource := func(p string) bool { return like(p, a.resource) }
	return slices.ContainsFunc(s.Action, action) && slices.ContainsFunc(s.Resource, resource) && i.conditions(s, a)
}

// conditions says whether all of a statement's conditions hold.
func (i *iam) conditions(s cloud.Statement, a access) bool {
	for operator, keys := range s.Condition {
		for key, values := range keys {
			got, has := a.context[key]
			holds := false
			switch operator {
			case "Null":
				holds = slices.Contains(values, fmt.Sprint(!has))
			case "StringEquals":
				holds = has && slices.Contains(values, got)
			case "StringNotEquals": // of what is not there, too
				holds = !has || !slices.Contains(values, got)
			case "ForAllValues:StringLike": // of a list, here with commas; of an empty one, too
				holds = !has || !slices.ContainsFunc(strings.Split(got, ","), func(each string) bool {
					return !slices.ContainsFunc(values, func(v string) bool { return like(v, each) })
				})
			case "Bool":
				holds = has && slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, got) })
			case "StringLike":
				holds = has && slices.ContainsFunc(values, func(v string) bool { return like(v, got) })
			default:
				i.t.Errorf("statement %s: the operator %s is not known here", s.Sid, operator)
			}
			if !holds {
				return false
			}
		}
	}
	return true
}

// like matches IAM's patterns: * is any text, ? any letter.
func like(pattern, s string) bool {
	re := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
	return regexp.MustCompile("^(?s:" + re + ")$").MatchString(s)
}

// withoutAction returns statements without an action.
func withoutAction(list []cloud.Statement, action string) (rest []cloud.Statement) {
	for _, s := range list {
		s.Action = slices.DeleteFunc(slices.Clone(s.Action), func(a string) bool { return a == action })
		if len(s.Action) > 0 {
			rest = append(rest, s)
		}
	}
	return rest
}

// TestIAM: the evaluator says what AWS's documentation says.
func TestIAM(t *testing.T) {
	i := &iam{t: t, tls: true}
	bucket := "arn:aws:s3:::b"
	cond := func(op, key string, v ...string) map[string]map[string][]string {
		return map[string]map[string][]string{op: {key: v}}
	}
	i.identity = []cloud.Statement{
		{Effect: "Allow", Action: []string{"s3:Get*"}, Resource: []string{bucket + "/p/*"}},
		{Effect: "Allow", Action: []string{"s3:PutObject"}, Resource: []string{bucket + "/p/*"}},
		{Effect: "Allow", Action: []string{"s3:ListBucket"}, Resource: []string{bucket}, Condition: cond("StringLike", "s3:prefix", "p/*")},
	}
	i.bucket = []cloud.Statement{
		{Effect: "Deny", Action: []string{"s3:PutObject"}, Resource: []string{bucket + "/*"}, Condition: cond("Null", "s3:if-none-match", "true")},
		{Effect: "Deny", Action: []string{"s3:*"}, Resource: []string{bucket, bucket + "/*"}, Condition: cond("Bool", "aws:SecureTransport", "false")},
	}
	for _, test := range []struct {
		a    access
		want bool
	}{
		{access{"s3:GetObject", bucket + "/p/x/y", nil}, true},
		{access{"s3:getobject", bucket + "/p/x", nil}, true},
		{access{"s3:GetObject", bucket + "/q/x", nil}, false},
		{access{"s3:GetObject", bucket + "c/p/x", nil}, false},
		{access{"s3:GetObject", bucket + "/p/x", map[string]string{"aws:SecureTransport": "false"}}, false},
		{access{"s3:PutObject", bucket + "/p/x", nil}, false},
		{access{"s3:PutObject", bucket + "/p/x", map[string]string{"s3:if-none-match": "*"}}, true},
		{access{"s3:DeleteObject", bucket + "/p/x", nil}, false},
		{access{"s3:ListBucket", bucket, map[string]string{"s3:prefix": "p/a"}}, true},
		{access{"s3:ListBucket", bucket, map[string]string{"s3:prefix": "q/"}}, false},
		{access{"s3:ListBucket", bucket, nil}, false},
	} {
		if got := i.allowed(test.a); got != test.want {
			t.Errorf("%+v: allowed %t", test.a, got)
		}
	}
}
