package streamflow

import (
	"math"
	"sync"
	"time"
)

const (
	meterEvery       = 100 * time.Millisecond
	performanceEvery = time.Second
	// speedMemory is how far back the smoothed speed looks.
	speedMemory = 2 * time.Second
	// stalledAfter is how long nothing moves before there is no speed to tell,
	// and no time left: a smoothed speed only ever nears zero.
	stalledAfter = 5 * time.Second
)

// A meter turns the counters of an upload into events.
type meter struct {
	mu         sync.Mutex
	at         time.Time // of the last reading
	bytes      int64     // at it
	moved      time.Time // when bytes last grew
	speed      float64   // bytes per second, smoothed
	performed  time.Time // of the last Performance
	processing int64     // nanoseconds told so far
	ended      bool      // the last figures are out
}

// read returns the smoothed speed.
func (r *meter) read(now time.Time, bytes int64) float64 {
	if r.at.IsZero() {
		r.at, r.bytes, r.moved, r.performed = now, bytes, now, now
		return 0
	}
	dt := now.Sub(r.at)
	if dt <= 0 {
		return r.speed
	}
	current := float64(max(bytes-r.bytes, 0)) / dt.Seconds()
	weight := 1 - math.Exp(-dt.Seconds()/speedMemory.Seconds())
	if r.speed == 0 {
		weight = 1
	}
	r.speed += weight * (current - r.speed)
	if bytes > r.bytes {
		r.moved = now
	}
	if now.Sub(r.moved) >= stalledAfter {
		r.speed = 0
	}
	r.at, r.bytes = now, bytes
	return r.speed
}

// meterAll is the goroutine that publishes figures while uploads are under way.
func (m *Manager) meterAll() {
	ticker := time.NewTicker(meterEvery)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			uploads, ok := m.metered()
			if !ok {
				return
			}
			for _, u := range uploads {
				m.meterOne(u, now, false)
			}
		case <-m.ctx.Done():
			return
		}
	}
}

// metered returns the uploads under way, or false where the last has ended.
func (m *Manager) metered() ([]*Upload, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.uploads) == 0 {
		m.metering = false
		return nil, false
	}
	if len(m.subs) == 0 {
		return nil, true
	}
	uploads := make([]*Upload, 0, len(m.uploads))
	for u := range m.uploads {
		uploads = append(uploads, u)
	}
	return uploads, true
}

// meterOne publishes the figures of one upload.
func (m *Manager) meterOne(u *Upload, now time.Time, last bool) {
	r := &u.meter
	r.mu.Lock()
	defer r.mu.Unlock()
	state := u.State()
	if r.ended || (state.Status != Uploading && !last) {
		return
	}
	r.ended = last
	speed := r.read(now, state.Bytes)
	m.publish(Progress{
		Upload: u, Percentage: percentage(state), BytesUploaded: state.Bytes, TotalBytes: state.Total,
		Speed: speed, Remaining: remaining(state, speed),
	})
	if !last && now.Sub(r.performed) < performanceEvery {
		return
	}
	processing := u.counters.processing.Load()
	m.publish(Performance{
		Upload: u, Speed: speed, MemoryBytes: m.mem.Used(),
		ProcessingTime: time.Duration(processing - r.processing), SavedBytes: u.counters.saved.Load(),
	})
	r.performed, r.processing = now, processing
}

func percentage(s State) float64 {
	switch {
	case s.Total < 0:
		return -1
	case s.Total == 0:
		return 100
	}
	return 100 * float64(s.Bytes) / float64(s.Total)
}

func remaining(s State, speed float64) time.Duration {
	switch {
	case s.Total < 0:
		return -1
	case s.Bytes >= s.Total:
		return 0
	case speed <= 0:
		return -1
	}
	seconds := float64(s.Total-s.Bytes) / speed
	if seconds > math.MaxInt64/float64(time.Second) {
		return -1
	}
	return time.Duration(seconds * float64(time.Second))
}
