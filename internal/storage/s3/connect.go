package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
)

const fallbackRegion = "us-east-1"

// connect makes the client of s.
func (s *Storage) connect(ctx context.Context) error {
	cfg, err := config.LoadDefaultConfig(ctx, s.loadOptions()...)
	if missing, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		return fmt.Errorf("loading the AWS configuration: %w: %q", ErrNoProfile, missing.Profile)
	} else if err != nil {
		return fmt.Errorf("loading the AWS configuration: %w", err)
	}
	s.region = cfg.Region
	if cfg.Region == "" {
		cfg.Region = fallbackRegion
	}
	if err := findCredentials(ctx, cfg.Credentials); err != nil {
		return err
	}
	s.client = s3.NewFromConfig(cfg, func(o *s3.Options) {
		if s.cfg.Endpoint != "" {
			o.BaseEndpoint = &s.cfg.Endpoint
		}
		o.UsePathStyle = o.BaseEndpoint != nil
		// The retries are those of try, which knows when an answer got lost.
		o.Retryer = aws.NopRetryer{}
		// The checksums are made here, once, and of whole objects.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.DisableLogOutputChecksumValidationSkipped = true
		s.meter.meterAll(o)
	})
	return s.setEndpoint(s.client.Options().BaseEndpoint)
}

func findCredentials(ctx context.Context, from aws.CredentialsProvider) error {
	if from == nil {
		return fmt.Errorf("finding AWS credentials: %w", ErrNoCredentials)
	}
	_, err := from.Retrieve(ctx)
	switch id, key := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	// The last that the SDK asks is the machine it runs on: nothing else is set.
	case !strings.Contains(err.Error(), "EC2 IMDS"):
		return fmt.Errorf("finding AWS credentials: %w: %w", ErrCredentials, err)
	case id != "" && key == "":
		return fmt.Errorf("finding AWS credentials: AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY, so %w", ErrNoCredentials)
	case id == "" && key != "":
		return fmt.Errorf("finding AWS credentials: AWS_SECRET_ACCESS_KEY is set without AWS_ACCESS_KEY_ID, so %w", ErrNoCredentials)
	}
	return fmt.Errorf("finding AWS credentials: %w", ErrNoCredentials)
}

func (s *Storage) setEndpoint(base *string) error {
	s.tls = true
	if base == nil {
		return nil
	}
	u, err := url.Parse(*base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("endpoint %.200q: want a URL like https://host:port: %w", *base, fs.ErrInvalid)
	}
	if u.User != nil {
		return fmt.Errorf("endpoint at %s: credentials don't belong into its URL: %w", u.Host, fs.ErrInvalid)
	}
	s.tls = u.Scheme == "https"
	s.endpoint = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
	return nil
}

func (s *Storage) loadOptions() []func(*config.LoadOptions) error {
	opts := []func(*config.LoadOptions) error{
		config.WithHTTPClient(s.httpClient()),
		// Its own logger writes to stderr, which is not a library's to use.
		config.WithLogger(logging.LoggerFunc(func(_ logging.Classification, format string, v ...any) {
			s.cfg.Logger.Debug("AWS SDK: " + fmt.Sprintf(format, v...))
		})),
	}
	if s.cfg.Profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(s.cfg.Profile))
	}
	if s.cfg.Region != "" {
		opts = append(opts, config.WithRegion(s.cfg.Region))
	}
	if s.cfg.AccessKey != "" {
		opts = append(opts, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(s.cfg.AccessKey, s.cfg.SecretKey, "")))
	}
	return opts
}

// httpClient returns a client whose connections end when nothing moves on
// them. A limit on the time of a whole request would be wrong for any size of
// part on some uplink.
func (s *Storage) httpClient() *awshttp.BuildableClient {
	dialer := &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}
	return awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
		tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &idleConn{Conn: c, limit: s.idle}, nil
		}
		tr.MaxIdleConnsPerHost = 64
		tr.DisableCompression = true // bytes have to arrive as they are stored
	})
}

// firstIdle is how long a server may take for the first answer of all.
const firstIdle = 30 * time.Second

func (s *Storage) idle() time.Duration {
	if s.reached.Load() {
		return s.cfg.IdleTimeout
	}
	return min(s.cfg.IdleTimeout, firstIdle)
}

// idleConn fails a read or write that waits for longer than its limit.
type idleConn struct {
	net.Conn
	limit func() time.Duration
}

// errStalled is what a connection without movement fails with.
var errStalled = errors.New("the connection has stalled")

func (c *idleConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.limit())); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	return n, c.stalled(err)
}

// Write moves the deadline of the read that waits for the answer too: an
// upload that makes progress is not stalled. It goes in pieces, so that a
// large part on a slow uplink has a deadline for each.
func (c *idleConn) Write(p []byte) (int, error) {
	const piece = 64 << 10
	done := 0
	for {
		if err := c.SetDeadline(time.Now().Add(c.limit())); err != nil {
			return done, err
		}
		n, err := c.Conn.Write(p[done:min(len(p), done+piece)])
		done += n
		if err != nil || done == len(p) {
			return done, c.stalled(err)
		}
	}
}

func (c *idleConn) stalled(err error) error {
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return fmt.Errorf("%w: no byte moved for %s: %w", errStalled, c.limit(), err)
	}
	return err
}
