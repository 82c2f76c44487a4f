package cloud

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// everybody is the principal that a denial is for.
const everybody = "*"

// bucketPolicy denies to everybody, whatever else allows it, what would read
// along or overwrite.
func bucketPolicy() []Statement {
	bucket := "${" + BucketID + ".Arn}"
	return []Statement{{
		Sid: "OnlyTLS", Effect: deny, Principal: everybody, Action: []string{"s3:*"}, Resource: []string{bucket, bucket + "/*"},
		Condition: map[string]map[string][]string{"Bool": {"aws:SecureTransport": {"false"}}},
	}, {
		// What makes an object wants If-None-Match: PutObject and
		// CompleteMultipartUpload. The other requests with this permission, which begin
		// an upload and send its parts, make none, and can't have that header.
		Sid: "OnlyNewObjects", Effect: deny, Principal: everybody, Action: []string{"s3:PutObject"}, Resource: []string{bucket + "/*"},
		Condition: map[string]map[string][]string{
			"Null": {"s3:if-none-match": {"true"}},
			"Bool": {"s3:ObjectCreationOperation": {"true"}},
		},
	}}
}

// account is the principal of everybody in the account whom a policy allows it.
var account = map[string]string{"AWS": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}

// keyPolicy leaves the key to the policies of the account, so that it can't be
// locked away by one of its own.
func keyPolicy() []Statement {
	return []Statement{{Sid: "AsPoliciesOfTheAccountSay", Effect: allow, Principal: account, Action: []string{"kms:*"}, Resource: []string{"*"}}}
}

// assumePolicy lets those who may assume roles take the one that may delete, if
// they have logged in with a second factor.
func assumePolicy() []Statement {
	return []Statement{{
		Sid: "WithSecondFactor", Effect: allow, Principal: account, Action: []string{"sts:AssumeRole"},
		Condition: map[string]map[string][]string{"Bool": {"aws:MultiFactorAuthPresent": {"true"}}},
	}}
}

// yamlStatements writes statements as YAML, at an indentation.
func yamlStatements(list []Statement, indent int) string {
	var lines []string
	for _, s := range list {
		lines = append(lines, "- Sid: "+s.Sid, "  Effect: "+s.Effect)
		switch p := s.Principal.(type) {
		case string:
			lines = append(lines, "  Principal: "+yamlScalar(p))
		case map[string]string:
			lines = append(lines, "  Principal:")
			for _, kind := range slices.Sorted(maps.Keys(p)) {
				lines = append(lines, "    "+kind+": "+yamlScalar(p[kind]))
			}
		}
		lines = append(lines, yamlList("  ", "Action", s.Action)...)
		lines = append(lines, yamlList("  ", "Resource", s.Resource)...)
		if len(s.Condition) > 0 {
			lines = append(lines, "  Condition:")
		}
		for _, operator := range slices.Sorted(maps.Keys(s.Condition)) {
			lines = append(lines, "    "+strconv.Quote(operator)+":") // or Null would be YAML's null
			for _, key := range slices.Sorted(maps.Keys(s.Condition[operator])) {
				lines = append(lines, yamlList("      ", strconv.Quote(key), s.Condition[operator][key])...)
			}
		}
	}
	pad := strings.Repeat(" ", indent)
	return pad + strings.Join(lines, "\n"+pad)
}

// yamlList writes a list with its name; one with a single element on one line.
func yamlList(indent, name string, list []string) []string {
	switch len(list) {
	case 0:
		return nil
	case 1:
		return []string{indent + name + ": " + yamlScalar(list[0])}
	}
	lines := []string{indent + name + ":"}
	for _, v := range list {
		lines = append(lines, indent+"  - "+yamlScalar(v))
	}
	return lines
}

// yamlScalar writes a value, in the words of CloudFormation where it refers to
// something.
func yamlScalar(v string) string {
	rest, refers := strings.CutPrefix(v, "${")
	name, whole := strings.CutSuffix(rest, "}")
	switch {
	case refers && whole && strings.HasPrefix(name, "AWS::"):
		return "!Ref " + name
	case refers && whole && !strings.ContainsAny(name, "{}:"):
		return "!GetAtt " + name
	case strings.Contains(v, "${"):
		return fmt.Sprintf("!Sub %q", v)
	}
	return strconv.Quote(v)
}
