package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net/http"
	"strings"
	"sync"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// A relay takes the bodies of PUT requests and uploads them while they come.
type relay struct {
	uploads *streamflow.Manager
	events  *streamflow.Subscription
	watcher sync.WaitGroup
}

func newRelay(uploads *streamflow.Manager) *relay {
	r := &relay{uploads: uploads, events: uploads.Subscribe()}
	r.watcher.Go(r.watch)
	return r
}

// watch tells the operator how the budget fares.
func (r *relay) watch() {
	for event := range r.events.Events(context.Background()) {
		if m, ok := event.(streamflow.Memory); ok {
			if change, ok := m.Event.(memory.LevelChange); ok {
				log.Printf("memory is at level %s: %d of %d bytes", change.To, change.Used, change.Limit)
			}
		}
	}
}

func (r *relay) close() {
	r.events.Close()
	r.watcher.Wait()
}

func (r *relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	name := strings.TrimPrefix(req.URL.Path, "/")
	switch {
	case req.Method != http.MethodPut:
		http.Error(w, "want PUT", http.StatusMethodNotAllowed)
		return
	case !fs.ValidPath(name) || name == ".":
		http.Error(w, "want the name of an object as path", http.StatusBadRequest)
		return
	case r.uploads.Memory().Level() == memory.Critical:
		// What is under way goes on; this one is sent away before it costs anything.
		w.Header().Set("Retry-After", "5")
		http.Error(w, "memory is short", http.StatusServiceUnavailable)
		return
	}
	// Where the client goes away the context ends, and with it the upload.
	upload, err := r.uploads.Upload(req.Context(), streamflow.Stream(name, req.Body))
	if err != nil {
		http.Error(w, err.Error(), statusOf(err))
		return
	}
	result, err := upload.Wait(context.WithoutCancel(req.Context()))
	if err != nil {
		http.Error(w, err.Error(), statusOf(err))
		return
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, "%s: %d bytes, CRC-32C %08x\n", result.Location, result.Bytes, result.Sum.CRC32C)
}

// statusOf is the one place where an error becomes a status.
func statusOf(err error) int {
	switch {
	case errors.Is(err, memory.ErrLimit), errors.Is(err, streamflow.ErrPressure), errors.Is(err, streamflow.ErrClosed):
		return http.StatusServiceUnavailable
	case errors.Is(err, store.ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, store.ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, store.ErrNoSpace):
		return http.StatusInsufficientStorage
	case streamflow.Code(err) == streamflow.CodeFile: // the body broke off
		return http.StatusBadRequest
	default:
		return http.StatusBadGateway
	}
}
