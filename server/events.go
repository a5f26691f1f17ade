package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol"
)

const (
	eventInterval = time.Second
	// eventTimeout is how long a reader may take nothing once the buffers of its
	// connection are full, and how long Shutdown waits for such a one.
	eventTimeout = time.Second
	// maxReaders bounds the streams of events: each is a connection for good.
	maxReaders = 64
)

var errReaders = &protocol.Refusal{
	Status:     http.StatusServiceUnavailable,
	Code:       protocol.CodeUnavailable,
	Detail:     "too many read the events already",
	Limit:      maxReaders,
	RetryAfter: 5 * time.Second,
}

// The data of events; openapi.yaml describes them.
type (
	levelEvent struct {
		Manager    string    `json:"manager"`
		From       string    `json:"from"`
		To         string    `json:"to"`
		Usage      float64   `json:"usage"`
		Threshold  float64   `json:"threshold"`
		UsedBytes  int64     `json:"used_bytes"`
		LimitBytes int64     `json:"limit_bytes"`
		Count      uint64    `json:"count"`
		Time       time.Time `json:"time"`
	}
	// performanceEvent has the names of the command line's JSON.
	performanceEvent struct {
		Speed          float64 `json:"speed"`
		MemoryUsage    int64   `json:"memory_usage"`
		ProcessingTime float64 `json:"processing_time"`
	}
	// leakEvent leaves out stack and metadata, which are not for everybody.
	leakEvent struct {
		Manager    string  `json:"manager"`
		Kind       string  `json:"kind"`
		Bytes      int64   `json:"bytes"`
		AgeSeconds float64 `json:"age_seconds"`
		Count      uint64  `json:"count"`
	}
)

// streamEvents sends the state of memory and how fast uploads come once a second,
// and what happened to memory since, until the reader or the server goes.
func (s *Server) streamEvents(w http.ResponseWriter, r *http.Request) {
	leave, err := s.admitReader(r.Context())
	if err != nil {
		protocol.WriteProblem(w, r, err)
		return
	}
	defer leave()
	// Between two ticks it keeps the last event of each sort, however many come.
	happened := s.mem.Subscribe()
	defer happened.Close()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	rate := s.newThroughput()
	tick := time.NewTicker(eventInterval)
	defer tick.Stop()
	for r.Method != http.MethodHead {
		if s.sendEvents(w, happened, rate) != nil {
			return // the reader is gone, or as good as gone
		}
		select {
		case <-tick.C:
		case <-s.ending:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// sendEvents sends what happened up to now, and the state of memory and uploads.
func (s *Server) sendEvents(w http.ResponseWriter, happened *memory.Subscription, rate *throughput) error {
	rc := http.NewResponseController(w)
	// Where there are no deadlines the server around it has to end the slow.
	_ = rc.SetWriteDeadline(time.Now().Add(eventTimeout))
	over, cancel := context.WithCancel(context.Background())
	cancel() // so the loop takes what is there, and waits for no more
	for e := range happened.Events(over) {
		var err error
		switch e := e.(type) {
		case memory.LevelChange:
			err = writeEvent(w, "level", levelEvent{
				Manager: e.Manager, From: e.From.String(), To: e.To.String(), Usage: e.Usage, Threshold: e.Threshold,
				UsedBytes: e.Used, LimitBytes: e.Limit, Count: e.Count, Time: e.Time.UTC(),
			})
		case memory.Leak:
			err = writeEvent(w, "leak", leakEvent{
				Manager: e.Manager, Kind: string(e.Kind), Bytes: e.Size, AgeSeconds: e.Age.Seconds(), Count: e.Count,
			})
		}
		if err != nil {
			return err
		}
	}
	stats := s.stats.now()
	if err := writeEvent(w, "memory", memoryStateOf(stats)); err != nil {
		return err
	}
	bytesPerSecond, processing := rate.sinceLast()
	err := writeEvent(w, "performance", performanceEvent{
		Speed: bytesPerSecond, MemoryUsage: stats.Allocated, ProcessingTime: processing.Seconds(),
	})
	if err != nil {
		return err
	}
	if err := rc.Flush(); err != nil {
		return err
	}
	_ = rc.SetWriteDeadline(time.Time{}) // the connection may serve others
	return nil
}

func writeEvent(w http.ResponseWriter, name string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, text)
	return err
}

// admitReader makes room for one more stream of events. The caller ends it
// with leave.
func (s *Server) admitReader(ctx context.Context) (leave func(), err error) {
	s.mu.Lock()
	switch {
	case s.closing:
		err = errShutdown
	case s.readers >= maxReaders:
		err = errReaders
	default:
		s.readers++
		s.running.Add(1)
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	release, err := s.chargeRequest(ctx)
	if err != nil {
		s.dropReader()
		return nil, errMemory
	}
	return func() {
		release()
		s.dropReader()
	}, nil
}

func (s *Server) dropReader() {
	s.mu.Lock()
	s.readers--
	s.mu.Unlock()
	s.running.Done()
}
