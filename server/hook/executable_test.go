//go:build unix

package hook_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/streamflow/streamflow/server/hook"
	"github.com/streamflow/streamflow/store"
)

// script writes an executable of a shell script, which finds the directory that
// is its own in $dir.
func script(t *testing.T, text string) (path, dir string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, "hook.sh")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ndir='"+dir+"'\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path, dir
}

func TestRepliesOfExecutables(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		want   int
		code   string
		detail string
		logged string
	}{
		"silent":        {`exit 0`, 201, "", "", ""},
		"reads nothing": {`exec 0<&-; echo '{}'`, 201, "", "", ""},
		"refuses":       {`cat >/dev/null; echo '{"refuse": {"status": 415, "message": "no"}}'`, 415, "INVALID_FILE", "no", ""},
		"refuses badly": {`echo '{"refuse": {}}'; exit 1`, 503, "UNAVAILABLE", "", "exit status 1"},
		"fails":         {`echo "out of order" >&2; exit 3`, 503, "UNAVAILABLE", "", "out of order"},
		"dies":          {`kill -9 $$`, 503, "UNAVAILABLE", "", "signal: killed"},
		"no JSON":       {`echo hello`, 503, "UNAVAILABLE", "", "its reply"},
		"floods":        {`while echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; do :; done`, 503, "UNAVAILABLE", "", "longer than 65536 bytes"},
		"floods stderr": {`i=0; while [ $i -lt 3000 ]; do echo xxxxxxxxxxxxxxxxx >&2; i=$((i+1)); done`, 201, "", "", "hook wrote to standard error"},
		"hangs":         {`sleep 1000`, 503, "UNAVAILABLE", "", "it was killed"},
	} {
		t.Run(name, func(t *testing.T) {
			path, _ := script(t, test.script)
			opts := hook.Options{Events: []hook.Event{hook.PreCreate}}
			if name == "hangs" {
				opts.Timeout = 50 * time.Millisecond
			}
			r := newRig(t, opts, path)
			wantAnswer(t, r.create("5", nil), test.want, test.code, test.detail)
			if said := r.log.String(); !strings.Contains(said, test.logged) || len(said) > 16<<10 {
				t.Errorf("the log is %.2000s", said)
			}
		})
	}
}

// What a client chooses reaches an executable in its input only, and lines of
// the log stay lines.
func TestNothingIsInjected(t *testing.T) {
	t.Setenv("STREAMFLOW_TOKEN", "hidden")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hidden")
	t.Setenv("CLAMD_ADDRESS", "seen")
	path, dir := script(t, `cat > "$dir/input"; tr '\0' '\n' < /proc/$$/cmdline > "$dir/args"; env > "$dir/env"; echo "$(cat "$dir/input")" >&2`)
	r := newRig(t, hook.Options{Events: []hook.Event{hook.PreCreate}}, path)
	evil := "$(touch " + dir + "/pwned)`touch " + dir + "/pwned`\n; touch " + dir + "/pwned; level=ERROR msg=forged\r\n"
	if a := r.create("5", map[string]string{"filename": evil, "EVIL": evil}); a.status != 201 {
		t.Fatalf("answer is %d %+v", a.status, a.problem)
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		r.must(err)
		return string(b)
	}
	var m hook.Message
	r.must(json.Unmarshal([]byte(read("input")), &m))
	if m.Upload.Name != evil || m.Upload.Metadata["EVIL"] != evil {
		t.Errorf("upload is %+v", m.Upload)
	}
	if args := strings.Fields(read("args")); len(args) != 3 || args[2] != "pre-create" {
		t.Errorf("arguments are %q", args)
	}
	env := read("env")
	if strings.Contains(env, "pwned") || strings.Contains(env, "hidden") || !strings.Contains(env, "CLAMD_ADDRESS=seen") ||
		!strings.Contains(env, "STREAMFLOW_HOOK_EVENT=pre-create") || !strings.Contains(env, "STREAMFLOW_HOOK_ID="+m.ID) {
		t.Errorf("environment is %s", env)
	}
	if _, err := os.Stat(filepath.Join(dir, "pwned")); err == nil {
		t.Error("a name was run")
	}
	for line := range strings.Lines(r.log.String()) {
		if !strings.HasPrefix(line, "time=") {
			t.Errorf("a line of the log is %q", line)
		}
	}
}

// At the timeout all dies that the executable has started.
func TestTimeoutKillsTheGroup(t *testing.T) {
	path, dir := script(t, `sleep 1000 & echo $! > "$dir/pid"; wait`)
	r := newRig(t, hook.Options{Events: []hook.Event{hook.PreCreate}, Timeout: 200 * time.Millisecond}, path)
	wantAnswer(t, r.create("5", nil), 503, "UNAVAILABLE", "")
	text, err := os.ReadFile(filepath.Join(dir, "pid"))
	r.must(err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	r.must(err)
	r.eventually("the child's end", func() bool {
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		return err != nil || strings.Contains(string(stat), ") Z ") || syscall.Kill(pid, 0) != nil
	})
}

// No executable outlives Close, also not one that a request waits for.
func TestCloseEndsAsking(t *testing.T) {
	path, dir := script(t, `touch "$dir/asked"; sleep 1000`)
	r := newRig(t, hook.Options{}, "true")
	hooks, err := hook.Open(t.Context(), []string{path}, t.TempDir(), r.files, r.mem, nil)
	r.must(err)
	answer := make(chan error, 1)
	go func() {
		_, err := hooks.Uploads(nil).Create(context.Background(), store.Spec{})
		answer <- err
	}()
	r.eventually("the question", func() bool {
		_, err := os.Stat(filepath.Join(dir, "asked"))
		return err == nil
	})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	r.must(hooks.Close(ended))
	if transient := (*store.TransientError)(nil); !errors.As(<-answer, &transient) {
		t.Error("the answer isn't to try again")
	}
}

func TestExecutableIsTold(t *testing.T) {
	path, dir := script(t, `echo "$1 $STREAMFLOW_HOOK_ID" >> "$dir/told"`)
	r := newRig(t, hook.Options{Events: []hook.Event{hook.PostCreate, hook.PostFinish}}, path)
	r.upload("hello")
	r.eventually("an empty outbox", func() bool { return len(r.messages()) == 0 })
	told, err := os.ReadFile(filepath.Join(dir, "told"))
	r.must(err)
	lines := strings.Fields(string(told))
	if len(lines) != 4 || lines[0] != "post-create" || lines[2] != "post-finish" || len(lines[1]) != 32 || lines[1] == lines[3] {
		t.Errorf("told %q", told)
	}
}
