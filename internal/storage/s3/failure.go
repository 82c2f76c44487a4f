package s3

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/tarn-backup/tarn"
)

// failure is an error of a request, with what is to be made of it.
type failure struct {
	kind     error // the sentinel that callers know it by, or nil
	mark     error // one of this package's sentinels, which the text does not repeat, or nil
	hint     string
	action   string // the permission of IAM that the request takes
	status   int    // of HTTP; 0 without an answer
	code     string
	message  string
	cause    error
	retry    bool // the same request may succeed later
	dial     bool // there was no connection at all
	attempts int
}

// Error implements error. It names no key and no operation: callers do.
func (f *failure) Error() string {
	var parts []string
	if f.kind != nil {
		parts = append(parts, f.kind.Error())
	}
	if f.hint != "" {
		parts = append(parts, f.hint)
	}
	if f.lacksPermission() {
		parts = append(parts, "the credentials lack "+f.action)
	}
	switch {
	case f.code != "" && f.message != "":
		parts = append(parts, fmt.Sprintf("the server says %s: %s", f.code, f.message))
	case f.status >= 300:
		parts = append(parts, fmt.Sprintf("the server says %d %s", f.status, http.StatusText(f.status)))
	default:
		parts = append(parts, plain(f.cause))
	}
	if f.attempts > 1 {
		parts = append(parts, fmt.Sprintf("after %d attempts", f.attempts))
	}
	return strings.Join(parts, ": ")
}

// lacksPermission reports whether a policy is why the request was refused. An
// answer to a HEAD has no code.
func (f *failure) lacksPermission() bool {
	return f.kind == tarn.ErrDenied && f.action != "" && f.status == http.StatusForbidden && (f.code == "AccessDenied" || f.code == "Forbidden" || f.code == "")
}

// actions are the permissions that operations take whose names are others.
var actions = map[string]string{
	"HeadObject": "GetObject", "ListObjectsV2": "ListBucket",
	"CreateMultipartUpload": "PutObject", "UploadPart": "PutObject", "CompleteMultipartUpload": "PutObject",
}

// actionOf is the permission of IAM that the request of an error takes; "" if
// the error is of none.
func actionOf(err error) string {
	op, ok := errors.AsType[*smithy.OperationError](err)
	if !ok {
		return ""
	}
	return "s3:" + cmp.Or(actions[op.Operation()], op.Operation())
}

// plain returns the text of an error without the SDK's layers around it.
func plain(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return err.Error()
}

// Unwrap returns the sentinels and the cause.
func (f *failure) Unwrap() (all []error) {
	for _, err := range []error{f.kind, f.mark, f.cause} {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}

// is reports whether err is a failure with one of the codes.
func is(err error, codes ...string) bool {
	f, ok := errors.AsType[*failure](err)
	return ok && slices.Contains(codes, f.code)
}

// hasStatus reports whether err is a failure with that HTTP status.
func hasStatus(err error, status int) bool {
	f, ok := errors.AsType[*failure](err)
	return ok && f.status == status
}

// transient are codes of errors that pass, whatever their status: S3 sends
// some of them after a 200 header has gone out already. Those of a body that
// changed on its way are here too, since the next one may arrive whole.
var transient = []string{
	"InternalError", "SlowDown", "ServiceUnavailable", "Throttling", "ThrottlingException", "RequestThrottled",
	"RequestLimitExceeded", "TooManyRequests", "RequestTimeout", "RequestTimeTooSkewed", "OperationAborted",
	"ConditionalRequestConflict", "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch",
	"InvalidDigest", "IncompleteBody",
}

func (s *Storage) classify(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	f := &failure{cause: err, action: actionOf(err)}
	if resp, ok := errors.AsType[*awshttp.ResponseError](err); ok && resp.Response != nil && resp.Response.Response != nil {
		f.status = resp.HTTPStatusCode()
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		f.code, f.message = api.ErrorCode(), api.ErrorMessage()
	}
	if f.code == "" && f.status < 300 {
		f.noAnswer()
		return f
	}
	f.retry = slices.Contains(transient, f.code)
	s.judge(f)
	if _, garbled := errors.AsType[*smithy.DeserializationError](err); garbled || f.code == "" && hasBody(err) {
		f.retry = true // an error whose text was cut on its way may mean something else
		f.mark = ErrNoServer
	}
	if text := http.StatusText(f.status); f.status < 500 && f.message == text && hasBody(err) && f.kind != fs.ErrNotExist {
		f.mark = ErrNoServer // the SDK's words, for want of any that it knows
	}
	return f
}

// hasBody reports whether the answer had a text. That to a HEAD has none.
func hasBody(err error) bool {
	resp, ok := errors.AsType[*awshttp.ResponseError](err)
	return ok && resp.Response != nil && resp.Response.Response != nil && resp.Response.ContentLength > 0 &&
		(resp.Response.Request == nil || resp.Response.Request.Method != http.MethodHead)
}

// noAnswer judges a request that has no answer, or one that makes no sense.
func (f *failure) noAnswer() {
	if strings.Contains(f.cause.Error(), "get identity:") {
		f.kind, f.mark, f.hint = tarn.ErrDenied, ErrCredentials, "finding AWS credentials"
		return
	}
	_, unsent := errors.AsType[*smithyhttp.RequestSendError](f.cause)
	_, garbled := errors.AsType[*smithy.DeserializationError](f.cause)
	_, network := errors.AsType[net.Error](f.cause)
	f.retry = unsent || garbled || network || f.status != 0 ||
		errors.Is(f.cause, io.ErrUnexpectedEOF) || errors.Is(f.cause, io.EOF)
	if op, ok := errors.AsType[*net.OpError](f.cause); ok {
		f.dial = op.Op == "dial"
	}
	_, record := errors.AsType[tls.RecordHeaderError](f.cause)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](f.cause)
	switch {
	case untrusted:
		f.retry, f.mark = false, ErrCertificate
	case record, strings.Contains(f.cause.Error(), "HTTP response to HTTPS client"): // which net/http has no type for
		f.retry, f.mark = false, ErrNoTLS
	case garbled:
		f.mark = ErrNoServer
	}
}

// slowing are the codes by which a server asks for fewer requests.
var slowing = []string{"SlowDown", "Throttling", "ThrottlingException", "RequestThrottled", "RequestLimitExceeded", "TooManyRequests"}

// judge says what an answer means.
func (s *Storage) judge(f *failure) {
	if f.status == http.StatusTooManyRequests || slices.Contains(slowing, f.code) {
		f.mark = tarn.ErrBusy
	}
	switch f.code {
	case "NoSuchBucket":
		f.mark, f.hint = ErrNoBucket, fmt.Sprintf("the bucket %s does not exist", s.cfg.Bucket)
		return
	case "InvalidObjectState":
		f.kind = tarn.ErrCold
		return
	case "RestoreAlreadyInProgress":
		f.kind = tarn.ErrThawing
		return
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired",
		"XAdminUserNotFound": // versitygw's, with 404, of an access key that it does not know
		f.kind, f.mark = tarn.ErrDenied, ErrCredentials
		return
	case "PermanentRedirect", "AuthorizationHeaderMalformed", "TemporaryRedirect", "IllegalLocationConstraintException":
		s.elsewhere(f)
		return
	case "KeyTooLongError",
		"ExistingObjectIsDirectory", "ObjectParentIsFile", // versitygw's and
		"XMinioObjectExistsAsDirectory", "XMinioParentIsObject", "XMinioInvalidObjectName": // MinIO's, of keys that their file systems can't have side by side
		f.kind = tarn.ErrKey
		return
	case "GlacierExpeditedRetrievalNotAvailable":
		f.kind = tarn.ErrTierRefused
		return
	case "NoSuchUpload":
		return
	}
	switch {
	case f.retry:
	case f.status == http.StatusNotFound:
		f.kind = fs.ErrNotExist
	case f.status == http.StatusForbidden, f.status == http.StatusUnauthorized:
		f.kind = tarn.ErrDenied
	case f.status == http.StatusTooManyRequests, f.status == http.StatusRequestTimeout:
		f.retry = true
	case f.status >= 500 && f.status != http.StatusNotImplemented && f.status != http.StatusHTTPVersionNotSupported:
		f.retry = true
	case f.status == http.StatusMovedPermanently:
		s.elsewhere(f)
	}
}

// elsewhere says that the bucket is in another region.
func (s *Storage) elsewhere(f *failure) {
	f.mark, f.hint = ErrRegion, fmt.Sprintf("the bucket %s is in another region", s.cfg.Bucket)
	if region := Region(f); region != "" {
		f.hint += " (" + region + ")"
	}
}
