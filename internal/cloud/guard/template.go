package guard

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Template is a CloudFormation template, as far as it matters for what an
// update does.
type Template struct {
	Resources  map[string]*Resource
	parameters map[string]map[string]any
	conditions map[string]any
	mappings   map[string]any
	// transformed says that macros make more of the template than it shows.
	transformed bool
}

// Resource is a resource of a template.
type Resource struct {
	ID, Type       string
	Properties     map[string]any
	DeletionPolicy string // what happens to it when it leaves the stack
	UpdatePolicy   string // UpdateReplacePolicy: what happens to the old one when it is replaced
	Condition      string
	// Path is where the AWS CDK has the construct of the resource; empty
	// outside of the CDK.
	Path string
}

// onDeletion returns what happens to a resource that leaves its stack. Databases of
// RDS have a default of their own: CloudFormation's reference names those that are no
// part of a cluster, and clusters.
func (r *Resource) onDeletion(properties map[string]any) string {
	alone := r.Type == "AWS::RDS::DBInstance" && properties["DBClusterIdentifier"] == nil
	if r.DeletionPolicy == "" && (alone || r.Type == "AWS::RDS::DBCluster") {
		return snapshot
	}
	return r.DeletionPolicy
}

// Transformed reports whether macros, such as AWS SAM's, make more of the
// template than it shows. Then what they have made is to be compared.
func (t *Template) Transformed() bool { return t.transformed }

var errEmpty = errors.New("it has no Resources")

// Parameters are the names of the template's parameters, sorted.
func (t *Template) Parameters() []string { return slices.Sorted(maps.Keys(t.parameters)) }

// ParseTemplate reads a template of JSON or YAML.
func ParseTemplate(text []byte) (*Template, error) {
	t, err := parseTemplate(text)
	if err != nil {
		return nil, fmt.Errorf("reading the template: %w", err)
	}
	return t, nil
}

func parseTemplate(text []byte) (*Template, error) {
	v, err := readValue(text)
	if err != nil {
		return nil, err
	}
	top, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("it is no map of sections, as a CloudFormation template is")
	}
	t := &Template{Resources: map[string]*Resource{}, parameters: map[string]map[string]any{}}
	_, t.transformed = top["Transform"]
	t.transformed = t.transformed || expands(v)
	if t.conditions, err = section(top, "Conditions"); err != nil {
		return nil, err
	}
	if t.mappings, err = section(top, "Mappings"); err != nil {
		return nil, err
	}
	parameters, err := section(top, "Parameters")
	if err != nil {
		return nil, err
	}
	for name, p := range parameters {
		if t.parameters[name], ok = p.(map[string]any); !ok {
			return nil, fmt.Errorf("the parameter %.80q is no map", name)
		}
	}
	resources, err := section(top, "Resources")
	if err != nil {
		return nil, err
	}
	if len(resources) == 0 {
		return nil, errEmpty
	}
	for id, r := range resources {
		if macro(id) {
			continue
		}
		if t.Resources[id], err = parseResource(id, r); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// macro reports whether something of that name is the call of a macro, whose
// result stands in its place when CloudFormation has expanded the template.
func macro(name string) bool {
	return name == "Fn::Transform" || strings.HasPrefix(name, "Fn::ForEach::")
}

// expands reports whether a macro is called anywhere in a value.
func expands(v any) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, expands)
	case map[string]any:
		for name, each := range v {
			if macro(name) || expands(each) {
				return true
			}
		}
	}
	return false
}

// section returns a part of a map that is itself a map; nil if it is not there.
func section(in map[string]any, name string) (map[string]any, error) {
	v, ok := in[name]
	if !ok || v == "" {
		return nil, nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s is no map", name)
	}
	return m, nil
}

func parseResource(id string, v any) (*Resource, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the resource %.80q is no map", id)
	}
	r := &Resource{ID: id}
	text := func(in map[string]any, name string) string {
		s, _ := in[name].(string)
		return s
	}
	if r.Type = text(m, "Type"); r.Type == "" {
		return nil, fmt.Errorf("the resource %.80q has no Type", id)
	}
	r.DeletionPolicy, r.UpdatePolicy, r.Condition = text(m, "DeletionPolicy"), text(m, "UpdateReplacePolicy"), text(m, "Condition")
	if _, _, calls := call(m["DeletionPolicy"]); calls {
		r.DeletionPolicy = "unknown" // before macros; it may be any, so the default must not stand in for it
	}
	metadata, err := section(m, "Metadata")
	if err != nil {
		return nil, fmt.Errorf("the resource %.80q: %w", id, err)
	}
	r.Path = text(metadata, "aws:cdk:path")
	if r.Properties, err = section(m, "Properties"); err != nil {
		return nil, fmt.Errorf("the resource %.80q: %w", id, err)
	}
	return r, nil
}
