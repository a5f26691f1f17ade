// Command clamd is a hook of streamflow serve that has clamd, the daemon of
// ClamAV, scan each upload before it is finished:
//
//	go build -o clamd-hook ./examples/clamd
//	CLAMD_ADDRESS=unix:/run/clamav/clamd.ctl \
//		streamflow serve --hook ./clamd-hook --hook-events pre-finish --hook-timeout 10m
//
// An upload in which something is found is refused with 422, and discarded.
// Where clamd can't be asked, clients get 503 and the upload waits until it can.
//
// CLAMD_ADDRESS is unix:PATH or tcp:HOST:PORT, default
// unix:/run/clamav/clamd.ctl. The bytes are sent over the connection, so clamd
// needs no right to read the store. Its StreamMaxLength has to be at least
// --max-file-size: a longer upload can't be scanned, and waits.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/streamflow/streamflow/server/hook"
)

const defaultAddress = "unix:/run/clamav/clamd.ctl"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	address := os.Getenv("CLAMD_ADDRESS")
	if address == "" {
		address = defaultAddress
	}
	if err := answer(ctx, address, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "clamd-hook:", err)
		os.Exit(1)
	}
}

// answer reads a message and writes the reply to it. An error is no reply: the
// upload waits.
func answer(ctx context.Context, address string, in io.Reader, out io.Writer) error {
	var m hook.Message
	if err := json.NewDecoder(in).Decode(&m); err != nil {
		return fmt.Errorf("read the message: %w", err)
	}
	if m.Event != hook.PreFinish {
		return nil
	}
	found, err := scanFile(ctx, address, m.Upload.Location)
	if err != nil {
		return err
	}
	var reply hook.Reply
	if found != "" {
		reply.Refuse = &hook.Refuse{
			Status:  http.StatusUnprocessableEntity,
			Code:    "MALWARE_FOUND",
			Message: found + " was found in the file",
		}
	}
	return json.NewEncoder(out).Encode(reply)
}

// scanFile returns what was found in a file, or "".
func scanFile(ctx context.Context, address, path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("the upload is at %q, which is no file of this machine", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	found, err := scan(ctx, address, f)
	if err != nil {
		return "", fmt.Errorf("scan by %s: %w", address, err)
	}
	return found, nil
}
