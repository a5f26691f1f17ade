package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
	"github.com/streamflow/streamflow/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var data = bytes.Repeat([]byte("streamflow"), 100)

// newFaulty returns a directory with the faults planned.
func newFaulty(t *testing.T, plan ...storetest.Fault) *storetest.Faulty {
	t.Helper()
	mem, err := memory.New(&memory.Options{Limit: 1 << 20})
	must(t, err)
	files, err := filestore.Open(t.TempDir(), mem, nil)
	must(t, err)
	t.Cleanup(func() { must(t, errors.Join(files.Close(), mem.Close())) })
	return storetest.NewFaulty(files, plan...)
}

// begin returns an upload of data to a faulty directory.
func begin(t *testing.T, plan ...storetest.Fault) (*storetest.Faulty, store.Upload) {
	t.Helper()
	faulty := newFaulty(t, plan...)
	u, _, err := faulty.Create(t.Context(), store.Spec{Name: "f", Length: int64(len(data))})
	must(t, err)
	return faulty, u
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func writeAll(ctx context.Context, u store.Upload) (int64, error) {
	return u.Write(ctx, 0, bytes.NewReader(data), int64(len(data)))
}

// offset asks the store behind the faults.
func offset(t *testing.T, u store.Upload) int64 {
	t.Helper()
	info, err := u.Info(t.Context())
	must(t, err)
	return info.Offset
}

func isTransient(err error) bool {
	var transient *store.TransientError
	return errors.As(err, &transient)
}

func TestWithoutFaults(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return newFaulty(t) }, storetest.Options{
		Read: func(t *testing.T, info store.Info) []byte {
			b, err := os.ReadFile(info.Location)
			must(t, err)
			return b
		},
		Forgets: true,
	})
}

// What is lost with an answer is all of it.
func TestLostCreateAndOpen(t *testing.T) {
	faulty := newFaulty(t,
		storetest.Fault{Op: storetest.OpCreate, Call: 2, Effect: storetest.Lost},
		storetest.Fault{Op: storetest.OpOpen, Call: 1, Effect: storetest.Lost})
	_, created, err := faulty.Create(t.Context(), store.Spec{Name: "f"})
	must(t, err)
	if u, info, err := faulty.Create(t.Context(), store.Spec{Name: "f"}); u != nil || info.ID != "" || !errors.Is(err, storetest.ErrInjected) {
		t.Errorf("create: %v, %+v, %v", u, info, err)
	}
	if u, info, err := faulty.Open(t.Context(), created.ID); u != nil || info.ID != "" || !errors.Is(err, storetest.ErrInjected) {
		t.Errorf("open: %v, %+v, %v", u, info, err)
	}
}

func TestFaultsOfWrite(t *testing.T) {
	permanent := errors.New("permanent")
	for name, c := range map[string]struct {
		fault     storetest.Fault
		n, offset int64
		err       error
		transient bool
	}{
		"fail":            {storetest.Fault{Effect: storetest.Fail}, 0, 0, storetest.ErrInjected, true},
		"fail in between": {storetest.Fault{Effect: storetest.Fail, After: 300}, 300, 300, storetest.ErrInjected, true},
		"fail for good":   {storetest.Fault{Effect: storetest.Fail, Err: permanent}, 0, 0, permanent, false},
		"lost":            {storetest.Fault{Effect: storetest.Lost}, 0, 1000, storetest.ErrInjected, true},
		"short":           {storetest.Fault{Effect: storetest.Short, After: 300}, 300, 300, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			c.fault.Op, c.fault.Call = storetest.OpWrite, 1
			faulty, u := begin(t, c.fault)
			n, err := writeAll(t.Context(), u)
			if n != c.n || !errors.Is(err, c.err) || isTransient(err) != c.transient {
				t.Fatalf("wrote %d bytes, error is %v", n, err)
			}
			if got := offset(t, u); got != c.offset {
				t.Fatalf("offset is %d", got)
			}
			if n, err := writeAll(t.Context(), u); n != 1000 || err != nil {
				t.Fatalf("the second time: %d bytes, %v", n, err)
			}
			if got := faulty.Calls(storetest.OpWrite); got != 2 {
				t.Fatalf("%d calls", got)
			}
		})
	}
}

func TestHangEndsWithContext(t *testing.T) {
	_, u := begin(t,
		storetest.Fault{Op: storetest.OpWrite, Call: 1, Effect: storetest.Hang, After: 300},
		storetest.Fault{Op: storetest.OpFinish, Call: 1, Effect: storetest.Hang})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := writeAll(ctx, u)
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v", err)
	}
	if _, err := u.Finish(ctx, store.Sum{}); !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v", err)
	}
}

func TestDieAndRevive(t *testing.T) {
	faulty, u := begin(t, storetest.Fault{Op: storetest.OpWrite, Call: 1, Effect: storetest.Die, After: 300})
	n, err := writeAll(t.Context(), u)
	if n != 300 || !errors.Is(err, storetest.ErrDead) || !isTransient(err) {
		t.Fatalf("wrote %d bytes, error is %v", n, err)
	}
	_, err = u.Info(t.Context())
	if !errors.Is(err, storetest.ErrDead) {
		t.Fatalf("error is %v", err)
	}
	_, _, err = faulty.Create(t.Context(), store.Spec{Name: "g"})
	if !errors.Is(err, storetest.ErrDead) {
		t.Fatalf("error is %v", err)
	}
	faulty.Revive()
	if got := offset(t, u); got != 300 {
		t.Fatalf("offset is %d", got)
	}
}

func TestFaultsAreCounted(t *testing.T) {
	faulty, u := begin(t, storetest.Fault{Op: storetest.OpInfo, Call: 2, Times: 2})
	faulty.Add(storetest.Fault{Op: storetest.OpInfo, Call: 6, Times: -1})
	for call, fails := range []bool{false, true, true, false, false, true, true, true} {
		_, err := u.Info(t.Context())
		if errors.Is(err, storetest.ErrInjected) != fails {
			t.Fatalf("call %d: %v", call+1, err)
		}
	}
}

// The finish whose answer is lost has happened.
func TestLostFinish(t *testing.T) {
	_, u := begin(t, storetest.Fault{Op: storetest.OpFinish, Call: 1, Effect: storetest.Lost})
	_, err := writeAll(t.Context(), u)
	must(t, err)
	if _, err := u.Finish(t.Context(), store.Sum{}); !errors.Is(err, storetest.ErrInjected) {
		t.Fatalf("error is %v", err)
	}
	info, err := u.Finish(t.Context(), store.Sum{})
	must(t, err)
	got, err := os.ReadFile(info.Location)
	must(t, err)
	if !bytes.Equal(got, data) {
		t.Fatal("the file is not the upload")
	}
}

// A faulty store can do what the one inside can.
func TestCapabilities(t *testing.T) {
	faulty, u := begin(t)
	_, err := writeAll(t.Context(), u)
	must(t, err)
	info, err := u.Info(t.Context())
	must(t, err)
	walk := func() (n int, err error) {
		for _, err := range faulty.Unfinished(t.Context(), time.Time{}) {
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	}
	read := func() error {
		r, _, err := faulty.OpenReader(t.Context(), info.ID)
		if err == nil {
			err = r.Close()
		}
		return err
	}
	join := func() error {
		_, _, err := faulty.Concatenate(t.Context(), store.Spec{Name: "joined"}, []string{info.ID, info.ID})
		return err
	}
	if n, err := walk(); n != 1 || err != nil {
		t.Errorf("%d unfinished, %v", n, err)
	}
	must(t, errors.Join(read(), join()))
	for _, op := range []storetest.Op{storetest.OpList, storetest.OpRead, storetest.OpConcat} {
		faulty.Add(storetest.Fault{Op: op, Call: 2, Effect: storetest.Lost})
	}
	_, err = walk()
	for _, err := range []error{err, read(), join()} {
		if !errors.Is(err, storetest.ErrInjected) {
			t.Errorf("error is %v", err)
		}
	}
	plain := storetest.NewFaulty(struct{ store.Store }{faulty})
	_, _, readErr := plain.OpenReader(t.Context(), info.ID)
	_, _, joinErr := plain.Concatenate(t.Context(), store.Spec{}, nil)
	for _, err := range []error{readErr, joinErr} {
		if !errors.Is(err, store.ErrUnsupported) {
			t.Errorf("error is %v", err)
		}
	}
}
