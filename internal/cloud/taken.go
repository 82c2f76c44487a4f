package cloud

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/cloudcontrol"
	controltypes "github.com/aws/aws-sdk-go-v2/service/cloudcontrol/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

// ErrNoAnswer says that a service does not answer, or not in words of its own.
var ErrNoAnswer = errors.New("there is no answer that makes sense")

// Taken reports whether a resource of a type, such as AWS::SQS::Queue, is there
// already under a name. Names of buckets are those of all accounts. What else
// has a name is asked of the Cloud Control API, which knows all types alike.
func (a *Account) Taken(ctx context.Context, kind, name string) (bool, error) {
	if kind == "AWS::S3::Bucket" {
		return a.bucketTaken(ctx, name)
	}
	id, err := a.identifier(ctx, kind, name)
	if err != nil {
		return false, err
	}
	once := func(o *cloudcontrol.Options) { o.RetryMaxAttempts = 1 } // it is a courtesy, and not worth a wait
	_, err = cloudcontrol.NewFromConfig(a.aws, once).GetResource(ctx, &cloudcontrol.GetResourceInput{TypeName: &kind, Identifier: &id})
	if _, no := errors.AsType[*controltypes.ResourceNotFoundException](err); no {
		return false, nil
	}
	if _, answered := errors.AsType[smithy.APIError](err); err != nil && !answered {
		return false, fmt.Errorf("asking the Cloud Control API: %w", ErrNoAnswer)
	}
	if err != nil {
		return false, fmt.Errorf("asking the Cloud Control API: %w", explain(err))
	}
	return true, nil
}

func (a *Account) bucketTaken(ctx context.Context, name string) (bool, error) {
	_, err := a.S3.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &name})
	api, answered := errors.AsType[smithy.APIError](err)
	switch {
	case err == nil:
		return true, nil
	case answered && (api.ErrorCode() == "NotFound" || api.ErrorCode() == "NoSuchBucket"):
		return false, nil
	case answered && (api.ErrorCode() == "Forbidden" || api.ErrorCode() == "AccessDenied" || api.ErrorCode() == "MovedPermanently"):
		return true, nil // it is somebody else's, or in another region
	}
	return false, fmt.Errorf("looking for the bucket %s: %w", name, explain(err))
}

// identifier is what the Cloud Control API knows a resource by, which is its
// name but for a few types.
func (a *Account) identifier(ctx context.Context, kind, name string) (string, error) {
	if kind != "AWS::SQS::Queue" && kind != "AWS::SNS::Topic" {
		return name, nil
	}
	p, err := a.Place(ctx, "")
	if err != nil {
		return "", err
	}
	if kind == "AWS::SNS::Topic" {
		return p.here("sns", name), nil
	}
	return "https://sqs." + p.Region + "." + suffix(p.Partition) + "/" + p.Account + "/" + name, nil
}
