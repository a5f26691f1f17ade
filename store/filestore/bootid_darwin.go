package filestore

import "syscall"

// bootID tells this run of the machine from the one before.
func bootID() string {
	id, err := syscall.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return id
}
