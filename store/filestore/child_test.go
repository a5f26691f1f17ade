package filestore_test

// childVariable names the role of this test binary when it runs as a child.
const childVariable = "FILESTORE_TEST_CHILD"

var children = map[string]func(){}
