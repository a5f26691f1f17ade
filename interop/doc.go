// Package interop holds the tests that run the programs as they are shipped
// beside those of others: streamflow, tus-js-client and Uppy, the latter two in
// Node and in Chromium, each against streamflow, tusd and @tus/server. Where
// one of them differs from the specification, differences_test.go says how and
// why, and a difference that is gone fails the tests as well.
//
// `make interop` builds and installs what they need, pinned in peers/.
package interop
