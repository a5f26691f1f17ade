package bucket

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"testing"
	"testing/synctest"
)

// A lender is a body that writes itself.
type lender struct{ *bytes.Reader }

func (lender) Close() error { return nil }

// net/http closes a body that it gave up, while it may still write it (issue 49621).
func TestLentBodyIsClosedWhileItIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &exchange{sent: make(chan struct{})}
		body := x.watch(lender{bytes.NewReader(make([]byte, 10))}, 10)
		read, write := io.Pipe()
		go func() { _, _ = io.Copy(write, body) }()
		synctest.Wait() // it waits for a reader
		go func() { _ = body.Close() }()
		synctest.Wait()
		select {
		case <-x.sent:
			t.Error("the body counts as sent while it is written")
		default:
		}
		_, _ = io.ReadFull(read, make([]byte, 10))
		<-x.sent
	})
}

func TestLentBodyIsWrittenAfterClose(t *testing.T) {
	x := &exchange{sent: make(chan struct{})}
	body := x.watch(lender{bytes.NewReader(make([]byte, 10))}, 10)
	if err := body.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := body.(io.WriterTo).WriteTo(io.Discard); n != 0 || !errors.Is(err, fs.ErrClosed) {
		t.Errorf("%d bytes are written: %v", n, err)
	}
}
