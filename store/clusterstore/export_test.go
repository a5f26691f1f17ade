package clusterstore

import "time"

// SetRefreshInterval is called before the first Write.
func (s *Store) SetRefreshInterval(d time.Duration) { s.refreshInterval = d }
