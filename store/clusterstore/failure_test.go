package clusterstore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/streamflow/streamflow/internal/s3test"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/clusterstore"
	"github.com/streamflow/streamflow/store/storetest"
)

// A trouble is a service that answers one kind of request wrongly, for as long as
// it is there.
type trouble struct {
	request     string // see kindOf
	spared      int    // so many of them are answered well at first
	status      int
	contentType string
	etag        string
	body        string
	carriedOut  bool   // the request, whose answer is cut off
	lost        func() // runs when it was carried out, once, and there is no answer
}

// troubled is a transport with trouble now and then.
type troubled struct {
	next http.RoundTripper

	mu  sync.Mutex
	now *trouble
	met int
}

func (t *troubled) set(now *trouble) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now, t.met = now, 0
}

func (t *troubled) RoundTrip(r *http.Request) (*http.Response, error) {
	t.mu.Lock()
	now := t.now
	if now != nil && kindOf(r) == now.request {
		t.met++
	}
	if now != nil && (kindOf(r) != now.request || t.met <= now.spared) {
		now = nil
	}
	t.mu.Unlock()
	if now == nil || now.carriedOut || now.lost != nil {
		resp, err := t.next.RoundTrip(r)
		if now != nil && now.lost != nil && err == nil {
			t.set(nil)
			now.lost()
			return nil, errors.Join(errors.New("the connection broke"), resp.Body.Close())
		}
		if now != nil && err == nil {
			resp.Body = struct {
				io.Reader
				io.Closer
			}{io.LimitReader(resp.Body, 60), resp.Body}
		}
		return resp, err
	}
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	return &http.Response{
		StatusCode: now.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header:        http.Header{"Content-Type": {now.contentType}, "Etag": {now.etag}, "Retry-After": {"7"}},
		ContentLength: int64(len(now.body)), Body: io.NopCloser(strings.NewReader(now.body)),
	}, nil
}

// kindOf says what a request is of: "PUT part", "POST multipart", "GET state".
func kindOf(r *http.Request) string {
	query := r.URL.Query()
	switch {
	case query.Has("partNumber"):
		return r.Method + " part"
	case query.Has("uploads"), query.Has("uploadId"):
		return r.Method + " multipart"
	case strings.Contains(r.URL.Path, ".streamflow/uploads/"):
		return r.Method + " state"
	case strings.Contains(r.URL.Path, ".streamflow/data/"):
		return r.Method + " data"
	}
	return r.Method + " object"
}

func refusal(code string) string {
	return "<Error><Code>" + code + "</Code><Message>no</Message><Region>elsewhere</Region></Error>"
}

// openTroubled returns a node, and what makes its trouble.
func openTroubled(t *testing.T, g *s3test.Gateway, bucket string, mem *memory.Manager) (*clusterstore.Store, *troubled) {
	t.Helper()
	tr := &troubled{next: newTransport(t, mem)}
	return openOver(t, g, bucket, mem, tr), tr
}

// TestTrouble: whatever the service answers, who uploads is told neither that the
// upload isn't there nor that it may not, and goes on when it is over.
func TestTrouble(t *testing.T) {
	const half = 5 * mib
	f := newFleet(t, 0)
	requests := []string{"PUT part", "PUT state", "GET state", "POST multipart", "HEAD object", "DELETE state"}
	for name, what := range map[string]trouble{
		"no permission":  {status: 403, contentType: "application/xml", body: refusal("AccessDenied")},
		"no bucket":      {status: 404, contentType: "application/xml", body: refusal("NoSuchBucket")},
		"another region": {status: 400, contentType: "application/xml", body: refusal("AuthorizationHeaderMalformed")},
		"not S3's":       {status: 200, contentType: "text/html", body: "<html>Welcome</html>"},
		"slow down":      {status: 503, contentType: "application/xml", body: refusal("SlowDown")},
		"cut off":        {carriedOut: true},
	} {
		for _, request := range requests {
			if what.carriedOut && request != "POST multipart" && request != "GET state" {
				continue // their answers have no body
			}
			t.Run(name+"/"+request, func(t *testing.T) {
				f := &fleet{T: t, gateway: f.gateway, bucket: newBucket(t, f.gateway), mem: f.mem}
				st, tr := openTroubled(t, f.gateway, f.bucket, f.mem)
				f.nodes = append(f.nodes, st)
				f.join()
				data := random(2*half + 100)
				u, info := f.begin(0, int64(len(data)))
				f.write(u, 0, data[:half])

				bad := what
				bad.request = request
				tr.set(&bad)
				blameless(t, f.lifeOf(info.ID, data))
				tr.mu.Lock()
				met := tr.met
				tr.mu.Unlock()
				if met == 0 {
					t.Errorf("no request met it")
				}
				tr.set(nil)

				for node := 1; node >= 0; node-- {
					u, info = f.take(node, info.ID)
					if info.Complete {
						break
					}
					if info.Offset < half {
						t.Fatalf("the offset is %d, and %d bytes were acknowledged", info.Offset, half)
					}
					end := min(info.Offset+half, info.Length)
					f.write(u, info.Offset, data[info.Offset:end])
				}
				info = f.finish(u, data)
				_, err := st.RemoveOrphans(t.Context(), info.ModifiedAt.AddDate(1, 0, 0))
				check(t, err)
				f.only(info)
			})
		}
	}
}

// lifeOf does what a server does, to the end or the first error.
func (f *fleet) lifeOf(id string, data []byte) error {
	u, info, err := f.nodes[0].Open(f.Context(), id)
	if err != nil {
		return err
	}
	for _, end := range []int{len(data) - 100, len(data)} {
		n, err := u.Write(f.Context(), info.Offset, bytes.NewReader(data[info.Offset:end]), int64(end)-info.Offset)
		info.Offset += n
		if err != nil {
			return err
		}
	}
	_, err = u.Finish(f.Context(), store.Sum{})
	return err
}

// TestLongBody: the memory for a list of parts that grows is taken on the way.
func TestLongBody(t *testing.T) {
	const size = 3 << 30
	f := newFleet(t, 0)
	st, tr := openTroubled(t, f.gateway, f.bucket, f.mem)
	f.nodes = append(f.nodes, st)
	u, _ := f.begin(0, size)
	tr.set(&trouble{request: "PUT part", status: 200, etag: `"1"`})
	if n, err := u.Write(t.Context(), 0, io.LimitReader(zeros{}, size), size); n != size || err != nil {
		t.Errorf("%d bytes are acknowledged, %v", n, err)
	}
	tr.set(nil)
	check(t, u.Abort(t.Context()))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestLostAnswer: a state is written, but its writer doesn't hear of it before another
// node takes the upload over. What that state names stays.
func TestLostAnswer(t *testing.T) {
	for name, size := range map[string]int{"tails": 1000, "parts": 6 * mib} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 0)
			st, tr := openTroubled(t, f.gateway, f.bucket, f.mem)
			f.nodes = append(f.nodes, st)
			f.join()
			data := random(2 * size)
			u, info := f.begin(0, int64(len(data)))
			tr.set(&trouble{request: "PUT state", lost: func() { _, info = f.take(1, info.ID) }})
			_, err := u.Write(t.Context(), 0, bytes.NewReader(data[:size]), int64(size))
			wants(t, err, store.ErrSuperseded)
			if info.Offset != int64(size) {
				t.Fatalf("the other node found %d bytes", info.Offset)
			}
			u, info = f.take(1, info.ID)
			f.write(u, info.Offset, data[size:])
			f.only(f.finish(u, data))
		})
	}
}

// TestHalfCopied: a body of unknown size has left tails when its first part makes a
// run of the runs before it, and S3 copies one of those but not the next. What is
// acknowledged then includes both.
func TestHalfCopied(t *testing.T) {
	f := newFleet(t, 0)
	st, tr := openTroubled(t, f.gateway, f.bucket, newMemory(t, 2<<20))
	f.nodes = append(f.nodes, st)
	f.join()
	sizes := []int{6 * mib, 16 * mib, 6 * mib}
	data := random(40 * mib)
	_, info := f.begin(0, int64(len(data)))
	for i, n := range sizes { // each is a run, as another node begins it
		var u store.Upload
		u, info = f.take(i%2, info.ID)
		f.write(u, info.Offset, data[info.Offset:][:n])
	}
	f.take(1, info.ID)
	u, info := f.take(0, info.ID)
	tr.set(&trouble{request: "PUT part", spared: 1, status: 500, contentType: "application/xml", body: refusal("InternalError")})
	n, err := u.Write(t.Context(), info.Offset, bytes.NewReader(data[info.Offset:]), store.UnknownLength)
	if n == 0 || !isTransient(err) {
		t.Fatalf("%d bytes are acknowledged, %v", n, err)
	}
	tr.set(nil)
	u, now := f.take(1, info.ID)
	if now.Offset != info.Offset+n {
		t.Fatalf("%d bytes were acknowledged from %d, then the offset is %d", n, info.Offset, now.Offset)
	}
	f.write(u, now.Offset, data[now.Offset:])
	f.only(f.finish(u, data))
}

// blameless fails the test where a client would give its upload up.
func blameless(t *testing.T, err error) {
	t.Helper()
	for _, blame := range []error{
		store.ErrNotFound, store.ErrGone, store.ErrDenied, store.ErrInvalid, store.ErrUnsupported,
		store.ErrRateLimited, store.ErrChecksum, store.ErrTooLarge, store.ErrExists, store.ErrSuperseded,
	} {
		if errors.Is(err, blame) {
			t.Errorf("error is %v, which is %v", err, blame)
		}
	}
	if err != nil {
		t.Log(err)
	}
}

// TestProbe: what can't work is told before anything is taken, and nothing is left.
func TestProbe(t *testing.T) {
	gateway := s3test.Start(t, false)
	bucket, mem := newBucket(t, gateway), newMemory(t, 64<<20)
	st, tr := openTroubled(t, gateway, bucket, mem)
	check(t, st.Probe(t.Context()))
	f := &fleet{T: t, gateway: gateway, bucket: bucket, mem: mem}
	f.only()
	denied := trouble{status: 403, contentType: "application/xml", body: refusal("AccessDenied")}
	for name, c := range map[string]struct {
		request string
		trouble
		want error
		says string
	}{
		"may not write":   {"PUT data", denied, store.ErrDenied, "s3:PutObject"},
		"may not read":    {"GET data", denied, store.ErrDenied, "s3:GetObject"},
		"may not look":    {"HEAD data", denied, store.ErrDenied, "s3:GetObject"},
		"may not list":    {"GET object", denied, store.ErrDenied, "s3:ListBucket"},
		"may not list it": {"GET multipart", denied, store.ErrDenied, "s3:ListBucketMultipartUploads"},
		"may not abort":   {"DELETE multipart", denied, store.ErrDenied, "s3:AbortMultipartUpload"},
		"may not remove":  {"DELETE data", denied, store.ErrDenied, "s3:DeleteObject"},
		"no list":         {"GET multipart", trouble{status: 501, contentType: "application/xml", body: refusal("NotImplemented")}, store.ErrUnsupported, "would stay forever"},
		"no bucket":       {"PUT data", trouble{status: 404, contentType: "application/xml", body: refusal("NoSuchBucket")}, store.ErrNotFound, "there is no bucket"},
		"another region":  {"PUT data", trouble{status: 400, contentType: "application/xml", body: refusal("AuthorizationHeaderMalformed")}, store.ErrInvalid, "is in region elsewhere"},
		"a web page":      {"PUT data", trouble{status: 200, contentType: "text/html", body: "<html>"}, store.ErrUnsupported, "check the endpoint"},
		"no conditions":   {"PUT data", trouble{status: 200, etag: `"1"`}, store.ErrUnsupported, "would lose acknowledged bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := c.trouble
			bad.request = c.request
			tr.set(&bad)
			err := st.Probe(t.Context())
			wants(t, err, c.want)
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("error is %v, and doesn't say %q", err, c.says)
			}
		})
	}
	// What those left that couldn't remove it is found later.
	tr.set(nil)
	_, err := st.RemoveOrphans(t.Context(), time.Now().Add(time.Hour))
	check(t, err)
	f.only()
}

// TestTroubleInFullMemory: a part breaks while somebody else waits for the memory that
// its Write has.
func TestTroubleInFullMemory(t *testing.T) {
	const size = 9 * mib
	f := newFleet(t, 0)
	st, tr := openTroubled(t, f.gateway, f.bucket, f.mem)
	f.nodes = append(f.nodes, st)
	u, _ := f.begin(0, size)
	release := func() {}
	tr.set(&trouble{request: "PUT part", lost: func() { release = storetest.Crowd(t, f.mem) }})
	written := make(chan error, 1)
	go func() {
		_, err := u.Write(t.Context(), 0, io.LimitReader(zeros{}, size), size)
		written <- err
	}()
	select {
	case err := <-written:
		if _, ok := errors.AsType[*store.TransientError](err); !ok {
			t.Errorf("the error is %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("Write waits for memory while it holds some")
		defer func() { t.Log(<-written) }()
	}
	release()
}

// A questioner calls ask once some of it was read.
type questioner struct {
	io.Reader
	ask func()
}

func (q *questioner) Read(p []byte) (int, error) {
	n, err := q.Reader.Read(p)
	if q.ask != nil && len(p) > 4096 { // what comes first is read before there is memory
		q.ask()
		q.ask = nil
	}
	return n, err
}

// TestInfoInFullMemory: whose body asks how far it is, and whose Write holds memory that
// somebody else waits for, must not wait for that.
func TestInfoInFullMemory(t *testing.T) {
	const size = 1 * mib
	f := newFleet(t, 1)
	u, _ := f.begin(0, size)
	_, err := u.Write(t.Context(), 0, &questioner{io.LimitReader(zeros{}, size), func() {
		release := storetest.Crowd(t, f.mem)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := u.Info(ctx)
		if !errors.Is(err, memory.ErrFull) {
			t.Errorf("Info says %v", err)
		}
		release()
	}}, size)
	check(t, err)
}
