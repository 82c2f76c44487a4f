package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/minio/crc64nvme"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// retryWhole is the size in bytes up to which an object that is read whole is
// compared with its checksum before any of it is given out, so that it can be
// read again. Larger ones show the damage at their end.
const retryWhole = 1 << 20

// damagedTries is how often an object is read that is not what its checksum says:
// once more, since what one bit has changed on the way comes right then. What is
// damaged in the bucket does not, however long one waits.
const damagedTries = 2

// Get implements storage.Storage. A reader whose body is cut goes on where it
// was. An object that is read whole is compared with its checksum where the
// server keeps one: tarn.ErrDamaged if it differs.
func (s *Storage) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	r, err := s.get(ctx, key, offset, length)
	if err != nil {
		return nil, fmt.Errorf("getting %s: %w", key, err)
	}
	return r, nil
}

func (s *Storage) get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	name, err := s.full(key)
	if err != nil {
		return nil, err
	}
	if offset < 0 {
		return nil, fmt.Errorf("offset %d: %w", offset, fs.ErrInvalid)
	}
	if length == 0 { // a range of nothing is none that HTTP could ask for
		_, err := s.head(ctx, name)
		return http.NoBody, err
	}
	for attempt := 1; ; attempt++ {
		r := &reader{s: s, ctx: ctx, key: key, name: name, at: offset, length: length}
		if err := r.open(); err != nil {
			return nil, err
		}
		if !r.sum.Known || r.left > retryWhole {
			return r, nil
		}
		data, err := io.ReadAll(r)
		r.Close()
		if err == nil {
			return io.NopCloser(bytes.NewReader(data)), nil
		}
		if !errors.Is(err, tarn.ErrDamaged) || attempt >= min(damagedTries, s.cfg.MaxAttempts) {
			return nil, err
		}
		if err := s.wait(ctx, attempt); err != nil {
			return nil, err
		}
	}
}

// reader reads a range of an object.
type reader struct {
	s         *Storage
	ctx       context.Context
	key, name string
	version   string // "" is the one that is there
	at        int64  // offset of the next byte
	length    int64  // that was asked for; below 0 means to the end
	left      int64  // bytes still to come
	short     bool   // the object ends before what was asked for
	etag      string
	body      io.ReadCloser
	failures  int // in a row, without a byte between them
	crc       uint64
	sum       storage.Checksum // of the whole object, if that is what is read
}

// open makes the first request.
func (r *reader) open() error {
	out, err := r.request()
	if hasStatus(err, http.StatusRequestedRangeNotSatisfiable) {
		return r.beyond()
	}
	if err != nil {
		return r.s.absent(r.ctx, r.name, err)
	}
	total, err := r.total(out)
	if err != nil {
		out.Body.Close()
		return err
	}
	r.left = total - r.at
	if r.length >= 0 {
		r.short = r.length > r.left
		r.left = min(r.left, r.length)
	}
	if r.at == 0 && r.left == total && out.ContentRange == nil {
		r.sum = parseSum(out.ChecksumCRC64NVME)
	}
	if out.ETag != nil {
		r.etag = *out.ETag
	}
	r.body = out.Body
	return nil
}

// beyond is what open does where the range starts at the end of the object or
// after it.
func (r *reader) beyond() error {
	o, err := r.s.head(r.ctx, r.name)
	if err != nil {
		return err
	}
	r.body = http.NoBody
	r.short = r.length > 0 || r.at > o.Size
	return nil
}

// request asks for what is left. The header for the checksum is set by hand,
// since the SDK would compute the checksum a second time.
func (r *reader) request() (*s3.GetObjectOutput, error) {
	in := &s3.GetObjectInput{Bucket: &r.s.cfg.Bucket, Key: &r.name}
	if r.version != "" {
		in.VersionId = &r.version
	}
	switch {
	case r.etag != "": // going on
		in.IfMatch = &r.etag
		in.Range = new(fmt.Sprintf("bytes=%d-%d", r.at, r.at+r.left-1))
	case r.length > 0:
		in.Range = new(fmt.Sprintf("bytes=%d-%d", r.at, r.at+r.length-1))
	case r.at > 0:
		in.Range = new(fmt.Sprintf("bytes=%d-", r.at))
	}
	var out *s3.GetObjectOutput
	err := r.s.try(r.ctx, func() (err error) {
		out, err = r.s.client.GetObject(r.ctx, in, s3.WithAPIOptions(smithyhttp.SetHeaderValue("x-amz-checksum-mode", "ENABLED")))
		return err
	})
	return out, err
}

// total returns the size of the object, and refuses an answer that does not
// start where it was asked to.
func (r *reader) total(out *s3.GetObjectOutput) (int64, error) {
	if out.ContentRange == nil {
		if r.at > 0 {
			return 0, fmt.Errorf("the server ignores ranges")
		}
		if out.ContentLength == nil || *out.ContentLength < 0 {
			return 0, fmt.Errorf("the server does not say how long the object is")
		}
		return *out.ContentLength, nil
	}
	start, total, err := parseContentRange(*out.ContentRange)
	if err != nil {
		return 0, err
	}
	if start != r.at {
		return 0, fmt.Errorf("the server sends bytes from %d, not from %d", start, r.at)
	}
	return total, nil
}

// parseContentRange reads "bytes start-end/total".
func parseContentRange(s string) (start, total int64, err error) {
	spec, _ := strings.CutPrefix(s, "bytes ")
	span, size, _ := strings.Cut(spec, "/")
	first, last, _ := strings.Cut(span, "-")
	start, err1 := strconv.ParseInt(first, 10, 64)
	end, err2 := strconv.ParseInt(last, 10, 64)
	total, err3 := strconv.ParseInt(size, 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil || start < 0 || end < start || total <= end {
		return 0, 0, fmt.Errorf("range %.80q of the answer makes no sense", s)
	}
	return start, total, nil
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	for {
		if r.left == 0 {
			return 0, r.end()
		}
		if len(p) == 0 {
			return 0, nil
		}
		n, err := r.body.Read(p[:min(int64(len(p)), r.left)])
		if n > 0 {
			r.failures = 0
			r.at += int64(n)
			r.left -= int64(n)
			if r.sum.Known {
				r.crc = crc64nvme.Update(r.crc, p[:n])
			}
			// An error that came with the bytes comes again with the next read.
			return n, nil
		}
		if err != nil {
			if err := r.resume(err); err != nil {
				return 0, fmt.Errorf("getting %s: %w", r.key, err)
			}
		}
	}
}

// resume asks for the rest after the body has ended early.
func (r *reader) resume(cause error) error {
	r.body.Close()
	r.body = http.NoBody
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if errors.Is(cause, io.EOF) {
		cause = io.ErrUnexpectedEOF
	}
	if r.failures++; r.failures >= r.s.cfg.MaxAttempts {
		return fmt.Errorf("%d bytes from its end, after %d attempts: %w", r.left, r.failures, cause)
	}
	if r.etag == "" {
		return fmt.Errorf("%d bytes from its end: %w", r.left, cause)
	}
	r.s.cfg.Logger.Debug("S3 download is resumed", "key", r.key, "offset", r.at, "error", cause.Error())
	if err := r.s.wait(r.ctx, r.failures); err != nil {
		return err
	}
	out, err := r.request()
	if hasStatus(err, http.StatusPreconditionFailed) {
		return fmt.Errorf("the object has changed while it was read: %w", tarn.ErrDamaged)
	}
	if err != nil {
		return err
	}
	if _, err := r.total(out); err != nil {
		out.Body.Close()
		return err
	}
	r.body = out.Body
	return nil
}

// end checks what can be checked once all bytes are there.
func (r *reader) end() error {
	// Reading the body's own end lets its connection be used again.
	_, _ = r.body.Read(make([]byte, 1))
	switch {
	case r.sum.Known && r.crc != r.sum.Sum:
		return fmt.Errorf("getting %s: its checksum is not the one that the server keeps: %w", r.key, tarn.ErrDamaged)
	case r.short:
		return fmt.Errorf("getting %s: %w", r.key, io.ErrUnexpectedEOF)
	}
	return io.EOF
}

// Close implements io.Closer.
func (r *reader) Close() error { return r.body.Close() }
