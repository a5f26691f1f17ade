package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	stormBudget = 64 // MiB
	stormers    = 32
)

// measureStorm sends garbage as fast as it can, and looks from outside for
// what the server keeps of it.
func measureStorm(ctx context.Context, b *bench) error {
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	if err := b.build(ctx); err != nil {
		return err
	}
	store, err := b.emptyDir("store")
	if err != nil {
		return err
	}
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	admin := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	s, err := b.serve(ctx, store, nil, "--max-memory", fmt.Sprintf("%dMiB", stormBudget), "--log-level", "error",
		"--expire-after", "10s", "--admin-listen", admin)
	if err != nil {
		return err
	}
	defer s.kill()
	storm := &storm{bench: b, server: s, admin: admin, calm: 30 * time.Second}
	each := time.Minute
	if b.quick {
		each, storm.calm = 5*time.Second, 12*time.Second
	}
	if err := storm.blow(ctx, b.count(10, 3), each); err != nil {
		return err
	}
	if _, err := s.stop(); err != nil {
		return err
	}
	b.report.atMost("peak RSS, MiB", inMiB(s.usage.PeakRSS), stormBudget)
	return nil
}

// A storm is garbage for one server.
type storm struct {
	*bench
	server   *server
	admin    string
	calm     time.Duration // what the server has to let go of everything
	requests atomic.Int64
	broken   atomic.Int64 // answers of 500
}

// A burden is what the server holds in a calm moment.
type burden struct {
	RSS         int64 `json:"rss_bytes"`
	Goroutines  int   `json:"goroutines"`
	Descriptors int   `json:"descriptors"`
}

// blow sends garbage in parts, and weighs the server in the calm after each.
func (s *storm) blow(ctx context.Context, parts int, each time.Duration) error {
	var burdens []burden
	s.report.columns("after seconds of storm", "requests", "RSS MiB", "goroutines", "descriptors")
	for part := range parts {
		if err := s.part(ctx, part, each); err != nil {
			return err
		}
		now, err := s.weigh(ctx)
		if err != nil {
			return err
		}
		s.report.raw(now)
		s.report.row(int(each.Seconds())*(part+1), s.requests.Load(), inMiB(now.RSS), now.Goroutines, now.Descriptors)
		burdens = append(burdens, now)
	}
	// The first part warms up.
	first, last := burdens[0], burdens[len(burdens)-1]
	s.report.atMost("answers of 500", float64(s.broken.Load()), 0)
	s.report.atMost("growth of RSS after the first part, MiB", inMiB(last.RSS-first.RSS), 4)
	s.report.atMost("growth of goroutines", float64(last.Goroutines-first.Goroutines), 2)
	s.report.atMost("growth of descriptors", float64(last.Descriptors-first.Descriptors), 2)
	return s.wellAfterwards(ctx)
}

func (s *storm) part(ctx context.Context, part int, each time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	target, err := url.Parse(s.server.url)
	if err != nil {
		return fmt.Errorf("read the server's URL: %w", err)
	}
	err = inParallel(stormers, stormers, func(i int) error {
		random := rand.New(rand.NewPCG(s.seed, uint64(part*stormers+i)))
		for ctx.Err() == nil {
			if err := s.connection(ctx, target.Host, random); err != nil {
				return err
			}
		}
		return nil
	})
	select {
	case <-s.server.done:
		return fmt.Errorf("the server has ended: %w: %s", s.server.err, lastLines(s.server.stderr.String()))
	default:
		return err
	}
}

// connection sends a few requests one after the other, whatever the answers.
// That the server ends it is no error: garbage deserves it.
func (s *storm) connection(ctx context.Context, host string, random *rand.Rand) error {
	conn, err := (&net.Dialer{Timeout: 30 * time.Second}).DialContext(context.WithoutCancel(ctx), "tcp", host)
	if err != nil {
		return fmt.Errorf("the server takes no connection: %w", err)
	}
	s.talk(conn, random)
	_ = conn.Close()
	return nil
}

func (s *storm) talk(conn net.Conn, random *rand.Rand) {
	answers := bufio.NewReaderSize(conn, 4*kib)
	for range 1 + random.IntN(8) {
		if err := conn.SetDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
			return
		}
		s.requests.Add(1)
		if _, err := conn.Write(garbage(random)); err != nil {
			return
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			return
		}
		if resp.StatusCode == http.StatusInternalServerError {
			s.broken.Add(1)
		}
		if _, err := io.Copy(io.Discard, resp.Body); errors.Join(err, resp.Body.Close()) != nil {
			return
		}
	}
}

// weigh waits until the server has let go of its connections, and reads what
// it holds.
func (s *storm) weigh(ctx context.Context) (burden, error) {
	select {
	case <-ctx.Done():
		return burden{}, ctx.Err()
	case <-s.server.done:
	case <-time.After(s.calm):
	}
	goroutines, err := s.goroutines(ctx)
	if err != nil {
		return burden{}, err
	}
	descriptors, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.server.pid()))
	if err != nil {
		return burden{}, fmt.Errorf("count the descriptors: %w", err)
	}
	rss, err := residentBytes(s.server.pid())
	return burden{rss, goroutines, len(descriptors)}, err
}

var goroutineTotal = regexp.MustCompile(`goroutine profile: total (\d+)`)

func (s *storm) goroutines(ctx context.Context) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+"/debug/pprof/goroutine?debug=1", nil)
	if err != nil {
		return 0, fmt.Errorf("count the goroutines: %w", err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("count the goroutines: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, fmt.Errorf("count the goroutines: %w", err)
	}
	found := goroutineTotal.FindSubmatch(text)
	if found == nil {
		return 0, fmt.Errorf("count the goroutines: %s", resp.Status)
	}
	return strconv.Atoi(string(found[1]))
}

func residentBytes(pid int) (int64, error) {
	statm, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	if err != nil {
		return 0, fmt.Errorf("read the RSS: %w", err)
	}
	fields := bytes.Fields(statm)
	if len(fields) < 2 {
		return 0, errors.New("read the RSS: no process")
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// wellAfterwards sends an upload as it should be.
func (s *storm) wellAfterwards(ctx context.Context) error {
	source, err := s.source("after", 4*mib)
	if err != nil {
		return err
	}
	if _, err := runToEnd(s.uploadCommand(ctx, source, s.server.url)); err != nil {
		return fmt.Errorf("upload after the storm: %w", err)
	}
	return verify(source, s.server.store)
}
