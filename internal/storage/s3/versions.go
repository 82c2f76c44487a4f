package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/tarn-backup/tarn/internal/storage"
)

// Versions implements storage.Versioner. It holds one page of at most 1,000
// versions.
func (s *Storage) Versions(ctx context.Context, prefix string) iter.Seq2[storage.Version, error] {
	return func(yield func(storage.Version, error) bool) {
		l := &versionLister{s: s, prefix: s.withPrefix(prefix)}
		for more := true; more; {
			page, err := l.next(ctx)
			if err != nil {
				if hasStatus(err, http.StatusNotImplemented) {
					err = fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
				}
				yield(storage.Version{}, fmt.Errorf("listing the versions of %s: %w", prefix, err))
				return
			}
			for _, v := range page {
				if !yield(v, nil) {
					return
				}
			}
			more = l.key != nil
		}
	}
}

type versionLister struct {
	s       *Storage
	prefix  string
	key, id *string // where the next page begins
}

func (l *versionLister) next(ctx context.Context) ([]storage.Version, error) {
	in := &s3.ListObjectVersionsInput{
		Bucket: &l.s.cfg.Bucket, Prefix: &l.prefix, KeyMarker: l.key, VersionIdMarker: l.id, EncodingType: types.EncodingTypeUrl,
		OptionalObjectAttributes: []types.OptionalObjectAttributes{types.OptionalObjectAttributesRestoreStatus},
	}
	var out *s3.ListObjectVersionsOutput
	list := func() error {
		return l.s.try(ctx, func() (err error) {
			out, err = l.s.client.ListObjectVersions(ctx, in)
			return err
		})
	}
	err := list()
	// What a server refuses here says nothing about its other listings.
	if hasStatus(err, http.StatusNotImplemented) || hasStatus(err, http.StatusBadRequest) {
		in.OptionalObjectAttributes = nil
		err = list()
	}
	if err != nil {
		return nil, err
	}
	if err := l.advance(out); err != nil {
		return nil, err
	}
	return l.versions(out)
}

func (l *versionLister) advance(out *s3.ListObjectVersionsOutput) error {
	if out.IsTruncated == nil || !*out.IsTruncated {
		l.key, l.id = nil, nil
		return nil
	}
	next, id := out.NextKeyMarker, out.NextVersionIdMarker
	if next == nil || l.key != nil && *next == *l.key && (id == nil || l.id != nil && *id == *l.id) {
		return fmt.Errorf("the server says that there is more and not where")
	}
	if out.EncodingType == types.EncodingTypeUrl {
		plain, err := url.QueryUnescape(*next)
		if err != nil {
			return fmt.Errorf("the server's answer has the key %.80q: %w", *next, err)
		}
		next = &plain
	}
	l.key, l.id = next, id
	return nil
}

// versions merges the objects and the marks of deletions, which the answer has
// apart, each of them sorted.
func (l *versionLister) versions(out *s3.ListObjectVersionsOutput) ([]storage.Version, error) {
	list := make([]storage.Version, 0, len(out.Versions)+len(out.DeleteMarkers))
	for _, v := range out.Versions {
		if v.Key == nil || v.Size == nil || v.VersionId == nil {
			return nil, fmt.Errorf("the server's answer has a version without key, size or id")
		}
		list = append(list, l.version(v))
	}
	for _, d := range out.DeleteMarkers {
		if d.Key == nil || d.VersionId == nil {
			return nil, fmt.Errorf("the server's answer has a deletion without key or id")
		}
		v := storage.Version{ID: *d.VersionId, Deleted: true, Latest: isTrue(d.IsLatest)}
		v.Key, v.Modified = *d.Key, timeOf(d.LastModified)
		list = append(list, v)
	}
	for i := range list {
		if out.EncodingType == types.EncodingTypeUrl {
			var err error
			if list[i].Key, err = url.QueryUnescape(list[i].Key); err != nil {
				return nil, fmt.Errorf("the server's answer has the key %.80q: %w", list[i].Key, err)
			}
		}
		if !strings.HasPrefix(list[i].Key, l.prefix) {
			return nil, fmt.Errorf("the server's answer has the key %.80q, which does not start with %q", list[i].Key, l.prefix)
		}
		if l.s.cfg.Prefix != "" {
			list[i].Key = strings.TrimPrefix(list[i].Key, l.s.cfg.Prefix+"/")
		}
	}
	slices.SortStableFunc(list, func(a, b storage.Version) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), b.Modified.Compare(a.Modified))
	})
	return list, nil
}

func (l *versionLister) version(v types.ObjectVersion) storage.Version {
	o := storage.Object{Key: *v.Key, Size: *v.Size, Class: class(string(v.StorageClass)), Modified: timeOf(v.LastModified)}
	if r := v.RestoreStatus; r != nil {
		o.Thawing = isTrue(r.IsRestoreInProgress)
		if r.RestoreExpiryDate != nil && !o.Thawing {
			o.Thawed = *r.RestoreExpiryDate
		}
	}
	found := storage.Version{Object: o, ID: *v.VersionId, Latest: isTrue(v.IsLatest)}
	if v.ETag != nil {
		found.ETag = strings.Trim(*v.ETag, `"`)
	}
	return found
}

func isTrue(b *bool) bool { return b != nil && *b }

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// GetVersion implements storage.Versioner. It resumes and checks as Get does.
func (s *Storage) GetVersion(ctx context.Context, key, id string, offset, length int64) (io.ReadCloser, error) {
	name, err := s.full(key)
	if err == nil && (offset < 0 || length == 0) {
		err = fmt.Errorf("%d bytes from %d of a version can't be asked for", length, offset)
	}
	if err != nil {
		return nil, fmt.Errorf("getting version %s of %s: %w", id, key, err)
	}
	r := &reader{s: s, ctx: ctx, key: key, name: name, version: id, at: offset, length: length}
	if err := r.open(); err != nil {
		return nil, fmt.Errorf("getting version %s of %s: %w", id, key, err)
	}
	return r, nil
}

// ThawVersion implements storage.Versioner, by RestoreObject.
func (s *Storage) ThawVersion(ctx context.Context, key, id string, opts storage.ThawOptions) error {
	name, err := s.full(key)
	if err == nil {
		err = s.thaw(ctx, name, &id, opts)
	}
	if err != nil {
		return fmt.Errorf("thawing version %s of %s: %w", id, key, err)
	}
	return nil
}
