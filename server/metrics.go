package server

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	vm "github.com/VictoriaMetrics/metrics"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/server/hook"
)

// Upper bounds of the histograms, in seconds. A request may be one upload of
// hours; an operation of the store rarely takes seconds.
var (
	requestBuckets   = []float64{.005, .02, .1, .5, 2, 10, 60, 600, 3600}
	operationBuckets = []float64{.0001, .0005, .002, .01, .05, .2, 1, 5, 30}
)

// maxScrapes are answered at the same time.
const maxScrapes = 4

var errScrapes = &protocol.Refusal{
	Status: http.StatusServiceUnavailable,
	Code:   protocol.CodeUnavailable,
	Detail: "too many ask for the metrics at the same time",
	Limit:  maxScrapes,
}

// metrics are what /metrics shows. No label has a value per upload, so there
// is a bounded number of series.
type metrics struct {
	families                                        []family
	created, finished, terminated, failed, received *vm.Counter
	requests, operations                            *vm.Set
	duration                                        *vm.PrometheusHistogram
	processing                                      atomic.Int64 // nanoseconds of all operations
	inFlight                                        func() int
	stats                                           func() memory.Stats
	refused                                         refusals
	hooks                                           *hook.Hooks   // or nil
	scrapes                                         chan struct{} // one for each that is being answered
}

// refusals count requests that were refused for want of memory.
type refusals struct {
	critical *vm.Counter // new uploads at level critical
	timeout  *vm.Counter // waited in vain
	limit    *vm.Counter // could never fit
}

// A family is all series of one name.
type family struct {
	name, kind, help string
	series           *vm.Set
}

// newMetrics registers all there is. inFlight counts uploads whose bytes come
// in now, stats is asked once for each scrape. hooks may be nil.
func newMetrics(inFlight func() int, stats func() memory.Stats, hooks *hook.Hooks) *metrics {
	m := &metrics{inFlight: inFlight, stats: stats, hooks: hooks, scrapes: make(chan struct{}, maxScrapes)}
	m.created = m.counter("streamflow_uploads_created_total", "Uploads begun.")
	m.finished = m.counter("streamflow_uploads_finished_total", "Uploads that became whole.")
	m.terminated = m.counter("streamflow_uploads_terminated_total", "Uploads that were discarded, on request or because they expired.")
	m.failed = m.counter("streamflow_uploads_failed_total", "Requests that the store could not carry out, clients' mistakes not counted.")
	m.received = m.counter("streamflow_received_bytes_total", "Bytes of uploads read from clients.")
	refused := m.family("streamflow_memory_refusals_total", "counter", "Requests refused for want of memory: new uploads at level critical, after a wait that was too long, or as they never fit the limit.")
	m.refused = refusals{
		critical: refused.NewCounter(`streamflow_memory_refusals_total{reason="critical"}`),
		timeout:  refused.NewCounter(`streamflow_memory_refusals_total{reason="timeout"}`),
		limit:    refused.NewCounter(`streamflow_memory_refusals_total{reason="limit"}`),
	}
	m.requests = m.family("streamflow_http_requests_total", "counter", "Requests answered.")
	m.duration = m.family("streamflow_http_request_duration_seconds", "histogram", "Time from the headers of a request to the end of its answer.").
		NewPrometheusHistogramExt("streamflow_http_request_duration_seconds", requestBuckets)
	m.operations = m.family("streamflow_store_operation_seconds", "histogram", "Time spent in the store, less the time it waited for the client.")
	return m
}

func (m *metrics) family(name, kind, help string) *vm.Set {
	f := family{name, kind, help, vm.NewSet()}
	m.families = append(m.families, f)
	return f.series
}

func (m *metrics) counter(name, help string) *vm.Counter {
	return m.family(name, "counter", help).NewCounter(name)
}

// request counts one answer.
func (m *metrics) request(method string, code int, took time.Duration) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		method = "other" // clients make up any number of methods
	}
	m.requests.GetOrCreateCounter(`streamflow_http_requests_total{code="` + strconv.Itoa(code) + `",method="` + method + `"}`).Inc()
	m.duration.Update(took.Seconds())
}

// operation records that the store of a name did op.
func (m *metrics) operation(store, op string, took time.Duration) {
	series := `streamflow_store_operation_seconds{op="` + op + `",store="` + store + `"}`
	m.processing.Add(int64(took))
	m.operations.GetOrCreatePrometheusHistogramExt(series, operationBuckets).Update(took.Seconds())
}

// ServeHTTP implements http.Handler with the text format of Prometheus.
func (m *metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case m.scrapes <- struct{}{}:
		defer func() { <-m.scrapes }()
	default:
		protocol.WriteProblem(w, r, errScrapes)
		return
	}
	var out scrape
	for _, f := range m.families {
		out.set(f)
	}
	out.value("streamflow_uploads_in_flight", "gauge", "Uploads whose bytes come in now.", int64(m.inFlight()))
	if m.hooks != nil {
		out.hooks(m.hooks)
	}
	out.build()
	out.memory(m.stats())
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(out.Bytes()) // a client that went away needs no answer
}

// A scrape is an answer being written. It writes HELP and TYPE itself: the
// library's are a switch of the whole process, and have no help texts.
type scrape struct{ bytes.Buffer }

func (p *scrape) head(name, kind, help string) {
	fmt.Fprintf(p, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func (p *scrape) value(name, kind, help string, v int64) {
	p.head(name, kind, help)
	fmt.Fprintf(p, "%s %d\n", name, v)
}

func (p *scrape) set(f family) {
	p.head(f.name, f.kind, f.help)
	var series bytes.Buffer
	f.series.WritePrometheus(&series)
	for line := range bytes.Lines(series.Bytes()) {
		if line[0] != '#' { // another part of the program has switched them on
			p.Write(line)
		}
	}
}

func (p *scrape) hooks(h *hook.Hooks) {
	p.head("streamflow_hook_calls_total", "counter", "Calls of hooks by event and result: done, refused, failed, gave_up, dropped.")
	for call, n := range h.Calls() {
		fmt.Fprintf(p, "streamflow_hook_calls_total{event=%q,result=%q} %d\n", call.Event, call.Result, n)
	}
}

func (p *scrape) build() {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	p.head("streamflow_build_info", "gauge", "1; the labels say what runs.")
	fmt.Fprintf(p, "streamflow_build_info{goversion=%q,version=%q} 1\n", runtime.Version(), version)
}

// memory shows the state of the budget at one moment.
func (p *scrape) memory(s memory.Stats) {
	var rss int64 // stays 0 where nobody measures the process
	if s.Process != nil {
		rss = s.Process.RSS
	}
	p.value("streamflow_memory_reserved_bytes", "gauge", "Bytes that count against the limit.", s.Used)
	p.value("streamflow_memory_limit_bytes", "gauge", "Bytes that may be in use at the same time.", s.Limit)
	p.value("streamflow_memory_peak_bytes", "gauge", "The most bytes that ever counted against the limit.", s.Peak)
	p.value("streamflow_memory_rss_bytes", "gauge", "Resident memory of the process, by the operating system.", rss)
	p.head("streamflow_memory_pressure_state", "gauge", "1 for the level that holds, 0 for the others.")
	for level := memory.Normal; level <= memory.Critical; level++ {
		holds := 0
		if level == s.Level {
			holds = 1
		}
		fmt.Fprintf(p, "streamflow_memory_pressure_state{state=%q} %d\n", level, holds)
	}
	p.head("streamflow_memory_wait_seconds", "summary", "Requests for memory that had to wait, and how long.")
	fmt.Fprintf(p, "streamflow_memory_wait_seconds_sum %g\n", s.WaitTime.Seconds())
	fmt.Fprintf(p, "streamflow_memory_wait_seconds_count %d\n", s.Waits)
	p.head("streamflow_buffer_pool_gets_total", "counter", "Buffers handed out.")
	fmt.Fprintf(p, "streamflow_buffer_pool_gets_total %d\n", s.Gets)
	p.head("streamflow_buffer_pool_misses_total", "counter", "Buffers handed out that were not at hand.")
	fmt.Fprintf(p, "streamflow_buffer_pool_misses_total %d\n", s.Misses)
}
