package clusterstore_test

import (
	"bytes"
	"fmt"
	"iter"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/streamflow/streamflow/internal/s3test"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/clusterstore"
)

// A counter counts requests: those that change something, those that read, and
// DELETEs, which cost nothing.
type counter struct {
	next http.RoundTripper

	mu                     sync.Mutex
	writes, reads, deletes int
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		c.reads++
	case http.MethodDelete:
		c.deletes++
	default:
		c.writes++
	}
	c.mu.Unlock()
	return c.next.RoundTrip(r)
}

// take returns what there was since the last take.
func (c *counter) take() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := fmt.Sprintf("%d writes, %d reads, %d deletes", c.writes, c.reads, c.deletes)
	c.writes, c.reads, c.deletes = 0, 0, 0
	return text
}

// TestRequests counts those that docs/design/s3.md has, for what a server does.
func TestRequests(t *testing.T) {
	gateway := s3test.Start(t, false)
	bucket := newBucket(t, gateway)
	mem := newMemory(t, 64<<20)
	node := func() (*clusterstore.Store, *counter) {
		c := &counter{next: newTransport(t, mem)}
		return openOver(t, gateway, bucket, mem, c), c
	}
	st, count := node()
	expect := func(what, want string) {
		t.Helper()
		if got := count.take(); got != want {
			t.Errorf("%s took %s, want %s", what, got, want)
		} else {
			t.Logf("%s: %s", what, got)
		}
	}
	begin := func(spec store.Spec) string {
		_, info, err := st.Create(t.Context(), spec)
		check(t, err)
		return info.ID
	}
	create := func(length int64) string { return begin(store.Spec{Length: length}) }
	// patch is what the server does for a PATCH.
	patch := func(id string, data []byte) store.Upload {
		u, info, err := st.Open(t.Context(), id)
		check(t, err)
		_, err = u.Write(t.Context(), info.Offset, bytes.NewReader(data), int64(len(data)))
		check(t, err)
		_, err = u.Info(t.Context())
		check(t, err)
		return u
	}

	small := create(20)
	expect("create", "1 writes, 0 reads, 0 deletes")
	patch(small, []byte("0123456789"))
	expect("a small body", "2 writes, 2 reads, 0 deletes")
	u := patch(small, []byte("0123456789"))
	expect("a second one, joined", "2 writes, 3 reads, 1 deletes")
	_, err := u.Finish(t.Context(), store.Sum{})
	check(t, err)
	expect("finish of less than 5 MiB", "2 writes, 1 reads, 2 deletes")

	large := create(48 * mib)
	count.take()
	patch(large, random(24*mib))
	expect("24 MiB, the first", "5 writes, 2 reads, 0 deletes")
	u = patch(large, random(24*mib))
	expect("24 MiB more", "4 writes, 2 reads, 0 deletes")
	_, err = u.Finish(t.Context(), store.Sum{})
	check(t, err)
	expect("finish", "2 writes, 1 reads, 1 deletes")

	hopping := create(48 * mib)
	count.take()
	patch(hopping, random(24*mib))
	count.take()
	st, count = node()
	u = patch(hopping, random(24*mib))
	expect("24 MiB at another node", "6 writes, 2 reads, 0 deletes")
	_, err = u.Finish(t.Context(), store.Sum{})
	check(t, err)
	expect("finish after a takeover", "4 writes, 2 reads, 2 deletes")

	readable := begin(store.Spec{Length: 24 * mib, Readable: true})
	count.take()
	u = patch(readable, random(24*mib))
	expect("24 MiB to be read before they are finished", "5 writes, 2 reads, 0 deletes")
	read := func() {
		r, _, err := st.OpenReader(t.Context(), readable)
		check(t, err)
		check(t, r.Close())
	}
	read()
	expect("to open them for reading", "1 writes, 3 reads, 0 deletes")
	read()
	expect("to open them again", "0 writes, 2 reads, 0 deletes")
	_, err = u.Finish(t.Context(), store.Sum{})
	check(t, err)
	expect("finish of what was read", "4 writes, 2 reads, 2 deletes")

	for _, err := range st.Unfinished(t.Context(), time.Time{}) {
		check(t, err)
	}
	expect("a list of no unfinished uploads", "0 writes, 1 reads, 0 deletes")
	for _, err := range st.Finished(t.Context(), time.Time{}) {
		check(t, err)
	}
	expect("a list of four finished ones", "0 writes, 9 reads, 0 deletes")
	create(10)
	count.take()
	old := time.Now().Add(-time.Hour)
	for _, list := range []iter.Seq2[store.Info, error]{st.Unfinished(t.Context(), old), st.Finished(t.Context(), old)} {
		for info, err := range list {
			check(t, err)
			t.Errorf("%s isn't old", info.ID)
		}
	}
	expect("lists of what is old", "0 writes, 2 reads, 0 deletes")
}

// A tail whose sum isn't known at its beginning takes more memory for its request.
// Where there is none, it is stored as it is held.
func TestTailWithoutMemory(t *testing.T) {
	const size = 1 << 20
	for name, c := range map[string]struct {
		limit int64
		many  bool // more requests than one for the bytes and one for the state
	}{"room": {4 << 20, false}, "no room": {400 << 10, true}} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 0)
			mem := newMemory(t, c.limit)
			count := &counter{next: newTransport(t, mem)}
			f.nodes = append(f.nodes, openOver(t, f.gateway, f.bucket, mem, count))
			data := random(size)
			u, _ := f.begin(0, size)
			count.take()
			f.write(u, 0, data)
			count.mu.Lock()
			many := count.writes > 2
			count.mu.Unlock()
			if many != c.many {
				t.Errorf("many requests were made: %v, want %v", many, c.many)
			}
			f.only(f.finish(u, data))
		})
	}
}
