// Streamflow uploads anything of any size inside a memory budget you choose,
// and serves as the other end. "streamflow help" says how.
package main

import (
	"context"
	"os"
	"runtime"
)

func main() {
	// Nobody can ask for a profile of the heap but those at --admin-listen, for whom
	// it is switched on. It takes memory from the moment it has a first entry.
	runtime.MemProfileRate = 0
	os.Exit(run(os.Args[1:]))
}

// run executes one command line and returns the exit code.
func run(args []string) int {
	ctx, stop := interruptible(context.Background())
	defer stop()
	root := newRootCommand()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	err = explainCancel(ctx, err)
	writeEarlyError(cmd, args, err)
	printError(cmd.ErrOrStderr(), err)
	return exitCode(err)
}
