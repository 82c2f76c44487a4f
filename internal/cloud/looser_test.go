package cloud_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/tarn-backup/tarn/internal/cloud"
)

// TestLooseBoundary: a boundary that is there and allows more than this version's
// bounds nobody; one that allows less is only another one.
func TestLooseBoundary(t *testing.T) {
	p := cloud.NewPlace("eu-west-1", "123456789012", "tarn")
	doc, err := p.Policy(cloud.Boundary)
	if err != nil {
		t.Fatal(err)
	}
	text, err := doc.JSON()
	if err != nil {
		t.Fatal(err)
	}
	ours := string(text)
	const own = `"Condition": {"StringEquals": {"aws:ResourceAccount": "123456789012"}}`
	for name, test := range map[string]struct {
		text        string
		same, loose bool
	}{
		"ours":                     {ours, true, false},
		"nothing":                  {`{}`, false, false},
		"less":                     {`{"Statement": [{"Effect": "Allow", "Action": "s3:getobject", "Resource": "arn:aws:s3:::tarn-backupbucket-1/tarn/*", ` + own + `}]}`, false, false},
		"a further condition":      {strings.Replace(ours, `"aws:ResourceAccount"`, `"aws:PrincipalAccount": ["1"], "aws:ResourceAccount"`, 1), false, false},
		"ours, and a denial":       {strings.Replace(ours, `"Statement": [`, `"Statement": [{"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"},`, 1), false, false},
		"all":                      {`{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}`, false, true},
		"all of S3":                {strings.Replace(ours, "s3:ListBucket", "s3:*", 1), false, true},
		"old versions, too":        {strings.Replace(ours, `"s3:DeleteObject"`, `"s3:DeleteObjectVersion"`, 1), false, true},
		"any bucket":               {strings.ReplaceAll(ours, "arn:aws:s3:::tarn-backupbucket-*", "*"), false, true},
		"of any account":           {`{"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::tarn-backupbucket-1/*"}]}`, false, true},
		"of another account, too":  {strings.Replace(ours, `"123456789012"`, `"123456789012", "210987654321"`, 1), false, true},
		"any key":                  {strings.Replace(ours, "aws:ResourceTag/tarn:stack", "aws:ResourceTag/other", 1), false, true},
		"all but":                  {`{"Statement": [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}]}`, false, true},
		"all actions but of these": {`{"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::x", ` + own + `}]}`, false, true},
		"what can't be read":       {`{"Statement": 1}`, false, true},
	} {
		a, _ := answering(t, map[string][]string{
			"GetPolicy": {"<Policy><DefaultVersionId>v1</DefaultVersionId></Policy>"}, "GetPolicyVersion": {"<PolicyVersion><Document>" + url.PathEscape(test.text) + "</Document></PolicyVersion>"},
		})
		made, same, err := a.Bound(t.Context(), p)
		if made || same != test.same || errors.Is(err, cloud.ErrLoose) != test.loose || err != nil && !test.loose {
			t.Errorf("%s: same %v, %v", name, same, err)
		}
	}
}
