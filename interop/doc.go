// Package interop holds the tests that run the programs as they are shipped
// beside those of others: streamflow, tus-js-client and Uppy, the latter two in
// Node and in Chromium, each against streamflow, tusd and @tus/server. Where
// one of them differs from the specification, differences_test.go says how and
// why, and a difference that is gone fails the tests as well.
//
// What only streamflow has is asked for by those who would: a plain PUT or POST
// by curl, Resumable Uploads for HTTP by curl and Go's own client, tokens, signed
// URLs and pages of other origins by the clients of tus.
//
// `make interop` builds and installs what they need, pinned in peers/. With -short,
// as in `make test`, others aren't run among themselves.
package interop
