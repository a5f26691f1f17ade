package server

import (
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/streamflow/streamflow/memory"
)

// Upper bounds of the histograms, in seconds. A request may be one upload of
// hours; an operation of the store rarely takes seconds.
var (
	requestBuckets   = []float64{.005, .02, .1, .5, 2, 10, 60, 600, 3600}
	operationBuckets = []float64{.0001, .0005, .002, .01, .05, .2, 1, 5, 30}
)

// metrics are what /metrics shows. No label has a value per upload, so there
// is a bounded number of series.
type metrics struct {
	handler                               http.Handler
	created, finished, terminated, failed prometheus.Counter
	received                              prometheus.Counter
	requests                              *prometheus.CounterVec
	duration                              prometheus.Histogram
	operations                            *prometheus.HistogramVec
	memoryTimeouts                        atomic.Uint64 // bodies that waited for memory in vain
}

// newMetrics registers all there is. inFlight counts uploads whose bytes come
// in now, stats is asked once for each scrape.
func newMetrics(inFlight func() int, stats func() memory.Stats) *metrics {
	m := &metrics{
		created:    newCounter("streamflow_uploads_created_total", "Uploads begun."),
		finished:   newCounter("streamflow_uploads_finished_total", "Uploads that became whole."),
		terminated: newCounter("streamflow_uploads_terminated_total", "Uploads that were discarded, on request or because they expired."),
		failed:     newCounter("streamflow_uploads_failed_total", "Requests that the store could not carry out, clients' mistakes not counted."),
		received:   newCounter("streamflow_received_bytes_total", "Bytes of uploads read from clients."),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "streamflow_http_requests_total", Help: "Requests answered.",
		}, []string{"method", "code"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "streamflow_http_request_duration_seconds", Help: "Time from the headers of a request to the end of its answer.", Buckets: requestBuckets,
		}),
		operations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "streamflow_store_operation_seconds", Help: "Time spent in the store, less the time it waited for the client.", Buckets: operationBuckets,
		}, []string{"store", "op"}),
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		m.created, m.finished, m.terminated, m.failed, m.received, m.requests, m.duration, m.operations,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "streamflow_uploads_in_flight", Help: "Uploads whose bytes come in now.",
		}, func() float64 { return float64(inFlight()) }),
		buildInfo(), memoryCollector{stats, &m.memoryTimeouts},
	)
	// Compressing would take most of a mebibyte for each scrape.
	m.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true, MaxRequestsInFlight: 4})
	return m
}

func newCounter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func buildInfo() prometheus.Collector {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "streamflow_build_info", Help: "1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	g.Set(1)
	return g
}

// request counts one answer.
func (m *metrics) request(method string, code int, took time.Duration) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		method = "other" // clients make up any number of methods
	}
	m.requests.WithLabelValues(method, strconv.Itoa(code)).Inc()
	m.duration.Observe(took.Seconds())
}

var (
	reservedDesc = memoryDesc("reserved_bytes", "Bytes that count against the limit.")
	limitDesc    = memoryDesc("limit_bytes", "Bytes that may be in use at the same time.")
	peakDesc     = memoryDesc("peak_bytes", "The most bytes that ever counted against the limit.")
	rssDesc      = memoryDesc("rss_bytes", "Resident memory of the process, by the operating system.")
	levelDesc    = memoryDesc("pressure_state", "1 for the level that holds, 0 for the others.", "state")
	refusalsDesc = memoryDesc("refusals_total", "Requests for memory that were refused: at once for want of room, or after a timeout.", "reason")
	waitDesc     = memoryDesc("wait_seconds", "Requests for memory that had to wait, and how long.")
	getsDesc     = prometheus.NewDesc("streamflow_buffer_pool_gets_total", "Buffers handed out.", nil, nil)
	missesDesc   = prometheus.NewDesc("streamflow_buffer_pool_misses_total", "Buffers handed out that were not at hand.", nil, nil)
)

func memoryDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("streamflow_memory_"+name, help, labels, nil)
}

// A memoryCollector shows the state of the budget at one moment.
type memoryCollector struct {
	stats    func() memory.Stats
	timeouts *atomic.Uint64
}

// Describe implements prometheus.Collector.
func (c memoryCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{reservedDesc, limitDesc, peakDesc, rssDesc, levelDesc, refusalsDesc, waitDesc, getsDesc, missesDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c memoryCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.stats()
	value := func(d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, t, v, labels...)
	}
	value(reservedDesc, prometheus.GaugeValue, float64(s.Used))
	value(limitDesc, prometheus.GaugeValue, float64(s.Limit))
	value(peakDesc, prometheus.GaugeValue, float64(s.Peak))
	var rss int64 // stays 0 where nobody measures the process
	if s.Process != nil {
		rss = s.Process.RSS
	}
	value(rssDesc, prometheus.GaugeValue, float64(rss))
	for level := memory.Normal; level <= memory.Critical; level++ {
		holds := 0.0
		if level == s.Level {
			holds = 1
		}
		value(levelDesc, prometheus.GaugeValue, holds, level.String())
	}
	value(refusalsDesc, prometheus.CounterValue, float64(s.Refusals), "no_room")
	value(refusalsDesc, prometheus.CounterValue, float64(c.timeouts.Load()), "timeout")
	ch <- prometheus.MustNewConstSummary(waitDesc, s.Waits, s.WaitTime.Seconds(), nil)
	value(getsDesc, prometheus.CounterValue, float64(s.Gets))
	value(missesDesc, prometheus.CounterValue, float64(s.Misses))
}
