package guard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The limits of a template. CloudFormation's own limit of its size is 1 MB.
const (
	maxTemplate = 4 << 20
	maxDepth    = 100
)

// A value of a template is a string, a list of values or a map of them. As in
// CloudFormation, there are no other scalars: true and "true" are the same. An
// intrinsic function is a map with one key in its long form, as it is in JSON.

// readValue reads a document of JSON or YAML with CloudFormation's short forms.
func readValue(text []byte) (any, error) {
	if len(text) > maxTemplate {
		return nil, fmt.Errorf("the template has %d bytes, more than CloudFormation takes", len(text))
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if trimmed := bytes.TrimLeft(text, " \t\r\n"); bytes.HasPrefix(trimmed, []byte("{")) {
		// YAML would take most of JSON, but no tabs. What only looks like JSON
		// is YAML's flow style.
		if v, err := readJSON(trimmed); err == nil || !errors.As(err, new(*json.SyntaxError)) {
			return v, err
		}
	}
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, errors.New("the template is empty")
	} else if err != nil {
		return nil, err
	}
	if err := dec.Decode(new(yaml.Node)); err == nil {
		return nil, errors.New("the template has more than one document")
	}
	return fromNode(&doc, 0)
}

func readJSON(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	v, err := nextJSON(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the end of the template")
	}
	return v, nil
}

// nextJSON reads one value. It goes by tokens, to notice a key that is given twice.
func nextJSON(dec *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("the template is nested more than %d deep", maxDepth)
	}
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		m := map[string]any{}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			name := key.(string) // which the decoder has seen to
			if _, twice := m[name]; twice {
				return nil, fmt.Errorf("the key %.80q is given twice", name)
			}
			if m[name], err = nextJSON(dec, depth+1); err != nil {
				return nil, err
			}
		}
		_, err := dec.Token()
		return m, err
	case json.Delim('['):
		l := []any{}
		for dec.More() {
			v, err := nextJSON(dec, depth+1)
			if err != nil {
				return nil, err
			}
			l = append(l, v)
		}
		_, err := dec.Token()
		return l, err
	case nil:
		return "", nil
	}
	return fmt.Sprint(token), nil
}

// fromNode turns a node of YAML into a value.
func fromNode(n *yaml.Node, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("line %d: the template is nested more than %d deep", n.Line, maxDepth)
	}
	v, err := plainNode(n, depth)
	if err != nil {
		return nil, err
	}
	name, short := strings.CutPrefix(n.Tag, "!")
	if !short || strings.HasPrefix(name, "!") || name == "" {
		return v, nil
	}
	switch name {
	case "Ref", "Condition":
		return map[string]any{name: v}, nil
	}
	return map[string]any{"Fn::" + name: v}, nil
}

func plainNode(n *yaml.Node, depth int) (any, error) {
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) == 1 {
			return fromNode(n.Content[0], depth+1)
		}
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return "", nil
		}
		if n.Style == 0 {
			return plainScalar(n.Value), nil
		}
		return n.Value, nil
	case yaml.SequenceNode:
		l := make([]any, 0, len(n.Content))
		for _, each := range n.Content {
			v, err := fromNode(each, depth+1)
			if err != nil {
				return nil, err
			}
			l = append(l, v)
		}
		return l, nil
	case yaml.MappingNode:
		return fromMapping(n, depth)
	case yaml.AliasNode:
		return nil, fmt.Errorf("line %d: CloudFormation takes no aliases (*%s)", n.Line, n.Value)
	}
	return nil, fmt.Errorf("line %d: not part of a template", n.Line)
}

// plainScalar returns what a scalar without quotes is for CloudFormation, which reads
// YAML 1.1: there yes and on are true, too.
func plainScalar(text string) string {
	switch text {
	case "yes", "Yes", "YES", "on", "On", "ON", "True", "TRUE":
		return "true"
	case "no", "No", "NO", "off", "Off", "OFF", "False", "FALSE":
		return "false"
	}
	return text
}

func fromMapping(n *yaml.Node, depth int) (any, error) {
	m := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			return nil, fmt.Errorf("line %d: CloudFormation takes only plain text for a key", key.Line)
		}
		if _, twice := m[key.Value]; twice {
			return nil, fmt.Errorf("line %d: the key %.80q is given twice", key.Line, key.Value)
		}
		v, err := fromNode(n.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		m[key.Value] = v
	}
	return m, nil
}

// call returns the intrinsic function that v is, with its argument.
func call(v any) (name string, arg any, ok bool) {
	m, isMap := v.(map[string]any)
	if !isMap || len(m) != 1 {
		return "", nil, false
	}
	for name, arg = range m {
		if name == "Ref" || name == "Condition" || strings.HasPrefix(name, "Fn::") {
			return name, arg, true
		}
	}
	return "", nil, false
}

// attribute reads the argument of Fn::GetAtt: "ID.Name" or a list of both.
func attribute(arg any) (id, name string, ok bool) {
	switch a := arg.(type) {
	case string:
		id, name, ok = strings.Cut(a, ".")
		return id, name, ok
	case []any:
		if len(a) == 2 {
			id, ok1 := a[0].(string)
			name, ok2 := a[1].(string)
			return id, name, ok1 && ok2
		}
	}
	return "", "", false
}
