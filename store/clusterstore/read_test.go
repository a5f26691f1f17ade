package clusterstore_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/clusterstore"
)

// TestCompletedElsewhere: a service says of a run that it is complete, while another
// node's request is still at it. Its bytes aren't there yet, which passes.
func TestCompletedElsewhere(t *testing.T) {
	f := newFleet(t, 0)
	st, tr := openTroubled(t, f.gateway, f.bucket, f.mem)
	f.nodes = append(f.nodes, st)
	data := random(6 * mib)
	u, info, err := st.Create(t.Context(), store.Spec{Length: int64(len(data)), Readable: true})
	check(t, err)
	f.write(u, 0, data)
	const completed = `<CompleteMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>x</Bucket></CompleteMultipartUploadResult>`
	tr.set(&trouble{request: "POST multipart", status: 200, contentType: "application/xml", body: completed})
	_, _, err = st.OpenReader(t.Context(), info.ID)
	blameless(t, err)
	if !isTransient(err) {
		t.Errorf("error is %v", err)
	}
	tr.set(nil)
	f.reads(st, info.ID, data)
	f.only(f.finish(u, data))
}

// TestFinishedMeanwhile: another node finishes an upload while it is opened to be read.
func TestFinishedMeanwhile(t *testing.T) {
	f := newFleet(t, 1)
	data := random(6 * mib)
	u, info, err := f.nodes[0].Create(t.Context(), store.Spec{Length: int64(len(data)), Readable: true})
	check(t, err)
	f.write(u, 0, data)
	next := newTransport(t, f.mem)
	reading := openOver(t, f.gateway, f.bucket, f.mem, transportFunc(func(r *http.Request) (*http.Response, error) {
		if kindOf(r) == "HEAD data" {
			f.finish(u, data)
		}
		return next.RoundTrip(r)
	}))
	f.reads(reading, info.ID, data)
}

// TestFinishCutOff: who reads finds the bytes of an upload whose Finish was cut off
// once it had removed what its state still names.
func TestFinishCutOff(t *testing.T) {
	for name, size := range map[string]int{"tail": 1000, "run": 6 * mib} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 1)
			st, tr := openTroubled(t, f.gateway, f.bucket, f.mem)
			data := random(size)
			u, info, err := st.Create(t.Context(), store.Spec{Length: int64(size), Readable: true})
			check(t, err)
			f.write(u, 0, data)
			opened, _, err := f.nodes[0].OpenReader(t.Context(), info.ID)
			check(t, err)
			tr.set(&trouble{request: "DELETE state", status: 500, contentType: "application/xml", body: refusal("InternalError")})
			if _, err := u.Finish(t.Context(), store.Sum{}); !isTransient(err) {
				t.Fatalf("error is %v", err)
			}
			tr.set(nil)
			f.readsFrom(opened, data)
			f.reads(f.nodes[0], info.ID, data)
			f.only(f.finish(u, data))
		})
	}
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (f *fleet) reads(st *clusterstore.Store, id string, want []byte) {
	f.Helper()
	r, _, err := st.OpenReader(f.Context(), id)
	check(f.T, err)
	f.readsFrom(r, want)
}

func (f *fleet) readsFrom(r io.ReadCloser, want []byte) {
	f.Helper()
	got, err := io.ReadAll(r)
	check(f.T, errors.Join(err, r.Close()))
	if !bytes.Equal(got, want) {
		f.Fatalf("%d bytes were read, and aren't the %d that were sent", len(got), len(want))
	}
}
