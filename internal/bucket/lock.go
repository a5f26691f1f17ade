package bucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/streamflow/streamflow/store"
)

// What S3 tells of a locked object (Object Lock), to those who may know.
const (
	headerLegalHold   = "X-Amz-Object-Lock-Legal-Hold"
	headerRetainUntil = "X-Amz-Object-Lock-Retain-Until-Date"
)

// lockOf says how long an object is locked, or "".
func lockOf(h http.Header) string {
	if h.Get(headerLegalHold) == "ON" {
		return "by a legal hold"
	}
	if until, err := time.Parse(time.RFC3339, h.Get(headerRetainUntil)); err == nil && time.Now().Before(until) {
		return "until " + until.UTC().Format(time.RFC3339)
	}
	return ""
}

// explainLocked asks whether a lock is why an object may not be replaced or removed:
// the answer to that is the same as where a permission is missing.
func (b *Bucket) explainLocked(ctx context.Context, key string, refused error) error {
	if !errors.Is(refused, store.ErrDenied) {
		return refused
	}
	there, err := b.Head(ctx, key)
	if err != nil || there.lock == "" {
		return refused
	}
	return &ConfigurationError{fmt.Errorf("%w: the object is locked %s: take another name, or have the lock lifted", store.ErrDenied, there.lock)}
}
