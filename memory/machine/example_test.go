package machine_test

import (
	"fmt"
	"log"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/memory/machine"
)

// The budget that --max-memory auto has: most of a container, which is there for the
// process, or a quarter of a machine, which others use too.
func ExampleLimit() {
	bytes, origin, err := machine.Limit()
	if err != nil {
		log.Fatal(err)
	}
	budget := bytes / 4
	if origin == machine.Container {
		budget = bytes / 100 * 80
	}
	process, err := memory.OpenProcess(&memory.Options{Limit: max(budget, memory.MinBudget)})
	if err != nil {
		log.Fatal(err)
	}
	defer process.Close()
	fmt.Println(process.Budget() >= memory.MinBudget)
	// Output: true
}
