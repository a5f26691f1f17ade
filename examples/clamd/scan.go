package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

const (
	dialTimeout = 10 * time.Second
	// idleTimeout is how long clamd may take for one chunk, and for its verdict
	// on all of them.
	idleTimeout = 5 * time.Minute
	// chunkBytes goes over the connection at once; all that is held of a file.
	chunkBytes = 64 << 10
	// maxAnswerBytes bounds clamd's answer: one line with a name in it.
	maxAnswerBytes = 4 << 10
)

// scan has clamd look at r by its command INSTREAM (clamd(8)): chunks, each
// behind its length, up to one of length 0. It returns the name of what was
// found, or "".
func scan(ctx context.Context, address string, r io.Reader) (string, error) {
	network, place, _ := strings.Cut(address, ":")
	if network != "unix" && network != "tcp" {
		return "", errors.New("want unix:PATH or tcp:HOST:PORT")
	}
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, place)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	sent, readable := send(conn, r)
	if readable != nil {
		return "", readable
	}
	// clamd answers and hangs up in the middle of a stream that is too long for
	// it: the answer says more than the broken connection.
	said, err := hear(conn)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", errors.Join(sent, err)
	}
	return verdict(said)
}

// send sends the stream. Trouble of the connection and of r are told apart.
func send(conn net.Conn, r io.Reader) (connErr, readErr error) {
	if _, err := conn.Write([]byte("zINSTREAM\x00")); err != nil {
		return err, nil
	}
	chunk := make([]byte, 4+chunkBytes)
	for {
		n, err := io.ReadFull(r, chunk[4:])
		ends := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !ends {
			return nil, fmt.Errorf("read the upload: %w", err)
		}
		if n > 0 {
			binary.BigEndian.PutUint32(chunk, uint32(n))
			if err := write(conn, chunk[:4+n]); err != nil {
				return err, nil
			}
		}
		if ends {
			return write(conn, make([]byte, 4)), nil
		}
	}
}

func write(conn net.Conn, p []byte) error {
	if err := conn.SetWriteDeadline(time.Now().Add(idleTimeout)); err != nil {
		return err
	}
	_, err := conn.Write(p)
	return err
}

// hear returns clamd's answer, which ends with a NUL.
func hear(conn net.Conn) (string, error) {
	if err := conn.SetReadDeadline(time.Now().Add(idleTimeout)); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxAnswerBytes))
	if line, _, whole := bytes.Cut(answer, []byte{0}); whole {
		return string(line), nil
	}
	if err == nil {
		err = fmt.Errorf("its answer is cut off: %w", io.ErrUnexpectedEOF)
	}
	return "", err
}

// verdict reads "stream: OK", "stream: NAME FOUND" or "… ERROR".
func verdict(said string) (found string, err error) {
	result, ours := strings.CutPrefix(said, "stream: ")
	name, isFound := strings.CutSuffix(result, " FOUND")
	switch {
	case ours && result == "OK":
		return "", nil
	case ours && isFound && name != "":
		return name, nil
	default:
		return "", fmt.Errorf("it says %q", said)
	}
}
