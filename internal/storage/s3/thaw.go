package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// answerTime is how long the answer to a thaw is awaited after the context has
// ended: less than an interrupted command may take, so that it still says the price.
const answerTime = time.Second

// Thaw implements storage.Storage, by RestoreObject. S3 answers 202 to a thaw
// that begins, and 200 if it only lets a copy that is there last longer.
func (s *Storage) Thaw(ctx context.Context, key string, opts storage.ThawOptions) error {
	name, err := s.full(key)
	if err != nil {
		return fmt.Errorf("thawing %s: %w", key, err)
	}
	err = s.thaw(ctx, name, nil, opts)
	// That is what servers say of an object that is warm, and those without
	// cold classes of any.
	if is(err, "InvalidObjectState") || hasStatus(err, http.StatusNotImplemented) || hasStatus(err, http.StatusBadRequest) {
		h, e := s.head(ctx, name)
		if e != nil {
			return fmt.Errorf("thawing %s: %w", key, e)
		}
		if !h.Class.Cold() {
			return nil
		}
		if is(err, "InvalidArgument") && opts.Tier == storage.Expedited { // which DEEP_ARCHIVE does not have
			return fmt.Errorf("thawing %s, which is in %s: %w: %w", key, h.Class, tarn.ErrTierRefused, err)
		}
	}
	if err != nil {
		return fmt.Errorf("thawing %s: %w", key, err)
	}
	return nil
}

// thaw asks for the thaw of an object, or of a version of it. What was sent is
// billed, whoever stays to hear it: the end of ctx ends the attempts, but the one
// that is under way has some time left.
func (s *Storage) thaw(ctx context.Context, name string, version *string, opts storage.ThawOptions) error {
	unclear := false
	err := s.try(ctx, func() error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		outlasting, cancel := outlast(billAs(ctx, opts.Class), answerTime)
		defer cancel()
		var sent atomic.Bool
		_, err := s.client.RestoreObject(context.WithValue(outlasting, sentKey{}, &sent), &s3.RestoreObjectInput{
			Bucket: &s.cfg.Bucket, Key: &name, VersionId: version,
			RestoreRequest: &types.RestoreRequest{
				Days:                 new(int32(opts.Days)),
				GlacierJobParameters: &types.GlacierJobParameters{Tier: types.Tier(opts.Tier)},
			},
		})
		unclear = unclear || err != nil && sent.Load() && s.classify(err).unclear()
		return err
	})
	if err != nil && unclear {
		return &unanswered{err}
	}
	return err
}

// outlast returns a context that ends so long after ctx.
func outlast(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(by, cancel) })
	return longer, func() {
		stop()
		cancel()
	}
}

// unclear reports whether the request may have taken effect all the same: there
// is no answer, or only that something broke.
func (f *failure) unclear() bool {
	broke := f.status >= 500 && f.status != http.StatusNotImplemented && !errors.Is(f.mark, tarn.ErrBusy) && f.kind == nil
	return f.status < 300 || broke
}

// unanswered is the error of a thaw of which an attempt may have taken effect.
type unanswered struct{ error }

// Unwrap returns the error itself, and the sentinel, which the text leaves to callers.
func (u *unanswered) Unwrap() []error { return []error{u.error, tarn.ErrUnanswered} }
