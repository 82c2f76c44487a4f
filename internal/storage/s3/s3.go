// Package s3 keeps a repository under a prefix of an S3 bucket, at AWS or at
// any server that speaks S3. It retries by itself, never overwrites an
// object, and compares checksums on both ways.
package s3

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/semaphore"

	"github.com/tarn-backup/tarn"
	"github.com/tarn-backup/tarn/internal/storage"
)

// Config says where the repository is and how to talk to it. Only Bucket is
// required; the rest comes from the AWS SDK's chain of environment, shared
// configuration files, SSO and instance roles, or has a default.
type Config struct {
	Bucket string
	// Prefix is the repository's place in the bucket, without slashes at its ends.
	Prefix string
	// Endpoint is the URL of a server that is not AWS; empty means
	// AWS_ENDPOINT_URL_S3 or its kin, else AWS. Such servers are addressed by
	// path (http://host/bucket/key).
	Endpoint string
	Profile  string
	Region   string
	// AccessKey and SecretKey, when set, are the credentials in place of the chain.
	AccessKey, SecretKey string

	// Parallel is the number of parts of one Put in flight; 0 means 4.
	Parallel int
	// Memory bounds the bytes of parts that all Puts hold at a time, but for
	// one part larger than it, and for the beginnings of small objects; 0 means 64 MiB.
	Memory int64
	// PartSize is the size of a part in bytes up to what 10,000 parts hold; 0
	// means what suits the object, which is 32 MiB up to 312 GiB.
	PartSize int64
	// MaxAttempts is how often a request is made before its error counts; 0 means 10.
	MaxAttempts int
	// MinDelay and MaxDelay bound the waits between attempts, which double;
	// 0 means 200 ms and 20 s.
	MinDelay, MaxDelay time.Duration
	// IdleTimeout ends a connection on which no byte has moved; 0 means 2 minutes.
	IdleTimeout time.Duration
	// Logger is told about retries; nil means none is.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	set := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	setTime := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	set(&c.Parallel, 4)
	set(&c.MaxAttempts, 10)
	setTime(&c.MinDelay, 200*time.Millisecond)
	setTime(&c.MaxDelay, 20*time.Second)
	setTime(&c.IdleTimeout, 2*time.Minute)
	if c.Memory <= 0 {
		c.Memory = 64 << 20
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Prefix = strings.Trim(c.Prefix, "/")
	return c
}

// Storage is a prefix of a bucket as a storage.Storage. It can't remove:
// Remover can.
type Storage struct {
	cfg      Config
	client   *s3.Client
	endpoint string // without secrets; empty for AWS
	region   string // as configured; empty if nobody has named one
	meter    *meter
	tls      bool
	memory   *semaphore.Weighted // of parts
	buffers  buffers
	// begun are the Puts that hold a buffer for the beginning of an object;
	// long is held by the one Put that reads an object of more than that.
	begun, long *semaphore.Weighted
	beginnings  buffers
	// reached says that the server has answered once as S3 servers do, so that
	// a name that does not resolve is a fault of the network and not a typing error.
	reached atomic.Bool
	able    atomic.Pointer[abilities]
}

// Open prepares the use of a bucket and finds the credentials. It makes no
// request of the bucket: whether it exists shows with the first one.
func Open(ctx context.Context, cfg Config) (*Storage, error) {
	cfg = cfg.withDefaults()
	if cfg.Bucket == "" {
		return nil, fmt.Errorf("opening an S3 storage: no bucket was given: %w", fs.ErrInvalid)
	}
	if cfg.Prefix != "" && !tarn.ValidPath(cfg.Prefix) {
		return nil, fmt.Errorf("opening s3://%s: prefix %.80q: %w", cfg.Bucket, cfg.Prefix, fs.ErrInvalid)
	}
	s := &Storage{cfg: cfg, meter: newMeter(), memory: semaphore.NewWeighted(cfg.Memory), begun: semaphore.NewWeighted(beginnings), long: semaphore.NewWeighted(1)}
	s.able.Store(&allAbilities)
	if err := s.connect(ctx); err != nil {
		return nil, fmt.Errorf("opening s3://%s: %w", cfg.Bucket, err)
	}
	return s, nil
}

// Location returns s3://bucket/prefix, and the server if it is not AWS.
func (s *Storage) Location() string {
	at := "s3://" + s.cfg.Bucket
	if s.cfg.Prefix != "" {
		at += "/" + s.cfg.Prefix
	}
	if s.endpoint != "" {
		at += " at " + s.endpoint
	}
	return at
}

// Region returns the region that the flags, the environment or the profile
// name; "" if none does.
func (s *Storage) Region() string { return s.region }

const maxKey = 1024 // bytes, of S3

// full returns the object's key in the bucket.
func (s *Storage) full(key string) (string, error) {
	name := s.withPrefix(key)
	if !tarn.ValidPath(key) || len(name) > maxKey {
		return "", fmt.Errorf("key %.80q: %w", key, fs.ErrInvalid)
	}
	return name, nil
}

func (s *Storage) withPrefix(key string) string {
	if s.cfg.Prefix == "" {
		return key
	}
	return s.cfg.Prefix + "/" + key
}

// Remover returns what deletes objects of s.
func (s *Storage) Remover() storage.Remover { return remover{s} }

type remover struct{ s *Storage }

// Remove implements storage.Remover. S3 itself does not say whether a deleted
// object was there, so it is looked for first.
func (r remover) Remove(ctx context.Context, key string) error {
	name, err := r.s.full(key)
	if err != nil {
		return fmt.Errorf("removing %s: %w", key, err)
	}
	if _, err := r.s.Stat(ctx, key); err != nil {
		return fmt.Errorf("removing %s: %w", key, err)
	}
	err = r.s.try(ctx, func() error {
		_, err := r.s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &r.s.cfg.Bucket, Key: &name})
		return err
	})
	if err != nil {
		return fmt.Errorf("removing %s: %w", key, err)
	}
	return nil
}
