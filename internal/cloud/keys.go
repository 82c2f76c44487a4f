package cloud

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/tarn-backup/tarn"
)

// Secret is text that no log, message or document may show. Only Reveal gives it away.
type Secret string

const hidden = "(secret)"

// String implements fmt.Stringer, and tells nothing.
func (Secret) String() string { return hidden }

// GoString implements fmt.GoStringer, and tells nothing.
func (Secret) GoString() string { return hidden }

// LogValue implements slog.LogValuer, and tells nothing.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText implements encoding.TextMarshaler, and tells nothing.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Reveal returns the text itself, for the one file that it is written to.
func (s Secret) Reveal() string { return string(s) }

// NewKey is an access key that was just made. AWS tells its secret this once.
type NewKey struct {
	User, ID string
	Secret   Secret
}

// Key is an access key as AWS lists it.
type Key struct {
	ID      string
	Active  bool
	Created time.Time
	Used    time.Time // zero if never
}

// Keys lists the access keys of a user.
func (a *Account) Keys(ctx context.Context, user string) (list []Key, err error) {
	out, err := a.IAM.ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: &user})
	if err := explain(err); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing the access keys of %s: %w: %w", user, ErrNoUser, err)
	} else if err != nil {
		return nil, fmt.Errorf("listing the access keys of %s: %w", user, err)
	}
	for _, k := range out.AccessKeyMetadata {
		key := Key{ID: aws.ToString(k.AccessKeyId), Active: k.Status == types.StatusTypeActive, Created: aws.ToTime(k.CreateDate)}
		used, err := a.IAM.GetAccessKeyLastUsed(ctx, &iam.GetAccessKeyLastUsedInput{AccessKeyId: &key.ID})
		if err != nil {
			return nil, fmt.Errorf("asking when the access key %s was used: %w", key.ID, explain(err))
		}
		if used.AccessKeyLastUsed != nil {
			key.Used = aws.ToTime(used.AccessKeyLastUsed.LastUsedDate)
		}
		list = append(list, key)
	}
	return list, nil
}

// NewKey makes an access key for a user. The request is sent once: should its
// answer be lost, a second one would make a second key.
func (a *Account) NewKey(ctx context.Context, user string) (*NewKey, error) {
	once := func(o *iam.Options) { o.RetryMaxAttempts = 1 }
	out, err := a.IAM.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &user}, once)
	if err != nil {
		return nil, fmt.Errorf("making an access key for %s: %w", user, explain(err))
	}
	return &NewKey{user, aws.ToString(out.AccessKey.AccessKeyId), Secret(aws.ToString(out.AccessKey.SecretAccessKey))}, nil
}

// DisableKey makes a key useless, which can be undone.
func (a *Account) DisableKey(ctx context.Context, user, id string) error {
	_, err := a.IAM.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{UserName: &user, AccessKeyId: &id, Status: types.StatusTypeInactive})
	if err != nil {
		return fmt.Errorf("disabling the access key %s of %s: %w", id, user, explain(err))
	}
	return nil
}

// RemoveKey removes a key for good. One that is gone already is no error.
func (a *Account) RemoveKey(ctx context.Context, user, id string) error {
	_, err := a.IAM.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: &user, AccessKeyId: &id})
	if err := explain(err); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the access key %s of %s: %w", id, user, err)
	}
	return nil
}

// DropKey disables a key and removes it.
func (a *Account) DropKey(ctx context.Context, user, id string) error {
	if err := a.DisableKey(ctx, user, id); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return a.RemoveKey(ctx, user, id)
}

// keyPatience is how long a new key may take to become known everywhere.
const keyPatience = 2 * time.Minute

// TryKey waits until a new key can list the repository so many times running. It
// takes AWS some seconds to allow that, and not all of its servers know a key at once.
func (a *Account) TryKey(ctx context.Context, k *NewKey, bucket, prefix string, times int) error {
	cfg := a.aws.Copy()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(k.ID, k.Secret.Reveal(), "")
	client := newS3(cfg)
	prefix += "/"
	ctx, cancel := context.WithTimeout(ctx, keyPatience)
	defer cancel()
	known := 0
	for looks := 0; ; looks++ {
		_, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix, MaxKeys: new(int32(1))})
		err = explain(err)
		switch {
		case errors.Is(err, ErrCredentials), errors.Is(err, tarn.ErrDenied):
			known = 0
		case err != nil:
			return fmt.Errorf("trying the new access key %s: %w", k.ID, err)
		default:
			known++
		}
		if known >= times {
			return nil
		}
		if waited := a.wait(ctx, looks); waited != nil {
			return fmt.Errorf("trying the new access key %s: %w", k.ID, cmp.Or(err, waited))
		}
	}
}

// RemoveKeys removes all access keys of a user that is to go.
func (a *Account) RemoveKeys(ctx context.Context, user string) error {
	keys, err := a.Keys(ctx, user)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, k := range keys {
		err = errors.Join(err, a.RemoveKey(ctx, user, k.ID))
	}
	return err
}
