package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	maxStderrBytes = 8 << 10
	// pipesDelay is how long output is read on after the executable ended, or
	// was killed: one of its children may have kept it open.
	pipesDelay = time.Second
)

// What an executable finds in its environment.
const (
	variableEvent = "STREAMFLOW_HOOK_EVENT"
	variableID    = "STREAMFLOW_HOOK_ID"
)

// An executable is a target that is started for each message. Nothing that a
// client chose is in its arguments or environment.
type executable struct {
	path   string
	logger *slog.Logger
}

func newExecutable(name string, opts *Options) (*executable, error) {
	path, err := exec.LookPath(name)
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return nil, fmt.Errorf("hook %s: %w", name, errors.Unwrap(err))
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("hook %s: %w", name, err)
	}
	return &executable{path: path, logger: opts.Logger}, nil
}

func (e *executable) call(ctx context.Context, m envelope) ([]byte, error) {
	cmd := exec.CommandContext(ctx, e.path, string(m.event))
	cmd.Env = append(environment(), variableEvent+"="+string(m.event), variableID+"="+m.id)
	cmd.Stdin = bytes.NewReader(m.body)
	reply := &bounded{most: maxReplyBytes, err: errTooLong}
	said := &bounded{most: maxStderrBytes}
	cmd.Stdout, cmd.Stderr = reply, said
	ownGroup(cmd)
	cmd.WaitDelay = pipesDelay
	err := cmd.Run()
	if text := strings.TrimSpace(said.buf.String()); text != "" {
		e.logger.Info("hook wrote to standard error", "hook", e.path, "event", m.event, "id", m.id, "text", text)
	}
	switch {
	case reply.over:
		return nil, errTooLong
	case errors.Is(err, exec.ErrWaitDelay):
		return nil, errors.New("a process that it left behind keeps its output open")
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("it was killed: %w", ctx.Err())
	case err != nil:
		return nil, err
	}
	return reply.buf.Bytes(), nil
}

// environment is ours without what may hold our secrets.
func environment() []string {
	var env []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "STREAMFLOW_") && !strings.HasPrefix(variable, "AWS_") {
			env = append(env, variable)
		}
	}
	return env
}

func (e *executable) String() string { return e.path }

func (e *executable) close() {}

// bounded keeps the first bytes written to it. The rest is an error where there
// is one, and left out otherwise.
type bounded struct {
	buf  bytes.Buffer
	most int
	over bool
	err  error
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	fits := min(len(p), b.most-b.buf.Len())
	b.buf.Write(p[:fits])
	if fits == len(p) {
		return len(p), nil
	}
	b.over = true
	if b.err != nil {
		return fits, b.err
	}
	return len(p), nil
}
