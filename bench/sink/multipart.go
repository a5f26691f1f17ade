package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// started stands for every time of change.
var started = time.Now().UTC().Format(http.TimeFormat)

// answerUpload answers what concerns one multipart upload. It needs the lock.
func (s *sink) answerUpload(w http.ResponseWriter, r *http.Request, operation string, content object) {
	id := r.URL.Query().Get("uploadId")
	u := s.uploads[id]
	if u == nil {
		refuse(w, http.StatusNotFound, "NoSuchUpload")
		return
	}
	switch operation {
	case "UploadPart":
		s.keepPart(w, r, u, content)
	case "UploadPartCopy":
		source, err := url.PathUnescape(r.Header.Get("X-Amz-Copy-Source"))
		from, found := s.objects["/"+strings.TrimPrefix(source, "/")]
		if err != nil || !found {
			refuse(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		s.keepPart(w, r, u, from)
		respond(w, copied{ETag: from.etag(), LastModified: time.Now().UTC().Format(time.RFC3339)})
	case "ListParts":
		respond(w, u.list(r))
	case "CompleteMultipartUpload":
		s.complete(w, id, u)
	case "AbortMultipartUpload":
		delete(s.uploads, id)
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *sink) keepPart(w http.ResponseWriter, r *http.Request, u *upload, part object) {
	number, err := strconv.Atoi(r.URL.Query().Get("partNumber"))
	if err != nil || number < 1 || number > 10_000 {
		refuse(w, http.StatusBadRequest, "InvalidArgument")
		return
	}
	u.parts[number] = part
	describe(w.Header(), part)
}

// complete makes an object of all parts: it doesn't compare their list.
func (s *sink) complete(w http.ResponseWriter, id string, u *upload) {
	o := object{sum: sum{known: true}}
	for _, number := range slices.Sorted(maps.Keys(u.parts)) {
		o = o.followed(u.parts[number])
	}
	o.metadata = u.metadata
	s.objects[u.path] = o
	delete(s.uploads, id)
	respond(w, completed{Bucket: bucketOf(u.path), Key: keyOf(u.path), ETag: o.etag()})
}

func (u *upload) list(r *http.Request) parts {
	after, _ := strconv.Atoi(r.URL.Query().Get("part-number-marker"))
	most, err := strconv.Atoi(r.URL.Query().Get("max-parts"))
	if err != nil || most < 1 {
		most = pageLength
	}
	answer := parts{Bucket: bucketOf(u.path), Key: keyOf(u.path)}
	for _, number := range slices.Sorted(maps.Keys(u.parts)) {
		if number <= after {
			continue
		}
		if len(answer.Parts) == min(most, pageLength) {
			answer.IsTruncated = true
			break
		}
		p := u.parts[number]
		one := part{PartNumber: number, ETag: p.etag(), Size: p.size, LastModified: time.Now().UTC().Format(time.RFC3339)}
		if p.sum.known {
			one.ChecksumCRC32C = p.sum.String()
		}
		answer.Parts, answer.NextPartNumberMarker = append(answer.Parts, one), number
	}
	return answer
}

const pageLength = 1000

func (s *sink) list(r *http.Request) contents {
	query := r.URL.Query()
	prefix := strings.TrimSuffix(r.URL.Path, "/") + "/" + query.Get("prefix")
	after := max(query.Get("start-after"), query.Get("continuation-token"), query.Get("marker"))
	answer := contents{Name: bucketOf(r.URL.Path), Prefix: query.Get("prefix"), MaxKeys: pageLength}
	for _, path := range slices.Sorted(maps.Keys(s.objects)) {
		key := keyOf(path)
		if !strings.HasPrefix(path, prefix) || key <= after {
			continue
		}
		if len(answer.Contents) == pageLength {
			answer.IsTruncated = true
			answer.NextContinuationToken = answer.Contents[pageLength-1].Key
			break
		}
		o := s.objects[path]
		answer.Contents = append(answer.Contents, content{key, o.etag(), o.size, time.Now().UTC().Format(time.RFC3339)})
	}
	answer.KeyCount = len(answer.Contents)
	return answer
}

func (s *sink) listUploads(r *http.Request) uploads {
	prefix := strings.TrimSuffix(r.URL.Path, "/") + "/" + r.URL.Query().Get("prefix")
	answer := uploads{Bucket: bucketOf(r.URL.Path)}
	for id, u := range s.uploads {
		if strings.HasPrefix(u.path, prefix) {
			answer.Uploads = append(answer.Uploads, one{keyOf(u.path), id, time.Now().UTC().Format(time.RFC3339)})
		}
	}
	return answer
}

func bucketOf(path string) string {
	bucket, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return bucket
}

func keyOf(path string) string {
	_, key, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return key
}

func respond(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/xml")
	_, _ = io.WriteString(w, xml.Header)
	_ = xml.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "%s<Error><Code>%s</Code><Message>%s</Message></Error>", xml.Header, code, http.StatusText(status))
}
