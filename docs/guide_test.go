package docs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store/filestore"
)

// These are the examples of guide.md, word for word: TestGuide compares them.

func Example_overview() {
	ctx := context.Background()
	budget, err := memory.New(&memory.Options{Limit: 100 << 20})
	if err != nil {
		log.Fatal(err)
	}
	defer budget.Close()

	buffer, err := budget.Acquire(ctx, memory.KindChunk, 1<<20)
	if err != nil {
		log.Fatal(err)
	}
	defer buffer.Release()

	fmt.Println(len(buffer.Bytes()), "bytes held of", budget.Limit())
	// Output: 1048576 bytes held of 104857600
}

func Example_resources() {
	budget, _ := memory.New(&memory.Options{Tracking: memory.Tracking{Metadata: true}})
	defer budget.Close()

	thumbnail := new(bytes.Buffer)
	id, err := memory.Track(budget, thumbnail, "thumbnail", 64<<10, &memory.TrackOptions{
		Metadata: map[string]any{"file": "cat.png"},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range budget.Resources() {
		fmt.Println(r.ID == id, r.Kind, r.Size, r.CreatedAt.IsZero(), r.Metadata["file"])
	}
	runtime.KeepAlive(thumbnail)
	budget.Release(id)
	// Output: true thumbnail 65536 false cat.png
}

func Example_thresholds() {
	budget, _ := memory.New(&memory.Options{
		Limit:      10 << 20,
		Thresholds: memory.Thresholds{Warning: 0.7, Critical: 0.9},
	})
	defer budget.Close()

	buffer, _ := budget.Acquire(context.Background(), memory.KindChunk, 8<<20)
	fmt.Println(budget.Level())
	buffer.Release()
	fmt.Println(budget.Level())
	// Output:
	// warning
	// normal
}

func Example_basicConfiguration() {
	budget, err := memory.New(&memory.Options{
		Limit:           100 << 20,
		CleanupInterval: 30 * time.Second,
		Thresholds:      memory.Thresholds{Warning: 0.7, Critical: 0.9},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer budget.Close()
}

func Example_advancedConfiguration() {
	budget, err := memory.New(&memory.Options{
		Limit:           200 << 20,
		CleanupInterval: 15 * time.Second,
		Thresholds:      memory.Thresholds{Warning: 0.6, Critical: 0.8},
		GCCallback: func(info memory.GCInfo) {
			slog.Debug("garbage collection", "count", info.Count, "pause", info.Pause)
		},
		Tracking: memory.Tracking{Detailed: true, Metadata: true},
		Logger:   slog.Default(),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer budget.Close()
}

func Example_process() {
	process, err := memory.OpenProcess(&memory.Options{Limit: 64 << 20})
	if err != nil {
		log.Fatal(err)
	}
	defer process.Close()

	budget := process.Manager()
	s := budget.Stats().Process
	fmt.Println(budget.Limit()+s.Reserve == s.Budget)
	// Output: true
}

func Example_statistics() {
	budget, _ := memory.New(nil)
	defer budget.Close()
	buffer, _ := budget.Acquire(context.Background(), memory.KindChunk, 1<<20)

	stats := budget.Stats()
	fmt.Println("allocated:", stats.Allocated)
	fmt.Println("active:", stats.Active)
	fmt.Println("peak:", stats.Peak)
	fmt.Println("chunks:", stats.Kinds[memory.KindChunk].Bytes)
	buffer.Release()
	// Output:
	// allocated: 1048576
	// active: 1
	// peak: 1048576
	// chunks: 1048576
}

func Example_events() {
	budget, _ := memory.New(&memory.Options{Limit: 1 << 20})
	events := budget.Subscribe()
	buffer, _ := budget.Acquire(context.Background(), memory.KindChunk, 1<<20)
	buffer.Release()
	budget.Close() // ends the loop once all is read

	for event := range events.Events(context.Background()) {
		switch e := event.(type) {
		case memory.LevelChange:
			fmt.Printf("%v, then %v\n", e.From, e.To)
		case memory.Leak:
			fmt.Println("lost:", e.Kind, e.Size, e.Stack)
		}
	}
	// Output:
	// warning, then critical
	// critical, then warning
	// warning, then normal
}

func Example_reserve() {
	ctx := context.Background()
	budget, _ := memory.New(nil)
	defer budget.Close()

	// Both or none: nobody holds one and waits for the other.
	unit, err := budget.Reserve(ctx, memory.KindChunk, 1<<20, 256<<10)
	if err != nil {
		log.Fatal(err)
	}
	defer unit.Release()
	plain, _ := unit.Acquire(memory.KindChunk, 1<<20)
	packed, _ := unit.Acquire("compressor", 256<<10)
	fmt.Println(plain.Len(), packed.Len())
	plain.Release()
	packed.Release()
	// Output: 1048576 262144
}

func Example_children() {
	budget, _ := memory.New(&memory.Options{Limit: 64 << 20})
	defer budget.Close()

	upload, err := budget.Child("a.iso", &memory.ChildOptions{Limit: 16 << 20, Guarantee: 1 << 20})
	if err != nil {
		log.Fatal(err)
	}
	defer upload.Close()
	fmt.Println(upload.Limit(), budget.Stats().Used)
	// Output: 16777216 1048576
}

func Example_release() {
	budget, _ := memory.New(nil)
	defer budget.Close()
	buffer, _ := budget.Acquire(context.Background(), memory.KindChunk, 1<<20)

	fmt.Println(buffer.Release())
	fmt.Println(errors.Is(buffer.Release(), memory.ErrReleased))
	// Output:
	// <nil>
	// true
}

func Example_cleanup() {
	ctx := context.Background()
	budget, _ := memory.New(nil)
	defer budget.Close()
	thumbnails := 4096

	remove := budget.OnCleanup(10, func(context.Context) int64 {
		freed := thumbnails
		thumbnails = 0
		return int64(freed)
	})
	defer remove()
	defer budget.OnBeforeGC(func() { slog.Debug("about to collect") })()

	freed, err := budget.Cleanup(ctx)
	fmt.Println(freed.Hooks, err)
	// Output: 4096 <nil>
}

func Example_impossible() {
	budget, _ := memory.New(&memory.Options{Limit: 1 << 20})
	defer budget.Close()

	_, err := budget.Acquire(context.Background(), memory.KindChunk, 16<<20)
	var limit *memory.LimitError
	if errors.As(err, &limit) {
		fmt.Printf("asked for %d of %d: %d would do\n", limit.Requested, limit.Limit, limit.Needed)
	}
	// Output: asked for 16777216 of 1048576: 16777216 would do
}

func Example_debug() {
	budget, _ := memory.New(&memory.Options{Logger: slog.New(slog.DiscardHandler)})
	defer budget.Close()

	budget.Debug(memory.DebugOptions{Tracking: true, Verbose: true})
	buffer, _ := budget.Acquire(context.Background(), memory.KindChunk, 1<<20)
	for _, r := range budget.Resources() {
		fmt.Println(r.Kind, strings.Contains(r.Stack, "Example_debug"))
	}
	buffer.Release()
	// Output: chunk true
}

func Example_dispose() {
	budget, _ := memory.New(nil)
	buffer, _ := budget.Acquire(context.Background(), memory.KindChunk, 1<<20)

	var held *memory.HeldError
	if err := budget.Close(); errors.As(err, &held) {
		fmt.Println(held)
	}
	fmt.Println(budget.Close()) // once is enough
	buffer.Release()
	// Output:
	// memory: manager "memory" was closed with resources still held: 1 "chunk" of 1048576 bytes
	// <nil>
}

func Example_upload() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "guide")
	defer os.RemoveAll(dir)
	source := filepath.Join(dir, "a.iso")
	_ = os.WriteFile(source, make([]byte, 3<<20), 0o600)

	budget, _ := memory.New(&memory.Options{Limit: 32 << 20})
	defer budget.Close()
	dst, err := filestore.Open(filepath.Join(dir, "uploads"), budget, nil)
	if err != nil {
		log.Fatal(err)
	}
	manager, err := streamflow.New(dst, &streamflow.Options{
		Memory:     budget,
		ChunkBytes: 512 << 10,
		Streams:    2,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer manager.Close()

	upload, err := manager.UploadFile(ctx, source)
	if err != nil {
		log.Fatal(err)
	}
	result, err := upload.Wait(ctx)
	fmt.Println(result.Bytes, err)
	// Output: 3145728 <nil>
}

func Example_stream() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "guide")
	defer os.RemoveAll(dir)
	budget, _ := memory.New(nil)
	defer budget.Close()
	dst, _ := filestore.Open(dir, budget, nil)
	manager, _ := streamflow.New(dst, &streamflow.Options{Memory: budget})
	defer manager.Close()

	events := manager.Subscribe()
	defer events.Close()
	upload, err := manager.Upload(ctx, streamflow.Stream("log.txt", strings.NewReader("all of it")))
	if err != nil {
		log.Fatal(err)
	}
	for event := range events.Events(ctx) {
		switch e := event.(type) {
		case streamflow.Performance:
			slog.Debug("performance", "speed", e.Speed, "memory", e.MemoryBytes, "processing", e.ProcessingTime)
		case streamflow.Memory:
			slog.Warn("memory", "event", e.Event)
		case streamflow.StateChange:
			if e.State.Status == streamflow.Finished {
				events.Close() // ends the loop
			}
		}
	}
	result, _ := upload.Wait(ctx)
	fmt.Println(upload.State().Status, result.Bytes)
	// Output: finished 9
}
