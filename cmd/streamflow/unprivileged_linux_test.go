package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// unprivileged runs a program without root's right to read and write any file,
// so that the permissions of a file hold for it.
func unprivileged() {
	runtime.LockOSThread() // exec keeps the capabilities of this thread
	if os.Geteuid() == 0 {
		for _, capability := range []uintptr{unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH} {
			check(unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0))
		}
	}
	become(os.Args[1:])
}

// smallDisk SIZE DIR PROGRAM ARG... runs a program to which DIR is a disk of
// SIZE bytes. Nobody else sees that disk.
func smallDisk() {
	runtime.LockOSThread() // the namespace is this thread's
	size, dir := os.Args[1], os.Args[2]
	check(unix.Unshare(unix.CLONE_NEWNS))
	check(unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	check(unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size))
	become(os.Args[3:])
}

func become(args []string) {
	path, err := exec.LookPath(args[0])
	check(err)
	check(syscall.Exec(path, args, os.Environ()))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(99)
	}
}
