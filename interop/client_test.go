package interop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A client may take so long for one job, and so long where it is known to hang
// before some server.
const (
	patience       = 60 * time.Second
	littlePatience = 10 * time.Second
)

// A job is one upload, told to any client. peers/client.mjs says what its
// fields mean.
type job struct {
	Endpoint string `json:"endpoint"`
	File     string `json:"file"`
	Name     string `json:"name"`
	State    string `json:"state"` // where the client remembers its uploads
	Chunk    int64  `json:"chunk,omitempty"`
	Defer    bool   `json:"defer,omitempty"`
	Parallel int    `json:"parallel,omitempty"`
	Together bool   `json:"together,omitempty"`
	visitor
	Retry   bool   `json:"retry,omitempty"`
	StopAt  int64  `json:"stopAt,omitempty"`
	Then    string `json:"then,omitempty"`
	Timeout int64  `json:"timeout"` // milliseconds
	// left is closed when enough was sent; StopAt is for clients that count
	// themselves.
	left <-chan struct{}
}

// A result is where an upload lies, and what went wrong with it.
type result struct {
	URL    string `json:"url"`
	Status int    `json:"status"`
	Error  string `json:"error"`
}

func (r result) err() error {
	if r.Error == "" {
		return nil
	}
	return fmt.Errorf("status %d: %s", r.Status, r.Error)
}

// What not every client can do.
type ability int

const (
	deferring ability = 1 << iota
	parallel
	together
	pausing
	terminating
)

// A client is a program that uploads.
type client struct {
	name string
	can  ability
	send func(context.Context, job) (result, error)
}

// Uppy in Node can't terminate: it reports progress of a file that it has just
// removed, which ends the process with a TypeError.
var clients = []client{
	{streamflow, deferring, upload},
	{"tus-js-client in Node", deferring | parallel | together | pausing | terminating, driven("tus", "node")},
	{"tus-js-client in Chromium", deferring | parallel | together | pausing | terminating, driven("tus", "chromium")},
	{"Uppy in Node", together | pausing, driven("uppy", "node")},
	{"Uppy in Chromium", together | pausing | terminating, driven("uppy", "chromium")},
}

// upload runs `streamflow upload`.
func upload(ctx context.Context, j job) (result, error) {
	args := []string{"upload", "--json", "--state-dir", j.State}
	if j.Chunk > 0 {
		args = append(args, "--chunk-size", strconv.FormatInt(j.Chunk, 10))
	}
	if !j.Retry {
		args = append(args, "--retries", "0")
	}
	cmd := exec.CommandContext(ctx, bench.streamflow, append(args, j.File, j.Endpoint)...)
	if j.Defer {
		source, err := os.Open(j.File)
		if err != nil {
			return result{}, err
		}
		defer source.Close()
		cmd.Args = append(cmd.Args[:1], append(args, "--name", j.Name, "-", j.Endpoint)...)
		cmd.Stdin = struct{ io.Reader }{source} // a pipe, which has no length
	}
	out, problems := &lines{named: make(chan struct{})}, &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = out, problems
	if err := cmd.Start(); err != nil {
		return result{}, err
	}
	ended := make(chan struct{})
	var interrupting sync.WaitGroup
	interrupting.Go(func() {
		if first(j.left, ended) && first(out.named, ended) {
			_ = cmd.Process.Signal(syscall.SIGINT)
		}
	})
	err := cmd.Wait()
	close(ended)
	interrupting.Wait()
	const interrupted = 130
	if err != nil && (j.left == nil || cmd.ProcessState.ExitCode() != interrupted) {
		return result{Error: fmt.Sprintf("%v: %s%s", err, out.last(), problems)}, nil
	}
	return result{URL: out.id}, nil
}

func first(this, that <-chan struct{}) bool {
	select {
	case <-this:
		return true
	case <-that:
		return false
	}
}

// lines are what `streamflow upload --json` prints; it writes whole lines.
type lines struct {
	text  bytes.Buffer
	id    string // of the upload, once named is closed
	named chan struct{}
}

func (l *lines) Write(b []byte) (int, error) {
	for line := range bytes.Lines(b) {
		var said struct{ ID string }
		if err := json.Unmarshal(line, &said); err == nil && said.ID != "" && l.id == "" {
			l.id = said.ID
			close(l.named)
		}
	}
	return l.text.Write(b)
}

// last is the end of what was printed.
func (l *lines) last() []byte { return l.text.Bytes()[max(0, l.text.Len()-kib):] }

// A driver is the process that runs the clients of others.
type driver struct {
	cmd   *exec.Cmd
	input io.WriteCloser
	done  chan struct{}

	mu      sync.Mutex
	waiting map[string]chan<- result
	jobs    int
}

func startDriver(ctx context.Context) (*driver, error) {
	d := &driver{
		cmd:     exec.CommandContext(ctx, "node", filepath.Join(bench.peers, "drive.mjs")),
		done:    make(chan struct{}),
		waiting: map[string]chan<- result{},
	}
	d.cmd.Stderr = os.Stderr
	input, err := d.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	d.input = input
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the clients: %w", err)
	}
	go d.read(output)
	return d, nil
}

func (d *driver) read(output io.Reader) {
	defer close(d.done)
	for answers := bufio.NewScanner(output); answers.Scan(); {
		var answer struct {
			ID string
			result
		}
		if err := json.Unmarshal(answers.Bytes(), &answer); err != nil {
			fmt.Fprintf(os.Stderr, "read a client's answer %s: %v\n", answers.Bytes(), err)
			return
		}
		d.mu.Lock()
		to := d.waiting[answer.ID]
		delete(d.waiting, answer.ID)
		d.mu.Unlock()
		if to != nil {
			to <- answer.result
		}
	}
}

func (d *driver) close() error {
	if err := d.input.Close(); err != nil {
		return err
	}
	<-d.done
	return d.cmd.Wait()
}

func (d *driver) run(ctx context.Context, client, where string, j job) (result, error) {
	answer := make(chan result, 1)
	d.mu.Lock()
	d.jobs++
	id := strconv.Itoa(d.jobs)
	d.waiting[id] = answer
	line, err := json.Marshal(struct {
		ID     string `json:"id"`
		Client string `json:"client"`
		Where  string `json:"where"`
		job
	}{id, client, where, j})
	if err == nil {
		_, err = d.input.Write(append(line, '\n'))
	}
	d.mu.Unlock()
	if err != nil {
		return result{}, fmt.Errorf("give the clients a job: %w", err)
	}
	select {
	case r := <-answer:
		r.Error = strings.TrimSpace(r.Error)
		return r, nil
	case <-d.done:
		return result{}, errors.New("the clients have ended")
	case <-ctx.Done():
		return result{}, ctx.Err()
	}
}

func driven(client, where string) func(context.Context, job) (result, error) {
	return func(ctx context.Context, j job) (result, error) { return bench.driver.run(ctx, client, where, j) }
}
