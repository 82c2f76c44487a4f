package s3

import (
	"context"
	"errors"
	"io/fs"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/tarn-backup/tarn"
)

// absent finds out what it means that an object is denied. S3 says that an
// object is not there only to those who may list the bucket, and a policy that allows
// to list one prefix does not count for that, since the request for an object
// has no prefix. So the list of the key itself is asked for.
func (s *Storage) absent(ctx context.Context, name string, denied error) error {
	f, ok := errors.AsType[*failure](denied)
	if !ok || !f.lacksPermission() || f.action != "s3:GetObject" {
		return denied
	}
	var out *s3.ListObjectsV2Output
	err := s.try(ctx, func() (err error) {
		out, err = s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &s.cfg.Bucket, Prefix: &name, MaxKeys: new(int32(1))})
		return err
	})
	switch {
	case errors.Is(err, tarn.ErrDenied):
		f.action += ", or s3:ListBucket, without which S3 does not say that an object is not there"
		return denied
	case err != nil:
		return denied
	case len(out.Contents) == 0 || aws.ToString(out.Contents[0].Key) != name: // keys are listed in order, and this one is the first that it can be
		return &failure{kind: fs.ErrNotExist, status: http.StatusNotFound, cause: denied}
	}
	return denied
}
