package s3

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// Stat implements storage.Storage, by a HEAD request.
func (s *Storage) Stat(ctx context.Context, key string) (storage.Object, error) {
	name, err := s.full(key)
	if err != nil {
		return storage.Object{}, fmt.Errorf("looking at %s: %w", key, err)
	}
	h, err := s.head(ctx, name)
	if err != nil {
		return storage.Object{}, fmt.Errorf("looking at %s: %w", key, err)
	}
	h.Key = key
	return h.Object, nil
}

// Inspect implements storage.Overwriter, by a HEAD request.
func (s *Storage) Inspect(ctx context.Context, key string) (storage.Inspected, error) {
	name, err := s.full(key)
	if err != nil {
		return storage.Inspected{}, fmt.Errorf("looking at %s: %w", key, err)
	}
	h, err := s.head(ctx, name)
	if err != nil {
		return storage.Inspected{}, fmt.Errorf("looking at %s: %w", key, err)
	}
	h.Key = key
	in := storage.Inspected{Object: h.Object, Metadata: h.metadata}
	if b, err := hex.DecodeString(h.etag); err == nil && len(b) == md5.Size && !h.kms {
		in.MD5 = strings.ToLower(h.etag)
	}
	return in, nil
}

// head is what HEAD says of an object.
type head struct {
	storage.Object
	etag     string // without quotes
	kms      bool   // encrypted in a way that makes the entity tag no MD5
	metadata map[string]string
}

func (s *Storage) head(ctx context.Context, name string) (head, error) {
	var out *s3.HeadObjectOutput
	err := s.try(ctx, func() (err error) {
		out, err = s.client.HeadObject(ctx, &s3.HeadObjectInput{
			Bucket: &s.cfg.Bucket, Key: &name, ChecksumMode: types.ChecksumModeEnabled,
		})
		if err == nil && out.ContentLength == nil {
			err = &failure{cause: fmt.Errorf("the server does not say how long the object is")}
		}
		return err
	})
	if err != nil {
		return head{}, s.absent(ctx, name, s.reason(ctx, name, err))
	}
	h := head{Object: storage.Object{Key: name, Size: *out.ContentLength, Class: class(string(out.StorageClass))}}
	// Of a checksum of checksums neither the form nor the sense is the same.
	if out.ChecksumType != types.ChecksumTypeComposite {
		h.Checksum = parseSum(out.ChecksumCRC64NVME)
	}
	if out.LastModified != nil {
		h.Modified = *out.LastModified
	}
	if out.ETag != nil {
		h.etag = strings.Trim(*out.ETag, `"`)
	}
	h.kms = strings.HasPrefix(string(out.ServerSideEncryption), "aws:kms") || out.SSECustomerAlgorithm != nil
	if len(out.Metadata) > 0 {
		h.metadata = map[string]string{}
	}
	for name, value := range out.Metadata {
		h.metadata[strings.ToLower(name)] = value
	}
	if out.Restore != nil {
		h.Thawing, h.Thawed = parseRestore(*out.Restore)
	}
	return h, nil
}

// reason returns what a server says to a GET that it refuses as it refused a
// HEAD, whose answer has no text: of the wrong region, key or clock it tells nothing.
func (s *Storage) reason(ctx context.Context, name string, refused error) error {
	f, ok := errors.AsType[*failure](refused)
	if !ok || f.status < 300 || f.status == http.StatusNotFound || f.status >= 500 {
		return refused
	}
	err := s.try(ctx, func() error {
		out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.cfg.Bucket, Key: &name, Range: new("bytes=0-0")})
		if err == nil {
			out.Body.Close()
		}
		return err
	})
	if hasStatus(err, f.status) {
		return err
	}
	return refused
}

// class reads a storage class, which S3 leaves out where it is STANDARD.
func class(s string) tarn.Class {
	if s == "" {
		return tarn.Standard
	}
	return tarn.Class(s)
}

// parseRestore reads x-amz-restore:
//
//	ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"
func parseRestore(s string) (thawing bool, thawed time.Time) {
	if strings.Contains(s, `ongoing-request="true"`) {
		return true, time.Time{}
	}
	_, rest, ok := strings.Cut(s, `expiry-date="`)
	date, _, closed := strings.Cut(rest, `"`)
	if !ok || !closed {
		return false, time.Time{}
	}
	t, err := http.ParseTime(date)
	if err != nil {
		return false, time.Time{} // as if it said nothing
	}
	return false, t
}
