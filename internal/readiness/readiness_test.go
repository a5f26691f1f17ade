package readiness_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/streamflow/streamflow/internal/readiness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var refusing = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })

func TestAnyAnswerIsReady(t *testing.T) {
	for name, start := range map[string]func(http.Handler) *httptest.Server{
		"http": httptest.NewServer, "https": httptest.NewTLSServer,
	} {
		t.Run(name, func(t *testing.T) {
			server := start(refusing)
			defer server.Close()
			if err := readiness.Wait(t.Context(), server.URL, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestConnectionIsNoAnswer(t *testing.T) {
	listener := listen(t)
	var answered atomic.Bool
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { answered.Store(true) })}
	served := make(chan error)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			err = conn.Close()
		}
		if err == nil {
			err = server.Serve(listener)
		}
		served <- err
	}()
	err := readiness.Wait(t.Context(), "http://"+listener.Addr().String(), nil)
	if err != nil || !answered.Load() {
		t.Errorf("answered is %t, error %v", answered.Load(), err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

func TestEndedProcess(t *testing.T) {
	other := httptest.NewServer(refusing)
	defer other.Close()
	ended := make(chan struct{})
	close(ended)
	for name, url := range map[string]string{
		"nobody answers": "http://" + closed(t), "another answers": other.URL,
	} {
		t.Run(name, func(t *testing.T) {
			if err := readiness.Wait(t.Context(), url, ended); !errors.Is(err, readiness.ErrEnded) {
				t.Error(err)
			}
		})
	}
}

func TestContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := readiness.Wait(ctx, "http://"+closed(t), nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// closed is an address where nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	listener := listen(t)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return listener.Addr().String()
}
