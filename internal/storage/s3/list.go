package s3

import (
	"context"
	"fmt"
	"iter"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/tarn-backup/tarn/internal/storage"
)

// List implements storage.Storage. It holds one page of at most 1,000 objects.
func (s *Storage) List(ctx context.Context, prefix string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		l := &lister{s: s, prefix: s.withPrefix(prefix)}
		for more := true; more; {
			page, err := l.next(ctx)
			if err != nil {
				yield(storage.Object{}, fmt.Errorf("listing %s: %w", prefix, err))
				return
			}
			for _, o := range page {
				if !yield(o, nil) {
					return
				}
			}
			more = l.token != nil
		}
	}
}

type lister struct {
	s      *Storage
	prefix string  // in the bucket
	token  *string // of the next page
	last   string  // key of the last object
}

func (l *lister) next(ctx context.Context) ([]storage.Object, error) {
	var out *s3.ListObjectsV2Output
	err := l.s.adapt(func(can abilities) error {
		in := &s3.ListObjectsV2Input{
			Bucket: &l.s.cfg.Bucket, Prefix: &l.prefix, ContinuationToken: l.token,
			EncodingType: types.EncodingTypeUrl, // XML can't say every byte
		}
		if can.restoreStatus {
			in.OptionalObjectAttributes = []types.OptionalObjectAttributes{types.OptionalObjectAttributesRestoreStatus}
		}
		return l.s.try(ctx, func() (err error) {
			out, err = l.s.client.ListObjectsV2(ctx, in)
			if err == nil && out.IsTruncated == nil {
				// Every server says it. An answer that was cut short does not.
				err = &failure{cause: fmt.Errorf("the server's answer is not whole"), retry: true}
			}
			return err
		})
	}, loseInList)
	if err != nil {
		return nil, err
	}
	if err := l.advance(out); err != nil {
		return nil, err
	}
	return l.objects(out)
}

// advance takes the token of the next page.
func (l *lister) advance(out *s3.ListObjectsV2Output) error {
	if !*out.IsTruncated {
		l.token = nil
		return nil
	}
	next := out.NextContinuationToken
	if next == nil || l.token != nil && *next == *l.token {
		return fmt.Errorf("the server says that there is more and not where")
	}
	l.token = next
	return nil
}

func (l *lister) objects(out *s3.ListObjectsV2Output) ([]storage.Object, error) {
	objects := make([]storage.Object, 0, len(out.Contents))
	for _, c := range out.Contents {
		if c.Key == nil || c.Size == nil {
			return nil, fmt.Errorf("the server's answer has an object without key or size")
		}
		key := *c.Key
		if out.EncodingType == types.EncodingTypeUrl {
			var err error
			if key, err = url.QueryUnescape(key); err != nil {
				return nil, fmt.Errorf("the server's answer has the key %.80q: %w", *c.Key, err)
			}
		}
		if !strings.HasPrefix(key, l.prefix) {
			return nil, fmt.Errorf("the server's answer has the key %.80q, which does not start with %q", key, l.prefix)
		}
		if key <= l.last && l.last != "" {
			return nil, fmt.Errorf("the server's answer is not sorted: %.80q comes after %.80q", key, l.last)
		}
		l.last = key
		if strings.HasSuffix(key, "/") {
			continue // a "folder" that some other program has made
		}
		objects = append(objects, l.object(key, c))
	}
	return objects, nil
}

func (l *lister) object(key string, c types.Object) storage.Object {
	if l.s.cfg.Prefix != "" {
		key = strings.TrimPrefix(key, l.s.cfg.Prefix+"/")
	}
	o := storage.Object{Key: key, Size: *c.Size, Class: class(string(c.StorageClass))}
	if c.LastModified != nil {
		o.Modified = *c.LastModified
	}
	if r := c.RestoreStatus; r != nil {
		o.Thawing = r.IsRestoreInProgress != nil && *r.IsRestoreInProgress
		if r.RestoreExpiryDate != nil && !o.Thawing {
			o.Thawed = *r.RestoreExpiryDate
		}
	}
	return o
}
