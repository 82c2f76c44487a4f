package s3

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/tarn-backup/tarn/internal/storage"
)

// Unfinished implements storage.Unfinisher. It holds one page of at most 1,000
// uploads.
func (s *Storage) Unfinished(ctx context.Context, prefix string) iter.Seq2[storage.Upload, error] {
	return func(yield func(storage.Upload, error) bool) {
		full := s.withPrefix(prefix)
		in := &s3.ListMultipartUploadsInput{Bucket: &s.cfg.Bucket, Prefix: &full, EncodingType: types.EncodingTypeUrl}
		for more := true; more; {
			page, err := s.uploads(ctx, in)
			if err != nil {
				if hasStatus(err, http.StatusNotImplemented) {
					err = fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
				}
				yield(storage.Upload{}, fmt.Errorf("listing the unfinished uploads of %s: %w", prefix, err))
				return
			}
			for _, u := range page {
				if !yield(u, nil) {
					return
				}
			}
			more = in.KeyMarker != nil
		}
	}
}

// uploads gets a page, and sets where the next begins.
func (s *Storage) uploads(ctx context.Context, in *s3.ListMultipartUploadsInput) ([]storage.Upload, error) {
	var out *s3.ListMultipartUploadsOutput
	err := s.try(ctx, func() (err error) {
		out, err = s.client.ListMultipartUploads(ctx, in)
		return err
	})
	if err != nil {
		return nil, err
	}
	plain := func(key string) (string, error) {
		if out.EncodingType != types.EncodingTypeUrl {
			return key, nil
		}
		return url.QueryUnescape(key)
	}
	var list []storage.Upload
	for _, u := range out.Uploads {
		if u.Key == nil || u.UploadId == nil {
			return nil, fmt.Errorf("the server's answer has an upload without key or id")
		}
		key, err := plain(*u.Key)
		if err != nil {
			return nil, fmt.Errorf("the server's answer has the key %.80q: %w", *u.Key, err)
		}
		if !strings.HasPrefix(key, *in.Prefix) {
			continue // some servers list those of all keys
		}
		if s.cfg.Prefix != "" {
			key = strings.TrimPrefix(key, s.cfg.Prefix+"/")
		}
		list = append(list, storage.Upload{Key: key, ID: *u.UploadId, Begun: timeOf(u.Initiated)})
	}
	return list, nextUploads(in, out, plain)
}

// nextUploads sets where the page after an answer begins; nowhere after the last.
func nextUploads(in *s3.ListMultipartUploadsInput, out *s3.ListMultipartUploadsOutput, plain func(string) (string, error)) error {
	if !isTrue(out.IsTruncated) || out.NextKeyMarker == nil {
		in.KeyMarker, in.UploadIdMarker = nil, nil
		return nil
	}
	next, err := plain(*out.NextKeyMarker)
	if err != nil {
		return fmt.Errorf("the server's answer has the key %.80q: %w", *out.NextKeyMarker, err)
	}
	if in.KeyMarker != nil && *in.KeyMarker == next && (out.NextUploadIdMarker == nil || in.UploadIdMarker != nil && *in.UploadIdMarker == *out.NextUploadIdMarker) {
		return fmt.Errorf("the server says that there is more and not where")
	}
	in.KeyMarker, in.UploadIdMarker = &next, out.NextUploadIdMarker
	return nil
}
