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
				b, _ := s.do("dir", nil, func(b *batch) {
					end := make(chan error)
					begun = append(begun, end)
					b.dirErr = <-end
				})
				answer <- b.dirErr
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
		if len(s.groups) != 0 {
			t.Errorf("%d groups are remembered", len(s.groups))
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
				if err := s.Sync(root, []string{"."}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := s.Sync(root, []string{"missing"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
}

// Of files that are synced together each gets what became of it.
func TestSyncerFiles(t *testing.T) {
	dir := t.TempDir()
	var s Syncer
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			for range 20 {
				file, err := os.CreateTemp(dir, "")
				if err != nil {
					t.Error(err)
					return
				}
				broken := i%5 == 0
				if broken {
					file.Close()
				}
				if err := s.Sync(nil, nil, file, file); errors.Is(err, os.ErrClosed) != broken || (err != nil) != broken {
					t.Errorf("of a file that is closed (%v): %v", broken, err)
				}
				file.Close()
			}
		})
	}
	all.Wait()
}
