package s3

import (
	"errors"
	"regexp"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// What a user can mend. The errors of tarn and io/fs say the rest.
var (
	// ErrNoCredentials says that no credentials are set.
	ErrNoCredentials = errors.New("there are none")
	// ErrCredentials says that credentials can't be had, or that the server
	// does not take them, whatever they would allow.
	ErrCredentials = errors.New("credentials are refused")
	// ErrNoProfile says that the AWS configuration lacks the profile.
	ErrNoProfile = errors.New("no such profile")
	// ErrNoBucket says that the bucket does not exist.
	ErrNoBucket = errors.New("no such bucket")
	// ErrRegion says that the bucket is in another region; see Region.
	ErrRegion = errors.New("bucket in another region")
	// ErrNoServer says that what answers does not speak S3.
	ErrNoServer = errors.New("not an S3 server")
	// ErrNoTLS says that the server of an https endpoint speaks http.
	ErrNoTLS = errors.New("no TLS")
	// ErrCertificate says that the server's certificate is not trusted here.
	ErrCertificate = errors.New("untrusted certificate")
)

var expecting = regexp.MustCompile(`expecting ['"]([a-z0-9-]+)['"]`)

// Region returns the region that the server has named in err; "" if it has not.
func Region(err error) string {
	if f, ok := errors.AsType[*failure](err); ok {
		err = f.cause
	}
	if resp, ok := errors.AsType[*awshttp.ResponseError](err); ok && resp.Response != nil && resp.Response.Response != nil {
		if region := resp.Response.Header.Get("x-amz-bucket-region"); region != "" {
			return region
		}
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		if m := expecting.FindStringSubmatch(api.ErrorMessage()); m != nil {
			return m[1]
		}
	}
	return ""
}
