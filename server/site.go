package server

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/rs/cors"

	"github.com/streamflow/streamflow/protocol"
)

const anyOrigin = "*"

// What pages of other sites may send and see beyond what every page may: all that
// the protocols have.
var (
	corsMethods = []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	}
	corsRequestHeaders = []string{
		"Authorization", "Content-Digest", "Content-Disposition", "Content-Encoding", "Content-Type", "If-Match",
		"If-None-Match", "If-Range", "Range", "Repr-Digest", "Tus-Resumable", "Upload-Checksum", "Upload-Complete",
		"Upload-Concat", "Upload-Defer-Length", "Upload-Draft-Interop-Version", "Upload-Length", "Upload-Metadata",
		"Upload-Offset", "Want-Content-Digest", "Want-Repr-Digest", "X-Http-Method-Override", "X-Request-Id", "X-Requested-With",
	}
	corsResponseHeaders = []string{
		"Accept-Encoding", "Accept-Patch", "Accept-Ranges", "Content-Digest", "Content-Disposition", "Content-Range",
		"ETag", "Location", "Repr-Digest", "Retry-After", "Tus-Checksum-Algorithm", "Tus-Extension", "Tus-Max-Size",
		"Tus-Resumable", "Tus-Version", "Upload-Complete", "Upload-Concat", "Upload-Defer-Length",
		"Upload-Draft-Interop-Version", "Upload-Expires", "Upload-Length", "Upload-Limit", "Upload-Metadata",
		"Upload-Offset", "Www-Authenticate",
	}
)

// corsMaxAge is how long a browser may remember the answer to a preflight, in
// seconds: two hours is the most that any of them takes.
const corsMaxAge = 2 * 60 * 60

// Sites are those whose pages may use the server: its own and, by CORS, others.
// The rest get no answer that their browser would show them, and change nothing:
// a browser sends some requests without asking first.
type sites struct {
	guard *http.CrossOriginProtection
	cors  *cors.Cors // nil: no other site
	all   bool
}

func newSites(origins []string) (*sites, error) {
	s := &sites{guard: http.NewCrossOriginProtection()}
	for _, o := range origins {
		if o == anyOrigin {
			s.all = true
			continue
		}
		if err := CheckOrigin(o); err != nil {
			return nil, err
		}
		if err := s.guard.AddTrustedOrigin(o); err != nil {
			return nil, fmt.Errorf("origin %q: %w", o, err)
		}
	}
	if len(origins) > 0 {
		s.cors = cors.New(cors.Options{
			AllowedOrigins:       origins,
			AllowedMethods:       corsMethods,
			AllowedHeaders:       corsRequestHeaders,
			ExposedHeaders:       corsResponseHeaders,
			MaxAge:               corsMaxAge,
			OptionsSuccessStatus: http.StatusOK, // as tus 1.0 has it for a preflight
		})
	}
	return s, nil
}

// CheckOrigin says what is wrong with one of Options.CORSOrigins.
func CheckOrigin(origin string) error {
	u, err := url.Parse(origin)
	if origin == anyOrigin || err == nil && origin == u.Scheme+"://"+u.Host && !strings.Contains(origin, "*") && origin == strings.ToLower(origin) {
		return nil
	}
	return fmt.Errorf("origin %q: want * or SCHEME://HOST, with :PORT where there is one, in lower case", origin)
}

// admit refuses a request of another site's page, and answers a browser that
// asks whether it may make one.
func (s *sites) admit(w http.ResponseWriter, r *http.Request) (answered bool, err error) {
	if s.cors != nil {
		s.cors.HandlerFunc(w, r)
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			return true, nil
		}
	}
	if s.guard.Check(r) != nil && !s.all {
		return false, &protocol.Refusal{
			Status: http.StatusForbidden, Code: protocol.CodeDenied,
			Detail: "this comes from a page of another site, which may not use this server",
		}
	}
	return false, nil
}

// LoopbackOnly returns next for requests whose Host is a name of this machine.
// A web page can make a name of its own lead here (DNS rebinding), and then is
// of the same origin as next; but its name is what browsers send as Host.
func LoopbackOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := checkLoopback(r); err != nil {
			protocol.WriteProblem(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func checkLoopback(r *http.Request) error {
	if isLoopback(r.Host) {
		return nil
	}
	return &protocol.Refusal{
		Status: http.StatusMisdirectedRequest, Code: protocol.CodeDenied,
		Detail: "ask for this as localhost or by a loopback address",
	}
}

func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	addr, _ := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || addr.IsLoopback()
}
