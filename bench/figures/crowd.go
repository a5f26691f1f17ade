package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"
)

// crowdSize is how many uploads are under way at once.
const crowdSize = 50

// A crowd is many uploads at once to a server that may be killed or refuse:
// each asks where it stands and goes on, until it is whole.
type crowd struct {
	source []byte // of every upload, each from another byte on
	pieces []int  // bytes of one PATCH, for one upload after the other

	mu       sync.Mutex
	url      string // of the server's uploads
	restless bool   // who is done begins another upload
	tally    crowdTally
}

// crowdTally is what the crowd has seen.
type crowdTally struct {
	Acknowledged int64       `json:"acknowledged_bytes"`
	Finished     int         `json:"finished"`
	Resumed      int         `json:"resumed"`
	Lost         int         `json:"acknowledged_offsets_lost"`
	Differ       int         `json:"files_that_differ"`
	Refusals     map[int]int `json:"refusals"` // by status
}

func (b *bench) newCrowd(size int64, pieces ...int) (*crowd, error) {
	source, err := b.source("source", size)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(source)
	if err != nil {
		return nil, fmt.Errorf("read the source: %w", err)
	}
	return &crowd{source: content, pieces: pieces, restless: true, tally: crowdTally{Refusals: map[int]int{}}}, nil
}

// A gathering is a crowd at work.
type gathering struct {
	cancel context.CancelFunc
	gone   chan struct{} // closed when everybody is done; err says how
	err    error
}

// gather has all uploads begin.
func (c *crowd) gather(ctx context.Context, store string) *gathering {
	ctx, cancel := context.WithCancel(ctx)
	g := &gathering{cancel: cancel, gone: make(chan struct{})}
	go func() {
		defer close(g.gone)
		g.err = inParallel(crowdSize, crowdSize, func(i int) error { return c.upload(ctx, i, store) })
	}()
	return g
}

// disperse ends what is still under way.
func (g *gathering) disperse() {
	g.cancel()
	<-g.gone
}

// meets tells the crowd where the server is now.
func (c *crowd) meets(url string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.url = url
}

// rest lets the uploads end that are under way, and begins no other.
func (c *crowd) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.restless = false
}

func (c *crowd) at(path string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	base, err := url.Parse(c.url)
	if err != nil {
		return "", fmt.Errorf("read the server's URL: %w", err)
	}
	return base.JoinPath(path).String(), nil
}

func (c *crowd) acknowledged() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tally.Acknowledged
}

func (c *crowd) count(add func(*crowdTally)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	add(&c.tally)
}

// upload brings upload after upload to its end while the crowd is restless,
// and the last one after that.
func (c *crowd) upload(ctx context.Context, number int, store string) error {
	client := &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	for again := true; again; {
		number += crowdSize
		m := &member{crowd: c, client: client, from: number * 4099 % len(c.source), piece: c.pieces[number%len(c.pieces)]}
		if err := m.bring(ctx); err != nil {
			return err
		}
		stored := filepath.Join(store, m.id)
		if err := m.verify(stored); err != nil {
			c.count(func(t *crowdTally) { t.Differ++ })
			return err
		}
		if err := os.Truncate(stored, 0); err != nil { // its name stays taken
			return fmt.Errorf("make room: %w", err)
		}
		c.mu.Lock()
		c.tally.Finished++
		again = c.restless
		c.mu.Unlock()
	}
	return nil
}

// A member is one upload of the crowd.
type member struct {
	*crowd
	client *http.Client
	from   int    // where in the source its bytes begin
	piece  int    // bytes of one PATCH
	id     string // "" before it was created
	acked  int    // the furthest offset that an answer named
}

// bring repeats until all is there. It gives up when nothing has moved for a
// minute.
func (m *member) bring(ctx context.Context) error {
	const pause = 20 * time.Millisecond
	moved, acked := time.Now(), -1
	for m.acked < len(m.source) {
		if m.acked > acked {
			moved, acked = time.Now(), m.acked
		}
		err := m.step(ctx)
		if err == nil {
			continue
		}
		if time.Since(moved) > time.Minute {
			return fmt.Errorf("an upload stands still at %d: %w", m.acked, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		if err := m.resume(ctx); err != nil {
			m.count(func(t *crowdTally) { t.Lost++ })
			return err
		}
	}
	return nil
}

// step creates the upload, or sends one piece.
func (m *member) step(ctx context.Context) error {
	if m.id == "" {
		answer, err := m.ask(ctx, http.MethodPost, nil, "Upload-Length", strconv.Itoa(len(m.source)))
		if err != nil {
			return err
		}
		m.id = path.Base(answer.Get("Location"))
		return nil
	}
	end := min(m.acked+m.piece, len(m.source))
	_, err := m.ask(ctx, http.MethodPatch, m.bytes(m.acked, end),
		"Content-Type", "application/offset+octet-stream", "Upload-Offset", strconv.Itoa(m.acked))
	if err != nil {
		return err
	}
	m.count(func(t *crowdTally) { t.Acknowledged += int64(end - m.acked) })
	m.acked = end
	return nil
}

// resume asks where the upload stands. No answer is no error: the next step
// gets none either.
func (m *member) resume(ctx context.Context) error {
	if m.id == "" {
		return nil
	}
	answer, err := m.ask(ctx, http.MethodHead, nil)
	if refused, ok := errors.AsType[*refusedError](err); ok && refused.status == http.StatusNotFound {
		return fmt.Errorf("%s is not there, of which %d bytes were acknowledged", m.id, m.acked)
	}
	if err != nil {
		return nil //nolint:nilerr // the next step fails of the same and says so
	}
	offset, err := strconv.Atoi(answer.Get("Upload-Offset"))
	if err != nil {
		return fmt.Errorf("read the offset: %w", err)
	}
	if offset < m.acked {
		return fmt.Errorf("%d bytes of %s were acknowledged, and %d are there", m.acked, m.id, offset)
	}
	m.acked = offset
	m.count(func(t *crowdTally) { t.Resumed++ })
	return nil
}

// ask makes a request and returns the header of the answer; a refusal is an
// *refusedError.
func (m *member) ask(ctx context.Context, method string, body io.Reader, headers ...string) (http.Header, error) {
	to, err := m.at(m.id)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, to, body)
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := m.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the server: %w", err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		m.count(func(t *crowdTally) { t.Refusals[resp.StatusCode]++ })
		return nil, &refusedError{resp.StatusCode, resp.Header.Get("Retry-After")}
	}
	return resp.Header, nil
}

// bytes are those of the upload between two offsets.
func (m *member) bytes(from, to int) io.Reader {
	size := len(m.source)
	begin := (m.from + from) % size
	length := to - from
	if begin+length <= size {
		return bytes.NewReader(m.source[begin : begin+length])
	}
	return bytes.NewReader(slices.Concat(m.source[begin:], m.source[:begin+length-size]))
}

// verify compares what is stored byte by byte.
func (m *member) verify(stored string) error {
	got, err := os.ReadFile(stored)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if !bytes.Equal(got, slices.Concat(m.source[m.from:], m.source[:m.from])) {
		return fmt.Errorf("verify: the %d bytes of %s differ from what was sent", len(got), m.id)
	}
	return nil
}
