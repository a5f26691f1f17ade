// Package page serves the upload page: what a person finds who opens the server
// in a browser.
//
// The page is written in web/page and built into assets, which are committed, so
// that building the program takes no Node. It is static but for the few things of
// the server that it has to know, and asks for nothing from anywhere else.
//
// A [Page] is safe for concurrent use.
package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"fmt"
	"html"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// policy lets the page use what is served beside it, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// AssetPath is the path below which the page's scripts and styles are.
const AssetPath = "/assets/"

const index = "index.html"

//go:embed assets
var assets embed.FS

// Options are what the page has to know of its server.
type Options struct {
	// BasePath of the uploads, from the same root as the page.
	BasePath string
	// Reading: finished uploads are given back, so their links are worth showing.
	Reading bool
}

// A Page serves index.html at / and the rest below AssetPath.
type Page struct {
	assets map[string]*asset // by path
}

// New returns the page. It compresses everything once, here.
func New(opts Options) *Page {
	all, err := assets.ReadDir("assets")
	if err != nil {
		panic(err) // it is part of the program
	}
	p := &Page{assets: make(map[string]*asset, len(all))}
	zip, _ := gzip.NewWriterLevel(nil, gzip.BestCompression) // the level is valid
	for _, file := range all {
		content, err := assets.ReadFile("assets/" + file.Name())
		if err != nil {
			panic(err)
		}
		at := AssetPath + file.Name()
		if file.Name() == index {
			at, content = "/", opts.tell(content)
		}
		p.assets[at] = newAsset(file.Name(), content, zip)
	}
	return p
}

// tell has the page know. Its addresses are relative, because only the browser
// knows below which path a proxy has put the server.
func (o Options) tell(index []byte) []byte {
	told := fmt.Sprintf(`data-uploads="%s" data-reading="%s"`, html.EscapeString("."+o.BasePath), strconv.FormatBool(o.Reading))
	return bytes.Replace(index, []byte(`data-uploads="./files/" data-reading="false"`), []byte(told), 1)
}

// Paths are those that the page answers, "/" among them.
func (p *Page) Paths() []string {
	var paths []string
	for at := range p.assets {
		paths = append(paths, at)
	}
	return paths
}

// ServeHTTP implements http.Handler for GET and HEAD.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a, ok := p.assets[r.URL.Path]; ok {
		a.serve(w, r)
		return
	}
	http.NotFound(w, r)
}

// Wanted reports whether a request is of somebody who would look at the page, and
// not of a program.
func Wanted(r *http.Request) bool { return accepts(r.Header.Values("Accept"), "text/html") }

// An asset is a file of the page, as it is and compressed.
type asset struct {
	name          string
	mediaType     string
	plain, zipped []byte
	etag          string
}

func newAsset(name string, content []byte, zip *gzip.Writer) *asset {
	var zipped bytes.Buffer
	zip.Reset(&zipped)
	_, _ = zip.Write(content) // into memory
	_ = zip.Close()
	return &asset{
		name: name, mediaType: mime.TypeByExtension(path.Ext(name)), plain: content, zipped: zipped.Bytes(),
		etag: fmt.Sprintf("%.12x", sha256.Sum256(content)),
	}
}

// serve answers with the asset. A browser keeps it and asks each time whether it
// is still the same, so a new version of the server never meets an old script.
func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.mediaType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer") // the address of an upload is nobody else's business
	h.Set("Cache-Control", "no-cache")
	h.Add("Vary", "Accept-Encoding")
	content, tag := a.plain, a.etag
	if accepts(r.Header.Values("Accept-Encoding"), "gzip") && len(a.zipped) < len(a.plain) {
		h.Set("Content-Encoding", "gzip")
		content, tag = a.zipped, a.etag+"-gzip"
	}
	h.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(content))
}

// accepts reports whether one of the elements of an Accept or Accept-Encoding
// field is name, unless its weight is 0 (RFC 9110, section 12.4.2).
func accepts(values []string, name string) bool {
	for element := range strings.SplitSeq(strings.Join(values, ","), ",") {
		got, params, _ := strings.Cut(element, ";")
		if strings.EqualFold(strings.TrimSpace(got), name) {
			weight, found := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(params), " ", ""), "q=")
			q, err := strconv.ParseFloat(weight, 64)
			return !found || err != nil || q > 0
		}
	}
	return false
}
