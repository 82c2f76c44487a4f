package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// Applied is what became of a managed policy.
type Applied struct {
	ARN     string
	Version string
	Made    bool   // it was not there
	Changed bool   // it has a new version
	Removed string // the version that had to go for it
}

// maxVersions is how many IAM keeps of a policy.
const maxVersions = 5

// Apply makes the managed policy of a kind what the place says. Where it has as
// many versions as there may be, the oldest goes first; never the one in force.
func (a *Account) Apply(ctx context.Context, p Place, kind Kind) (*Applied, error) {
	doc, err := p.Policy(kind)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encoding the policy %s: %w", p.PolicyName(kind), err)
	}
	done, err := a.apply(ctx, p, kind, string(text))
	if err != nil {
		return nil, fmt.Errorf("applying the policy %s: %w", p.PolicyName(kind), err)
	}
	return done, nil
}

// Bound sees to it that the boundary of the stack's users is there. One that is
// there already is left alone, as only an administrator may change it; same says
// whether it is as this version has it.
func (a *Account) Bound(ctx context.Context, p Place) (made, same bool, err error) {
	found := &Applied{ARN: p.Boundary()}
	out, err := a.IAM.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: &found.ARN})
	if errors.Is(explain(err), fs.ErrNotExist) {
		_, err := a.Apply(ctx, p, Boundary)
		return err == nil, err == nil, err
	}
	if err != nil {
		return false, false, fmt.Errorf("looking for the boundary %s: %w", found.ARN, explain(err))
	}
	doc, err := p.Policy(Boundary)
	if err != nil {
		return false, false, err
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return false, false, fmt.Errorf("encoding the policy %s: %w", p.PolicyName(Boundary), err)
	}
	found.Version = aws.ToString(out.Policy.DefaultVersionId)
	now, err := a.policyText(ctx, found)
	if err != nil {
		return false, false, fmt.Errorf("reading the boundary %s: %w", found.ARN, err)
	}
	if same = samePolicy(now, string(text)); !same {
		if more := looser(now, doc.Statement); more != "" {
			err = fmt.Errorf("the boundary %s: %w: it allows %s", found.ARN, ErrLoose, more)
		}
	}
	return false, same, err
}

func (a *Account) apply(ctx context.Context, p Place, kind Kind, text string) (*Applied, error) {
	done := &Applied{ARN: p.iam("policy", p.PolicyName(kind))}
	found, err := a.IAM.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: &done.ARN})
	if errors.Is(explain(err), fs.ErrNotExist) {
		out, err := a.IAM.CreatePolicy(ctx, &iam.CreatePolicyInput{
			PolicyName: new(p.PolicyName(kind)), PolicyDocument: &text,
			Description: new("Made by tarn: what is needed for the stack " + p.Stack + ", and nothing else"),
		})
		if err := explain(err); errors.Is(err, ErrNameTaken) {
			return nil, fmt.Errorf("there is one whose name differs in capital letters only, of a stack called like %s; take another name for this one: %w", p.Stack, err)
		} else if err != nil {
			return nil, err
		}
		done.Made, done.Changed, done.Version = true, true, aws.ToString(out.Policy.DefaultVersionId)
		return done, nil
	} else if err != nil {
		return nil, explain(err)
	}
	done.Version = aws.ToString(found.Policy.DefaultVersionId)
	now, err := a.policyText(ctx, done)
	if err != nil || samePolicy(now, text) {
		return done, err
	}
	if err := a.makeRoom(ctx, done); err != nil {
		return nil, err
	}
	out, err := a.IAM.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: &done.ARN, PolicyDocument: &text, SetAsDefault: true})
	if err != nil {
		return nil, explain(err)
	}
	done.Changed, done.Version = true, aws.ToString(out.PolicyVersion.VersionId)
	return done, nil
}

// policyText returns what the version in force of a policy says.
func (a *Account) policyText(ctx context.Context, done *Applied) (string, error) {
	out, err := a.IAM.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: &done.ARN, VersionId: &done.Version})
	if err != nil {
		return "", explain(err)
	}
	now, err := url.PathUnescape(aws.ToString(out.PolicyVersion.Document)) // IAM escapes it
	if err != nil {
		return "", fmt.Errorf("reading version %s: %w", done.Version, err)
	}
	return now, nil
}

// samePolicy reports whether two documents say the same. One that can't be read
// says nothing that another does.
func samePolicy(now, text string) bool {
	var x, y any
	return json.Unmarshal([]byte(now), &x) == nil && json.Unmarshal([]byte(text), &y) == nil && reflect.DeepEqual(x, y)
}

// makeRoom removes the oldest version that is not in force, if there is no room
// for another.
func (a *Account) makeRoom(ctx context.Context, done *Applied) error {
	var old []types.PolicyVersion
	count := 0
	for pages := iam.NewListPolicyVersionsPaginator(a.IAM, &iam.ListPolicyVersionsInput{PolicyArn: &done.ARN}); pages.HasMorePages(); {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return explain(err)
		}
		for _, v := range out.Versions {
			count++
			if !v.IsDefaultVersion {
				old = append(old, v)
			}
		}
	}
	if count < maxVersions || len(old) == 0 {
		return nil
	}
	oldest := slices.MinFunc(old, func(x, y types.PolicyVersion) int { return aws.ToTime(x.CreateDate).Compare(aws.ToTime(y.CreateDate)) })
	done.Removed = aws.ToString(oldest.VersionId)
	_, err := a.IAM.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: &done.ARN, VersionId: oldest.VersionId})
	return explain(err)
}
