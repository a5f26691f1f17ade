package main

import (
	"context"
	"errors"
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
	nodes []*behind
	next  int
}

// behind is a node behind a balancer.
type behind struct {
	url     *url.URL
	away    context.Context // ends when the node goes away
	leave   context.CancelFunc
	present bool
}

func startBalancer(ctx context.Context, nodes int) (*balancer, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the balancer: %w", err)
	}
	l := &balancer{url: "http://" + listener.Addr().String() + "/files/", done: make(chan struct{})}
	for range nodes {
		l.nodes = append(l.nodes, &behind{})
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			to, _ := r.In.Context().Value(behindKey{}).(*url.URL)
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = to.Scheme, to.Host, r.In.Host
		},
		FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	l.server = &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			to, away, err := l.pick()
			if err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
			ctx, cancel := context.WithCancel(context.WithValue(r.Context(), behindKey{}, to))
			defer cancel()
			defer context.AfterFunc(away, cancel)()
			proxy.ServeHTTP(w, r.WithContext(ctx))
		}),
	}
	go func() {
		defer close(l.done)
		_ = l.server.Serve(listener)
	}()
	return l, nil
}

type behindKey struct{}

// pick returns the next node that is there.
func (l *balancer) pick() (*url.URL, context.Context, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range l.nodes {
		n := l.nodes[l.next%len(l.nodes)]
		l.next++
		if n.present {
			return n.url, n.away, nil
		}
	}
	return nil, nil, errors.New("no node is there")
}

// join has a node take requests.
func (l *balancer) join(node int, at string) error {
	u, err := url.Parse(at)
	if err != nil {
		return fmt.Errorf("read a node's URL: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	n := &behind{url: u, present: true}
	n.away, n.leave = context.WithCancel(context.Background())
	l.nodes[node] = n
	return nil
}

// leave ends the requests of a node and gives it no more.
func (l *balancer) leave(node int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.nodes[node]; n.present {
		n.present = false
		n.leave()
	}
}

func (l *balancer) close() {
	for i := range l.nodes {
		l.leave(i)
	}
	_ = l.server.Close()
	<-l.done
}
