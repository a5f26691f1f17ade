package bucket

import (
	"fmt"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
	"github.com/minio/minio-go/v7/pkg/tags"

	"github.com/streamflow/streamflow/store"
)

// ObjectOptions are what S3 keeps with every object. The zero value
// leaves all to the bucket.
type ObjectOptions struct {
	// ContentType; default: what [store.MetadataFiletype] declares, else by the
	// extension of the name, else by the first bytes.
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
	headerChecksum     = "X-Amz-Checksum-Crc32c"
	headerChecksumType = "X-Amz-Checksum-Type"
	fullObject         = "FULL_OBJECT"
)

// summed has S3 keep the CRC-32C of the whole object that a multipart upload makes.
func summed() map[string]string {
	return map[string]string{"X-Amz-Checksum-Algorithm": "CRC32C", headerChecksumType: fullObject}
}

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
func (o *ObjectOptions) headers(key string, object *Object) (*minio.PutObjectOptions, error) {
	sse, err := o.encryption()
	if err != nil {
		return nil, err
	}
	user, err := encodeMetadata(object.Metadata)
	if err != nil {
		return nil, err
	}
	user[metaPrefix+markKey] = object.Mark
	if o.ACL != "" {
		user["X-Amz-Acl"] = o.ACL
	}
	return &minio.PutObjectOptions{
		UserMetadata: user, UserTags: o.Tags, ContentType: o.mediaType(key, object), ContentEncoding: object.Coding, CacheControl: o.CacheControl,
		StorageClass: o.StorageClass, ServerSideEncryption: sse,
	}, nil
}
