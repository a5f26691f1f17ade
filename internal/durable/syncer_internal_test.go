package durable

import (
	"errors"
	"os"
	"sync"
	"testing"
	"testing/synctest"
)

// Whoever asks during a sync gets one that begins afterwards, with all others.
func TestSyncerShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Syncer
		var begun []chan error
		ask := func() (answer chan error) {
			answer = make(chan error, 1)
			go func() {
				answer <- s.do("dir", func() error {
					end := make(chan error)
					begun = append(begun, end)
					return <-end
				})
			}()
			synctest.Wait()
			return answer
		}
		first := ask()
		var later []chan error
		for range 10 {
			later = append(later, ask())
		}
		if len(begun) != 1 {
			t.Fatalf("%d syncs at once", len(begun))
		}
		begun[0] <- nil
		synctest.Wait()
		if err := <-first; err != nil || len(begun) != 2 {
			t.Fatalf("then %d syncs have begun, %v", len(begun), err)
		}
		last := ask()
		failed := errors.New("disk on fire")
		begun[1] <- failed
		for _, answer := range later {
			if err := <-answer; !errors.Is(err, failed) {
				t.Errorf("a shared sync ends with %v", err)
			}
		}
		synctest.Wait()
		begun[2] <- nil
		if err := <-last; err != nil || len(begun) != 3 {
			t.Errorf("%d syncs, %v", len(begun), err)
		}
		if len(s.dirs) != 0 {
			t.Errorf("%d directories are remembered", len(s.dirs))
		}
	})
}

func TestSyncerTogether(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var s Syncer
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			for range 20 {
				if err := s.SyncDir(root, "."); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := s.SyncDir(root, "missing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
}
