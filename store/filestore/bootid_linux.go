package filestore

import (
	"os"
	"strings"
)

// bootID tells this run of the machine from the one before.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}
