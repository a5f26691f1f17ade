package main

import (
	"context"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// TestMain lets scripts run this test binary as streamflow, and as the helpers
// that need a process of their own.
func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){
		"streamflow":   main,
		"unprivileged": unprivileged,
		"smalldisk":    smallDisk,
	})
}

type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		println(err.Error())
		return 1
	}
	return code
}

func TestInterruptibleEndsWithoutSignal(t *testing.T) {
	ctx, stop := interruptible(context.Background())
	if ctx.Err() != nil {
		t.Fatal(ctx.Err())
	}
	stop()
	if context.Cause(ctx) == nil {
		t.Error("the context outlives stop")
	}
}
