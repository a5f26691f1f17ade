// Command sink is an S3 server that keeps no bytes: of parts and objects it
// knows size and checksum, as their senders state them, so that a client can
// complete, compose and verify. It believes every signature. What a client
// costs beside it is the client's own.
//
// It prints the URL it listens on; GET /.counts there says how often each
// operation was called.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

func main() {
	latency := flag.Duration("latency", 0, "how long every answer takes, as on a long way")
	flag.Parse()
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "sink:", err)
		os.Exit(1)
	}
	fmt.Printf("http://%s\n", listener.Addr())
	fmt.Fprintln(os.Stderr, "sink:", http.Serve(listener, newSink(*latency)))
	os.Exit(1)
}

type sink struct {
	latency time.Duration

	mu      sync.Mutex
	objects map[string]object // by path
	uploads map[string]*upload
	counts  map[string]int64 // by operation, and "bytes"
	made    int              // uploads, for their ids
}

// An object is what is known of bytes that were thrown away.
type object struct {
	size     int64
	sum      sum
	metadata http.Header
}

type upload struct {
	path     string
	metadata http.Header
	parts    map[int]object
}

func newSink(latency time.Duration) *sink {
	return &sink{latency: latency, objects: map[string]object{}, uploads: map[string]*upload{}, counts: map[string]int64{}}
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/.counts" {
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = json.NewEncoder(w).Encode(s.counts)
		return
	}
	operation := operationOf(r)
	content, err := swallow(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, "IncompleteBody")
		return
	}
	time.Sleep(s.latency)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[operation]++
	s.counts["bytes"] += content.size
	s.answer(w, r, operation, content)
}

// operationOf names what is asked for as S3 does.
func operationOf(r *http.Request) string {
	query := r.URL.Query()
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case key == "" && query.Has("uploads"):
		return "ListMultipartUploads"
	case key == "" && query.Has("location"):
		return "GetBucketLocation"
	case key == "" && r.Method == http.MethodGet:
		return "ListObjects"
	case key == "":
		return "Bucket"
	case query.Has("uploads"):
		return "CreateMultipartUpload"
	case query.Has("uploadId"):
		return ofUpload(r)
	}
	return map[string]string{
		http.MethodPut: "PutObject", http.MethodHead: "HeadObject", http.MethodDelete: "DeleteObject",
	}[r.Method]
}

func ofUpload(r *http.Request) string {
	switch r.Method {
	case http.MethodPut:
		if r.Header.Get("X-Amz-Copy-Source") != "" {
			return "UploadPartCopy"
		}
		return "UploadPart"
	case http.MethodPost:
		return "CompleteMultipartUpload"
	case http.MethodDelete:
		return "AbortMultipartUpload"
	default:
		return "ListParts"
	}
}

// answer needs the lock.
func (s *sink) answer(w http.ResponseWriter, r *http.Request, operation string, content object) {
	path := r.URL.Path
	switch operation {
	case "Bucket":
	case "GetBucketLocation":
		respond(w, location{})
	case "ListObjects":
		respond(w, s.list(r))
	case "ListMultipartUploads":
		respond(w, s.listUploads(r))
	case "CreateMultipartUpload":
		s.made++
		id := fmt.Sprint(s.made)
		s.uploads[id] = &upload{path, metadataOf(r.Header), map[int]object{}}
		respond(w, created{Bucket: bucketOf(path), Key: keyOf(path), UploadID: id})
	case "PutObject":
		content.metadata = metadataOf(r.Header)
		s.objects[path] = content
		describe(w.Header(), content)
	case "HeadObject":
		s.head(w, path)
	case "DeleteObject":
		delete(s.objects, path)
		w.WriteHeader(http.StatusNoContent)
	case "":
		refuse(w, http.StatusNotImplemented, "NotImplemented")
	default:
		s.answerUpload(w, r, operation, content)
	}
}

func (s *sink) head(w http.ResponseWriter, path string) {
	o, found := s.objects[path]
	if !found {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	for name, values := range o.metadata {
		w.Header()[name] = values
	}
	describe(w.Header(), o)
	w.Header().Set("Content-Length", fmt.Sprint(o.size))
}

// metadataOf is what comes back with HEAD.
func metadataOf(header http.Header) http.Header {
	kept := http.Header{}
	for name, values := range header {
		if strings.HasPrefix(name, "X-Amz-Meta-") || name == "Content-Type" {
			kept[name] = values
		}
	}
	return kept
}

// describe says of an object what S3 does. An ETag with a dash is no MD5, so
// that nobody compares it with one.
func describe(header http.Header, o object) {
	header.Set("ETag", o.etag())
	header.Set("Last-Modified", started)
	if o.sum.known {
		header.Set("X-Amz-Checksum-Crc32c", o.sum.String())
		header.Set("X-Amz-Checksum-Type", "FULL_OBJECT")
	}
}

func (o object) etag() string { return fmt.Sprintf(`"%08x%016x-1"`, o.sum.crc, o.size) }

// drain reads all of r, and keeps its last bytes.
func drain(r io.Reader) (n int64, last []byte, err error) {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	p := *buffer
	for kept := 0; ; {
		m, err := r.Read(p[kept:])
		n += int64(m)
		filled := kept + m
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return n, append([]byte(nil), p[max(0, filled-tailBytes):filled]...), err
		}
		kept = min(filled, tailBytes)
		copy(p, p[filled-kept:filled])
	}
}
