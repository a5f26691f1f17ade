package streamflow_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/store"
)

func unfinished(t *testing.T, m *streamflow.Manager) (all []streamflow.Unfinished) {
	t.Helper()
	for u, err := range m.Unfinished(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, u)
	}
	return all
}

func TestUnfinished(t *testing.T) {
	s := newMemStore(false)
	opts := resumeOptions(t, s)
	path := writeFile(t, content(100_000))
	interrupt(t, s, opts, path)
	m := manager(t, s, opts)

	all := unfinished(t, m)
	if len(all) != 1 || all[0].Path != path || all[0].Err != nil || all[0].Info.Offset == 0 || all[0].Info.Length != 100_000 {
		t.Fatalf("unfinished are %+v", all)
	}
	other := opts
	other.Destination = "elsewhere"
	if all := unfinished(t, manager(t, s, other)); len(all) != 0 {
		t.Errorf("at another destination: %+v", all)
	}
	if err := m.Discard(t.Context(), all[0].Info.ID); err != nil {
		t.Fatal(err)
	}
	if left := unfinished(t, m); len(left) != 0 || len(s.uploads) != 0 {
		t.Errorf("then there are %+v, and at the destination %d", left, len(s.uploads))
	}
	if err := m.Discard(t.Context(), all[0].Info.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("again: %v", err)
	}
}

// What is under way is seen, and left alone.
func TestUnfinishedUnderWay(t *testing.T) {
	s := newMemStore(false)
	opts := resumeOptions(t, s)
	path := writeFile(t, content(100_000))
	interrupt(t, s, opts, path)
	reading, goOn := make(chan struct{}), make(chan struct{})
	s.before = func(_ context.Context, call string) error {
		switch call {
		case "Read":
			reading <- struct{}{}
			s.before = func(context.Context, string) error { return nil }
			<-goOn
		case "Stat":
			t.Error("the destination was asked")
		}
		return nil
	}
	m := manager(t, s, opts)
	u, err := m.UploadFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	<-reading
	all := unfinished(t, m)
	if len(all) != 1 || !errors.Is(all[0].Err, streamflow.ErrBusy) {
		t.Fatalf("unfinished are %+v", all)
	}
	if err := m.Discard(t.Context(), all[0].Info.ID); !errors.Is(err, streamflow.ErrBusy) {
		t.Errorf("Discard: %v", err)
	}
	close(goOn)
	mustWait(t, u)
}

// An upload that is gone at the destination is still one that the journal
// knows, until it is discarded; one that was finished stays at the destination.
func TestUnfinishedElsewhere(t *testing.T) {
	for name, test := range map[string]struct {
		change func(u store.Upload) error
		listed error
		want   error
	}{
		"gone":     {func(u store.Upload) error { return u.Abort(context.Background()) }, store.ErrNotFound, nil},
		"finished": {finishElsewhere, nil, streamflow.ErrFinished},
	} {
		t.Run(name, func(t *testing.T) {
			s := newMemStore(false)
			opts := resumeOptions(t, s)
			path := writeFile(t, content(100_000))
			interrupt(t, s, opts, path)
			m := manager(t, s, opts)
			id := unfinished(t, m)[0].Info.ID
			up, _, err := s.Open(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if err := test.change(up); err != nil {
				t.Fatal(err)
			}
			if all := unfinished(t, m); len(all) != 1 || !errors.Is(all[0].Err, test.listed) {
				t.Errorf("unfinished are %+v", all)
			}
			if err := m.Discard(t.Context(), id); !errors.Is(err, test.want) {
				t.Errorf("Discard: %v", err)
			}
			if left := entries(t, opts.StateDir); len(left) != 0 {
				t.Errorf("the journal still has %v", left)
			}
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
		})
	}
}

func finishElsewhere(up store.Upload) error {
	ctx := context.Background()
	info, err := up.Info(ctx)
	if err != nil {
		return err
	}
	rest := content(100_000)[info.Offset:]
	if _, err := up.Write(ctx, info.Offset, bytes.NewReader(rest), int64(len(rest))); err != nil {
		return err
	}
	_, err = up.Finish(ctx, store.Sum{})
	return err
}
