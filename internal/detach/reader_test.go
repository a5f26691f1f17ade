package detach_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow/internal/detach"
)

func TestReadsUntilDetached(t *testing.T) {
	d := detach.NewReader(strings.NewReader("streamflow"))
	p := make([]byte, 6)
	if n, err := d.Read(p); n != 6 || err != nil {
		t.Fatalf("Read = %d, %v", n, err)
	}
	d.Detach()
	d.Detach()
	if n, err := d.Read(p); n != 0 || !errors.Is(err, detach.ErrDetached) {
		t.Errorf("Read after Detach = %d, %v", n, err)
	}
	if d.Bytes() != 6 {
		t.Errorf("Bytes = %d, want 6", d.Bytes())
	}
	if d.Err() != nil {
		t.Errorf("Err = %v: detaching is no error of the reader", d.Err())
	}
}

func TestLendsUntilDetached(t *testing.T) {
	lent := func(d *detach.Reader) (text string) {
		_, _ = d.Lend(6, func(p []byte) error { text = string(p); return nil })
		return text
	}
	d := detach.NewReader(bytes.NewBufferString("streamflow"))
	for _, want := range []string{"stream", "flow", ""} {
		if got := lent(d); got != want {
			t.Errorf("%q is lent, want %q", got, want)
		}
	}
	if d.Bytes() != 10 || d.Err() != io.EOF {
		t.Errorf("Bytes = %d, Err = %v", d.Bytes(), d.Err())
	}
	d = detach.NewReader(bytes.NewBufferString("streamflow"))
	d.Detach()
	if got := lent(d); got != "" {
		t.Errorf("%q is lent after Detach", got)
	}
}

func TestDetachWaitsForWhatIsLent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := detach.NewReader(bytes.NewBufferString("streamflow"))
		used, detached := make(chan struct{}), make(chan struct{})
		go func() { _, _ = d.Lend(6, func([]byte) error { <-used; return nil }) }()
		synctest.Wait()
		go func() {
			d.Detach()
			close(detached)
		}()
		synctest.Wait()
		select {
		case <-detached:
			t.Error("Detach returned while bytes are lent")
		default:
		}
		close(used)
		<-detached
	})
}

func TestErrIsHowTheReaderEnded(t *testing.T) {
	broken := errors.New("disk gone")
	for name, c := range map[string]struct {
		r    io.Reader
		want error
	}{
		"end":   {strings.NewReader("a"), io.EOF},
		"error": {io.MultiReader(strings.NewReader("a"), errorReader{broken}), broken},
	} {
		t.Run(name, func(t *testing.T) {
			d := detach.NewReader(c.r)
			_, _ = io.Copy(io.Discard, d)
			if !errors.Is(d.Err(), c.want) {
				t.Errorf("Err = %v, want %v", d.Err(), c.want)
			}
		})
	}
}

func TestFailureIsWhyBytesAreMissing(t *testing.T) {
	broken := errors.New("disk gone")
	for name, c := range map[string]struct {
		r    io.Reader
		size int64
		want error
	}{
		"whole":       {strings.NewReader("ab"), 2, nil},
		"of any size": {strings.NewReader("ab"), -1, nil},
		"short":       {strings.NewReader("a"), 2, io.ErrUnexpectedEOF},
		"error":       {io.MultiReader(strings.NewReader("a"), errorReader{broken}), 2, broken},
	} {
		t.Run(name, func(t *testing.T) {
			d := detach.NewReader(c.r)
			_, _ = io.Copy(io.Discard, d)
			if err := d.Failure(c.size); !errors.Is(err, c.want) {
				t.Errorf("Failure = %v, want %v", err, c.want)
			}
		})
	}
}

func TestDetachWaitsForRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := detach.NewReader(slowReader{time.Minute})
		began := time.Now()
		go func() { _, _ = d.Read(make([]byte, 1)) }()
		synctest.Wait()
		d.Detach()
		if took := time.Since(began); took != time.Minute {
			t.Errorf("Detach returned after %v, before the Read had", took)
		}
	})
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

type slowReader struct{ d time.Duration }

func (r slowReader) Read(p []byte) (int, error) {
	time.Sleep(r.d)
	return len(p), nil
}
