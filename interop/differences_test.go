package interop

import (
	"strings"
	"testing"
)

// A difference is a case that doesn't end as the specification has it, or that
// a program can't do. An empty client or server is any.
type difference struct {
	client, server, name string
	sees                 string // in the error
	why                  string
}

var differences = []difference{
	{
		"tus-js-client in Node", "", "deferred length, chunks that divide it", "timeout",
		"after the last whole chunk it waits for a stream that has ended already (tus-js-client #779)",
	},

	{"", tusd, "another version", "200", "tusd asks for no version where nothing is changed"},
	{"", tusd, "POST with bad metadata", "201", "tusd drops the pairs that it can't decode"},
	{"", tusd, "PATCH of another type", "400", "the specification has 415"},
	{"", tusd, "PATCH with another checksum", "204", "tusd doesn't have the extension, and ignores the field"},
	{"", tusd, "PATCH with an unknown checksum", "204", "tusd doesn't have the extension, and ignores the field"},
	{"", tusd, "concatenation with a length", "201", "tusd ignores the length, which the specification forbids"},

	{"", tusNode, "another version", "400", "the specification has 412"},
	{"", tusNode, "PATCH by override", "400", "@tus/server doesn't know X-HTTP-Method-Override"},
	{"", tusNode, "PATCH without an offset", "403", "the specification has 400"},
	{"", tusNode, "PATCH of another type", "400", "the specification has 415"},
	{"", tusNode, "PATCH with another checksum", "204", "@tus/server doesn't have the extension, and ignores the field"},
	{"", tusNode, "PATCH with an unknown checksum", "204", "@tus/server doesn't have the extension, and ignores the field"},
	{"", tusNode, "concatenation", "501", noConcatenation},
	{"", tusNode, "concatenation of what is unfinished", "501", noConcatenation},
	{"", tusNode, "concatenation with a length", "501", noConcatenation},
	{"", tusNode, "PATCH of a concatenation", "501", noConcatenation},
	{"", tusNode, "parallel", "501", noConcatenation},
	{"", tusNode, "parallel, connection cut", "501", noConcatenation},
}

const noConcatenation = "@tus/server doesn't have the extension"

// known is the row of a case, if there is one.
func known(client, server, name string) *difference {
	for i, d := range differences {
		if d.name == name && (d.client == "" || d.client == client) && (d.server == "" || d.server == server) {
			return &differences[i]
		}
	}
	return nil
}

// judge passes where all went well and nothing else was to be expected, and
// where the one difference was seen that is in the table.
func judge(t *testing.T, client, server, name string, err error) {
	t.Helper()
	d := known(client, server, name)
	switch {
	case d == nil && err != nil:
		t.Error(err)
	case d != nil && err == nil:
		t.Errorf("the difference is gone, take it out of the table: %s", d.why)
	case d != nil && !strings.Contains(err.Error(), d.sees):
		t.Errorf("want %q, as %s: %v", d.sees, d.why, err)
	}
}
