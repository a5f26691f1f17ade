package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestStallingConn(t *testing.T) {
	for name, c := range map[string]struct {
		idle, pause time.Duration // before all, and after each byte that the other side takes
		takes       int           // bytes
		failure     error
	}{
		"nothing is taken":             {0, 0, 0, os.ErrDeadlineExceeded},
		"no more is taken":             {0, time.Second, 3, os.ErrDeadlineExceeded},
		"little is taken now and then": {0, stallTimeout * 9 / 10, 10, nil},
		"it was idle for long":         {10 * stallTimeout, time.Second, 10, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				conn, err := newStallingConn(near)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(c.idle)
				var taking sync.WaitGroup
				taking.Go(func() {
					for range c.takes {
						_, _ = io.ReadFull(far, make([]byte, 1))
						time.Sleep(c.pause)
					}
				})
				n, err := conn.Write(make([]byte, 10))
				if n != c.takes || !errors.Is(err, c.failure) {
					t.Errorf("%d bytes are written: %v", n, err)
				}
				taking.Wait()
				if err := errors.Join(conn.Close(), far.Close()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
