package s3store

import (
	"encoding/base64"
	"fmt"
	"mime"
	"path"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
	"github.com/minio/minio-go/v7/pkg/tags"

	"github.com/streamflow/streamflow/store"
)

// ObjectOptions are what S3 keeps with every object of a Store. The zero value
// leaves all to the bucket.
type ObjectOptions struct {
	// ContentType; default: by the extension of the name.
	ContentType string
	// CacheControl is the header of that name.
	CacheControl string
	// StorageClass, such as STANDARD_IA.
	StorageClass string
	// ACL is a canned one, such as bucket-owner-full-control.
	ACL string
	// SSE is how the service encrypts: AES256, aws:kms, or "" as the bucket says.
	SSE string
	// KMSKey is the key of aws:kms.
	KMSKey string
	Tags   map[string]string
}

const (
	metaPrefix = "X-Amz-Meta-"
	// markKey is the metadata that tells whose the object is.
	markKey = "streamflow-upload"
	// maxMetadataBytes is what S3 takes, the mark included.
	maxMetadataBytes = 2 << 10

	headerChecksum     = "X-Amz-Checksum-Crc32c"
	headerChecksumType = "X-Amz-Checksum-Type"
	fullObject         = "FULL_OBJECT"
)

func (o *ObjectOptions) check() error {
	if _, err := o.encryption(); err != nil {
		return err
	}
	if _, err := tags.NewTags(o.Tags, true); err != nil {
		return fmt.Errorf("%w: tags: %w", store.ErrInvalid, err)
	}
	return nil
}

func (o *ObjectOptions) encryption() (encrypt.ServerSide, error) {
	switch {
	case o.SSE == "" && o.KMSKey == "":
		return nil, nil
	case o.SSE == "AES256" && o.KMSKey == "":
		return encrypt.NewSSE(), nil
	case o.SSE == "aws:kms":
		return encrypt.NewSSEKMS(o.KMSKey, nil)
	}
	return nil, fmt.Errorf("%w: encryption %q with key %q: want AES256, or aws:kms", store.ErrInvalid, o.SSE, o.KMSKey)
}

// headers are those of the request that names an object.
func (o *ObjectOptions) headers(key string, metadata map[string]string, mark string) (minio.PutObjectOptions, error) {
	sse, err := o.encryption()
	if err != nil {
		return minio.PutObjectOptions{}, err
	}
	user, err := encodeMetadata(metadata)
	if err != nil {
		return minio.PutObjectOptions{}, err
	}
	user[metaPrefix+markKey] = mark
	user["X-Amz-Checksum-Algorithm"] = "CRC32C"
	user[headerChecksumType] = fullObject
	if o.ACL != "" {
		user["X-Amz-Acl"] = o.ACL
	}
	contentType := o.ContentType
	if contentType == "" {
		contentType = mime.TypeByExtension(path.Ext(key))
	}
	return minio.PutObjectOptions{
		UserMetadata: user, UserTags: o.Tags, ContentType: contentType, CacheControl: o.CacheControl,
		StorageClass: o.StorageClass, ServerSideEncryption: sse,
	}, nil
}

// encodeMetadata makes headers of metadata. What a header can't carry is encoded
// as S3 itself does it (RFC 2047, section 4.1, "B").
func encodeMetadata(metadata map[string]string) (map[string]string, error) {
	headers, size := make(map[string]string), 0
	for k, v := range metadata {
		if !isToken(k) || k == markKey {
			return nil, fmt.Errorf("%w: metadata key %.40q: S3 keeps lower-case letters, digits and -_. only", store.ErrInvalid, k)
		}
		if !isPlain(v) {
			v = encodedStart + base64.StdEncoding.EncodeToString([]byte(v)) + encodedEnd
		}
		headers[metaPrefix+k] = v
		size += len(k) + len(v)
	}
	if size > maxMetadataBytes-len(markKey)-len(newMark()) {
		return nil, fmt.Errorf("%w: %d bytes of metadata: S3 keeps %d", store.ErrInvalid, size, maxMetadataBytes)
	}
	return headers, nil
}

const encodedStart, encodedEnd = "=?UTF-8?B?", "?="

// decodeMetadata returns the metadata of an object, and its mark.
func decodeMetadata(headers map[string]string) (metadata map[string]string, mark string) {
	for k, v := range headers {
		k = strings.ToLower(k)
		if k == markKey {
			mark = v
			continue
		}
		if inner, ok := strings.CutPrefix(v, encodedStart); ok {
			if b, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(inner, encodedEnd)); err == nil {
				v = string(b)
			}
		}
		if metadata == nil {
			metadata = make(map[string]string)
		}
		metadata[k] = v
	}
	return metadata, mark
}

func isToken(k string) bool {
	for _, c := range []byte(k) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("-_.", rune(c)) {
			return false
		}
	}
	return k != ""
}

// isPlain: v passes through proxies and S3 as it is.
func isPlain(v string) bool {
	for _, c := range []byte(v) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return v != "" && strings.TrimSpace(v) == v && !strings.HasPrefix(v, "=?")
}
