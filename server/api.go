package server

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

// The answers of /api/v1; openapi.yaml describes them.
type (
	memoryState struct {
		Level           string               `json:"level"`
		Thresholds      thresholds           `json:"thresholds"`
		LimitBytes      int64                `json:"limit_bytes"`
		UsedBytes       int64                `json:"used_bytes"`
		AllocatedBytes  int64                `json:"allocated_bytes"`
		CachedBytes     int64                `json:"cached_bytes"`
		PeakBytes       int64                `json:"peak_bytes"`
		ActiveResources int64                `json:"active_resources"`
		Waiters         int                  `json:"waiters"`
		Refusals        uint64               `json:"refusals"`
		Waits           uint64               `json:"waits"`
		WaitSeconds     float64              `json:"wait_seconds"`
		BufferGets      uint64               `json:"buffer_gets"`
		BufferMisses    uint64               `json:"buffer_misses"`
		Leaks           uint64               `json:"leaks"`
		LeakedBytes     int64                `json:"leaked_bytes"`
		LastGC          *time.Time           `json:"last_gc,omitempty"`
		Kinds           map[string]kindState `json:"kinds"`
		Process         *processState        `json:"process,omitempty"`
	}
	thresholds struct {
		Warning  float64 `json:"warning"`
		Critical float64 `json:"critical"`
	}
	kindState struct {
		Active int64 `json:"active"`
		Bytes  int64 `json:"bytes"`
	}
	processState struct {
		BudgetBytes  int64 `json:"budget_bytes"`
		ReserveBytes int64 `json:"reserve_bytes"`
		RuntimeBytes int64 `json:"runtime_bytes"`
		RSSBytes     int64 `json:"rss_bytes"`
		PeakRSSBytes int64 `json:"peak_rss_bytes"`
	}
	uploadList struct {
		Total   int           `json:"total"`
		Uploads []uploadState `json:"uploads"`
	}
	uploadState struct {
		ID             string    `json:"id,omitempty"`
		Name           string    `json:"name,omitempty"`
		OffsetBytes    int64     `json:"offset_bytes"`
		LengthBytes    *int64    `json:"length_bytes,omitempty"`
		BytesPerSecond float64   `json:"bytes_per_second"`
		Since          time.Time `json:"since"`
	}
	freedState struct {
		CachedBytes      int64 `json:"cached_bytes"`
		ExpiredBytes     int64 `json:"expired_bytes"`
		UnreachableBytes int64 `json:"unreachable_bytes"`
		HookBytes        int64 `json:"hook_bytes"`
		CollectedBytes   int64 `json:"collected_bytes"`
		TotalBytes       int64 `json:"total_bytes"`
	}
)

// maxListed bounds the answer of /api/v1/uploads: thousands may be under way.
const maxListed = 100

func (s *Server) showMemory(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, memoryStateOf(s.stats.now()))
}

// showUploads names nobody: an id is the right to the upload.
func (s *Server) showUploads(w http.ResponseWriter, _ *http.Request) {
	list := s.listUploads()
	for i := range list.Uploads {
		list.Uploads[i].ID, list.Uploads[i].Name = "", ""
	}
	writeJSON(w, list)
}

func (s *Server) showUploadsNamed(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, s.listUploads())
}

func (s *Server) cleanUp(w http.ResponseWriter, r *http.Request) {
	freed, err := s.mem.Cleanup(r.Context())
	if err != nil {
		protocol.WriteProblem(w, r, store.Transient(errors.New("the cleanup was ended before it was through")))
		return
	}
	writeJSON(w, freedState{
		CachedBytes: freed.Cached, ExpiredBytes: freed.Expired, UnreachableBytes: freed.Unreachable,
		HookBytes: freed.Hooks, CollectedBytes: freed.Collected, TotalBytes: freed.Total(),
	})
}

func (s *Server) listUploads() uploadList {
	oldest, total := s.observed.oldest(maxListed)
	list := uploadList{Total: total, Uploads: make([]uploadState, len(oldest))}
	for i, a := range oldest {
		received := a.received.Load()
		u := uploadState{
			ID: a.upload.id, Name: a.upload.name, OffsetBytes: a.offset + received, Since: a.begun.UTC(),
			BytesPerSecond: float64(received) / max(time.Since(a.begun).Seconds(), 1e-3),
		}
		if length := a.upload.length; length != store.UnknownLength {
			u.LengthBytes = &length
		}
		list.Uploads[i] = u
	}
	return list
}

func memoryStateOf(s memory.Stats) memoryState {
	m := memoryState{
		Level: s.Level.String(), Thresholds: thresholds(s.Thresholds), LimitBytes: s.Limit, UsedBytes: s.Used, AllocatedBytes: s.Allocated,
		CachedBytes: s.Cached, PeakBytes: s.Peak, ActiveResources: s.Active, Waiters: s.Waiters,
		Refusals: s.Refusals, Waits: s.Waits, WaitSeconds: s.WaitTime.Seconds(), BufferGets: s.Gets,
		BufferMisses: s.Misses, Leaks: s.Leaks, LeakedBytes: s.LeakedBytes, Kinds: make(map[string]kindState),
	}
	if !s.LastGC.IsZero() {
		last := s.LastGC.UTC()
		m.LastGC = &last
	}
	for kind, k := range s.Kinds {
		m.Kinds[string(kind)] = kindState{Active: k.Active, Bytes: k.Bytes}
	}
	if p := s.Process; p != nil {
		m.Process = &processState{
			BudgetBytes: p.Budget, ReserveBytes: p.Reserve, RuntimeBytes: p.Runtime, RSSBytes: p.RSS, PeakRSSBytes: p.PeakRSS,
		}
	}
	return m
}

// statsAge is how old the state of memory may be that is shown.
const statsAge = 100 * time.Millisecond

// recentStats asks for the state of memory so often only: that stops the whole
// tree for a moment, and anybody may ask.
type recentStats struct {
	mem *memory.Manager

	mu    sync.Mutex
	asked time.Time
	last  memory.Stats // shared, so not to be changed
}

func (r *recentStats) now() memory.Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.asked) >= statsAge {
		r.last, r.asked = r.mem.Stats(), now
	}
	return r.last
}
