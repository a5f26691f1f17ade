package streamflow_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/store"
)

func TestSkipIdentical(t *testing.T) {
	p := content(300_000)
	changed := content(300_000)
	changed[299_999]++
	for name, test := range map[string]struct {
		there     []byte // nil is nothing
		identical bool
	}{
		"nothing there":  {nil, false},
		"identical":      {p, true},
		"another length": {p[:299_999], false},
		"other bytes":    {changed, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			at := filepath.Join(dir, "data.bin")
			if test.there != nil {
				if err := os.WriteFile(at, test.there, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			before, _ := os.Stat(at)
			mem := budget(t, 8<<20)
			m := manager(t, openDir(t, dir, mem, false), streamflow.Options{Memory: mem, SkipIdentical: true})
			u, err := m.UploadFile(t.Context(), writeFile(t, p))
			if err != nil {
				t.Fatal(err)
			}
			r := mustWait(t, u)
			if r.Identical != test.identical || r.Bytes != 300_000 || r.Location != at {
				t.Errorf("result %+v", r)
			}
			got, err := os.ReadFile(at)
			if err != nil {
				t.Fatal(err)
			}
			mustEqual(t, got, p)
			if after, err := os.Stat(at); test.identical && (err != nil || !os.SameFile(before, after)) {
				t.Error("the identical file was replaced")
			}
		})
	}
}

func TestSkipIdenticalNeedsNames(t *testing.T) {
	_, err := streamflow.New(newMemStore(false), &streamflow.Options{SkipIdentical: true})
	if !errors.Is(err, store.ErrUnsupported) {
		t.Errorf("error is %v", err)
	}
}

// What is there stays, and nothing of the upload does.
func TestNoReplace(t *testing.T) {
	for name, early := range map[string]bool{"before it begins": true, "while it is under way": false} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			at := filepath.Join(dir, "data.bin")
			place := func() {
				if err := os.WriteFile(at, []byte("first"), 0o600); err != nil {
					t.Error(err)
				}
			}
			if early {
				place()
			}
			mem := budget(t, 8<<20)
			m := manager(t, openDir(t, dir, mem, false), streamflow.Options{Memory: mem, NoReplace: true})
			u, err := m.Upload(t.Context(), streamflow.Stream("data.bin", &lateReader{content(100_000), place}))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := wait(t, u); !errors.Is(err, store.ErrExists) {
				t.Errorf("ended with %v", err)
			}
			got, err := os.ReadFile(at)
			if err != nil || string(got) != "first" {
				t.Errorf("there is %.20q, %v", got, err)
			}
			if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
				t.Errorf("left are %v, %v", all, err)
			}
		})
	}
}

// A lateReader calls at its end.
type lateReader struct {
	p    []byte
	call func()
}

func (r *lateReader) Read(p []byte) (int, error) {
	if len(r.p) == 0 {
		r.call()
		return 0, io.EOF
	}
	n := copy(p, r.p)
	r.p = r.p[n:]
	return n, nil
}
