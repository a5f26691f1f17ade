package server_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/store"
)

// So many bodies come to their end at once, and the others wait their turn; who
// takes over one that waits doesn't.
func TestBodiesEndInTurn(t *testing.T) {
	r := serve(t, 100<<20, server.Options{})
	finishing, goOn := make(chan string, 10), make(chan struct{})
	r.server.LimitEndings(1)
	r.server.OnLifecycle(func(list string, info store.Info) error {
		if list == "finishing" {
			finishing <- info.ID
			<-goOn
		}
		return nil
	})
	var uploads []string
	var conns []net.Conn
	for range 3 {
		upload := r.create("Upload-Length", "10")
		uploads, conns = append(uploads, upload), append(conns, r.half(upload, 10, "01234"))
	}
	for r.server.InFlight() != len(conns) {
		time.Sleep(time.Millisecond)
	}
	for _, c := range conns {
		_, err := c.Write([]byte("56789"))
		r.must(err)
	}
	first := <-finishing
	select {
	case id := <-finishing:
		r.Errorf("%s ends beside %s", id, first)
	case <-time.After(100 * time.Millisecond):
	}
	waiting := 0
	for strings.HasSuffix(uploads[waiting], first) {
		waiting++
	}
	answered := make(chan string, 1)
	go func() { answered <- r.offset(uploads[waiting]) }()
	if id := <-finishing; !strings.HasSuffix(uploads[waiting], id) {
		r.Errorf("%s ends, and not the one that was taken over", id)
	}
	close(goOn)
	if got := <-answered; got != "10" {
		r.Errorf("the offset is %s", got)
	}
	for i, c := range conns {
		resp, text := r.answer(c)
		if resp.StatusCode != http.StatusNoContent && (i != waiting || resp.StatusCode != http.StatusConflict) {
			r.Errorf("%s %s", resp.Status, text)
		}
		if got := string(r.content(uploads[i])); got != "0123456789" {
			r.Errorf("stored %q", got)
		}
	}
}

// TestNobodyEnds: who has a place may wait for what somebody holds who waits for one,
// as memory.
func TestNobodyEnds(t *testing.T) {
	r := serve(t, 100<<20, server.Options{MemoryTimeout: 50 * time.Millisecond})
	second := make(chan struct{})
	var finishing atomic.Int32
	r.server.LimitEndings(1)
	r.server.OnLifecycle(func(list string, _ store.Info) error {
		if list == "finishing" && finishing.Add(1) == 2 {
			close(second)
		}
		if list == "finishing" {
			<-second
		}
		return nil
	})
	var conns []net.Conn
	for range 2 {
		conns = append(conns, r.half(r.create("Upload-Length", "10"), 10, "01234"))
	}
	for r.server.InFlight() != len(conns) {
		time.Sleep(time.Millisecond)
	}
	for _, c := range conns {
		_, err := c.Write([]byte("56789"))
		r.must(err)
	}
	for _, c := range conns {
		if resp, text := r.answer(c); resp.StatusCode != http.StatusNoContent {
			r.Errorf("%s %s", resp.Status, text)
		}
	}
}

// TestPipelinedEndings: the next request on the connection comes while a body ends.
func TestPipelinedEndings(t *testing.T) {
	const n = 300
	r := serve(t, 100<<20, server.Options{})
	upload := r.create("Upload-Length", strconv.Itoa(n))
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	r.must(err)
	defer c.Close()
	pad := strings.Repeat("x", 2000)
	written := make(chan error, 1)
	go func() {
		for i := range n {
			_, err := fmt.Fprintf(c, "PATCH %s HTTP/1.1\r\nHost: x\r\nX-Pad: %s\r\nTus-Resumable: 1.0.0\r\nContent-Type: %s\r\nUpload-Offset: %d\r\nContent-Length: 1\r\n\r\nx",
				upload, pad[:i*7%2000], tus.ContentType, i)
			if err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	answers := bufio.NewReader(c)
	for i := range n {
		resp, err := http.ReadResponse(answers, &http.Request{Method: "PATCH"})
		r.must(err)
		if resp.StatusCode != http.StatusNoContent {
			t.Fatalf("%d: %s", i, resp.Status)
		}
	}
	r.must(<-written)
	if left := r.server.Endings(); left != 0 {
		t.Errorf("%d places weren't given back", left)
	}
}
