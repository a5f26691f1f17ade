package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sampleEvery is how often the peak is read. VmHWM only grows, so that a sample
// misses nothing but the growth since the last one before the process ends.
const sampleEvery = 20 * time.Millisecond

// usage is what a process took, as the system measured it.
type usage struct {
	PeakRSS int64 // bytes, VmHWM of /proc/PID/status
	CPU     time.Duration
	Wall    time.Duration
}

// A process under measurement.
type process struct {
	cmd     *exec.Cmd
	stdout  bytes.Buffer
	stderr  bytes.Buffer
	started time.Time

	done  chan struct{} // closed when the fields below are final
	usage usage
	err   error

	mu   sync.Mutex
	peak int64
}

// start runs cmd and samples its peak until it ends. Start returns after the
// exec, so that no sample sees the memory of the process that forked it.
func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = &p.stdout
	}
	cmd.Stderr = &p.stderr
	p.started = time.Now()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	go p.watch()
	return p, nil
}

// watch samples until the process is a zombie, and only then reaps it: until
// then the process id can't belong to somebody else.
func (p *process) watch() {
	defer close(p.done)
	ended := make(chan struct{})
	var wall time.Duration
	go func() {
		defer close(ended)
		for errors.Is(unix.Waitid(unix.P_PID, p.pid(), nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
		}
		wall = time.Since(p.started)
	}()
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for running := true; running; {
		p.samplePeak()
		select {
		case <-ended:
			running = false
		case <-ticker.C:
		}
	}
	p.err = p.cmd.Wait()
	state := p.cmd.ProcessState
	p.usage = usage{PeakRSS: p.peakRSS(), CPU: state.UserTime() + state.SystemTime(), Wall: wall}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) samplePeak() {
	peak := p.status("VmHWM")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.peak = max(p.peak, peak)
}

// resident is the memory it has now, in bytes.
func (p *process) resident() int64 { return p.status("VmRSS") }

// status reads bytes from /proc/PID/status, or 0 from a process that has ended.
func (p *process) status(name string) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid()))
	if err != nil {
		return 0
	}
	_, rest, found := strings.Cut(string(status), "\n"+name+":")
	if !found {
		return 0 // a zombie has no memory left
	}
	field, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, err := strconv.ParseInt(field, 10, 64)
	if err != nil {
		return 0
	}
	return n * kib
}

func (p *process) peakRSS() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.peak
}

// wait returns when the process has ended; its error carries what the process
// said last on standard error.
func (p *process) wait() (usage, error) {
	<-p.done
	if p.err != nil {
		return p.usage, fmt.Errorf("%s: %w: %s", strings.Join(p.cmd.Args, " "), p.err, lastLines(p.stderr.String()))
	}
	return p.usage, nil
}

// stop ends the process as an operator would, and as the kernel would where
// that takes too long.
func (p *process) stop() (usage, error) {
	p.samplePeak()
	if err := p.cmd.Process.Signal(unix.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return usage{}, fmt.Errorf("stop %s: %w", p.cmd.Path, err)
	}
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		p.kill()
		return p.usage, fmt.Errorf("%s ignored SIGTERM for 20 s", p.cmd.Path)
	}
	return p.wait()
}

// end is stop for a server that doesn't say goodbye: it may end by the signal.
func (p *process) end() (usage, error) {
	u, err := p.stop()
	if state := p.cmd.ProcessState; state != nil {
		if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGTERM {
			return u, nil
		}
	}
	return u, err
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// runToEnd starts cmd and waits.
func runToEnd(cmd *exec.Cmd) (usage, error) {
	p, err := start(cmd)
	if err != nil {
		return usage{}, err
	}
	return p.wait()
}

func lastLines(s string) string {
	const most = 600
	s = strings.TrimSpace(s)
	return s[max(0, len(s)-most):]
}
