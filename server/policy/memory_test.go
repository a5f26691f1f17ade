//go:build !race

package policy_test

import (
	"context"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/server/policy"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
)

// bodies are uploads whose bodies go on after their first 8 KiB.
type bodies struct {
	protocol.Uploads
	all []io.Reader
}

func (b *bodies) Append(_ context.Context, _ string, c protocol.Chunk) (store.Info, error) {
	b.all = append(b.all, c.Body)
	_, err := io.CopyN(io.Discard, c.Body, 8<<10)
	return store.Info{}, err
}

type body struct{ io.Reader }

func (body) SetReadDeadline(time.Time) error { return nil }

// TestBodyCost: of a body that was looked at nothing is held.
func TestBodyCost(t *testing.T) {
	const n = 500
	mem, err := memory.New(nil)
	check(t, err)
	defer func() { check(t, mem.Close()) }()
	files, err := filestore.Open(t.TempDir(), mem, nil)
	check(t, err)
	defer func() { check(t, files.Close()) }()
	_, info, err := files.Create(t.Context(), store.Spec{Name: "x", Length: 1 << 20, Metadata: map[string]string{store.MetadataFiletype: "text/plain"}})
	check(t, err)
	p, err := policy.New(t.Context(), files, policy.Options{CheckSignatures: true}, slog.New(slog.DiscardHandler))
	check(t, err)
	next := &bodies{all: make([]io.Reader, 0, n)}
	uploads, text := p.Uploads(next), strings.Repeat("x", 1<<20)
	before := held()
	for range n {
		_, err := uploads.Append(t.Context(), info.ID, protocol.Chunk{Size: 1 << 20, Body: body{strings.NewReader(text)}})
		check(t, err)
	}
	if each := (held() - before) / n; each > 1<<10 {
		t.Errorf("each takes %d bytes", each)
	}
	runtime.KeepAlive(next)
}

func held() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
