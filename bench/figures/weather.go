package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
)

// A weather is what happens to connections: toxics of Toxiproxy that are there
// for a while and gone for a while, or there all the time.
type weather struct {
	name   string
	toxics []string // each as JSON
	on     time.Duration
	off    time.Duration // 0: always on
}

const (
	corruptType  = "corrupt"
	corruptEvery = 6 * mib // bytes, about
)

func weathers() []weather {
	return []weather{
		{name: "slow", toxics: []string{
			`{"name":"up","type":"bandwidth","stream":"upstream","attributes":{"rate":4096}}`,
			`{"name":"late","type":"latency","stream":"downstream","attributes":{"latency":40,"jitter":30}}`,
		}},
		{name: "cut after some bytes", on: 3 * time.Second, off: time.Second, toxics: []string{
			`{"name":"cut","type":"limit_data","stream":"upstream","toxicity":0.7,"attributes":{"bytes":3000000}}`,
		}},
		{name: "reset", on: time.Second, off: time.Second, toxics: []string{
			`{"name":"reset","type":"reset_peer","stream":"upstream","attributes":{"timeout":50}}`,
		}},
		{name: "answers cut", on: time.Second, off: time.Second, toxics: []string{
			`{"name":"cut","type":"limit_data","stream":"downstream","attributes":{"bytes":40}}`,
		}},
		{name: "stall", on: 2 * time.Second, off: time.Second, toxics: []string{
			`{"name":"stall","type":"timeout","stream":"upstream","attributes":{"timeout":0}}`,
		}},
		{name: "corrupt", on: 5 * time.Second, off: 2 * time.Second, toxics: []string{
			`{"name":"corrupt","type":"corrupt","stream":"upstream","attributes":{}}`,
		}},
	}
}

// A corruptToxic flips a bit now and then.
type corruptToxic struct{}

// Pipe implements toxics.Toxic.
func (*corruptToxic) Pipe(stub *toxics.ToxicStub) {
	left := rand.Int64N(2 * corruptEvery)
	for {
		var chunk *stream.StreamChunk
		select {
		case <-stub.Interrupt:
			return
		case chunk = <-stub.Input:
		}
		if chunk == nil {
			stub.Close()
			return
		}
		if n := int64(len(chunk.Data)); left < n {
			chunk.Data[left] ^= 1 << rand.IntN(8)
			left = rand.Int64N(2 * corruptEvery)
		} else {
			left -= n
		}
		stub.Output <- chunk
	}
}

// A stormyProxy is one proxy under a weather, until it is closed.
type stormyProxy struct {
	*toxiproxy.Proxy
	end     context.CancelFunc
	running sync.WaitGroup
}

// newStormyProxy passes on to a host:port.
func newStormyProxy(ctx context.Context, w weather, upstream string) (*stormyProxy, error) {
	toxics.Register(corruptType, new(corruptToxic)) // again does no harm
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := &stormyProxy{Proxy: toxiproxy.NewProxy(server, w.name, "127.0.0.1:0", upstream)}
	if err := p.Start(); err != nil {
		return nil, fmt.Errorf("start a proxy: %w", err)
	}
	ctx, p.end = context.WithCancel(ctx)
	if err := p.begin(w); err != nil {
		p.close()
		return nil, err
	}
	if w.off > 0 {
		p.running.Go(func() { p.change(ctx, w) })
	}
	return p, nil
}

func (p *stormyProxy) begin(w weather) error {
	for _, toxic := range w.toxics {
		if _, err := p.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			return fmt.Errorf("add %s: %w", toxic, err)
		}
	}
	return nil
}

// change takes the toxics away and brings them back until ctx ends.
func (p *stormyProxy) change(ctx context.Context, w weather) {
	for on := true; ; on = !on {
		wait := w.off
		if on {
			wait = w.on
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if on {
			p.Toxics.ResetToxics(ctx)
		} else if p.begin(w) != nil {
			return // it was valid before
		}
	}
}

func (p *stormyProxy) close() {
	p.end()
	p.running.Wait()
	p.Stop()
}
