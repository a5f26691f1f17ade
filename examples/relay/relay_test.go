package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/internal/s3test"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store/s3store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const budgetBytes = 24 << 20

// start returns the URL of a relay, the directory of its bucket, and its budget.
func start(t *testing.T) (string, string, *memory.Manager) {
	t.Helper()
	gateway := s3test.Start(t, false)
	name, err := gateway.NewBucket()
	check(t, err)
	budget, err := memory.New(&memory.Options{Limit: budgetBytes})
	check(t, err)
	opts := gateway.Options(t)
	bucket, err := s3store.Open(name, "", budget, &opts)
	check(t, err)
	uploads, err := streamflow.New(bucket, &streamflow.Options{Memory: budget, Streams: 2})
	check(t, err)
	relay := newRelay(uploads)
	srv := httptest.NewServer(relay)
	t.Cleanup(func() {
		srv.Close()
		relay.close()
		check(t, uploads.Close())
		check(t, bucket.Close())
		check(t, budget.Close())
	})
	return srv.URL, filepath.Join(gateway.Dir, name), budget
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// put returns the status of a PUT.
func put(t *testing.T, url string, body io.Reader) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, body)
	if err != nil {
		t.Error(err)
		return 0
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func content(seed byte, n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(p)
	return p
}

// Together the bodies are several times the budget, and it holds.
func TestManyShareTheBudget(t *testing.T) {
	url, dir, budget := start(t)
	var requests sync.WaitGroup
	for i := range byte(8) {
		requests.Go(func() {
			name := fmt.Sprintf("/some/%d.bin", i)
			// A server that is short of memory says so, and the client comes again.
			for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
				status := put(t, url+name, bytes.NewReader(content(i, 12<<20)))
				if status == http.StatusCreated {
					break
				}
				if status != http.StatusServiceUnavailable || time.Now().After(deadline) {
					t.Errorf("%s: status %d", name, status)
					return
				}
			}
			got, err := os.ReadFile(dir + name)
			check(t, err)
			if !bytes.Equal(got, content(i, 12<<20)) {
				t.Errorf("%s: %d other bytes arrived", name, len(got))
			}
		})
	}
	requests.Wait()
	if peak := budget.Stats().Peak; peak > budgetBytes {
		t.Errorf("%d bytes were held", peak)
	}
}

// One's own buffers count, too: what fills the budget has requests sent away.
func TestFull(t *testing.T) {
	url, _, budget := start(t)
	// All but what the bucket keeps for one request.
	own, err := budget.Reserve(t.Context(), "thumbnails", budgetBytes*5/6, budgetBytes/8)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return put(t, url+"/x", strings.NewReader("x")) == http.StatusServiceUnavailable })
	check(t, own.Release())
	eventually(t, func() bool { return put(t, url+"/x", strings.NewReader("x")) == http.StatusCreated })
}

func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}

// A body that breaks off in the middle of its upload leaves nothing.
func TestBreaksOff(t *testing.T) {
	url, dir, _ := start(t)
	multiparts, objects := dir+"/.sgwtmp/multipart/*/*", dir+"/[^.]*"
	body, source := io.Pipe()
	var request sync.WaitGroup
	request.Go(func() { put(t, url+"/cut.bin", body) })
	_, err := source.Write(content(1, 6<<20))
	check(t, err)
	eventually(t, func() bool { return len(found(t, multiparts)) > 0 })
	check(t, source.CloseWithError(io.ErrClosedPipe))
	request.Wait()
	eventually(t, func() bool { return len(found(t, multiparts)) == 0 })
	if there := found(t, objects); len(there) > 0 {
		t.Errorf("%v is there", there)
	}
}

func found(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	check(t, err)
	return paths
}

func TestNoName(t *testing.T) {
	url, _, _ := start(t)
	if status := put(t, url+"/", strings.NewReader("x")); status != http.StatusBadRequest {
		t.Errorf("the status is %d", status)
	}
}
