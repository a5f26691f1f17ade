package filestore_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
)

// This test binary runs itself as the processes that are killed. The variable
// names the role; directory and upload id are arguments.
const childVariable = "FILESTORE_TEST_CHILD"

var children = map[string]func(){
	"units":       writeUnits,
	"stream":      writeStream,
	"verified":    writeVerified,
	"limit":       hitFileSizeLimit,
	"directories": changeDirectories,
}

// A child is this test binary in another role.
type child struct {
	*exec.Cmd
	lines *bufio.Scanner
}

func startChild(t *testing.T, role string, args ...string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), childVariable+"="+role)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &child{cmd, bufio.NewScanner(out)}
}

// kill ends the child as a crash would, and returns what it said last.
func (c *child) kill(t *testing.T, last string) string {
	t.Helper()
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for c.lines.Scan() {
		last = c.lines.Text()
	}
	_ = c.Wait()
	return last
}

// pattern is what the bytes from off on are, so that any process knows them.
func pattern(off int64, p []byte) {
	for i := range p {
		n := uint64(off+int64(i)) * 0x9e3779b97f4a7c15
		p[i] = byte(n >> 56)
	}
}

func openChildUpload() (store.Upload, store.Info) {
	mem, err := memory.New(&memory.Options{Limit: 4 << 20})
	exitOn(err)
	s, err := filestore.Open(os.Args[1], mem, nil)
	exitOn(err)
	u, info, err := s.Open(context.Background(), os.Args[2])
	exitOn(err)
	return u, info
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// writeUnits goes on with an upload in units of random size, and says after
// each how far it is.
func writeUnits() {
	u, info := openChildUpload()
	off := info.Offset
	unit := make([]byte, 300<<10)
	for off < info.Length {
		p := unit[:min(1+rand.Int64N(int64(len(unit))), info.Length-off)]
		pattern(off, p)
		n, err := u.Write(context.Background(), off, bytes.NewReader(p), int64(len(p)))
		exitOn(err)
		off += n
		fmt.Println(off)
	}
	select {} // until killed
}

// writeStream goes on with an upload in one Write that doesn't end, and says
// before each Read how much it has given.
func writeStream() {
	u, info := openChildUpload()
	_, err := u.Write(context.Background(), info.Offset, &talkative{off: info.Offset}, store.UnknownLength)
	exitOn(err)
}

// writeVerified is writeStream of a unit whose checksum never comes.
func writeVerified() {
	u, info := openChildUpload()
	_, err := u.(store.Verifier).WriteVerified(context.Background(), info.Offset, &talkative{off: info.Offset}, store.UnknownLength, nil)
	exitOn(err)
}

type talkative struct{ off int64 }

func (r *talkative) Read(p []byte) (int, error) {
	fmt.Println(r.off)
	p = p[:min(len(p), 50_000)]
	pattern(r.off, p)
	r.off += int64(len(p))
	return len(p), nil
}

func TestKillBetweenUnits(t *testing.T) {
	dir, mem := t.TempDir(), newMemory(t, 1<<20)
	const length = 100 << 20
	u := create(t, openStore(t, dir, mem, nil), store.Spec{Name: "f", Length: length})
	id := infoOf(t, u).ID
	for round := range 20 {
		c := startChild(t, "units", dir, id)
		last := ""
		for range 1 + rand.IntN(8) {
			if !c.lines.Scan() {
				t.Fatalf("round %d: the child ended by itself", round)
			}
			last = c.lines.Text()
		}
		acknowledged := parseOffset(t, c.kill(t, last))
		info := wantPattern(t, dir, mem, id)
		if info.Offset < acknowledged {
			t.Fatalf("round %d: %d bytes were acknowledged, %d are there", round, acknowledged, info.Offset)
		}
	}
	finishPattern(t, dir, mem, id)
}

// A kill in the middle of one long Write costs what wasn't logged: a record and
// a buffer at most.
func TestKillInUnit(t *testing.T) {
	dir, mem := t.TempDir(), newMemory(t, 1<<20)
	u := create(t, openStore(t, dir, mem, nil), store.Spec{Name: "f", Length: store.UnknownLength})
	id := infoOf(t, u).ID
	for round := range 20 {
		c := startChild(t, "stream", dir, id)
		last := ""
		for range 1 + rand.IntN(40) {
			if !c.lines.Scan() {
				t.Fatalf("round %d: the child ended by itself", round)
			}
			last = c.lines.Text()
		}
		given := parseOffset(t, c.kill(t, last))
		info := wantPattern(t, dir, mem, id)
		if lost := given - info.Offset; lost > 1<<20+256<<10 {
			t.Fatalf("round %d: %d bytes lost of %d", round, lost, given)
		}
	}
	again := open(t, openStore(t, dir, mem, nil), id)
	if err := again.SetLength(t.Context(), infoOf(t, again).Offset); err != nil {
		t.Fatal(err)
	}
	finishPattern(t, dir, mem, id)
}

// A kill before the check leaves nothing of the unit, however long it was.
func TestKillBeforeCheck(t *testing.T) {
	dir, mem := t.TempDir(), newMemory(t, 1<<20)
	const length = 5 << 20
	u := create(t, openStore(t, dir, mem, nil), store.Spec{Name: "f", Length: store.UnknownLength})
	p := make([]byte, length)
	pattern(0, p)
	write(t, u, 0, p)
	id := infoOf(t, u).ID
	for round := range 5 {
		c := startChild(t, "verified", dir, id)
		for range 50 + 20*round {
			if !c.lines.Scan() {
				t.Fatalf("round %d: the child ended by itself", round)
			}
		}
		c.kill(t, "")
		if info := wantPattern(t, dir, mem, id); info.Offset != length || info.Written != nil {
			t.Fatalf("round %d: offset is %d, ranges are %v", round, info.Offset, info.Written)
		}
	}
	if err := open(t, openStore(t, dir, mem, nil), id).SetLength(t.Context(), length); err != nil {
		t.Fatal(err)
	}
	finishPattern(t, dir, mem, id)
}

// Another process that writes an upload keeps this one out until it is gone.
func TestTwoProcesses(t *testing.T) {
	dir, mem := t.TempDir(), newMemory(t, 1<<20)
	s := openStore(t, dir, mem, nil)
	id := infoOf(t, create(t, s, store.Spec{Name: "f", Length: store.UnknownLength})).ID
	c := startChild(t, "stream", dir, id)
	if !c.lines.Scan() {
		t.Fatal("the child ended by itself")
	}
	u := open(t, s, id)
	_, err := u.Write(t.Context(), 0, strings.NewReader("x"), 1)
	var transient *store.TransientError
	wantAs(t, err, &transient)
	wantAs(t, u.Abort(t.Context()), &transient)
	infoOf(t, u)
	c.kill(t, "")
	wantPattern(t, dir, mem, id)
	if err := u.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantTree(t, dir)
}

// wantPattern checks all that the store says is there, after a restart.
func wantPattern(t *testing.T, dir string, mem *memory.Manager, id string) store.Info {
	t.Helper()
	s, err := filestore.Open(dir, mem, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	info, err := s.Stat(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(strings.TrimSuffix(logPath(dir, id), ".log") + ".part")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, want := make([]byte, 1<<20), make([]byte, 1<<20)
	for off := int64(0); off < info.Offset; off += int64(len(got)) {
		got = got[:min(int64(len(got)), info.Offset-off)]
		want = want[:len(got)]
		if _, err := io.ReadFull(io.NewSectionReader(f, off, int64(len(got))), got); err != nil {
			t.Fatal(err)
		}
		pattern(off, want)
		if !bytes.Equal(got, want) {
			t.Fatalf("bytes after %d are not those written", off)
		}
	}
	return info
}

// finishPattern writes what is missing and finishes with the sum of it all.
func finishPattern(t *testing.T, dir string, mem *memory.Manager, id string) {
	t.Helper()
	u := open(t, openStore(t, dir, mem, nil), id)
	info := infoOf(t, u)
	whole := make([]byte, info.Length)
	pattern(0, whole)
	write(t, u, info.Offset, whole[info.Offset:])
	finish(t, u, whole)
	wantTree(t, dir, "f")
}

func parseOffset(t *testing.T, line string) int64 {
	t.Helper()
	var off int64
	if _, err := fmt.Sscanf(line+"\n", "%d\n", &off); err != nil {
		t.Fatalf("child said %q", line)
	}
	return off
}
