package memory_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow/memory"
)

// A line is a queue of requests whose order of service is recorded.
type line struct {
	tb testing.TB

	mu     sync.Mutex
	served []string
	held   map[string]memory.Buffer
}

func newLine(tb testing.TB) *line { return &line{tb: tb, held: make(map[string]memory.Buffer)} }

// join lets a goroutine ask for a buffer, and returns when it waits or has it.
func (l *line) join(m *memory.Manager, name string, n int) {
	go func() {
		b, err := m.Acquire(l.tb.Context(), memory.KindChunk, n)
		if err != nil {
			l.tb.Error(name, err)
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.served = append(l.served, name)
		l.held[name] = b
	}()
	synctest.Wait()
}

func (l *line) leave(names ...string) {
	for _, name := range names {
		l.mu.Lock()
		b, ok := l.held[name]
		delete(l.held, name)
		l.mu.Unlock()
		if !ok {
			l.tb.Fatalf("%s has not been served; served so far: %v", name, l.served)
		}
		release(l.tb, b)
		synctest.Wait()
	}
}

func (l *line) want(names ...string) {
	l.tb.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.served, names) {
		l.tb.Errorf("served %v, want %v", l.served, names)
	}
}

func TestFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, &memory.Options{Limit: 128 * kib})
		l := newLine(t)
		l.join(m, "holder", 128*kib)
		l.join(m, "large", 128*kib)
		l.join(m, "small", 4*kib) // would fit earlier, but has to wait its turn
		l.want("holder")
		l.leave("holder")
		l.want("holder", "large")
		l.leave("large")
		l.want("holder", "large", "small")
		l.leave("small")
	})
}

func TestManagersTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := newManager(t, &memory.Options{Limit: 64 * kib})
		greedy, modest := newChild(t, root, "greedy", nil), newChild(t, root, "modest", nil)
		l := newLine(t)
		l.join(root, "holder", 64*kib)
		for i := range 3 {
			l.join(greedy, fmt.Sprint("greedy", i), 64*kib)
		}
		l.join(modest, "modest0", 64*kib)
		l.join(modest, "modest1", 64*kib)
		order := []string{"holder", "greedy0", "modest0", "greedy1", "modest1", "greedy2"}
		for i, name := range order {
			l.want(order[:i+1]...)
			l.leave(name)
		}
	})
}

// A large request is passed by small ones of others while it doesn't fit, but
// only MaxOvertakes times.
func TestOvertakesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := newManager(t, &memory.Options{Limit: 128 * kib})
		large, small := newChild(t, root, "large", nil), newChild(t, root, "small", nil)
		elsewhere := newChild(t, root, "elsewhere", &memory.ChildOptions{Guarantee: 16 * kib})
		l := newLine(t)
		l.join(root, "holder", 64*kib)
		l.join(large, "large", 112*kib)
		passed := 0
		for ; passed < 3*memory.MaxOvertakes; passed++ {
			name := fmt.Sprint("small", passed)
			l.join(small, name, 16*kib)
			if root.Stats().Waiters > 1 {
				break
			}
			l.leave(name)
		}
		if passed != memory.MaxOvertakes {
			t.Errorf("the large request was passed %d times, want %d", passed, memory.MaxOvertakes)
		}
		l.join(elsewhere, "elsewhere", 16*kib) // competes for nothing
		l.leave("elsewhere", "holder", "large", fmt.Sprint("small", passed))
	})
}

// Many goroutines that each hold one buffer and wait for nothing while they
// hold it must all get their turn, whatever the sizes.
func TestNobodyStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := newManager(t, &memory.Options{Limit: 1024 * kib})
		var workers sync.WaitGroup
		for i := range 50 {
			m := newChild(t, root, fmt.Sprint(i), nil)
			workers.Go(func() {
				for range 20 {
					b := acquire(t, m, (i+1)*20*kib)
					time.Sleep(time.Millisecond)
					release(t, b)
				}
			})
		}
		workers.Wait()
		if s := root.Stats(); s.Allocated != 0 || s.Peak > 1024*kib || s.Waits == 0 {
			t.Errorf("%+v", s)
		}
	})
}
