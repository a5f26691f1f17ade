package memory_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	arrow "github.com/apache/arrow-go/v18/arrow/memory"
	bufferpool "github.com/libp2p/go-buffer-pool"
	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/lib/pool"
	"golang.org/x/sync/semaphore"

	"github.com/streamflow/streamflow/memory"
)

// newStreamflow acquires from a manager with depth-1 ancestors: pooled, limited
// at every level, counted by kind, dated, and checked for a second release.
func newStreamflow(depth int) func(b *testing.B) func() bool {
	return func(b *testing.B) func() bool {
		root, err := memory.New(&memory.Options{Limit: limitBytes})
		if err != nil {
			b.Fatal(err)
		}
		leaf := root
		for level := 1; level < depth; level++ {
			leaf, err = leaf.Child(fmt.Sprintf("level %d", level), nil)
			if err != nil {
				b.Fatal(err)
			}
		}
		b.Cleanup(func() {
			if err := root.Close(); err != nil {
				b.Error(err)
			}
		})
		ctx := context.Background()
		return func() bool {
			buffer, err := leaf.Acquire(ctx, memory.KindChunk, chunkBytes)
			if err != nil {
				return false
			}
			return buffer.Release() == nil
		}
	}
}

// newSemaphore limits, and does nothing else: no buffer, no tracking.
func newSemaphore(*testing.B) func() bool {
	weighted := semaphore.NewWeighted(limitBytes)
	ctx := context.Background()
	return func() bool {
		if weighted.Acquire(ctx, chunkBytes) != nil {
			return false
		}
		weighted.Release(chunkBytes)
		return true
	}
}

// newRclone limits and pools, and counts what is in use. Its limit is one for
// the process, read when the first pool is made.
func newRclone(*testing.B) func() bool {
	fs.GetConfig(context.Background()).MaxBufferMemory = limitBytes
	buffers := pool.New(5*time.Second, chunkBytes, 2*goroutines, true)
	return func() bool {
		buffers.Put(buffers.Get())
		return true
	}
}

// newArrow tracks each allocation with its caller. It has no pool and no limit.
func newArrow(*testing.B) func() bool {
	allocator := arrow.NewCheckedAllocator(arrow.NewGoAllocator())
	return func() bool {
		allocator.Free(allocator.Allocate(chunkBytes))
		return true
	}
}

// newLibp2p limits and counts in a tree of scopes (a span below the system's),
// beside its own project's buffer pool.
func newLibp2p(b *testing.B) func() bool {
	limits := rcmgr.InfiniteLimits.ToPartialLimitConfig()
	limits.System.Memory = limitBytes
	manager, err := rcmgr.NewResourceManager(
		rcmgr.NewFixedLimiter(limits.Build(rcmgr.InfiniteLimits)), rcmgr.WithMetricsDisabled())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = manager.Close() })
	var span network.ResourceScopeSpan
	err = manager.ViewSystem(func(system network.ResourceScope) (err error) {
		span, err = system.BeginSpan()
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return func() bool {
		if span.ReserveMemory(chunkBytes, network.ReservationPriorityAlways) != nil {
			return false
		}
		bufferpool.Put(bufferpool.Get(chunkBytes))
		span.ReleaseMemory(chunkBytes)
		return true
	}
}

// newMake leaves everything to the collector.
func newMake(*testing.B) func() bool {
	return func() bool {
		return len(allocate()) == chunkBytes
	}
}

// allocate is not inlined, or the buffer would live on the stack.
//
//go:noinline
func allocate() []byte { return make([]byte, chunkBytes) }
