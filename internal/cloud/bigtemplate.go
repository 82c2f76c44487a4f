package cloud

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// The sizes of templates that CloudFormation takes.
const (
	maxTemplate    = 51200   // in a request
	maxBigTemplate = 1 << 20 // in a bucket
)

func (p Proposal) checkSize() error {
	switch size := len(p.Template); {
	case size > maxBigTemplate:
		return fmt.Errorf("the template has %d bytes, and CloudFormation takes %d at most", size, maxBigTemplate)
	case size > maxTemplate && p.Bucket == "":
		return fmt.Errorf("%w: it has %d bytes, and CloudFormation takes %d", ErrTooBig, size, maxTemplate)
	}
	return nil
}

// createChangeSet asks for a change set. A template that is too big for the request
// lies in the bucket for as long as that takes: CloudFormation reads it at once.
func (a *Account) createChangeSet(ctx context.Context, p Proposal, in *cloudformation.CreateChangeSetInput) (*cloudformation.CreateChangeSetOutput, error) {
	remove := func() error { return nil }
	in.TemplateBody = &p.Template
	if len(p.Template) > maxTemplate {
		key := aws.ToString(in.ChangeSetName) + ".template"
		where, err := a.putTemplate(ctx, p, key)
		if err != nil {
			return nil, err
		}
		in.TemplateBody, in.TemplateURL = nil, &where
		remove = func() error {
			if _, err := a.S3.DeleteObject(context.WithoutCancel(ctx), &s3.DeleteObjectInput{Bucket: &p.Bucket, Key: &key}); err != nil {
				return fmt.Errorf("removing the template %s from the bucket %s: %w", key, p.Bucket, explain(err))
			}
			return nil
		}
	}
	out, err := a.CloudFormation.CreateChangeSet(ctx, in)
	left := remove()
	switch {
	case err != nil:
		return nil, errors.Join(explain(err), left)
	case left != nil: // or it would stay there, and nobody would hear of it
		c := &ChangeSet{ID: aws.ToString(out.Id), Stack: p.Stack, New: in.ChangeSetType == "CREATE"}
		return nil, errors.Join(left, a.Discard(context.WithoutCancel(ctx), c))
	}
	return out, nil
}

// putTemplate writes a template into the bucket, and returns its URL.
func (a *Account) putTemplate(ctx context.Context, p Proposal, key string) (string, error) {
	if _, err := a.S3.PutObject(ctx, &s3.PutObjectInput{Bucket: &p.Bucket, Key: &key, Body: strings.NewReader(p.Template)}); err != nil {
		return "", fmt.Errorf("putting the template into the bucket %s: %w", p.Bucket, explain(err))
	}
	if endpoint := a.Endpoint(); endpoint != "" {
		return strings.TrimRight(endpoint, "/") + "/" + p.Bucket + "/" + key, nil
	}
	place, err := a.Place(ctx, p.Stack)
	if err != nil {
		return "", err
	}
	// The bucket's name in the path: one with dots fits no certificate.
	return "https://s3." + a.Region + "." + suffix(place.Partition) + "/" + p.Bucket + "/" + key, nil
}
