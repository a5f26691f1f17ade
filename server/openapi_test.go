package server_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// An openAPI is server/openapi.yaml, the promise that the server is held to.
type openAPI struct {
	*testing.T
	schemas *jsonschema.Compiler
	paths   map[string]map[string]operation
	shared  map[string]response // components/responses
}

type operation struct {
	Responses map[string]response `yaml:"responses"`
	Security  []any               `yaml:"security"`
}

type response struct {
	Ref     string         `yaml:"$ref"`
	Headers map[string]any `yaml:"headers"`
	Content map[string]any `yaml:"content"`
}

func readOpenAPI(t *testing.T) *openAPI {
	t.Helper()
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths      map[string]map[string]operation `yaml:"paths"`
		Components struct {
			Responses map[string]response `yaml:"responses"`
		} `yaml:"components"`
	}
	var whole any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &whole); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	resource, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("openapi.json", resource); err != nil {
		t.Fatal(err)
	}
	return &openAPI{t, c, doc.Paths, doc.Components.Responses}
}

// check compares an answer with what is promised for its path, method and
// status.
func (a *openAPI) check(resp *http.Response, body []byte) {
	a.Helper()
	method, path := resp.Request.Method, resp.Request.URL.Path
	status := strconv.Itoa(resp.StatusCode)
	promised, ok := a.paths[path][strings.ToLower(method)].Responses[status]
	if !ok {
		a.Fatalf("%s %s answers %s, which openapi.yaml doesn't have", method, path, resp.Status)
	}
	at := []string{"paths", path, strings.ToLower(method), "responses", status}
	if name, ok := strings.CutPrefix(promised.Ref, "#/components/responses/"); ok {
		promised, at = a.shared[name], []string{"components", "responses", name}
	}
	media, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	if _, ok := promised.Content[media]; !ok {
		a.Fatalf("%s %s: the type is %q, want one of %v", method, path, media, slices.Collect(maps.Keys(promised.Content)))
	}
	for name := range promised.Headers {
		if resp.Header.Get(name) == "" {
			a.Errorf("%s %s: no %s", method, path, name)
		}
	}
	if strings.HasSuffix(media, "json") {
		a.checkJSON(body, append(at, "content", media, "schema")...)
	}
}

// checkJSON compares a text with the schema at a path in openapi.yaml.
func (a *openAPI) checkJSON(text []byte, at ...string) {
	a.Helper()
	pointer := ""
	for _, element := range at {
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(element)
	}
	schema, err := a.schemas.Compile("openapi.json#" + pointer)
	if err != nil {
		a.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		a.Fatalf("%v: %s", err, text)
	}
	if err := schema.Validate(value); err != nil {
		a.Errorf("%s: %v", text, err)
	}
}
