//go:build !unix

package hook

import "os/exec"

// ownGroup does nothing: cmd itself is killed, its children are not.
func ownGroup(*exec.Cmd) {}
