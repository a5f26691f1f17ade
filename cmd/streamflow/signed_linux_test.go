package main

import (
	"net/url"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/streamflow/streamflow/server/auth"
)

// signed NAME URL KEYFILE sets the variable NAME to a signed URL for one upload.
func signed(ts *testscript.TestScript, _ bool, args []string) {
	collection, err := url.Parse(args[1])
	ts.Check(err)
	grant := auth.Grant{Owner: "alice", Expires: time.Now().Add(time.Hour).Unix()}
	u, _, err := grant.URL(collection, []byte(strings.TrimSpace(ts.ReadFile(args[2]))))
	ts.Check(err)
	ts.Setenv(args[0], u.String())
}
