package memory_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow/memory"
)

// levels reads what has been published so far.
func levels(sub *memory.Subscription) (names []string, last memory.LevelChange) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		synctest.Wait()
		cancel()
	}()
	for e := range sub.Events(ctx) {
		if change, ok := e.(memory.LevelChange); ok {
			names = append(names, change.To.String())
			last = change
		}
	}
	return names, last
}

func TestLevels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, &memory.Options{Limit: 1000 * kib})
		sub := m.Subscribe()
		defer sub.Close()
		var held []memory.Buffer
		use := func(n int) { // in units of a tenth of the limit
			for len(held) < n {
				held = append(held, acquire(t, m, 100*kib)) // costs 112 KiB
			}
			for len(held) > n {
				release(t, held[len(held)-1])
				held = held[:len(held)-1]
			}
			synctest.Wait()
		}
		for _, step := range []struct {
			name    string
			buffers int
			want    []string
			level   memory.Level
		}{
			{"below the mark", 6, nil, memory.Normal},
			{"warning", 7, []string{"warning"}, memory.Warning},
			{"no event while there", 7, nil, memory.Warning},
			{"within the hysteresis", 6, nil, memory.Warning},
			{"critical", 8, nil, memory.Warning},
			{"below the lower mark", 5, []string{"normal"}, memory.Normal},
			{"warning again", 7, []string{"warning"}, memory.Warning},
			{"back", 0, []string{"normal"}, memory.Normal},
		} {
			use(step.buffers)
			got, last := levels(sub)
			if !slices.Equal(got, step.want) || m.Level() != step.level {
				t.Errorf("%s: events %v, level %v; want %v, %v", step.name, got, m.Level(), step.want, step.level)
			}
			if step.name == "warning again" && (last.Count != 2 || last.Threshold != 0.7 || last.Usage < 0.7 || last.Limit != 1000*kib) {
				t.Errorf("second warning: %+v", last)
			}
		}
	})
}

func TestAcquireSpare(t *testing.T) {
	for _, tt := range []struct {
		name string
		used int64 // bytes of 1000 KiB
		most int   // bytes
		want int   // bytes, or 0 for none
	}{
		{"to spare", 512 * kib, 128 * kib, 128 * kib},
		{"half of it is", 512 * kib, 160 * kib, 80 * kib},
		{"the least is", 512 * kib, 600 * kib, 80 * kib},
		{"more than there is ever", 512 * kib, 2000 * kib, 125 * kib},
		{"close to warning", 640 * kib, 80 * kib, 0},
		{"at warning", 768 * kib, 80 * kib, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newManager(t, &memory.Options{Limit: 1000 * kib})
			child := newChild(t, m, "child", nil)
			held := reserve(t, m, tt.used)
			refusals := m.Stats().Refusals
			b, err := child.AcquireSpare(memory.KindTransfer, 80*kib, tt.most)
			switch {
			case tt.want == 0 && !errors.Is(err, memory.ErrFull):
				t.Errorf("got %v, want ErrFull", err)
			case tt.want > 0 && (err != nil || len(b.Bytes()) != tt.want):
				t.Errorf("got %d bytes, %v, want %d", len(b.Bytes()), err, tt.want)
			}
			if err == nil {
				release(t, b)
			}
			if got := m.Stats().Refusals - refusals; got != 0 {
				t.Errorf("%d refusals were counted", got)
			}
			release(t, held)
		})
	}
}

func TestAcquireSpareWithoutCaches(t *testing.T) {
	m := newManager(t, &memory.Options{Limit: 1000 * kib})
	release(t, acquire(t, m, 256*kib)) // stays cached, and counts
	held := reserve(t, m, 448*kib)
	b, err := m.AcquireSpare(memory.KindTransfer, 160*kib, 160*kib)
	if err != nil {
		t.Fatalf("with 448 of 1000 KiB held: %v", err)
	}
	release(t, b)
	release(t, held)
}

func TestWarningComesBeforeCritical(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, &memory.Options{Limit: 1024 * kib})
		sub := m.Subscribe()
		defer sub.Close()
		b := acquire(t, m, 1000*kib)
		if got, _ := levels(sub); !slices.Equal(got, []string{"warning", "critical"}) {
			t.Errorf("on the way up: %v", got)
		}
		release(t, b)
		if got, _ := levels(sub); !slices.Equal(got, []string{"warning", "normal"}) {
			t.Errorf("on the way down: %v", got)
		}
	})
}

// Whoever reads too late still learns how often each level was entered.
func TestSlowSubscriber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, &memory.Options{Limit: 1024 * kib})
		slow, dead := m.Subscribe(), m.Subscribe()
		defer dead.Close()
		for range 100 {
			release(t, acquire(t, m, 1000*kib))
		}
		counts := make(map[memory.Level]uint64)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for e := range slow.Events(ctx) {
			change := e.(memory.LevelChange)
			counts[change.To] = change.Count
		}
		if counts[memory.Critical] != 100 || counts[memory.Normal] != 100 || counts[memory.Warning] != 200 {
			t.Errorf("counts %v, want 100 times up and down", counts)
		}
		slow.Close()
		for range slow.Events(t.Context()) {
			t.Error("an event after Close")
		}
	})
}

// Uploads whose units take most of the budget go to and fro between levels all the time.
func TestLevelsDoNotFloodTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		m := newManager(t, &memory.Options{Limit: 1024 * kib, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		for range 2 {
			for range 100 {
				release(t, acquire(t, m, 1000*kib))
			}
			time.Sleep(11 * time.Second)
			synctest.Wait()
		}
		for level, counts := range map[string][]int{"warning": {1, 201}, "critical": {1, 101}, "normal": {1, 101}} {
			for _, count := range counts {
				if !regexp.MustCompile(fmt.Sprintf("to=%s .* count=%d\n", level, count)).Match(log.Bytes()) {
					t.Errorf("nothing says that %s was entered for the %dth time", level, count)
				}
			}
		}
		if lines := bytes.Count(log.Bytes(), []byte("\n")); lines != 6 {
			t.Errorf("%d lines:\n%s", lines, &log)
		}
	})
}

// Whoever subscribes to a child hears what makes its Level change.
func TestLevelOfAncestor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := newManager(t, &memory.Options{Name: "all", Limit: 1024 * kib})
		child := newChild(t, root, "child", nil)
		sub := child.Subscribe()
		defer sub.Close()
		b := acquire(t, root, 800*kib)
		got, last := levels(sub)
		if !slices.Equal(got, []string{"warning"}) || last.Manager != "all" || child.Level() != memory.Warning {
			t.Errorf("events %v, of %q, level %v", got, last.Manager, child.Level())
		}
		release(t, b)
	})
}

func TestCachedBuffersRaiseNoLevel(t *testing.T) {
	m := newManager(t, &memory.Options{Limit: 1024 * kib})
	children := []*memory.Manager{newChild(t, m, "a", nil), newChild(t, m, "b", nil), newChild(t, m, "c", nil)}
	for range 10 {
		for _, c := range children {
			release(t, acquire(t, c, 320*kib))
		}
	}
	if s := m.Stats(); s.Level != memory.Normal || s.Allocated != 0 {
		t.Errorf("%+v", s)
	}
}
