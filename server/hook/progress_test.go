//go:build unix

package hook_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/server/hook"
	"github.com/streamflow/streamflow/store"
)

// A sink reads what is uploaded, and stands still at the end where it is told to.
type sink struct{ protocol.Uploads }

func (sink) Append(_ context.Context, id string, c protocol.Chunk) (store.Info, error) {
	n, err := io.Copy(io.Discard, c.Body)
	return store.Info{ID: id, Length: 100, Offset: c.Offset + n}, err
}

// A trickle is a body of a byte each 100 ms.
type trickle struct{ left int }

func (b *trickle) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	b.left--
	time.Sleep(100 * time.Millisecond)
	return copy(p, "x"), nil
}

func (*trickle) SetReadDeadline(time.Time) error { return nil }

func TestProgress(t *testing.T) {
	path, dir := script(t, `cat >> "$dir/told"; echo >> "$dir/told"`)
	outbox := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		mem, err := memory.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		hooks, err := hook.Open(t.Context(), []string{path}, outbox, nil, mem, &hook.Options{Events: []hook.Event{hook.PostReceive}})
		if err != nil {
			t.Fatal(err)
		}
		// 5 s of bytes, in one long request and many short ones.
		uploads := hooks.Uploads(sink{})
		for offset := 0; offset < 50; {
			n := 30
			if offset >= 30 {
				n = 1
			}
			if _, err := uploads.Append(t.Context(), "u", protocol.Chunk{Offset: int64(offset), Length: store.UnknownLength, Body: &trickle{n}}); err != nil {
				t.Fatal(err)
			}
			offset += n
		}
		time.Sleep(2 * time.Second)
		if err := hooks.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := mem.Close(); err != nil {
			t.Fatal(err)
		}
	})
	told, err := os.ReadFile(filepath.Join(dir, "told"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(told)), "\n")
	// Of what happens at the same instant either may be first.
	if len(lines) < 3 || len(lines) > 6 || !strings.Contains(lines[len(lines)-1], `"offset":50`) {
		t.Errorf("told %d times: %s", len(lines), told)
	}
}
