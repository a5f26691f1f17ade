package policy

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/streamflow/streamflow/internal/bytesize"
	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

// clientKey is where the client that began an upload is kept with it. No client
// can set it: the key has a space.
const clientKey = "streamflow client"

// An account is what one upload counts for.
type account struct {
	// bytes are its length, where that is known: reserved from the beginning.
	// Else they are those that have come.
	bytes int64
	// client is who has it open, or "": nobody, as all its bytes are there.
	client string
}

func accountOf(info store.Info) account {
	a := account{bytes: info.Length}
	if info.Length == store.UnknownLength {
		a.bytes = info.Offset
		for _, r := range info.Written {
			a.bytes = max(a.bytes, r.End)
		}
	}
	if !info.Complete && info.Offset != info.Length {
		a.client = info.Metadata[clientKey]
	}
	return a
}

// A ledger adds up the accounts of all uploads of a store.
type ledger struct {
	quota      int64 // of bytes; 0 is any
	maxUploads int   // open at once for each client; 0 is any

	mu    sync.Mutex
	bytes int64
	open  map[string]int // by client; no zeros
}

// admit changes an account if the limits allow it. A change that asks for
// nothing more is always fine, also beyond the limits.
func (l *ledger) admit(from, to account) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if more := to.bytes - from.bytes; more > 0 && l.room() < more {
		return l.overQuota()
	}
	if opens := to.client != "" && from.client != to.client; opens && l.maxUploads > 0 && l.open[to.client] >= l.maxUploads {
		return &protocol.Refusal{
			Status: http.StatusTooManyRequests,
			Code:   protocol.CodeRateLimit,
			Detail: fmt.Sprintf("you have %d uploads open, which is the most: finish or delete one of them first", l.open[to.client]),
			Limit:  int64(l.maxUploads), RetryAfter: uploadsRetryAfter,
		}
	}
	l.apply(from, to)
	return nil
}

// uploadsRetryAfter: an upload ends when it ends.
const uploadsRetryAfter = 30 * time.Second

// change changes an account to what has come about.
func (l *ledger) change(from, to account) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.apply(from, to)
}

func (l *ledger) apply(from, to account) {
	l.bytes += to.bytes - from.bytes
	if from.client == to.client {
		return
	}
	if to.client != "" {
		l.open[to.client]++
	}
	if from.client == "" {
		return
	}
	if l.open[from.client]--; l.open[from.client] <= 0 {
		delete(l.open, from.client)
	}
}

// grow takes up to n bytes, as many as there is room for.
func (l *ledger) grow(n int64) (taken int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if taken = min(n, l.room()); taken < n {
		err = l.overQuota()
	}
	l.bytes += taken
	return taken, err
}

// room is how many bytes may still come.
func (l *ledger) room() int64 {
	if l.quota == 0 {
		return 1<<63 - 1
	}
	return max(0, l.quota-l.bytes)
}

func (l *ledger) overQuota() error {
	return &protocol.Refusal{
		Status: http.StatusInsufficientStorage,
		Code:   protocol.CodeNoSpace,
		Detail: fmt.Sprintf("this server keeps %s in all, and there is no room left for this upload", bytesize.Format(l.quota)),
		Limit:  l.quota,
		Err:    store.ErrNoSpace,
	}
}
