package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/streamflow/streamflow/internal/bytesize"
	"github.com/streamflow/streamflow/internal/s3test"
)

// A script may take this long for anything it waits for.
const patience = 30 * time.Second

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			peers, err := filepath.Abs("../../bin") // make peers puts age there
			if err != nil {
				return err
			}
			env.Setenv("PATH", env.Getenv("PATH")+string(filepath.ListSeparator)+peers)
			env.Setenv("GORACE", "atexit_sleep_ms=10") // and not a second for each process
			env.Values[runningKey{}] = &running{processes: map[string]*process{}}
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name == "race" { // the detector takes memory of its own
				return raceDetector, nil
			}
			return false, fmt.Errorf("unknown condition %s", name)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"mkfile":      mkfile,
			"mktext":      mktext,
			"same":        same,
			"exits":       exits,
			"start":       start,
			"ready":       ready,
			"signal":      sendSignal,
			"feed":        feed,
			"says":        says,
			"finish":      finish,
			"website":     website,
			"ask":         ask,
			"signed":      signed,
			"certificate": certificate,
			"gate":        gateCommand,
			"bucket":      bucket,
			"refusing":    refusing,
		},
	})
}

// mkfile NAME SIZE makes a file of random bytes, the same each time.
func mkfile(ts *testscript.TestScript, _ bool, args []string) {
	n, err := bytesize.Parse(args[1])
	ts.Check(err)
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o666))
}

// mktext NAME SIZE makes a file of lines, as a log has them.
func mktext(ts *testscript.TestScript, _ bool, args []string) {
	n, err := bytesize.Parse(args[1])
	ts.Check(err)
	var text []byte
	for i := int64(0); int64(len(text)) < n; i++ {
		text = fmt.Appendf(text, "request %d was served in %d ms\n", i, i*7919%997)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text[:n], 0o666))
}

// same A B compares two files byte by byte. B may be a pattern, of which one
// file must be the same.
func same(ts *testscript.TestScript, _ bool, args []string) {
	a, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	paths := []string{ts.MkAbs(args[1])}
	if strings.Contains(args[1], "*") {
		paths, err = filepath.Glob(paths[0])
		ts.Check(err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		ts.Check(err)
		if bytes.Equal(a, b) {
			return
		}
	}
	ts.Fatalf("%s is none of %v", args[0], paths)
}

// exits CODE PROGRAM ARG... runs a program that must end with CODE.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	checkCode(ts, args[0], ts.Exec(args[1], args[2:]...))
}

func checkCode(ts *testscript.TestScript, want string, err error) {
	code := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != want {
		ts.Fatalf("exit code is %d, want %s", code, want)
	}
}

// running is what a script has running beside it.
type running struct {
	processes map[string]*process
	gate      *gate
}

type runningKey struct{}

func runningIn(ts *testscript.TestScript) *running { return ts.Value(runningKey{}).(*running) }

// A process runs beside a script.
type process struct {
	cmd    *exec.Cmd
	stdin  *os.File // the end that stays open until finish
	ended  chan struct{}
	result error
}

func processOf(ts *testscript.TestScript, name string) *process {
	p := runningIn(ts).processes[name]
	if p == nil {
		ts.Fatalf("%s was not started", name)
	}
	return p
}

// start [-socket] NAME PROGRAM ARG... runs a program beside the script. Its
// output goes to NAME.stdout and NAME.stderr. Its input, a pipe or a socket,
// stays open.
func start(ts *testscript.TestScript, _ bool, args []string) {
	connect := os.Pipe
	if args[0] == "-socket" {
		connect, args = socketPair, args[1:]
	}
	name := args[0]
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"HOME", "PATH", "GORACE", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	out, err := os.Create(ts.MkAbs(name + ".stdout"))
	ts.Check(err)
	defer out.Close()
	errOut, err := os.Create(ts.MkAbs(name + ".stderr"))
	ts.Check(err)
	defer errOut.Close()
	input, stdin, err := connect()
	ts.Check(err)
	defer input.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input, out, errOut
	ts.Check(cmd.Start())
	p := &process{cmd: cmd, stdin: stdin, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		p.result = cmd.Wait()
	}()
	runningIn(ts).processes[name] = p
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		<-p.ended
		_ = stdin.Close()
	})
}

func socketPair() (*os.File, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "input"), os.NewFile(uintptr(fds[1]), "stdin"), nil
}

// ready NAME FILE VARIABLE waits until the process has written FILE, and sets
// VARIABLE to what it says.
func ready(ts *testscript.TestScript, _ bool, args []string) {
	p, path := processOf(ts, args[0]), ts.MkAbs(args[1])
	eventually(ts, args[1], func() bool {
		select {
		case <-p.ended:
			said, _ := os.ReadFile(ts.MkAbs(args[0] + ".stderr"))
			ts.Fatalf("%s ended: %v: %s", args[0], p.result, said)
		default:
		}
		text, err := os.ReadFile(path)
		ts.Setenv(args[2], string(bytes.TrimSpace(text)))
		return err == nil
	})
}

func eventually(ts *testscript.TestScript, what string, done func() bool) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !done(); <-tick.C {
		if time.Now().After(deadline) {
			ts.Fatalf("waited for %s in vain", what)
		}
	}
}

// signal NAME SIGNAL sends a signal to a process.
func sendSignal(ts *testscript.TestScript, _ bool, args []string) {
	signals := map[string]syscall.Signal{
		"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL, "USR1": syscall.SIGUSR1, "HUP": syscall.SIGHUP,
	}
	ts.Check(processOf(ts, args[0]).cmd.Process.Signal(signals[args[1]]))
}

// feed NAME FILE gives a file to the standard input of a process, and leaves
// that open.
func feed(ts *testscript.TestScript, _ bool, args []string) {
	data, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	_, err = processOf(ts, args[0]).stdin.Write(data)
	ts.Check(err)
}

// says NAME TEXT waits until a process has written TEXT.
func says(ts *testscript.TestScript, _ bool, args []string) {
	eventually(ts, args[1], func() bool {
		out, err := os.ReadFile(ts.MkAbs(args[0] + ".stdout"))
		ts.Check(err)
		errOut, err := os.ReadFile(ts.MkAbs(args[0] + ".stderr"))
		ts.Check(err)
		return bytes.Contains(out, []byte(args[1])) || bytes.Contains(errOut, []byte(args[1]))
	})
}

// finish NAME CODE waits for the end of a process, which must be with CODE.
func finish(ts *testscript.TestScript, _ bool, args []string) {
	p := processOf(ts, args[0])
	select {
	case <-p.ended:
		checkCode(ts, args[1], p.result)
	case <-time.After(patience):
		ts.Fatalf("%s doesn't end", args[0])
	}
}

// bucket [-tls] VARIABLE starts an S3 server with a bucket that VARIABLE is the URL of.
// Its objects are files in the directory bucket; the AWS_ variables lead to it.
func bucket(ts *testscript.TestScript, _ bool, args []string) {
	secure := args[0] == "-tls"
	dir, err := os.MkdirTemp(ts.MkAbs("."), "gateway")
	ts.Check(err)
	gateway, err := s3test.New(dir, secure)
	ts.Check(err)
	ts.Defer(gateway.Kill)
	ts.Check(gateway.Start())
	name, err := gateway.NewBucket()
	ts.Check(err)
	_ = os.Remove(ts.MkAbs("bucket")) // of an earlier one
	ts.Check(os.Symlink(filepath.Join(gateway.Dir, name), ts.MkAbs("bucket")))
	ts.Setenv(args[len(args)-1], "s3://"+name)
	ts.Setenv("AWS_ENDPOINT_URL", gateway.Endpoint)
	ts.Setenv("AWS_CA_BUNDLE", gateway.CAFile)
	ts.Setenv("AWS_ACCESS_KEY_ID", s3test.AccessKey)
	ts.Setenv("AWS_SECRET_ACCESS_KEY", s3test.SecretKey)
}

// website VARIABLE STATUS [PATH] starts a web server that knows nothing of uploads,
// answers everything with STATUS, and has VARIABLE as its URL with PATH, which is /files/.
func website(ts *testscript.TestScript, _ bool, args []string) {
	status, err := strconv.Atoi(args[1])
	ts.Check(err)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = w.Write([]byte("<!doctype html><title>Hello</title>"))
	}))
	ts.Defer(srv.Close)
	path := "/files/"
	if len(args) > 2 {
		path = args[2]
	}
	ts.Setenv(args[0], srv.URL+path)
}

// ask [-host NAME] [-header 'NAME: VALUE']... METHOD URL STATUS FILE makes a
// request, which must be answered with STATUS, and keeps the answer in FILE: its
// body, or its headers where there is none. The URL may have elements "..".
func ask(ts *testscript.TestScript, _ bool, args []string) {
	host, header := "", http.Header{}
	for strings.HasPrefix(args[0], "-") {
		if args[0] == "-host" {
			host = args[1]
		} else {
			name, value, _ := strings.Cut(args[1], ": ")
			header.Add(name, value)
		}
		args = args[2:]
	}
	target, err := url.JoinPath(args[1])
	ts.Check(err)
	req, err := http.NewRequestWithContext(context.Background(), args[0], target, nil)
	ts.Check(err)
	req.Host, req.Header = host, header
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if len(text) == 0 {
		var fields bytes.Buffer
		ts.Check(resp.Header.Write(&fields))
		text = fields.Bytes()
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[3]), text, 0o666))
	if strconv.Itoa(resp.StatusCode) != args[2] {
		ts.Fatalf("%s %s: %s, want %s: %s", args[0], args[1], resp.Status, args[2], text)
	}
}
