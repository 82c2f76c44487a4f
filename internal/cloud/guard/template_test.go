package guard

import (
	"reflect"
	"strings"
	"testing"
)

func TestReadValue(t *testing.T) {
	type m = map[string]any
	for text, want := range map[string]any{
		"A: !Ref B":                         m{"A": m{"Ref": "B"}},
		"A: !GetAtt B.Arn":                  m{"A": m{"Fn::GetAtt": "B.Arn"}},
		"A: !Sub '${B}-x'":                  m{"A": m{"Fn::Sub": "${B}-x"}},
		"A: !Join ['-', [a, !Ref B]]":       m{"A": m{"Fn::Join": []any{"-", []any{"a", m{"Ref": "B"}}}}},
		"A: !If\n- C\n- !Sub x\n- 'y'":      m{"A": m{"Fn::If": []any{"C", m{"Fn::Sub": "x"}, "y"}}},
		"A: !Base64\n  Fn::Sub: x":          m{"A": m{"Fn::Base64": m{"Fn::Sub": "x"}}},
		"A: !Not [!Condition B]":            m{"A": m{"Fn::Not": []any{m{"Condition": "B"}}}},
		"A: 2012-10-17\nB: true\nC: 010":    m{"A": "2012-10-17", "B": "true", "C": "010"},
		"A:\nB: ~\nC: ''":                   m{"A": "", "B": "", "C": ""},
		"{\"A\":\t{\"Ref\": \"B\"}}":        m{"A": m{"Ref": "B"}},
		`{"A": [1, 2.50, true, null, "x"]}`: m{"A": []any{"1", "2.50", "true", "", "x"}},
		"\ufeff{A: b}":                      m{"A": "b"},
		"{A: !Ref b, B: [c]}":               m{"A": m{"Ref": "b"}, "B": []any{"c"}},
		"A: |\n  x\n  y\n":                  m{"A": "x\ny\n"},
		"A: !!str 5":                        m{"A": "5"},
	} {
		if got, err := readValue([]byte(text)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is read %#v, %v", text, got, err)
		}
	}
	deep := strings.Repeat("[", 20000)
	for text, want := range map[string]string{
		"":                  "empty",
		"A: &x b\nB: *x":    "no aliases",
		"A: b\nA: c":        "given twice",
		`{"A": 1, "A": 2}`:  "given twice",
		"A: b\n---\nC: d":   "more than one document",
		`{"A": 1} {"B": 2}`: "",
		"{\"A\": " + deep:   "",
		"A: " + deep[:300]:  "",
		"<<: {A: b}":        "",
		"? [a, b]\n: c":     "plain text for a key",
		"A: [":              "",
		`{"A": "` + strings.Repeat("x", maxTemplate) + `"}`: "more than CloudFormation takes",
	} {
		if v, err := readValue([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q is read %.80v, %v", text, v, err)
		}
	}
}

func TestParseTemplate(t *testing.T) {
	for text, want := range map[string]string{
		"[]":                          "no map of sections",
		"x":                           "no map of sections",
		"Parameters: {}":              "no Resources",
		"Resources: {}":               "no Resources",
		"Resources: {A: b}":           `"A" is no map`,
		"Resources: {A: {}}":          "no Type",
		"Resources: {A: {Type: [x]}}": "no Type",
		"Resources: []":               "Resources is no map",
		"Resources: {A: {Type: X, Properties: [y]}}":    "Properties is no map",
		"Parameters: {P: x}\nResources: {A: {Type: X}}": "no map",
		"Conditions: [x]\nResources: {A: {Type: X}}":    "Conditions is no map",
		"Resources: {A: {Type: X, Metadata: [y]}}":      "Metadata is no map",
	} {
		if tmpl, err := ParseTemplate([]byte(text)); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "reading the template: ") {
			t.Errorf("%q is read %+v, %v", text, tmpl, err)
		}
	}
	for _, text := range []string{"Transform: AWS::Serverless-2016-10-31\nResources: {A: {Type: X}}", "Resources: {A: {Type: X}, 'Fn::ForEach::Each': [a, [b], {}]}"} {
		if tmpl, err := ParseTemplate([]byte(text)); err != nil || !tmpl.Transformed() || len(tmpl.Resources) != 1 {
			t.Errorf("%q: %+v, %v", text, tmpl, err)
		}
	}
}

func TestResolve(t *testing.T) {
	tmpl, err := ParseTemplate([]byte(`
Parameters:
  Name: {Type: String, Default: x}
  Given: {Type: String}
  Secret: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /key}
Mappings: {Regions: {eu-west-1: {Short: euw1}}}
Conditions:
  IsX: !Equals [!Ref Name, x]
  NotX: !Not [!Condition IsX]
  Both: !And [!Condition IsX, !Condition NotX]
  Either: !Or [!Condition IsX, !Condition Unknown]
  Unknown: !Equals [!Ref Secret, a]
  Circle: !Not [!Condition Circle]
Resources: {A: {Type: X}}
`))
	if err != nil {
		t.Fatal(err)
	}
	r := newResolver(tmpl, map[string]string{"Given": "g", "AWS::Region": "eu-west-1", "Nobody": "n"})
	type m = map[string]any
	for text, want := range map[string]any{
		"!Ref Name": "x", "!Ref Given": "g", "!Ref Nobody": m{"Ref": "Nobody"}, "!Ref Secret": m{"Fn::Ssm": "/key"},
		"!Sub '${Name}-${AWS::Region}-${!Name}'":    "x-eu-west-1-${Name}",
		"!Sub ['${a}${b}', {a: !Ref Name, b: 'c'}]": "xc",
		"!Sub '${A}'":                                     m{"Ref": "A"},
		"!Sub '${A.Arn}'":                                 m{"Fn::GetAtt": []any{"A", "Arn"}},
		"!GetAtt A.Arn":                                   m{"Fn::GetAtt": []any{"A", "Arn"}},
		"!Sub '${A}/*'":                                   m{"Fn::Sub": []any{"${A}/*", m{"A": m{"Ref": "A"}}}},
		"!Join ['-', [a, !Ref Name]]":                     "a-x",
		"!Join ['-', [a, !Ref A]]":                        m{"Fn::Join": []any{"-", []any{"a", m{"Ref": "A"}}}},
		"!Select [1, !Split ['-', 'a-b']]":                "b",
		"!Select [7, [a]]":                                m{"Fn::Select": []any{"7", []any{"a"}}},
		"!FindInMap [Regions, !Ref 'AWS::Region', Short]": "euw1",
		"!If [IsX, a, b]":                                 "a",
		"!If [NotX, a, b]":                                "b",
		"!If [Both, a, b]":                                "b",
		"!If [Either, a, b]":                              "a",
		"!If [Unknown, a, !Ref Name]":                     m{"Fn::If": []any{"Unknown", "a", "x"}},
		"!If [Circle, a, b]":                              m{"Fn::If": []any{"Circle", "a", "b"}},
		"{P: !Ref 'AWS::NoValue', Q: [!Ref 'AWS::NoValue', a]}": m{"Q": []any{"a"}},
		"!ImportValue x": m{"Fn::ImportValue": "x"},
	} {
		v, err := readValue([]byte("V: " + text))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.value(v.(m)["V"]); !reflect.DeepEqual(got, want) {
			t.Errorf("%s comes to %#v", text, got)
		}
	}
}

// FuzzTemplate: no template makes the reader or the comparison panic, or grow
// without bounds, and one that is compared with itself changes nothing.
func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{
		"Resources: {A: {Type: 'AWS::S3::Bucket', Properties: {BucketName: !Sub '${AWS::StackName}-x'}}}",
		`{"Resources": {"A": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Fn::Join": ["-", ["a", {"Ref": "B"}]]}}}}}`,
		"Conditions: {C: !And [!Condition C, !Condition C]}\nResources: {A: {Type: 'AWS::DynamoDB::Table', Condition: C}}",
		"Resources:\n  A:\n    Type: AWS::ECS::TaskDefinition\n    Properties: {ContainerDefinitions: [{Image: !Sub ['${a}${a}', {a: !Sub ['${b}${b}', {b: x}]}]}]}\n",
		"Parameters: {P: {Type: String, Default: x}}\nMappings: {M: {a: {b: [c]}}}\nResources: {A: {Type: 'AWS::Logs::LogGroup', Properties: {LogGroupName: !FindInMap [M, a, !Select [0, !Split [',', 'b,c']]]}}}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		tmpl, err := ParseTemplate(text)
		if err != nil {
			return
		}
		empty := newSide(Side{}, nil)
		side := func() *side { return newSide(Side{Template: tmpl}, map[string]string{"AWS::StackName": "s"}) }
		for _, d := range []*differ{compare(side(), side()), compare(empty, side()), compare(side(), empty)} {
			same := len(d.old.properties) == len(d.new.properties)
			d.rename()
			d.collide()
			p := &Plan{}
			for _, c := range d.changes {
				p.Changes = append(p.Changes, *c)
			}
			p.finish()
			if same && len(p.Changes) > 0 {
				t.Errorf("compared with itself: %s", p.text(t))
			}
		}
	})
}
