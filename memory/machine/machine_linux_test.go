package machine_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/streamflow/streamflow/memory/machine"
)

func TestLimit(t *testing.T) {
	limit, source, err := machine.Limit()
	if err != nil {
		t.Fatal(err)
	}
	total := memTotal(t)
	switch source {
	case machine.Machine:
		if limit != total {
			t.Errorf("limit is %d, the machine has %d", limit, total)
		}
	case machine.Container:
		if limit <= 0 || limit >= total {
			t.Errorf("the container's limit is %d, the machine has %d", limit, total)
		}
	default:
		t.Errorf("source is %q", source)
	}
}

func memTotal(t *testing.T) int64 {
	t.Helper()
	meminfo, err := os.Open("/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	defer meminfo.Close()
	var kib int64
	if _, err := fmt.Fscanf(meminfo, "MemTotal: %d kB", &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
