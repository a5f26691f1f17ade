package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// options are the flags every figure shares; zero means the figure's default.
type options struct {
	quick   bool
	sizeMiB int64
	rounds  int
	seed    uint64
	dir     string
	results string
}

func (o *options) addTo(flags *flag.FlagSet) {
	flags.BoolVar(&o.quick, "quick", false, "small enough for CI; results go to out/")
	flags.Int64Var(&o.sizeMiB, "size", 0, "`MiB` of the file; 0 is the figure's own size")
	flags.IntVar(&o.rounds, "rounds", 0, "rounds, kills or runs; 0 is the figure's own number")
	flags.Uint64Var(&o.seed, "seed", 0, "seed of everything random; 0 draws one and prints it")
	flags.StringVar(&o.dir, "dir", "", "where the files go, such as /dev/shm; default the temporary directory")
	flags.StringVar(&o.results, "results", "", "where the raw numbers go; default results, with -quick out")
}

// A bench is one run of one figure: its options, its report, and a directory
// for everything it makes.
type bench struct {
	options
	root   string // of the bench module
	work   string
	binary string // of streamflow, once built
	report *report
	random *rand.Rand
}

func newBench(ctx context.Context, f figure, o options) (*bench, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return nil, err
	}
	if o.results == "" {
		o.results = filepath.Join(root, "results")
		if o.quick {
			o.results = filepath.Join(root, "out")
		}
	}
	for o.seed == 0 {
		o.seed = rand.Uint64()
	}
	work, err := os.MkdirTemp(o.dir, "streamflow-bench-")
	if err != nil {
		return nil, fmt.Errorf("make the working directory: %w", err)
	}
	return &bench{
		options: o, root: root, work: work, report: newReport(f.name, o),
		random: rand.New(rand.NewPCG(o.seed, 0)),
	}, nil
}

func (b *bench) close() { _ = os.RemoveAll(b.work) }

// size of the file in bytes: the flag's, or else one of the two defaults.
func (b *bench) size(full, quick int64) int64 {
	return choose(b.sizeMiB*mib, b.quick, full, quick)
}

func (b *bench) count(full, quick int) int {
	return choose(b.rounds, b.quick, full, quick)
}

func choose[T int | int64](given T, quick bool, full, small T) T {
	switch {
	case given != 0:
		return given
	case quick:
		return small
	default:
		return full
	}
}

// inTurns yields every contender in each of the rounds, in an order drawn anew for
// each: what one leaves behind, on the disk above all, isn't always the same one's to
// bear.
func inTurns[T any](random *rand.Rand, rounds int, contenders []T) iter.Seq[T] {
	return func(yield func(T) bool) {
		for range rounds {
			for _, i := range random.Perm(len(contenders)) {
				if !yield(contenders[i]) {
					return
				}
			}
		}
	}
}

// build compiles the streamflow command of this checkout, as it is shipped.
func (b *bench) build(ctx context.Context) error {
	b.binary = filepath.Join(b.work, "streamflow")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", b.binary, "./cmd/streamflow")
	cmd.Dir = filepath.Dir(b.root)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build streamflow: %w\n%s", err, out)
	}
	return nil
}

// moduleRoot finds the bench module, so that a figure runs from any directory
// in it.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/streamflow/streamflow/bench").Output()
	if err != nil {
		return "", fmt.Errorf("find the bench module: %w", errors.Join(err, errors.New("run it inside bench/")))
	}
	return strings.TrimSpace(string(out)), nil
}
