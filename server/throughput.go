package server

import "time"

// A throughput measures how fast uploads come, between one look and the next.
// It is for one goroutine.
type throughput struct {
	metrics    *metrics
	at         time.Time
	received   uint64
	processing int64 // nanoseconds
}

func (s *Server) newThroughput() *throughput {
	return &throughput{
		metrics: s.metrics, at: time.Now(),
		received: s.metrics.received.Get(), processing: s.metrics.processing.Load(),
	}
}

// sinceLast returns the bytes that came in a second, and how long the store was
// at work with them: over a second where several uploads come at once.
func (t *throughput) sinceLast() (bytesPerSecond float64, processing time.Duration) {
	now, received, spent := time.Now(), t.metrics.received.Get(), t.metrics.processing.Load()
	if took := now.Sub(t.at).Seconds(); took > 0 {
		bytesPerSecond = float64(received-t.received) / took
	}
	processing = time.Duration(spent - t.processing)
	t.at, t.received, t.processing = now, received, spent
	return bytesPerSecond, processing
}
