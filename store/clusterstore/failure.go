package clusterstore

import (
	"errors"

	"github.com/streamflow/streamflow/internal/bucket"
	"github.com/streamflow/streamflow/store"
)

// outward is what a caller sees of an error. What is wrong with the bucket, or
// asked of it too often, isn't the doing of who uploads: it must not look like an
// upload that isn't there or a client that may not, as clients then give up. So
// nothing but its text is left.
func outward(err error) error {
	var (
		configuration *bucket.ConfigurationError
		transient     *store.TransientError
	)
	switch {
	case errors.As(err, &configuration):
		return errors.New(err.Error())
	case errors.Is(err, store.ErrRateLimited) && errors.As(err, &transient):
		return &store.TransientError{Err: errors.New(err.Error()), RetryAfter: transient.RetryAfter}
	}
	return err
}

// isAbsent: there is no such object or multipart upload, in a bucket that is there.
func isAbsent(err error) bool {
	var configuration *bucket.ConfigurationError
	return errors.Is(err, store.ErrNotFound) && !errors.As(err, &configuration)
}

// isUnsure: a request that was sent whole may have been carried out.
func isUnsure(err error) bool {
	var transient *store.TransientError
	return errors.As(err, &transient)
}
