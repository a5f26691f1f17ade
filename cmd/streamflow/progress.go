package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/internal/bytesize"
	"github.com/streamflow/streamflow/memory"
)

// progress shows a user how uploads go. Its methods may be called at the same
// time; none follows close.
type progress interface {
	started(path string, u *streamflow.Upload)
	event(e streamflow.Event)
	finished(path string, u *streamflow.Upload, r streamflow.Result)
	skipped(path string, u *streamflow.Upload, why skipReason)
	failed(path string, u *streamflow.Upload, err error) // u may be nil
	// close returns what kept it from writing results.
	close(s summary) error
}

// newProgress picks what --progress asks for. Results go to stdout, all else
// to the console.
func (f *uploadFlags) newProgress(stdout io.Writer, c *console, mem *memory.Manager, of sources) progress {
	switch {
	case f.asJSON():
		return newJSONProgress(stdout)
	case f.progress.chosen == "none":
		return resultsTo(stdout)
	case f.progress.chosen == "auto" && isTerminal(c.w):
		return newBars(stdout, c, mem, of)
	default:
		return &plainProgress{results: resultsTo(stdout), console: c}
	}
}

// asJSON: --json is the same as --progress json.
func (f *uploadFlags) asJSON() bool { return f.json || f.progress.chosen == "json" }

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// results shows the location of each finished file, and nothing on the way.
type results struct {
	forPeople bool // names do nothing to a terminal then

	mu      sync.Mutex
	stdout  io.Writer
	failure error // the first of a write
}

func resultsTo(stdout io.Writer) *results {
	return &results{stdout: stdout, forPeople: isTerminal(stdout)}
}

func (p *results) started(string, *streamflow.Upload)             {}
func (p *results) event(streamflow.Event)                         {}
func (p *results) skipped(string, *streamflow.Upload, skipReason) {}
func (p *results) failed(string, *streamflow.Upload, error)       {}

func (p *results) close(summary) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failure
}

func (p *results) finished(_ string, _ *streamflow.Upload, r streamflow.Result) {
	location := r.Location
	if p.forPeople {
		location = escapeControls(location)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := fmt.Fprintln(p.stdout, location)
	p.failure = cmp.Or(p.failure, err)
}

// A skipReason is why a file was not sent, though nothing is wrong.
type skipReason string

const (
	skippedExists    skipReason = "exists"    // and --no-clobber leaves it alone
	skippedIdentical skipReason = "identical" // and --skip-identical was given
)

// A summary is of all uploads of a command.
type summary struct {
	files, skipped, failed int
	retries                int
	bytes, resumed, saved  int64
	duration               time.Duration
	peakMemory             int64 // held of the budget at once
	peakRSS, budget        int64 // of the process, or 0 where unknown
}

func (s *summary) add(r streamflow.Result) {
	s.files++
	s.bytes += r.Bytes
	s.resumed += r.ResumedBytes
	s.saved += r.SavedBytes
	s.retries += r.Retries
}

func (s summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s in %s", files(s.files), bytesize.Format(s.bytes), roughly(s.duration))
	if sent := s.bytes - s.resumed; sent > 0 && s.duration > 0 {
		fmt.Fprintf(&b, " (%s)", speed(float64(sent)/s.duration.Seconds()))
	}
	if s.resumed > 0 {
		fmt.Fprintf(&b, ", %s of it sent before", bytesize.Format(s.resumed))
	}
	if s.saved > 0 {
		fmt.Fprintf(&b, ", %s saved by compression", bytesize.Format(s.saved))
	}
	if s.skipped > 0 {
		fmt.Fprintf(&b, ", %s skipped", files(s.skipped))
	}
	if s.retries > 0 {
		fmt.Fprintf(&b, ", %d retries", s.retries)
	}
	if s.peakRSS > 0 {
		fmt.Fprintf(&b, "; memory at most %s of %s", bytesize.Format(s.peakRSS), bytesize.Format(s.budget))
	}
	return b.String()
}

func files(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}

func speed(bytesPerSecond float64) string {
	return bytesize.Format(int64(min(bytesPerSecond, math.MaxInt64/2))) + "/s"
}

// roughly rounds d to what a reader cares for.
func roughly(d time.Duration) time.Duration {
	if d < time.Minute {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}
