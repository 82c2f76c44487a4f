package cloud

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/tarn-backup/tarn"
)

// Weight is what lies in a bucket.
type Weight struct {
	Objects, Bytes int64 // that can be read
	Old, OldBytes  int64 // versions that were deleted or overwritten, and are billed yet
	each           []version
}

type version struct {
	class tarn.Class
	size  int64
	count int64
}

// Versions calls f with classes, sizes, and how many versions there are of them.
func (w *Weight) Versions(f func(class tarn.Class, count, size int64) error) error {
	for _, v := range w.each {
		if err := f(v.class, v.count, v.size); err != nil {
			return err
		}
	}
	return nil
}

// Weigh lists a bucket with all versions of its objects.
func (a *Account) Weigh(ctx context.Context, bucket string) (*Weight, error) {
	w := new(Weight)
	counts := map[version]int64{} // by class and size
	for pages := s3.NewListObjectVersionsPaginator(a.S3, &s3.ListObjectVersionsInput{Bucket: &bucket}); pages.HasMorePages(); {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing the bucket %s: %w", bucket, explain(err))
		}
		for _, v := range out.Versions {
			size := aws.ToInt64(v.Size)
			if aws.ToBool(v.IsLatest) {
				w.Objects, w.Bytes = w.Objects+1, w.Bytes+size
			} else {
				w.Old, w.OldBytes = w.Old+1, w.OldBytes+size
			}
			counts[version{class: classOf(v.StorageClass), size: size}]++
		}
	}
	for v, n := range counts {
		w.each = append(w.each, version{v.class, v.size, n})
	}
	return w, nil
}

func classOf(c types.ObjectVersionStorageClass) tarn.Class {
	if c == "" {
		return tarn.Standard
	}
	return tarn.Class(c)
}
