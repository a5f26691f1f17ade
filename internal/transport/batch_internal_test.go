package transport

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow/memory"
)

// A wire notes the sizes of what is written to it, and fails where it is to.
type wire struct {
	net.Conn
	failure error

	mu     sync.Mutex
	writes []int
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.writes = append(w.writes, len(p))
	w.mu.Unlock()
	if w.failure != nil {
		return 0, w.failure
	}
	return w.Conn.Write(p)
}

func (w *wire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.writes)
}

// A link is a connection with TLS in a bubble of synctest, where what is never sent is
// missed a minute later, at once.
type link struct {
	client *conn
	wire   *wire // below it
	server *tls.Conn
	mem    *memory.Manager
}

func withLink(t *testing.T, limit int64, config *tls.Config, test func(*testing.T, *link)) {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	certificates := s.TLS.Certificates
	s.Close()
	config.InsecureSkipVerify = true
	synctest.Test(t, func(t *testing.T) {
		mem, err := memory.New(&memory.Options{Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe()
		end := time.Now().Add(time.Minute)
		if err := errors.Join(near.SetDeadline(end), far.SetDeadline(end)); err != nil {
			t.Fatal(err)
		}
		l := &link{wire: &wire{Conn: near}, server: tls.Server(far, &tls.Config{Certificates: certificates}), mem: mem}
		var greeting sync.WaitGroup
		greeting.Go(func() { _ = l.server.Handshake() })
		d := &dialer{config: config, mem: mem}
		l.client, err = d.secure(t.Context(), l.wire, "localhost:443")
		greeting.Wait()
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := errors.Join(near.Close(), far.Close(), mem.Close()); err != nil {
				t.Error(err)
			}
		}()
		test(t, l)
	})
}

// send sends a body, of which the server takes so many bytes.
func (l *link) send(body io.Reader, size int64, taken int) (got []byte, err error) {
	var receiving sync.WaitGroup
	receiving.Go(func() {
		got = make([]byte, taken)
		n, _ := io.ReadFull(l.server, got)
		got = got[:n]
	})
	n, err := l.client.ReadFrom(&io.LimitedReader{R: body, N: size})
	if err == nil && n != size {
		err = io.ErrShortWrite
	}
	receiving.Wait()
	return got, err
}

// A piecewise body writes itself in pieces.
type piecewise struct {
	content []byte
	pieces  []int
}

func (p piecewise) Read([]byte) (int, error) { return 0, errors.New("it writes itself") }

func (p piecewise) WriteTo(w io.Writer) (int64, error) {
	written := 0
	for _, n := range p.pieces {
		n, err := w.Write(p.content[written : written+n])
		written += n
		if err != nil {
			return int64(written), err
		}
	}
	return int64(written), nil
}

// pieces returns a body that writes itself in pieces of so many bytes.
func pieces(bytesOf ...int) piecewise {
	body := piecewise{pieces: bytesOf}
	for i, n := range bytesOf {
		body.content = append(body.content, bytes.Repeat([]byte{byte(i + 1)}, n)...)
	}
	return body
}

func TestBatch(t *testing.T) {
	configs := map[string]*tls.Config{
		"TLS 1.3": {},
		"TLS 1.2": {MaxVersion: tls.VersionTLS12},
		// Its records are the longest.
		"CBC": {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA}},
	}
	for name, c := range map[string]struct {
		body   piecewise
		limit  int64
		writes int
	}{
		"four records":       {pieces(4 * recordBytes), 1 << 20, 1},
		"eight records":      {pieces(8 * recordBytes), 1 << 20, 2},
		"three and a half":   {pieces(3*recordBytes + 100), 1 << 20, 2},
		"one and a half":     {pieces(recordBytes + 100), 1 << 20, 2},
		"less than one":      {pieces(100), 1 << 20, 1},
		"several pieces":     {pieces(100, 2*recordBytes, recordBytes, 5*recordBytes+1), 1 << 20, 1 + 1 + 1 + 3},
		"no memory to spare": {pieces(4 * recordBytes), 64 << 10, 4},
	} {
		for version, config := range configs {
			t.Run(name+"/"+version, func(t *testing.T) {
				withLink(t, c.limit, config.Clone(), func(t *testing.T, l *link) {
					before := l.wire.count()
					got, err := l.send(c.body, int64(len(c.body.content)), len(c.body.content))
					if err != nil || !bytes.Equal(got, c.body.content) {
						t.Errorf("%d of %d bytes have come, or others than were sent: %v", len(got), len(c.body.content), err)
					}
					if got := l.wire.count() - before; got != c.writes {
						t.Errorf("%d writes, want %d: %v", got, c.writes, l.wire.writes[before:])
					}
				})
			})
		}
	}
}

// Records of a body that is read are gathered as well.
func TestBatchOfCopiedBody(t *testing.T) {
	withLink(t, 8<<20, &tls.Config{}, func(t *testing.T, l *link) {
		content := bytes.Repeat([]byte("streamflow"), 100_000)
		before := l.wire.count()
		got, err := l.send(struct{ io.Reader }{bytes.NewReader(content)}, int64(len(content)), len(content))
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes have come, or others than were sent: %v", len(got), err)
		}
		if got, records := l.wire.count()-before, len(content)/recordBytes+1; got > records/3 {
			t.Errorf("%d writes of %d records: %v", got, records, l.wire.writes[before:])
		}
	})
}

// A body too short for that takes no memory.
func TestNoBatchOfShortBody(t *testing.T) {
	withLink(t, 1<<20, &tls.Config{}, func(t *testing.T, l *link) {
		if _, err := l.send(pieces(recordBytes), recordBytes, recordBytes); err != nil {
			t.Error(err)
		}
		if peak := l.mem.Stats().Peak; peak != 0 {
			t.Errorf("%d bytes were taken", peak)
		}
	})
}

// What is written when no body is under way doesn't pass through memory that was
// given back.
func TestBatchGivesItsBufferBack(t *testing.T) {
	withLink(t, 1<<20, &tls.Config{}, func(t *testing.T, l *link) {
		if _, err := l.send(pieces(4*recordBytes), 4*recordBytes, 4*recordBytes); err != nil {
			t.Error(err)
		}
		before := l.wire.count()
		var receiving sync.WaitGroup
		receiving.Go(func() { _, _ = io.CopyN(io.Discard, l.server, 4*recordBytes) })
		if _, err := l.client.Write(make([]byte, 4*recordBytes)); err != nil {
			t.Error(err)
		}
		receiving.Wait()
		if got := l.wire.count() - before; got != 4 {
			t.Errorf("%d writes, want one for each of 4 records", got)
		}
	})
}

// What TLS writes of itself passes between the Writes of a body.
func TestBatchLetsOthersWrite(t *testing.T) {
	withLink(t, 1<<20, &tls.Config{}, func(t *testing.T, l *link) {
		body := pieces(slices.Repeat([]int{5 * recordBytes}, 100)...)
		var others sync.WaitGroup
		others.Go(func() {
			// As an alert does, a small Write goes to TLS without the conn that
			// announces those of bodies.
			for range 100 {
				if _, err := l.client.Conn.Write([]byte{0}); err != nil {
					t.Error(err)
				}
			}
		})
		got, err := l.send(body, int64(len(body.content)), len(body.content)+100)
		others.Wait()
		got = slices.DeleteFunc(got, func(b byte) bool { return b == 0 })
		if err != nil || !bytes.Equal(got, body.content) {
			t.Errorf("%d bytes have come, or others than were sent: %v", len(got), err)
		}
	})
}

// Close ends a body that the other side doesn't take.
func TestBatchIsCutOff(t *testing.T) {
	withLink(t, 1<<20, &tls.Config{}, func(t *testing.T, l *link) {
		var sending sync.WaitGroup
		var sent error
		sending.Go(func() { _, sent = l.send(pieces(1<<20), 1<<20, 0) })
		synctest.Wait()
		if l.mem.Stats().Active == 0 {
			t.Fatal("no body is under way")
		}
		if err := l.client.Close(); err != nil {
			t.Error(err)
		}
		sending.Wait()
		if sent == nil {
			t.Error("a body that nobody took is sent")
		}
	})
}

// After a failure nothing is sent that was gathered.
func TestBatchFails(t *testing.T) {
	withLink(t, 1<<20, &tls.Config{}, func(t *testing.T, l *link) {
		l.wire.failure = errors.New("the cable is cut")
		if _, err := l.send(pieces(6*recordBytes), 6*recordBytes, 0); !errors.Is(err, l.wire.failure) {
			t.Errorf("error is %v", err)
		}
		before := l.wire.count()
		_, _ = l.client.Write(make([]byte, 4*recordBytes))
		_ = l.client.Close()
		for _, n := range l.wire.writes[before:] {
			if n >= recordBytes {
				t.Errorf("%d bytes are sent", n)
			}
		}
	})
}
