package bucket

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/minio/minio-go/v7"

	"github.com/streamflow/streamflow/internal/transport"
	"github.com/streamflow/streamflow/store"
)

// errNoS3 is an answer that says success and isn't S3's.
var errNoS3 = fmt.Errorf("%w: the answer is not S3's: check the endpoint", store.ErrUnsupported)

var errNoBucket = fmt.Errorf("%w: there is no bucket", store.ErrNotFound)

// A ConfigurationError is a refusal that stays until whoever runs the program has
// seen to it: the bucket, the credentials, the region or the endpoint is wrong.
type ConfigurationError struct{ Err error }

func (e *ConfigurationError) Error() string { return e.Err.Error() }

func (e *ConfigurationError) Unwrap() error { return e.Err }

// failure is the one place where an answer of S3 becomes an error.
func (b *Bucket) failure(ctx context.Context, a action, x *exchange, err error) error {
	err = b.failed(ctx, a, x, err)
	for _, kind := range []error{errNoBucket, store.ErrDenied, store.ErrInvalid, store.ErrUnsupported} {
		if errors.Is(err, kind) {
			return &ConfigurationError{err}
		}
	}
	return err
}

func (b *Bucket) failed(ctx context.Context, a action, x *exchange, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var (
		answer  minio.ErrorResponse
		request *url.Error
		syntax  *xml.SyntaxError
		other   xml.UnmarshalError
	)
	switch {
	case x.html:
		return fmt.Errorf("%w: %s answers with a web page, not as S3 does: check the endpoint", store.ErrUnsupported, b.endpoint)
	case errors.Is(err, errNoS3):
		return err
	case errors.As(err, &answer):
		return b.refusal(a, x, answer)
	case errors.As(err, &request):
		return transport.Failure(ctx, request.Err)
	case errors.As(err, &other):
		return errNoS3
	case errors.As(err, &syntax), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return store.Transient(fmt.Errorf("%s: the answer is cut off", a.does))
	}
	return store.Transient(fmt.Errorf("%s: %w", a.does, err))
}

// refusal explains an answer by its code, or else by its status.
func (b *Bucket) refusal(a action, x *exchange, answer minio.ErrorResponse) error {
	text := errors.New(describe(a, answer))
	switch answer.Code {
	case minio.NoSuchBucket:
		return fmt.Errorf("%w %s at %s: check its name, or make it", errNoBucket, b.name, b.endpoint)
	case minio.NoSuchUpload, minio.NoSuchKey:
		return fmt.Errorf("%w: %w", store.ErrNotFound, text)
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
		if b.renew(x.token) {
			return store.Transient(text)
		}
		return fmt.Errorf("%w: the credentials have expired: get new ones", store.ErrDenied)
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidClientTokenId":
		return fmt.Errorf("%w: %s doesn't accept the credentials: %w", store.ErrDenied, b.endpoint, text)
	case "RequestTimeTooSkewed", "RequestExpired":
		return fmt.Errorf("%w: this machine's clock is off by %v: set it, as signatures carry the time", store.ErrDenied, x.skew)
	case minio.AccessDenied, "AllAccessDisabled", "AccountProblem":
		return b.denied(a, text)
	case minio.AuthorizationHeaderMalformed, minio.InvalidRegion, "PermanentRedirect", "IllegalLocationConstraintException":
		if answer.Region != "" && answer.Region != b.opts.Region {
			return fmt.Errorf("%w: bucket %s is in region %s: set AWS_REGION or the option for it", store.ErrInvalid, b.name, answer.Region)
		}
		return fmt.Errorf("%w: another region or endpoint is meant: %w", store.ErrInvalid, text)
	case "EntityTooLarge", "MaxMessageLengthExceeded":
		return fmt.Errorf("%w: %w", store.ErrTooLarge, text)
	case "BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch":
		err := fmt.Errorf("%w: %w", store.ErrChecksum, text)
		if a == uploadPart || a == putObject || a == conditionalPut {
			return x.transient(err) // it came to harm on the way
		}
		return err
	case minio.PreconditionFailed:
		return fmt.Errorf("%w: %w", store.ErrExists, text)
	case "QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded":
		return fmt.Errorf("%w: %w", store.ErrNoSpace, text)
	case "SlowDown", "SlowDownWrite", "SlowDownRead", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests":
		return x.transient(fmt.Errorf("%w: %w", store.ErrRateLimited, text))
	case "InternalError", "ServiceUnavailable", "RequestTimeout", "OperationAborted", "ConditionalRequestConflict",
		"InvalidPart", "InvalidPartOrder", "IncompleteBody", "TemporaryRedirect":
		// A part was replaced or the body broke off: both pass, as the next
		// attempt asks what is there.
		return x.transient(text)
	}
	return b.refusedBy(a, x, answer, text)
}

func (b *Bucket) refusedBy(a action, x *exchange, answer minio.ErrorResponse, text error) error {
	switch status := answer.StatusCode; status {
	case http.StatusBadRequest:
		return fmt.Errorf("%w: %w", store.ErrInvalid, text)
	case http.StatusUnauthorized, http.StatusForbidden:
		return b.denied(a, text)
	case http.StatusNotFound, http.StatusGone:
		return fmt.Errorf("%w: %w", store.ErrNotFound, text)
	case http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %w", store.ErrExists, text)
	case http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%w: %w", store.ErrTooLarge, text)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return x.transient(fmt.Errorf("%w: %w", store.ErrRateLimited, text))
	case http.StatusInsufficientStorage:
		return x.transient(fmt.Errorf("%w: %w", store.ErrNoSpace, text))
	case http.StatusNotImplemented:
		return unsupported(a, text)
	default:
		if status >= 500 || status/100 == 2 || status == http.StatusRequestTimeout || status == http.StatusConflict {
			return x.transient(text) // 2xx: an error in the body of a success
		}
		return unsupported(a, text)
	}
}

func unsupported(a action, text error) error {
	if a.lost == "" {
		return fmt.Errorf("%w: %w", store.ErrUnsupported, text)
	}
	return fmt.Errorf("%w: %s: %w", store.ErrUnsupported, a.lost, text)
}

func (b *Bucket) denied(a action, text error) error {
	if b.anonymous() {
		return fmt.Errorf("%w: no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE", store.ErrDenied)
	}
	return fmt.Errorf("%w: %w; it takes the permission %s", store.ErrDenied, text, a.permission)
}

func (x *exchange) transient(err error) error {
	return &store.TransientError{Err: err, RetryAfter: x.retryAfter}
}

// describe returns what S3 says: its code and one line.
func describe(a action, answer minio.ErrorResponse) string {
	code, message := transport.Printable(answer.Code), transport.Printable(answer.Message)
	if code == "" {
		code = fmt.Sprintf("%d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	if message == "" || message == code {
		return a.does + ": " + code
	}
	return a.does + ": " + code + ": " + message
}
