package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// A rawUpload is one upload on a connection of its own, without the memory and
// the goroutines of an HTTP client: thousands of them fit one process.
type rawUpload struct {
	conn net.Conn
	path string
}

// A refusedError is an answer to a creation that was not 201.
type refusedError struct {
	status     int
	retryAfter string
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("the creation is answered %d, Retry-After %q", e.status, e.retryAfter)
}

// openRaw creates an upload and begins its PATCH.
func openRaw(ctx context.Context, to string, length int) (*rawUpload, error) {
	target, err := url.Parse(to)
	if err != nil {
		return nil, fmt.Errorf("open an upload: %w", err)
	}
	conn, err := (&net.Dialer{Timeout: 30 * time.Second}).DialContext(ctx, "tcp", target.Host)
	if err != nil {
		return nil, fmt.Errorf("open an upload: %w", err)
	}
	u := &rawUpload{conn: conn}
	if err := u.create(target, length); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	_, err = fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: %s\r\nTus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\nContent-Length: %d\r\n\r\n",
		u.path, target.Host, length)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("begin a PATCH: %w", err), conn.Close())
	}
	return u, nil
}

func (u *rawUpload) create(target *url.URL, length int) error {
	if err := u.conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	_, err := fmt.Fprintf(u.conn, "POST %s HTTP/1.1\r\nHost: %s\r\nTus-Resumable: 1.0.0\r\nUpload-Length: %d\r\nContent-Length: 0\r\nUpload-Metadata: filename c2xvdy5iaW4=\r\n\r\n",
		target.Path, target.Host, length)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	status, header, err := u.response()
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if status != http.StatusCreated {
		return &refusedError{status, header.Get("Retry-After")}
	}
	location := header.Get("Location")
	if _, rest, absolute := strings.Cut(location, "://"); absolute {
		_, path, _ := strings.Cut(rest, "/")
		location = "/" + path
	}
	u.path = location
	return nil
}

func (u *rawUpload) response() (status int, header http.Header, err error) {
	resp, err := http.ReadResponse(bufio.NewReaderSize(u.conn, 512), nil)
	if err != nil {
		return 0, nil, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Header, errors.Join(err, resp.Body.Close())
}

func (u *rawUpload) send(piece []byte) error {
	if err := u.conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	_, err := u.conn.Write(piece)
	return err
}

// answer returns the status of the PATCH.
func (u *rawUpload) answer() (int, error) {
	if err := u.conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		return 0, err
	}
	status, _, err := u.response()
	return status, err
}

func (u *rawUpload) close() {
	if u != nil {
		_ = u.conn.Close()
	}
}

// inParallel calls f for 0 to n-1, by several workers, and returns the first
// error of each.
func inParallel(n, workers int, f func(int) error) error {
	next := make(chan int)
	failed := make(chan error, workers)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for i := range next {
				if err := f(i); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	err := func() error {
		for i := range n {
			select {
			case next <- i:
			case err := <-failed:
				return err
			}
		}
		return nil
	}()
	close(next)
	running.Wait()
	close(failed)
	for e := range failed {
		err = errors.Join(err, e)
	}
	return err
}
