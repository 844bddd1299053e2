package topology_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/pbsdrill/pbsdrill/topology"
)

// TestTheSchemaFitsTheSitesThatLoad checks sites with the part of JSON schema
// that ours uses. What loads must fit, and an unknown key must not.
func TestTheSchemaFitsTheSitesThatLoad(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(topology.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../fixtures/sites/*/site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, filepath.Join(minimal, "site.yaml"))
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		if err := yaml.Unmarshal(content, &doc); err != nil {
			t.Fatal(err)
		}
		if err := fits(schema, doc, ""); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		doc["colour"] = "red"
		if fits(schema, doc, "") == nil {
			t.Errorf("%s: the schema takes any key", file)
		}
	}
}

func TestTheSchemaDescribesEveryKey(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(topology.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	var look func(path string, s map[string]any)
	look = func(path string, s map[string]any) {
		properties, _ := s["properties"].(map[string]any)
		for key, value := range properties {
			p := value.(map[string]any)
			if p["description"] == nil {
				t.Errorf("%s.%s has no description", path, key)
			}
			look(path+"."+key, p)
		}
		for _, inner := range []string{"additionalProperties", "items"} {
			if p, ok := s[inner].(map[string]any); ok {
				look(path, p)
			}
		}
	}
	look("", schema)
}

func fits(schema map[string]any, value any, path string) error {
	if anyOf, ok := schema["anyOf"].([]any); ok {
		var err error
		for _, s := range anyOf {
			if err = fits(s.(map[string]any), value, path); err == nil {
				return nil
			}
		}
		return err
	}
	kind := schema["type"]
	switch v := value.(type) {
	case map[string]any:
		if kind != nil && kind != "object" {
			return fmt.Errorf("%s: a mapping is no %v", path, kind)
		}
		return fitsObject(schema, v, path)
	case map[any]any: // guests: YAML reads an id as a number
		words := map[string]any{}
		for key, inner := range v {
			words[fmt.Sprint(key)] = inner
		}
		return fits(schema, words, path)
	case []any:
		if kind != nil && kind != "array" {
			return fmt.Errorf("%s: a list is no %v", path, kind)
		}
		for i, item := range v {
			if s, ok := schema["items"].(map[string]any); ok {
				if err := fits(s, item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if kind != nil && kind != "string" {
		return fmt.Errorf("%s: %v is no %v", path, value, kind)
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, value) {
		return fmt.Errorf("%s: %v is none of %v", path, value, enum)
	}
	return nil
}

func fitsObject(schema, v map[string]any, path string) error {
	properties, _ := schema["properties"].(map[string]any)
	others, open := schema["additionalProperties"].(map[string]any)
	for key, inner := range v {
		s, known := properties[key].(map[string]any)
		switch {
		case !known && open:
			s = others
		case !known && schema["additionalProperties"] == false:
			return fmt.Errorf("%s.%s: no such key", path, key)
		case !known:
			continue
		}
		if err := fits(s, inner, path+"."+key); err != nil {
			return err
		}
	}
	required, _ := schema["required"].([]any)
	for _, key := range required {
		if _, ok := v[key.(string)]; !ok {
			return fmt.Errorf("%s: %v is missing", path, key)
		}
	}
	return nil
}
