package s3store_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/streamflow/streamflow/internal/s3test"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/s3store"
)

// An object under a legal hold stays as it is, and what was sent stays for an
// attempt after that is lifted.
func TestLockedObject(t *testing.T) {
	const content = "evidence"
	gateway := s3test.Start(t, false)
	client, err := minio.New(strings.TrimPrefix(gateway.Endpoint, "http://"), &minio.Options{
		Creds:  credentials.NewStaticV4(s3test.AccessKey, s3test.SecretKey, ""),
		Region: s3test.Region,
	})
	check(t, err)
	check(t, client.MakeBucket(t.Context(), "locked", minio.MakeBucketOptions{ObjectLocking: true}))
	opts := gateway.Options(t)
	st, err := s3store.Open("locked", "", newMemory(t), &opts)
	check(t, err)
	defer func() { check(t, st.Close()) }()
	spec := store.Spec{Name: "x", Length: int64(len(content))}
	info, err := st.Put(t.Context(), spec, strings.NewReader(content), store.Sum{})
	check(t, err)
	held, released := minio.LegalHoldEnabled, minio.LegalHoldDisabled
	check(t, client.PutObjectLegalHold(t.Context(), "locked", "x", minio.PutObjectLegalHoldOptions{Status: &held}))

	denied := func(err error) {
		t.Helper()
		wants(t, err, store.ErrDenied)
		if !strings.Contains(err.Error(), "access denied: the object is locked by a legal hold: take another name") {
			t.Errorf("error is %v, and doesn't say that it is locked", err)
		}
	}
	_, err = st.Put(t.Context(), spec, strings.NewReader("tampered"), store.Sum{})
	denied(err)
	u, _, err := st.Create(t.Context(), spec)
	check(t, err)
	_, err = u.Write(t.Context(), 0, strings.NewReader("tampered"), spec.Length)
	check(t, err)
	_, err = u.Finish(t.Context(), store.Sum{})
	denied(err)
	got, err := os.ReadFile(gateway.Path(t, info.Location))
	check(t, err)
	if !bytes.Equal(got, []byte(content)) {
		t.Errorf("the object is %q", got)
	}

	check(t, client.PutObjectLegalHold(t.Context(), "locked", "x", minio.PutObjectLegalHoldOptions{Status: &released}))
	_, err = u.Finish(t.Context(), store.Sum{})
	check(t, err)
}
