package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/memory"
)

// jsonProgress writes JSON Lines. Sizes are bytes, times seconds, speeds bytes
// a second; what is unknown is null.
type jsonProgress struct {
	mu      sync.Mutex
	out     *json.Encoder
	moving  map[*streamflow.Upload]bool // their last line is still to come
	failure error                       // the first of a write
}

func newJSONProgress(w io.Writer) *jsonProgress {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	return &jsonProgress{out: out, moving: map[*streamflow.Upload]bool{}}
}

// writeEarlyError writes a line for what ended a command before its uploads
// began, if standard output is for JSON. The errors of uploads are out already.
func writeEarlyError(cmd *cobra.Command, args []string, err error) {
	var printed printedError
	if err != nil && !errors.As(err, &printed) && wantsJSON(cmd, args) {
		newJSONProgress(cmd.OutOrStdout()).failed("", nil, err)
	}
}

// wantsJSON looks for --json by itself, as the flags of a command line that
// makes no sense may not have been read.
func wantsJSON(cmd *cobra.Command, args []string) bool {
	if cmd.Flags().Lookup("json") == nil {
		return false
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.Usage = func() {}
	asked := flags.Bool("json", false, "")
	progress := flags.String("progress", "", "")
	if errors.Join(flags.Parse(args), applySettings(flags)) != nil {
		return false
	}
	return *asked || *progress == "json"
}

// A message is one line. Its type says which fields follow.
type message struct {
	Type string `json:"message_type"`
	Name string `json:"name,omitempty"`
}

type statusMessage struct {
	message
	Status        string   `json:"status"`
	ID            string   `json:"id,omitempty"`
	Percentage    *float64 `json:"percentage"`
	BytesUploaded int64    `json:"bytes_uploaded"`
	TotalBytes    *int64   `json:"total_bytes"`
	Speed         float64  `json:"speed"`
	Remaining     *float64 `json:"estimated_time_remaining"`
}

type performanceMessage struct {
	message
	Speed          float64 `json:"speed"`
	MemoryUsage    int64   `json:"memory_usage"`
	ProcessingTime float64 `json:"processing_time"`
	Saved          int64   `json:"saved_bytes"`
}

type memoryMessage struct {
	message
	Usage     float64 `json:"usage"` // fraction of the limit
	Threshold float64 `json:"threshold"`
	Used      int64   `json:"used_bytes"`
	Limit     int64   `json:"limit_bytes"`
	Count     uint64  `json:"count"`
}

type fileMessage struct {
	message
	Path          string  `json:"path"`
	ID            string  `json:"id"`
	Location      string  `json:"location"`
	Bytes         int64   `json:"bytes"`
	Resumed       int64   `json:"resumed_bytes"`
	Saved         int64   `json:"saved_bytes"`
	Seconds       float64 `json:"seconds"`
	Retries       int     `json:"retries"`
	CRC32C        string  `json:"crc32c,omitempty"`
	RestartReason string  `json:"restart_reason,omitempty"`
}

type skippedMessage struct {
	message
	Path    string     `json:"path"`
	Skipped skipReason `json:"skipped"`
}

type errorMessage struct {
	message
	Path    string `json:"path,omitempty"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

type summaryMessage struct {
	message
	Files      int     `json:"files"`
	Skipped    int     `json:"skipped"`
	Failed     int     `json:"failed"`
	Bytes      int64   `json:"bytes"`
	Seconds    float64 `json:"seconds"`
	PeakMemory int64   `json:"peak_memory_bytes"`
	PeakRSS    int64   `json:"peak_rss_bytes"`
	Retries    int     `json:"retries"`
	Resumed    int64   `json:"resumed_bytes"`
	Saved      int64   `json:"saved_bytes"`
}

func (p *jsonProgress) started(_ string, u *streamflow.Upload) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moving[u] = true
}

func (p *jsonProgress) event(e streamflow.Event) {
	switch e := e.(type) {
	case streamflow.Progress:
		p.writeMoving(e.Upload, statusMessage{
			message:       message{"status", e.Upload.Name()},
			Status:        e.Upload.State().Status.String(),
			ID:            e.Upload.ID(),
			Percentage:    known(e.Percentage),
			BytesUploaded: e.BytesUploaded,
			TotalBytes:    known(e.TotalBytes),
			Speed:         e.Speed,
			Remaining:     known(e.Remaining.Seconds()),
		})
	case streamflow.Performance:
		p.writeMoving(e.Upload, performanceMessage{
			message{"performance", e.Upload.Name()},
			e.Speed, e.MemoryBytes, e.ProcessingTime.Seconds(), e.SavedBytes,
		})
	case streamflow.Memory:
		if change, ok := e.Event.(memory.LevelChange); ok && change.To > change.From {
			p.write(memoryMessage{
				message{Type: "memory_" + change.To.String()},
				change.Usage, change.Threshold, change.Used, change.Limit, change.Count,
			})
		}
	}
}

func (p *jsonProgress) finished(path string, u *streamflow.Upload, r streamflow.Result) {
	m := fileMessage{
		message: message{"file", u.Name()}, Path: path, ID: r.ID, Location: r.Location, Bytes: r.Bytes,
		Resumed: r.ResumedBytes, Saved: r.SavedBytes, Seconds: r.Duration.Seconds(), Retries: r.Retries, RestartReason: r.RestartReason,
	}
	if r.Sum.Known {
		m.CRC32C = fmt.Sprintf("%08x", r.Sum.CRC32C)
	}
	p.end(u)
	p.write(m)
}

func (p *jsonProgress) skipped(path string, u *streamflow.Upload, why skipReason) {
	p.end(u)
	p.write(skippedMessage{message{"file", u.Name()}, path, why})
}

func (p *jsonProgress) failed(path string, u *streamflow.Upload, err error) {
	m := errorMessage{message: message{Type: "error"}, Path: path, Code: errorCode(err), Message: err.Error()}
	if u != nil {
		m.Name = u.Name()
	}
	p.end(u)
	p.write(m)
}

func (p *jsonProgress) close(s summary) error {
	p.write(summaryMessage{
		message{Type: "summary"},
		s.files, s.skipped, s.failed, s.bytes, s.duration.Round(time.Microsecond).Seconds(),
		s.peakMemory, s.peakRSS, s.retries, s.resumed, s.saved,
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failure
}

func (p *jsonProgress) write(m any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.encode(m)
}

// encode is called with mu held.
func (p *jsonProgress) encode(m any) { p.failure = cmp.Or(p.failure, p.out.Encode(m)) }

// writeMoving drops what comes late: the last line of an upload is its last.
func (p *jsonProgress) writeMoving(u *streamflow.Upload, m any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.moving[u] {
		p.encode(m)
	}
}

func (p *jsonProgress) end(u *streamflow.Upload) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.moving, u)
}

// known returns nil for a negative value, which stands for an unknown one.
func known[T int64 | float64](v T) *T {
	if v < 0 {
		return nil
	}
	return &v
}
