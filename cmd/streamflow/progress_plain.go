package main

import (
	"fmt"
	"time"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/internal/bytesize"
)

// plainInterval is how often plain progress speaks.
const plainInterval = 10 * time.Second

// plainProgress writes a line now and then, for logs and pipes.
type plainProgress struct {
	*results
	console *console

	// Guarded by results.mu:
	last  time.Time
	done  int   // files
	bytes int64 // of those
}

func (p *plainProgress) started(string, *streamflow.Upload) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.IsZero() {
		p.last = time.Now()
	}
}

func (p *plainProgress) event(e streamflow.Event) {
	moved, ok := e.(streamflow.Progress)
	if !ok {
		return // the log has what happens to memory
	}
	p.mu.Lock()
	due := time.Since(p.last) >= plainInterval
	if due {
		p.last = time.Now()
	}
	done, bytes := p.done, p.bytes
	p.mu.Unlock()
	switch {
	case due && done == 0:
		p.say("%s: %s", moved.Upload.Name(), describe(moved))
	case due: // of many small files, any one says little
		p.say("%s, %s done; %s: %s", files(done), bytesize.Format(bytes), moved.Upload.Name(), describe(moved))
	}
}

func (p *plainProgress) finished(path string, u *streamflow.Upload, r streamflow.Result) {
	p.mu.Lock()
	p.done++
	p.bytes += r.Bytes
	p.mu.Unlock()
	p.results.finished(path, u, r)
}

func (p *plainProgress) skipped(path string, _ *streamflow.Upload, why skipReason) {
	p.say("%s: skipped: %s", path, why)
}

func (p *plainProgress) close(s summary) error {
	if s.files+s.skipped > 0 {
		p.say("%s", s)
	}
	return p.results.close(s)
}

func (p *plainProgress) say(format string, args ...any) {
	fmt.Fprintln(p.console, escapeControls(fmt.Sprintf(format, args...)))
}

// describe says in a few words how far an upload is.
func describe(e streamflow.Progress) string {
	pace := speed(e.Speed)
	if e.Speed == 0 && e.Upload.State().Err != nil {
		pace = "waiting to try again"
	}
	if e.TotalBytes < 0 {
		return fmt.Sprintf("%s, %s", bytesize.Format(e.BytesUploaded), pace)
	}
	text := fmt.Sprintf("%.0f %% of %s, %s", e.Percentage, bytesize.Format(e.TotalBytes), pace)
	if e.Remaining >= 0 {
		text += fmt.Sprintf(", %s left", e.Remaining.Round(time.Second))
	}
	return text
}
