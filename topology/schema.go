package topology

import (
	"bytes"
	"encoding/json"
	"reflect"

	"github.com/invopop/jsonschema"
)

// Schema is the JSON schema of site.yaml, for editors. It is made from the
// structs that the loader reads the file into; what goes beyond form, such as
// whether a network exists, only [Load] can say.
func Schema() []byte {
	r := &jsonschema.Reflector{
		Anonymous:                  true,
		DoNotReference:             true,
		RequiredFromJSONSchemaTags: true,
		Mapper:                     schemaOf,
	}
	s := r.ReflectFromType(reflect.TypeFor[document]())
	s.Title = "site.yaml"
	s.Description = "A site of pbsdrill: the nodes, the networks between them, and what is promised about them."
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return nil // a schema of our own structs always encodes; the test would see it
	}
	return bytes.TrimSpace(out.Bytes())
}

// schemaOf gives the document's own types the form that they take in the file.
func schemaOf(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[word]():
		return scalarSchema()
	case reflect.TypeFor[words]():
		return wordsSchema()
	case reflect.TypeFor[lines]():
		line := mapSchema(wordsSchema())
		one := uint64(1)
		line.MinProperties, line.MaxProperties = &one, &one
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "array", Items: line}, mapSchema(wordsSchema())}}
	case reflect.TypeFor[anything]():
		return &jsonschema.Schema{}
	}
	return nil
}

// A word is kept as written, so that the loader takes a number for one too;
// an editor that asks for quotes around it does no harm.
func scalarSchema() *jsonschema.Schema { return &jsonschema.Schema{Type: "string"} }

func wordsSchema() *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{scalarSchema(), {Type: "array", Items: scalarSchema()}}}
}

func mapSchema(value *jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "object", AdditionalProperties: value}
}
