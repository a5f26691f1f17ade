package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// A balancer gives each request to the next node, whatever it is for. It holds
// nothing: a request whose node goes away is answered 502.
type balancer struct {
	url    string
	server *http.Server
	done   chan struct{} // closed when it serves no more

	mu    sync.Mutex
	nodes []*behind // nil for one that is away
	next  int
}

// behind is a node behind a balancer.
type behind struct {
	proxy *httputil.ReverseProxy
	away  context.Context // ends when the node goes away
	leave context.CancelFunc
}

func startBalancer(ctx context.Context, nodes int) (*balancer, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the balancer: %w", err)
	}
	l := &balancer{
		url: "http://" + listener.Addr().String() + "/files/", done: make(chan struct{}),
		nodes: make([]*behind, nodes),
	}
	l.server = &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n := l.pick()
			if n == nil {
				http.Error(w, "no node is there", http.StatusServiceUnavailable)
				return
			}
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(n.away, cancel)()
			n.proxy.ServeHTTP(w, r.WithContext(ctx))
		}),
	}
	go func() {
		defer close(l.done)
		_ = l.server.Serve(listener)
	}()
	return l, nil
}

// pick returns the next node that is there, or nil.
func (l *balancer) pick() *behind {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range l.nodes {
		n := l.nodes[l.next%len(l.nodes)]
		l.next++
		if n != nil {
			return n
		}
	}
	return nil
}

// join has a node take requests.
func (l *balancer) join(node int, at string) error {
	to, err := url.Parse(at)
	if err != nil {
		return fmt.Errorf("read a node's URL: %w", err)
	}
	n := &behind{proxy: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = to.Scheme, to.Host, r.In.Host
		},
		FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusBadGateway)
		},
	}}
	n.away, n.leave = context.WithCancel(context.Background())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nodes[node] = n
	return nil
}

// leave ends the requests of a node and gives it no more.
func (l *balancer) leave(node int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.nodes[node]; n != nil {
		n.leave()
		l.nodes[node] = nil
	}
}

func (l *balancer) close() {
	for i := range l.nodes {
		l.leave(i)
	}
	_ = l.server.Close()
	<-l.done
}
