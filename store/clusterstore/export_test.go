package clusterstore

import "time"

// SetRefreshInterval is called before the first Write.
func (s *Store) SetRefreshInterval(d time.Duration) { s.refreshInterval = d }

// SetMemoryTimeout is called before anything else.
func (s *Store) SetMemoryTimeout(d time.Duration) { s.memoryTimeout = d }
