package main

import (
	"crypto/tls"
	"errors"
	"net"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage/s3"
)

// hintS3 says what to do about an error of S3 or of the way there; "" if it
// knows nothing.
func hintS3(err error) string {
	switch {
	case errors.Is(err, s3.ErrNoProfile):
		return "Name one of those in ~/.aws/config and ~/.aws/credentials: --aws-profile or AWS_PROFILE."
	case errors.Is(err, s3.ErrNoCredentials):
		return "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile of ~/.aws/config by --aws-profile or AWS_PROFILE."
	case errors.Is(err, s3.ErrCredentials):
		return "Look at the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or --aws-profile); where they expire, log in again (`aws sso login`)."
	case errors.Is(err, s3.ErrNoBucket):
		return "Make the bucket first, or look at its name in --repo, at the server (--s3-endpoint) and at the credentials' account."
	case errors.Is(err, s3.ErrRegion):
		if region := s3.Region(err); region != "" {
			return "Name the region: --aws-region " + printable(region) + " or AWS_REGION=" + printable(region) + "."
		}
		return "Name the region of the bucket: --aws-region or AWS_REGION."
	case errors.Is(err, s3.ErrNoTLS):
		return "The server speaks http without TLS: write --s3-endpoint http://… (or AWS_ENDPOINT_URL_S3), if that is meant."
	case errors.Is(err, s3.ErrCertificate), errors.As(err, new(*tls.CertificateVerificationError)):
		return "Look at the name in --s3-endpoint. A certificate of your own is trusted if AWS_CA_BUNDLE names the file of its authority."
	case errors.Is(err, s3.ErrNoServer):
		return "What answers there does not speak S3: look at the server's name, http or https, and the port (--s3-endpoint, AWS_ENDPOINT_URL_S3)."
	case errors.As(err, new(*net.OpError)):
		return "Look at the network, at the name of the server (--s3-endpoint, AWS_ENDPOINT_URL_S3) and at the region (--aws-region)."
	case errors.Is(err, tarn.ErrDenied):
		return "Look at what the policy of the credentials (--aws-profile, AWS_PROFILE, AWS_ACCESS_KEY_ID) allows: tarn needs s3:ListBucket of the bucket, s3:GetObject and s3:PutObject of its objects, s3:RestoreObject for a thaw. `tarn cloud policy` prints it all."
	}
	return ""
}
