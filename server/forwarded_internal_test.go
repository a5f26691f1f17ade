package server

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestForwarded(t *testing.T) {
	const proxy, outer, client = "10.0.0.1", "10.0.0.2", "192.0.2.7"
	for name, test := range map[string]struct {
		peer    string // default: proxy
		headers []string
		want    string // client scheme host prefix
	}{
		"nothing said":             {"", nil, proxy + " http files.example /"},
		"a stranger's word":        {client, []string{"X-Forwarded-For", "198.51.100.1", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil", "X-Forwarded-Prefix", "/evil", "Forwarded", "for=198.51.100.2"}, client + " http files.example /"},
		"one proxy":                {"", []string{"X-Forwarded-For", client, "X-Forwarded-Proto", "https", "X-Forwarded-Host", "a.example"}, client + " https a.example /"},
		"two proxies":              {"", []string{"X-Forwarded-For", client + ", " + outer}, client + " http files.example /"},
		"two fields":               {"", []string{"X-Forwarded-For", client, "X-Forwarded-For", outer}, client + " http files.example /"},
		"what the client made up":  {"", []string{"X-Forwarded-For", "198.51.100.1, " + client}, client + " http files.example /"},
		"made up as a proxy":       {"", []string{"X-Forwarded-For", "10.9.9.9, " + client + ", " + outer}, client + " http files.example /"},
		"nonsense before":          {"", []string{"X-Forwarded-For", "nonsense, " + outer}, outer + " http files.example /"},
		"nonsense":                 {"", []string{"X-Forwarded-For", "nonsense"}, proxy + " http files.example /"},
		"with a port":              {"", []string{"X-Forwarded-For", client + ":1234"}, client + " http files.example /"},
		"IPv6":                     {"", []string{"X-Forwarded-For", "[2001:db8::1]:80"}, "2001:db8::1 http files.example /"},
		"IPv6 without brackets":    {"", []string{"X-Forwarded-For", "2001:db8::1"}, "2001:db8::1 http files.example /"},
		"IPv4 as IPv6":             {"", []string{"X-Forwarded-For", "::ffff:" + client}, client + " http files.example /"},
		"only a scheme":            {"", []string{"X-Forwarded-Proto", "HTTPS"}, proxy + " https files.example /"},
		"unknown scheme":           {"", []string{"X-Forwarded-Proto", "javascript"}, proxy + " http files.example /"},
		"several schemes":          {"", []string{"X-Forwarded-Proto", "http, https"}, proxy + " https files.example /"},
		"no host":                  {"", []string{"X-Forwarded-Host", "a/b"}, proxy + " http files.example /"},
		"a host with a user":       {"", []string{"X-Forwarded-Host", "a@b"}, proxy + " http files.example /"},
		"prefix":                   {"", []string{"X-Forwarded-Prefix", "/app/v1/"}, proxy + " http files.example /app/v1"},
		"prefix of another host":   {"", []string{"X-Forwarded-Prefix", "//evil.example"}, proxy + " http files.example /"},
		"prefix that leads up":     {"", []string{"X-Forwarded-Prefix", "/a/../b"}, proxy + " http files.example /"},
		"prefix with a query":      {"", []string{"X-Forwarded-Prefix", "/a?b"}, proxy + " http files.example /"},
		"standard":                 {"", []string{"Forwarded", `For="` + client + `";proto=https;host="a.example:8443"`}, client + " https a.example:8443 /"},
		"standard, IPv6":           {"", []string{"Forwarded", `for="[2001:db8::1]:4711"`}, "2001:db8::1 http files.example /"},
		"standard, two proxies":    {"", []string{"Forwarded", "for=" + client + ";proto=https;host=a.example, for=" + outer + ";proto=http;host=b"}, client + " https a.example /"},
		"standard, hidden":         {"", []string{"Forwarded", "for=_hidden;proto=https, for=" + outer}, outer + " https files.example /"},
		"standard, made up":        {"", []string{"Forwarded", "for=198.51.100.1;host=evil", "Forwarded", "for=" + client + ";host=a.example"}, client + " http a.example /"},
		"standard, without client": {"", []string{"Forwarded", "proto=https"}, proxy + " https files.example /"},
		"standard, quote left open": {
			"", []string{"Forwarded", `for="198.51.100.1, for=` + client}, proxy + " http files.example /",
		},
		"standard, quote in another": {
			"", []string{"Forwarded", `for=198.51.100.1;x="`, "Forwarded", "for=" + client}, client + " http files.example /",
		},
		"standard, all in a quote": {
			"", []string{"Forwarded", `for=198.51.100.1;x=", for=` + client}, proxy + " http files.example /",
		},
		"both agree":  {"", []string{"X-Forwarded-For", client, "X-Forwarded-Proto", "https", "Forwarded", "for=" + client}, client + " https files.example /"},
		"both differ": {"", []string{"X-Forwarded-For", client, "Forwarded", "for=198.51.100.1;host=evil"}, proxy + " http files.example /"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Server{opts: Options{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
			r := httptest.NewRequest(http.MethodGet, "http://files.example/", nil)
			if test.peer == "" {
				test.peer = proxy
			}
			r.RemoteAddr = test.peer + ":5555"
			for i := 0; i < len(test.headers); i += 2 {
				r.Header.Add(test.headers[i], test.headers[i+1])
			}
			f := s.forwardedOf(r)
			if f.prefix == "" {
				f.prefix = "/"
			}
			if got := strings.Join([]string{f.client.String(), f.scheme, f.host, f.prefix}, " "); got != test.want {
				t.Errorf("it is %s, want %s", got, test.want)
			}
		})
	}
}

func TestForwardedOfConnection(t *testing.T) {
	s := &Server{opts: Options{Proxies: PrivateNetworks()}}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.TLS, r.RemoteAddr = &tls.ConnectionState{}, "[fe80::1%eth0]:80"
	if f := s.forwardedOf(r); f.scheme != "https" || f.client != netip.MustParseAddr("fe80::1") {
		t.Errorf("it is %+v", f)
	}
	r.RemoteAddr = "@" // a Unix socket
	r.Header.Set("X-Forwarded-For", "192.0.2.1")
	if f := s.forwardedOf(r); f.client.IsValid() {
		t.Errorf("it is %+v", f)
	}
}

// FuzzForwarded: whatever the field says, nobody but a trusted proxy adds a client.
func FuzzForwarded(f *testing.F) {
	f.Add(`for="[2001:db8::1]:4711";proto=https;host=a, for=10.0.0.3`, "192.0.2.1")
	f.Add(`for="a\"b", for=_x`, "10.0.0.1")
	f.Fuzz(func(t *testing.T, made, client string) {
		addr, err := netip.ParseAddr(client)
		if err != nil || addr.Zone() != "" {
			return
		}
		s := &Server{opts: Options{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
		if s.trusts(addr.Unmap()) {
			return
		}
		proxy, adds := netip.MustParseAddr("10.0.0.1"), `for="[`+client+`]"`
		// In a field of its own, whatever is in another.
		if got := s.first(parseForwarded([]string{made, adds}), proxy); got.client != addr.Unmap() {
			t.Fatalf("%q: the client is %v, not %v", made, got.client, addr)
		}
		// To the field there is, where a quote left open can hide it.
		if got := s.first(parseForwarded([]string{made + "," + adds}), proxy); got.client != addr.Unmap() && got.client != proxy {
			t.Fatalf("%q: the client is %v, not %v", made, got.client, addr)
		}
		s.first(parseForwardedFor([]string{made, client}), netip.MustParseAddr("10.0.0.1"))
	})
}
