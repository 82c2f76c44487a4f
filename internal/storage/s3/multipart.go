package s3

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

// abortTime bounds the request that cleans up after an upload that failed.
const abortTime = 10 * time.Second

// upload is a multipart upload on its way.
type upload struct {
	*put
	id   string
	sums sums // what the parts carry, decided when the upload was created
	// parts are those that were acknowledged, by number - 1. Each goroutine
	// writes its own element; the slice grows before they start.
	parts []*types.CompletedPart
}

// multipart stores an object of more than one part.
func (p *put) multipart(ctx context.Context, first *part) error {
	u := &upload{put: p}
	if err := u.create(ctx); err != nil {
		first.release()
		return err
	}
	err := u.send(ctx, first)
	if err == nil {
		err = u.complete(ctx)
	}
	if err != nil {
		u.abort(ctx)
	}
	return err
}

func (u *upload) create(ctx context.Context) error {
	return u.s.adapt(func(can abilities) error {
		if err := u.free(ctx, can); err != nil {
			return err
		}
		u.sums = can.sums
		in := &s3.CreateMultipartUploadInput{Bucket: &u.s.cfg.Bucket, Key: &u.key, StorageClass: u.storageClass(), Metadata: u.opts.Metadata, ContentType: u.contentType()}
		switch can.sums {
		case crc64Sums:
			in.ChecksumAlgorithm, in.ChecksumType = types.ChecksumAlgorithmCrc64nvme, types.ChecksumTypeFullObject
		case sha256Sums:
			in.ChecksumAlgorithm = types.ChecksumAlgorithmSha256
		}
		return u.s.try(ctx, func() error {
			out, err := u.s.client.CreateMultipartUpload(ctx, in)
			if err != nil {
				return err
			}
			if out.UploadId == nil || *out.UploadId == "" {
				return &failure{cause: fmt.Errorf("the server gave the upload no id"), retry: true}
			}
			u.id = *out.UploadId
			return nil
		})
	}, loseInWrite)
}

// send uploads the parts, the first of which is read already. It returns when
// no part is in flight any more.
func (u *upload) send(ctx context.Context, next *part) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(u.s.cfg.Parallel)
	var readErr error
	for readErr == nil {
		t := next
		done := new(types.CompletedPart)
		u.parts = append(u.parts, done)
		g.Go(func() error {
			defer t.release()
			return u.part(gctx, t, done)
		})
		if t.last {
			break
		}
		next, readErr = u.read(gctx, t.n+1, nil)
	}
	u.endLong()
	sourceFailed := readErr != nil && gctx.Err() == nil
	if sourceFailed {
		cancel() // what is in flight has no use any more
	}
	if err := g.Wait(); err != nil && !sourceFailed {
		return err
	}
	return readErr
}

func (u *upload) part(ctx context.Context, t *part, done *types.CompletedPart) error {
	crc, sha := t.checksums(u.sums)
	err := u.s.try(ctx, func() error {
		out, err := u.s.client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &u.s.cfg.Bucket, Key: &u.key, UploadId: &u.id, PartNumber: &t.n,
			Body: bytes.NewReader(t.data), ContentLength: new(int64(len(t.data))),
			ChecksumCRC64NVME: crc, ChecksumSHA256: sha,
		}, u.s.payload(abilities{sums: u.sums}))
		if err != nil {
			t.failed = true
			return err
		}
		*done = types.CompletedPart{PartNumber: &t.n, ETag: out.ETag, ChecksumCRC64NVME: crc, ChecksumSHA256: sha}
		return nil
	})
	if err != nil {
		return fmt.Errorf("part %d: %w", t.n, err)
	}
	u.acknowledge(int64(len(t.data)))
	return nil
}

func (u *upload) complete(ctx context.Context) error {
	list := make([]types.CompletedPart, len(u.parts))
	for i, p := range u.parts {
		list[i] = *p
	}
	unsure := false
	return u.s.adapt(func(can abilities) error {
		if err := u.free(ctx, can); err != nil && !unsure {
			return err
		}
		in := &s3.CompleteMultipartUploadInput{
			Bucket: &u.s.cfg.Bucket, Key: &u.key, UploadId: &u.id, MpuObjectSize: &u.size,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: list},
		}
		if can.conditional && !u.over {
			in.IfNoneMatch = new("*")
		}
		if u.sums == crc64Sums && can.sums == crc64Sums {
			in.ChecksumCRC64NVME, in.ChecksumType = new(formatSum(u.sum)), types.ChecksumTypeFullObject
		}
		return u.s.try(ctx, func() error {
			out, err := u.s.client.CompleteMultipartUpload(ctx, in)
			if err == nil {
				return u.confirm(ctx, out.ChecksumCRC64NVME, u.etag)
			}
			return u.ended(ctx, u.settle(ctx, err, &unsure, u.etag), unsure)
		})
	}, loseInWrite)
}

// ended says what it means that the upload is gone: an attempt whose answer
// got lost has completed it.
func (u *upload) ended(ctx context.Context, err error, unsure bool) error {
	if !unsure || !is(err, "NoSuchUpload") {
		return err
	}
	if same, e := u.stored(ctx, u.etag); e != nil || !same {
		return err
	}
	return nil
}

// etag returns the entity tag that S3 gives to the whole: the MD5 of those of
// the parts, and their number.
func (u *upload) etag() string {
	var all []byte
	for _, p := range u.parts {
		if p.ETag == nil {
			return ""
		}
		b, err := hex.DecodeString(strings.Trim(*p.ETag, `"`))
		if err != nil {
			return "" // a tag of another making tells nothing
		}
		all = append(all, b...)
	}
	return fmt.Sprintf("%x-%d", md5.Sum(all), len(u.parts))
}

// abort frees what an upload that failed holds. That it fails is no error: a
// backup need not have the permission, and the bucket's lifecycle rule for
// unfinished uploads does the same later.
func (u *upload) abort(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
	defer cancel()
	_, err := u.s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &u.s.cfg.Bucket, Key: &u.key, UploadId: &u.id})
	if err != nil {
		u.s.cfg.Logger.Debug("an unfinished upload stays", "error", u.s.classify(err).Error())
	}
}
