package main

import (
	"bytes"
	"math/rand/v2"
	"net/http/httptest"
	"testing"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/internal/checksum"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store/s3store"
)

// TestClientsBelieveTheSink sends what takes every call that the figures count:
// one request, parts, and pieces that are composed. Our client compares the
// checksum of the whole with what the sink made of the parts'.
func TestClientsBelieveTheSink(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "any")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "any")
	const unit = 5 << 20
	for name, test := range map[string]struct {
		size     int
		maxParts int
		calls    map[string]int64
	}{
		"small": {1000, 10_000, map[string]int64{"PutObject": 1}},
		"parts": {2*unit + 1, 10_000, map[string]int64{"UploadPart": 3, "CompleteMultipartUpload": 1}},
		// Of four parts two are units and two are pieces of four units each.
		"composed": {10 * unit, 4, map[string]int64{"UploadPart": 10, "UploadPartCopy": 2}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSink(0)
			server := httptest.NewServer(s)
			defer server.Close()
			budget, err := memory.New(nil)
			if err != nil {
				t.Fatal(err)
			}
			st, err := s3store.Open("bucket", "", budget, &s3store.Options{
				Endpoint: server.URL, Region: "us-east-1", MaxParts: test.maxParts,
			})
			if err != nil {
				t.Fatal(err)
			}
			data := make([]byte, test.size)
			_, _ = rand.NewChaCha8([32]byte{}).Read(data)
			m, err := streamflow.New(st, &streamflow.Options{Memory: budget})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			u, err := m.Upload(t.Context(), streamflow.Stream("key", bytes.NewReader(data)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := u.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := s.objects["/bucket/key"]
			if want := (sum{checksum.Update(0, data), true}); got.size != int64(test.size) || got.sum != want {
				t.Errorf("the sink has %d bytes of sum %v, want %d of %v", got.size, got.sum, test.size, want)
			}
			for call, want := range test.calls {
				if got := s.counts[call]; got < want {
					t.Errorf("%s was called %d times, want %d", call, got, want)
				}
			}
		})
	}
}
