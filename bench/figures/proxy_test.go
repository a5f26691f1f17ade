package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestProxySeesWhatPassesTwice(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer upstream.Close()
	p, err := newProxy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.connect(upstream.Listener.Addr().String())

	send(t, p, http.MethodPost, 0, 0)
	send(t, p, http.MethodPatch, 0, 1000)
	p.excuse(300)
	send(t, p, http.MethodPatch, 600, 900)
	send(t, p, http.MethodPatch, 1500, 500)
	http.DefaultClient.CloseIdleConnections()
	p.close()

	if p.creates != 1 {
		t.Errorf("creates = %d, want 1", p.creates)
	}
	if p.passed != 2400 || p.highest != 2000 {
		t.Errorf("passed %d up to %d, want 2400 up to 2000", p.passed, p.highest)
	}
	if want := (resume{Offset: 600, Resent: 400, Excused: 300}); len(p.resumes) != 1 || p.resumes[0] != want {
		t.Errorf("resumes = %v, want [%v]", p.resumes, want)
	}
}

func send(t *testing.T, p *proxy, method string, offset, length int) {
	t.Helper()
	before := passed(p)
	request, err := http.NewRequestWithContext(t.Context(), method, p.url(), strings.NewReader(strings.Repeat("x", length)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Upload-Offset", strconv.Itoa(offset))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	// What was passed on is counted a moment later, and what comes next builds on it.
	for want := before + int64(length); passed(p) < want; {
		time.Sleep(time.Millisecond)
	}
}

func passed(p *proxy) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.passed
}
