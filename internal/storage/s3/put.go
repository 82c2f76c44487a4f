package s3

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"sync/atomic"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/minio/crc64nvme"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// small is the size up to which an object needs no buffer of a part.
const small = 64 << 10

// put is one Put on its way.
type put struct {
	s     *Storage
	key   string // in the bucket
	class tarn.Class
	opts  storage.PutOptions
	in    *bufio.Reader
	size  int64  // bytes read
	sum   uint64 // CRC64NVME of them
	long  bool   // whether it keeps other long objects waiting
	over  bool   // the key may be taken
}

// Put implements storage.Storage. What fits into one part is one request;
// anything else is a multipart upload, which is aborted where it fails. The
// object that it returns has no Modified: S3 does not say.
func (s *Storage) Put(ctx context.Context, key string, r io.Reader, opts storage.PutOptions) (storage.Object, error) {
	return s.put(ctx, key, r, opts, false)
}

// Overwrite implements storage.Overwriter.
func (s *Storage) Overwrite(ctx context.Context, key string, r io.Reader, opts storage.PutOptions) (storage.Object, error) {
	return s.put(ctx, key, r, opts, true)
}

func (s *Storage) put(ctx context.Context, key string, r io.Reader, opts storage.PutOptions, over bool) (storage.Object, error) {
	name, err := s.full(key)
	if err != nil {
		return storage.Object{}, fmt.Errorf("putting %s: %w", key, err)
	}
	p := &put{s: s, key: name, class: opts.Class, opts: opts, in: bufio.NewReaderSize(r, small), over: over}
	if p.class == "" {
		p.class = tarn.Standard
	}
	if err := p.run(billAs(ctx, p.class)); err != nil {
		return storage.Object{}, fmt.Errorf("putting %s: %w", key, err)
	}
	s.meter.stored(p.class, p.size)
	return storage.Object{
		Key: key, Size: p.size, Class: p.class, Checksum: storage.Checksum{Sum: p.sum, Known: true},
	}, nil
}

func (p *put) run(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	head, err := p.in.Peek(small)
	if err == io.EOF { // not errors.Is: a wrapped one is an error of the reader
		return p.whole(ctx, p.part(1, head))
	}
	if err != nil {
		return err
	}
	defer p.endLong()
	first, err := p.begin(ctx)
	if err != nil {
		return err
	}
	if !first.last {
		return p.multipart(ctx, first)
	}
	p.endLong()
	defer first.release()
	return p.whole(ctx, first)
}

// whole stores an object that is all in one part.
func (p *put) whole(ctx context.Context, part *part) error {
	unsure := false // whether an attempt whose answer got lost may have succeeded
	err := p.s.adapt(func(can abilities) error {
		if err := p.free(ctx, can); err != nil && !unsure {
			return err
		}
		return p.s.try(ctx, func() error {
			err := p.refusedEarly(ctx, p.putObject(ctx, part, can), part, can)
			before := unsure
			err = p.settle(ctx, err, &unsure, func() string { return part.etag() })
			// A server that was not sent all of it has not stored it: it has
			// refused it early, as for a key that is taken.
			unsure = before || unsure && part.body.sent.Load()
			return err
		})
	}, loseInWrite)
	if err == nil {
		p.acknowledge(int64(len(part.data)))
	}
	return err
}

func (p *put) putObject(ctx context.Context, part *part, can abilities) error {
	part.body = &body{r: bytes.NewReader(part.data)}
	in := &s3.PutObjectInput{
		Bucket: &p.s.cfg.Bucket, Key: &p.key, Body: part.body,
		ContentLength: new(int64(len(part.data))), StorageClass: p.storageClass(),
		Metadata: p.opts.Metadata, ContentType: p.contentType(),
	}
	if can.conditional && !p.over {
		in.IfNoneMatch = new("*")
	}
	in.ChecksumCRC64NVME, in.ChecksumSHA256 = part.checksums(can.sums)
	out, err := p.s.client.PutObject(ctx, in, p.s.payload(can))
	if err != nil {
		part.failed = true
		return err
	}
	return p.confirm(ctx, out.ChecksumCRC64NVME, func() string { return part.etag() })
}

// refusedEarly gives a write whose connection broke before all was sent the
// answer that may have been lost with it: a server that refuses a key that is
// taken, before it has read the body, closes the connection, and what it said
// can go down with the bytes that are still on their way. The next attempt
// would end the same way.
func (p *put) refusedEarly(ctx context.Context, err error, part *part, can abilities) error {
	if err == nil || ctx.Err() != nil || !can.conditional || p.over || part.body.sent.Load() {
		return err
	}
	if f := p.s.classify(err); f.status != 0 || f.dial || !f.retry {
		return err
	}
	if _, missing := p.s.head(ctx, p.key); missing != nil {
		return err
	}
	return &failure{kind: fs.ErrExist, status: http.StatusPreconditionFailed, cause: err}
}

// storageClass leaves out the default, which some servers know no name for.
func (p *put) storageClass() types.StorageClass {
	if p.class == tarn.Standard {
		return ""
	}
	return types.StorageClass(p.class)
}

// contentType leaves the server its default if there is nothing to say.
func (p *put) contentType() *string {
	if p.opts.ContentType == "" {
		return nil
	}
	return &p.opts.ContentType
}

// payload leaves the hash of the body out of the signature where TLS and a
// signed checksum protect it already: it costs as much as all else together.
func (s *Storage) payload(can abilities) func(*s3.Options) {
	if !s.tls || can.sums == noSums {
		return func(*s3.Options) {}
	}
	return s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
}

// free looks whether the key is free where the server can't do it in the
// write itself. Two writers can pass it together: a server without conditional
// writes has nothing better.
func (p *put) free(ctx context.Context, can abilities) error {
	if can.conditional || p.over {
		return nil
	}
	_, err := p.s.head(ctx, p.key)
	if err == nil {
		return fmt.Errorf("the key is taken: %w", fs.ErrExist)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// settle says what the error of a write means. A key that is taken is this
// very object if an earlier attempt succeeded and its answer got lost.
func (p *put) settle(ctx context.Context, err error, unsure *bool, etag func() string) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	f := p.s.classify(err)
	if f.status == http.StatusPreconditionFailed {
		f.kind = fs.ErrExist
		if *unsure {
			same, err := p.stored(ctx, etag)
			if err != nil || same {
				return err
			}
		}
	}
	*unsure = *unsure || f.retry
	return f
}

// stored reports whether the object under the key is the one of this Put: by
// size and checksum, or the entity tag where the server keeps no checksum.
func (p *put) stored(ctx context.Context, etag func() string) (bool, error) {
	o, err := p.s.head(ctx, p.key)
	if err != nil {
		return false, err
	}
	if o.Size != p.size {
		return false, nil
	}
	if o.Checksum.Known {
		return o.Checksum.Sum == p.sum, nil
	}
	return strings.EqualFold(o.etag, etag()), nil
}

// confirm compares the checksum that the server answers with, if it does.
func (p *put) confirm(ctx context.Context, sum *string, etag func() string) error {
	if got := parseSum(sum); !got.Known || got.Sum == p.sum {
		return nil
	}
	// Whether the object or the answer is wrong, the object itself says.
	same, err := p.stored(ctx, etag)
	if err != nil || same {
		return err
	}
	return &failure{cause: fmt.Errorf("the server has stored something else than was sent: %w", tarn.ErrDamaged)}
}

func (p *put) acknowledge(n int64) {
	if p.opts.Acknowledged != nil {
		p.opts.Acknowledged(n)
	}
}

// part is a stretch of an object in memory.
type part struct {
	n       int32 // from 1
	data    []byte
	sum     uint64 // CRC64NVME
	last    bool
	release func() // gives the memory back
	// failed says that an attempt to send it has failed. The connection of
	// that may still be reading data, which nothing may be written into then.
	failed bool
	body   *body // of the last attempt to send it as an object
}

// body reads a part, and knows whether all of it was read.
type body struct {
	r    *bytes.Reader
	sent atomic.Bool
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.sent.Store(b.r.Len() == 0)
	return n, err
}

// Seek implements io.Seeker: the signature is made from a read before the one that sends.
func (b *body) Seek(offset int64, whence int) (int64, error) {
	n, err := b.r.Seek(offset, whence)
	b.sent.Store(b.r.Len() == 0)
	return n, err
}

// part takes the next bytes of the object into account.
func (p *put) part(n int32, data []byte) *part {
	p.size += int64(len(data))
	p.sum = crc64nvme.Update(p.sum, data)
	return &part{n: n, data: data, sum: crc64nvme.Checksum(data), release: func() {}}
}

// checksums returns the CRC64NVME or the SHA-256, as the server takes them.
func (t *part) checksums(kind sums) (crc, sha *string) {
	switch kind {
	case crc64Sums:
		return new(formatSum(t.sum)), nil
	case sha256Sums:
		sum := sha256.Sum256(t.data)
		return nil, new(base64.StdEncoding.EncodeToString(sum[:]))
	}
	return nil, nil
}

// etag returns the entity tag that S3 gives to what is stored in one request.
func (t *part) etag() string {
	sum := md5.Sum(t.data)
	return hex.EncodeToString(sum[:])
}

// formatSum returns a CRC64NVME as S3 writes it.
func formatSum(sum uint64) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, sum))
}

// parseSum reads what S3 writes. Anything else, such as the checksum of
// checksums that a server without whole-object ones has, is not known.
func parseSum(s *string) storage.Checksum {
	if s == nil {
		return storage.Checksum{}
	}
	b, err := base64.StdEncoding.DecodeString(*s)
	if err != nil || len(b) != 8 {
		return storage.Checksum{}
	}
	return storage.Checksum{Sum: binary.BigEndian.Uint64(b), Known: true}
}
