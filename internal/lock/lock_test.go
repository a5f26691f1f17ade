package lock_test

import (
	"errors"
	"os"
	"strconv"
	"testing"

	"github.com/streamflow/streamflow/internal/lock"
)

func TestAcquire(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for range 2 { // also after it was released
		held, err := lock.Acquire(root, "lock")
		if err != nil {
			t.Fatal(err)
		}
		_, err = lock.Acquire(root, "lock")
		if other := (*lock.HeldError)(nil); !errors.As(err, &other) || other.Process != strconv.Itoa(os.Getpid()) {
			t.Errorf("a second one: %v", err)
		}
		if err := held.Release(); err != nil {
			t.Error(err)
		}
		if _, err := root.Stat("lock"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the file stays: %v", err)
		}
	}
}
