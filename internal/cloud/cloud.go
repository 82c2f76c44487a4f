// Package cloud makes and keeps a bucket of one's own on AWS by
// CloudFormation: the template, the policies of least privilege, the stack's
// life from the first change set to its end, and the keys of its users. It
// prints nothing and asks nobody: that is the command's.
package cloud

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
)

// Config says whose account is used and how. All of it may be left empty: then
// it comes from where the AWS CLI looks, too.
type Config struct {
	Profile, Region string
	// Endpoint is the URL of a server that stands in for all of AWS; empty means
	// AWS_ENDPOINT_URL and its kin, else AWS.
	Endpoint string
	// Every is how long to wait at most between two looks at something that is
	// under way; 0 means 4 seconds. The first waits are shorter.
	Every time.Duration
	// Token asks for the code of a second factor that a profile wants; nil means
	// that there is nobody to ask.
	Token  func() (string, error)
	Now    func() time.Time // nil means time.Now
	Logger *slog.Logger     // nil means none
}

// Account is an AWS account in one region, with what this program uses of it.
type Account struct {
	CloudFormation *cloudformation.Client
	IAM            *iam.Client
	STS            *sts.Client
	S3             *s3.Client
	Region         string

	cfg Config
	aws aws.Config
	who *Identity // once asked
}

// Identity is who the credentials belong to.
type Identity struct {
	Account string // twelve digits
	ARN     string
}

// Open prepares the use of an account and finds the credentials. It makes no
// request of AWS but those that finding them takes.
func Open(ctx context.Context, cfg Config) (*Account, error) {
	if cfg.Every <= 0 {
		cfg.Every = 4 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := checkEndpoint(cfg.Endpoint); err != nil {
		return nil, err
	}
	loaded, err := config.LoadDefaultConfig(ctx, options(cfg)...)
	if err != nil {
		return nil, fmt.Errorf("loading the AWS configuration: %w", explain(err))
	}
	if loaded.Region == "" {
		return nil, fmt.Errorf("opening the account: %w", ErrNoRegion)
	}
	if err := CheckRegion(loaded.Region); err != nil {
		return nil, err
	}
	if loaded.Credentials == nil {
		return nil, fmt.Errorf("finding AWS credentials: %w", ErrNoCredentials)
	}
	if _, err := loaded.Credentials.Retrieve(ctx); err != nil {
		return nil, fmt.Errorf("finding AWS credentials: %w", explainCredentials(ctx, err))
	}
	if cfg.Endpoint != "" {
		loaded.BaseEndpoint = &cfg.Endpoint
	}
	return &Account{
		CloudFormation: cloudformation.NewFromConfig(loaded),
		IAM:            iam.NewFromConfig(loaded),
		STS:            sts.NewFromConfig(loaded),
		S3:             newS3(loaded),
		Region:         loaded.Region,
		cfg:            cfg,
		aws:            loaded,
	}, nil
}

func newS3(cfg aws.Config, more ...func(*s3.Options)) *s3.Client {
	return s3.NewFromConfig(cfg, append(more, func(o *s3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil // servers other than AWS have no names for buckets
	})...)
}

func options(cfg Config) []func(*config.LoadOptions) error {
	opts := []func(*config.LoadOptions) error{
		// Its own logger writes to stderr, which is not a library's to use.
		config.WithLogger(logging.LoggerFunc(func(_ logging.Classification, format string, v ...any) {
			cfg.Logger.Debug("AWS SDK: " + fmt.Sprintf(format, v...))
		})),
	}
	if cfg.Token != nil {
		opts = append(opts, config.WithAssumeRoleCredentialOptions(func(o *stscreds.AssumeRoleOptions) { o.TokenProvider = cfg.Token }))
	}
	if cfg.Profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(cfg.Profile))
	}
	if cfg.Region != "" {
		opts = append(opts, config.WithRegion(cfg.Region))
	}
	return opts
}

func checkEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("endpoint %.200q: want a URL like https://host:port: %w", endpoint, fs.ErrInvalid)
	}
	if u.User != nil {
		return fmt.Errorf("endpoint at %s: credentials don't belong into its URL: %w", u.Host, fs.ErrInvalid)
	}
	return nil
}

// Endpoint returns the URL of the server that stands in for AWS's S3; "" for AWS.
func (a *Account) Endpoint() string {
	if base := a.S3.Options().BaseEndpoint; base != nil {
		return *base
	}
	return ""
}

// Identity asks AWS whose credentials they are: the one request that needs no
// permission, so whatever is wrong with them shows here.
func (a *Account) Identity(ctx context.Context) (*Identity, error) {
	if a.who != nil {
		return a.who, nil
	}
	out, err := a.STS.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return nil, fmt.Errorf("asking AWS whose credentials these are: %w", explain(err))
	}
	a.who = &Identity{Account: aws.ToString(out.Account), ARN: aws.ToString(out.Arn)}
	return a.who, nil
}

// Place is where a stack of the account is whose bucket is not known yet. The
// partition is the one that AWS names, as a region may be newer than this program.
func (a *Account) Place(ctx context.Context, stack string) (Place, error) {
	who, err := a.Identity(ctx)
	if err != nil {
		return Place{}, err
	}
	return placeIn(cmp.Or(arnPartition(who.ARN), Partition(a.Region), aPartition), a.Region, who.Account, stack), nil
}

// soonest is the first wait of all, which doubles.
const soonest = 100 * time.Millisecond

// wait sleeps until the next look at something, or until ctx ends; looks is how
// often one has looked already.
func (a *Account) wait(ctx context.Context, looks int) error {
	timer := time.NewTimer(min(a.cfg.Every, soonest<<min(looks, 10)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
