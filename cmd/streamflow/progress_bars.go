package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/vbauerster/cupwriter"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/internal/bytesize"
	"github.com/streamflow/streamflow/memory"
)

// nameColumns is the widest name beside a bar.
const nameColumns = 24

// bars draws one bar for each upload under way, and one for all with the
// memory in use.
type bars struct {
	*results
	console *console
	drawing *mpb.Progress
	memory  *memory.Manager
	all     *mpb.Bar
	awaited *forecast

	barsMu sync.Mutex
	shown  map[*streamflow.Upload]*bar
	done   int   // files
	moved  int64 // bytes of those
}

// A bar is the bar of one upload with its last figures.
type bar struct {
	*mpb.Bar

	mu   sync.Mutex
	last streamflow.Progress
}

func newBars(stdout io.Writer, c *console, mem *memory.Manager, of sources) *bars {
	results := resultsTo(stdout)
	if results.forPeople {
		results.stdout = c // or the results would be written into the bars
	}
	b := &bars{
		results: results,
		console: c,
		drawing: mpb.New(mpb.WithConsoleWriter(newFrameWriter(c.w)), mpb.WithAutoRefresh()),
		memory:  mem,
		awaited: newForecast(of),
		shown:   map[*streamflow.Upload]*bar{},
	}
	c.above(b.drawing)
	// Bars begin without a total, or they would end by themselves.
	b.all = b.drawing.AddBar(0, mpb.BarPriority(math.MaxInt),
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return b.allLabel() }, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return b.allFigures() })))
	return b
}

func (b *bars) started(path string, u *streamflow.Upload) {
	line := &bar{last: streamflow.Progress{Upload: u, TotalBytes: u.State().Total, Remaining: -1}}
	label := runewidth.Truncate(escapeControls(path), nameColumns, "…")
	line.Bar = b.drawing.AddBar(0,
		mpb.PrependDecorators(decor.Name(label, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return line.figures() })))
	line.SetTotal(max(0, line.last.TotalBytes), false)
	b.barsMu.Lock()
	defer b.barsMu.Unlock()
	b.shown[u] = line
}

func (b *bars) event(e streamflow.Event) {
	p, ok := e.(streamflow.Progress)
	if !ok {
		return
	}
	b.barsMu.Lock()
	line := b.shown[p.Upload]
	b.barsMu.Unlock()
	if line == nil {
		return // it has ended
	}
	line.mu.Lock()
	line.last = p
	line.mu.Unlock()
	line.SetCurrent(p.BytesUploaded)
	moved, _ := b.figures()
	b.all.SetTotal(b.awaited.total(), false)
	b.all.SetCurrent(moved)
}

func (b *bars) finished(path string, u *streamflow.Upload, r streamflow.Result) {
	b.remove(u, r.Bytes)
	b.results.finished(path, u, r)
}

func (b *bars) skipped(_ string, u *streamflow.Upload, _ skipReason) {
	b.remove(u, max(0, u.State().Total))
}

func (b *bars) failed(_ string, u *streamflow.Upload, _ error) { b.remove(u, 0) }

// remove takes the bar of an upload off the screen. u may be nil.
func (b *bars) remove(u *streamflow.Upload, moved int64) {
	b.barsMu.Lock()
	line := b.shown[u]
	delete(b.shown, u)
	b.done++
	b.moved += moved
	b.barsMu.Unlock()
	if line != nil {
		line.Abort(true)
	}
}

func (b *bars) close(s summary) error {
	b.awaited.close()
	b.all.Abort(true)
	b.drawing.Wait()
	b.console.above(nil)
	if s.files+s.skipped > 0 {
		fmt.Fprintln(b.console, s)
	}
	return b.results.close(s)
}

// figures of all uploads together.
func (b *bars) figures() (moved int64, bytesPerSecond float64) {
	b.barsMu.Lock()
	defer b.barsMu.Unlock()
	moved = b.moved
	for _, line := range b.shown {
		p := line.progress()
		moved += p.BytesUploaded
		bytesPerSecond += p.Speed
	}
	return moved, bytesPerSecond
}

func (b *bars) allLabel() string {
	b.barsMu.Lock()
	defer b.barsMu.Unlock()
	return fmt.Sprintf("%d of %s", b.done, files(int(b.awaited.files.Load())))
}

func (b *bars) allFigures() string {
	moved, bytesPerSecond := b.figures()
	text := " " + speed(bytesPerSecond)
	if left := b.awaited.total() - moved; left > 0 && bytesPerSecond > 0 {
		text += fmt.Sprintf(", %s left", roughly(time.Duration(float64(left)/bytesPerSecond*float64(time.Second))))
	}
	if p := b.memory.Stats().Process; p != nil {
		text += fmt.Sprintf(", memory %s of %s", bytesize.Format(p.RSS), bytesize.Format(p.Budget))
	}
	return text
}

func (l *bar) progress() streamflow.Progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

func (l *bar) figures() string { return " " + describe(l.progress()) }

// A frameWriter draws each frame from the start of a line: the terminal may
// have echoed ^C there.
type frameWriter struct{ w io.Writer }

func newFrameWriter(w io.Writer) *cupwriter.Writer {
	frames := cupwriter.New(frameWriter{w}, false)
	if f, ok := w.(*os.File); ok {
		frames.SetTermFd(int(f.Fd()))
	}
	return frames
}

func (f frameWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(f.w, "\r"); err != nil {
		return 0, err
	}
	return f.w.Write(p)
}
