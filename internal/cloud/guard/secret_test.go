package guard

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// TestNoEcho: the value of a parameter that nobody is to see is shown nowhere, and
// that CloudFormation keeps the old one to itself replaces nothing.
func TestNoEcho(t *testing.T) {
	const template = "Parameters:\n  U: {Type: String, NoEcho: NOECHO, Default: 'first'}\nConditions: {Mine: !Equals [!Ref U, hunter2]}\nResources:\n" +
		"  D: {Type: 'AWS::RDS::DBInstance', Properties: {MasterUsername: !Ref U, DBName: !Sub 'a-${U}', DBInstanceIdentifier: !Join ['-', [db, !Ref U]], PubliclyAccessible: !If [Mine, a, b]}}\n" +
		"  Q: {Type: 'AWS::SQS::Queue', Condition: Mine, Properties: {QueueName: !Sub '${U}'}}\n"
	for noEcho, secret := range map[string]bool{"true": true, "'true'": true, "yes": true, "True": true, "false": false} {
		parsed, err := ParseTemplate([]byte(strings.Replace(template, "NOECHO", noEcho, 1)))
		if err != nil {
			t.Fatal(err)
		}
		for _, now := range []string{"hunter2", "****"} {
			d := compare(newSide(Side{Template: parsed, Parameters: map[string]string{"U": "****"}}, nil), newSide(Side{Template: parsed, Parameters: map[string]string{"U": now}}, nil))
			d.merge([]types.ResourceChange{})
			d.rename()
			d.collide()
			p := &Plan{Stack: "s"}
			for _, c := range d.changes {
				p.Changes = append(p.Changes, *c)
			}
			p.finish()
			text := p.text(t)
			if secret && (strings.Contains(text, "hunter2") || strings.Contains(text, "first") || len(p.Changes) > 0) {
				t.Errorf("NoEcho: %s, now %s:\n%s", noEcho, now, text)
			}
			if !secret && now == "hunter2" && !strings.Contains(text, "hunter2") {
				t.Errorf("what anybody may see is not shown:\n%s", text)
			}
		}
	}
}

// TestWordsOfYAML: yes is true without quotes, and a word with them.
func TestWordsOfYAML(t *testing.T) {
	file := func(encrypted string) string {
		return "Resources: {F: {Type: 'AWS::EFS::FileSystem', Properties: {Encrypted: " + encrypted + "}}}"
	}
	for word, same := range map[string]bool{"yes": true, "On": true, "TRUE": true, "'true'": true, "'yes'": false, "no": false, "false": false} {
		if p := judge(t, file("true"), file(word), nil); (len(p.Changes) == 0) != same {
			t.Errorf("%s:\n%s", word, p.text(t))
		}
	}
}

// TestWordsInConditions: where a value given is yes and the template's own is true, what
// hangs on it may be there.
func TestWordsInConditions(t *testing.T) {
	const template = "Parameters: {P: {Type: String}}\nConditions: {C: !Equals [!Ref P, yes]}\nResources: {Q: {Type: 'AWS::SQS::Queue', Condition: C}}"
	parsed, err := ParseTemplate([]byte(template))
	if err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]bool{"yes": true, "true": true, "x": false} {
		if s := newSide(Side{Template: parsed, Parameters: map[string]string{"P": given}}, nil); (s.properties["Q"] != nil) != want {
			t.Errorf("%s: %v, unsure %v", given, s.properties, s.unsure)
		}
	}
}

// TestNoEchoNote: that a secret value is given, and may change more than is seen, is said.
func TestNoEchoNote(t *testing.T) {
	const template = "Parameters: {U: {Type: String, NoEcho: true}, V: {Type: String}}\nResources: {Q: {Type: 'AWS::SQS::Queue', Properties: {QueueName: !Ref U}}}"
	for name, want := range map[string]int{"U": 1, "V": 0} {
		p, err := Look(t.Context(), expanding{standing: standing{template: template}}, Request{Stack: "s", Template: []byte(template), Parameters: map[string]string{name: "hunter2"}})
		if err != nil {
			t.Fatal(err)
		}
		if text := p.text(t); len(p.Notes) != want || strings.Contains(text, "hunter2") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}
