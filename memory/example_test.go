package memory_test

import (
	"context"
	"fmt"
	"log"
	"runtime"

	"github.com/streamflow/streamflow/memory"
)

func ExampleManager() {
	budget, err := memory.New(&memory.Options{Limit: 64 << 20})
	if err != nil {
		log.Fatal(err)
	}
	defer budget.Close()
	upload, err := budget.Child("a.iso", &memory.ChildOptions{Limit: 8 << 20})
	if err != nil {
		log.Fatal(err)
	}
	defer upload.Close()

	chunk, err := upload.Acquire(context.Background(), memory.KindChunk, 1<<20)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(chunk.Bytes()), upload.Stats().Allocated, budget.Stats().Allocated)
	if err := chunk.Release(); err != nil {
		log.Fatal(err)
	}
	// Output: 1048576 1048576 1048576
}

func ExampleManager_Reserve() {
	budget, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer budget.Close()

	unit, err := budget.Reserve(context.Background(), memory.KindChunk, 1<<20, 64<<10)
	if err != nil {
		log.Fatal(err)
	}
	defer unit.Release()
	plain, _ := unit.Acquire(memory.KindChunk, 1<<20)
	packed, _ := unit.Acquire("compressor", 64<<10)
	fmt.Println(plain.Len(), packed.Len())
	packed.Release()
	plain.Release()
	// Output: 1048576 65536
}

func ExampleTrack() {
	budget, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer budget.Close()

	image := new([4096]byte)
	id, err := memory.Track(budget, image, "image", int64(len(image)), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(budget.Stats().Kinds["image"].Bytes)
	runtime.KeepAlive(image)
	fmt.Println(budget.Release(id))
	// Output:
	// 4096
	// <nil>
}

func ExampleOpenProcess() {
	process, err := memory.OpenProcess(&memory.Options{Limit: 64 << 20})
	if err != nil {
		log.Fatal(err)
	}
	defer process.Close()

	fmt.Println(process.Budget(), process.Manager().Limit() < process.Budget())
	// Output: 67108864 true
}
