package bucket

import (
	"context"
	"crypto/tls"
	"net/http"

	"github.com/streamflow/streamflow/internal/transport"
)

// An action is a request of S3's, for texts: what it does, the permission it needs,
// and what can't be promised where a service doesn't know it.
type action struct {
	does, permission, lost string
	// settles: what it makes stays, and costs, whoever wants the answer.
	settles bool
}

const noConditions = "it has no conditional writes, so nothing is safe from being replaced"

var (
	createMultipart   = action{"begin a multipart upload", "s3:PutObject", "", true}
	putObject         = action{"upload the object", "s3:PutObject", "", false}
	conditionalPut    = action{"upload the object", "s3:PutObject", noConditions, false}
	uploadPart        = action{"upload a part", "s3:PutObject", "", true}
	listParts         = action{"list the parts that are there", "s3:ListMultipartUploadParts", "nothing tells what has arrived there", false}
	completeMultipart = action{"complete the multipart upload", "s3:PutObject", "", true}
	conditionalEnd    = action{"complete the multipart upload", "s3:PutObject", noConditions, true}
	abortMultipart    = action{"abort the multipart upload", "s3:AbortMultipartUpload", "", false}
	listMultiparts    = action{"list multipart uploads", "s3:ListBucketMultipartUploads", "what others have begun can't be found there", false}
	copyPart          = action{"join a piece to the upload", "s3:PutObject and s3:GetObject", "", true}
	listObjects       = action{"list objects", "s3:ListBucket", "", false}
	removeObject      = action{"remove an object", "s3:DeleteObject", "", false}
	getObject         = action{"read an object", "s3:GetObject", "", false}
	headObject        = action{"look at the object", "s3:GetObject", "", false}
)

// call makes one request and explains its error. Whatever do returns of S3's
// client passes through here.
func (b *Bucket) call(ctx context.Context, a action, do func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	x := &exchange{}
	sending, cancel := x.begin(ctx, a)
	err := do(sending)
	cancel() // after an early answer the transport would go on
	if x.sent != nil {
		<-x.sent
	}
	if err == nil && x.html { // a success, but of what?
		err = errNoS3
	}
	if err != nil {
		return b.failure(ctx, a, x, err)
	}
	return nil
}

// transport returns what makes the requests, and sets what Close does.
func (b *Bucket) transport() http.RoundTripper {
	next := b.opts.Transport
	if next == nil {
		next = transport.New(b.mem, &tls.Config{RootCAs: b.opts.RootCAs})
	}
	b.close = func() {}
	if t, ok := next.(interface{ CloseIdleConnections() }); ok {
		b.close = t.CloseIdleConnections
	}
	return observer{next}
}
