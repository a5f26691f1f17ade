package policy_test

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/server/auth"
	"github.com/streamflow/streamflow/server/policy"
	"github.com/streamflow/streamflow/store"
)

// limits is a policy that needs nothing of its store.
func limits(t *testing.T, opts policy.Options) *policy.Policy {
	t.Helper()
	return newPolicy(t, struct{ store.Store }{}, opts)
}

// from is the context of a request of a client.
func from(t *testing.T, addr string) context.Context {
	t.Helper()
	return auth.NewContext(t.Context(), auth.Identity{Client: netip.MustParseAddr(addr)})
}

// read reads n bytes, as fast as it may.
func read(ctx context.Context, p *policy.Throttle, n int) {
	for n > 0 && ctx.Err() == nil {
		p.Wait(ctx)
		got := p.Most(min(n, 32<<10))
		p.Took(got)
		n -= got
	}
	p.Wait(ctx)
}

func TestThrottleIsTheRate(t *testing.T) {
	for name, test := range map[string]struct {
		opts policy.Options
		from []string // bodies at the same time
		n    int
		want time.Duration // less the burst
	}{
		"one body":             {policy.Options{BytesPerSecond: 1 << 20}, []string{"192.0.2.1"}, 10 << 20, 10 * time.Second},
		"two of a client":      {policy.Options{BytesPerSecond: 1 << 20}, []string{"192.0.2.1", "192.0.2.1"}, 5 << 20, 10 * time.Second},
		"two of a network":     {policy.Options{BytesPerSecond: 1 << 20}, []string{"2001:db8::1", "2001:db8::2"}, 5 << 20, 10 * time.Second},
		"two clients":          {policy.Options{BytesPerSecond: 1 << 20}, []string{"192.0.2.1", "192.0.2.2"}, 10 << 20, 10 * time.Second},
		"two clients together": {policy.Options{TotalBytesPerSecond: 1 << 20}, []string{"192.0.2.1", "192.0.2.2"}, 5 << 20, 10 * time.Second},
		"the lower of both":    {policy.Options{BytesPerSecond: 1 << 20, TotalBytesPerSecond: 2 << 20}, []string{"192.0.2.1"}, 10 << 20, 10 * time.Second},
		"hardly any":           {policy.Options{BytesPerSecond: 1}, []string{"192.0.2.1"}, 10, 10 * time.Second},
		"any":                  {policy.Options{}, []string{"192.0.2.1"}, 1 << 40, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := limits(t, test.opts)
				start := time.Now()
				var all sync.WaitGroup
				for _, addr := range test.from {
					ctx := from(t, addr)
					all.Go(func() {
						throttle := p.Throttle(ctx)
						defer throttle.Close()
						if test.want == 0 {
							if throttle.Took(test.n); throttle.Most(test.n) != test.n || throttle.Due() {
								t.Error("there is a limit")
							}
							return
						}
						read(ctx, throttle, test.n)
						// Nobody is done long before the others.
						if took := time.Since(start); took < test.want*8/10 || took > test.want {
							t.Errorf("took %v", took)
						}
					})
				}
				all.Wait()
			})
		})
	}
}

// No second has more than its share, but for the burst.
func TestThrottleIsSmooth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond = 100_000
		ctx := from(t, "192.0.2.1")
		throttle := limits(t, policy.Options{BytesPerSecond: perSecond}).Throttle(ctx)
		defer throttle.Close()
		start := time.Now()
		total := 0
		for total < 10*perSecond {
			throttle.Wait(ctx)
			n := throttle.Most(1 << 20)
			throttle.Took(n)
			total += n
			due := int(time.Since(start).Seconds()*perSecond) + 2*perSecond/10 + 1
			if total > due || total < due-perSecond/2 {
				t.Fatalf("%d bytes after %v", total, time.Since(start))
			}
		}
	})
}

func TestThrottleEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(from(t, "192.0.2.1"), time.Second)
		defer cancel()
		throttle := limits(t, policy.Options{BytesPerSecond: 1}).Throttle(ctx)
		defer throttle.Close()
		start := time.Now()
		read(ctx, throttle, 100)
		if took := time.Since(start); took != time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := limits(t, policy.Options{RequestsPerMinute: 60})
		ctx := from(t, "192.0.2.1")
		allowed := func(ctx context.Context) (n int) {
			for p.Request(ctx) == nil {
				n++
			}
			return n
		}
		if n := allowed(ctx); n != 60 {
			t.Errorf("%d requests at once", n)
		}
		if n := allowed(from(t, "192.0.2.2")); n != 60 {
			t.Errorf("%d requests of another client", n)
		}
		var refusal *protocol.Refusal
		if err := p.Request(ctx); !errors.As(err, &refusal) || refusal.Status != http.StatusTooManyRequests ||
			refusal.Limit != 60 || refusal.RetryAfter != time.Second || !errors.Is(err, store.ErrRateLimited) {
			t.Errorf("refusal is %+v, %v", refusal, err)
		}
		time.Sleep(10 * time.Second)
		if n := allowed(ctx); n != 10 {
			t.Errorf("%d requests after 10 s", n)
		}
		time.Sleep(time.Hour)
		if n := allowed(ctx); n != 60 {
			t.Errorf("%d requests after an hour", n)
		}
	})
}

// Addresses are cheap: what is remembered of them is bounded, and never forgets
// who is doing something.
func TestClientsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := limits(t, policy.Options{RequestsPerMinute: 1, BytesPerSecond: 1})
		busy := from(t, "192.0.2.1")
		throttle := p.Throttle(busy)
		if err := p.Request(busy); err != nil {
			t.Fatal(err)
		}
		for i := range 10_000 {
			addr := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
			if err := p.Request(from(t, addr.String())); err != nil {
				t.Fatal(err)
			}
		}
		if n := p.Remembered(); n < 4096 || n > 4098 {
			t.Errorf("%d clients are remembered", n)
		}
		if p.Request(busy) == nil {
			t.Error("the busy one was forgotten")
		}
		throttle.Close()
		time.Sleep(2 * time.Minute)
		if err := p.Request(from(t, "192.0.2.2")); err != nil || p.Remembered() != 1 {
			t.Errorf("%d clients are remembered, %v", p.Remembered(), err)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		opts policy.Options
		want error
	}{
		"a negative limit":             {policy.Options{MaxUploads: -1}, store.ErrInvalid},
		"a quota without a list":       {policy.Options{Quota: 1}, store.ErrUnsupported},
		"signatures without a reader":  {policy.Options{CheckSignatures: true}, store.ErrUnsupported},
		"allowed types without reader": {policy.Options{Types: make([]policy.TypePattern, 1)}, store.ErrUnsupported},
	} {
		if _, err := policy.New(t.Context(), struct{ store.Store }{}, test.opts, nil); !errors.Is(err, test.want) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}
