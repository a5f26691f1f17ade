package server

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
)

// A forwarded says where a request began, as far as that can be believed: what the
// connection says or, behind proxies that are trusted, what they say.
type forwarded struct {
	client netip.Addr // not valid where it isn't known
	scheme string     // http or https
	host   string
	prefix string // of the path, taken away by a proxy
}

// A hop is what one proxy noted of a request it passed on.
type hop struct {
	client       netip.Addr // not valid where it is hidden
	scheme, host string     // "" where it says nothing
}

// PrivateNetworks are those that addresses of the Internet can't be in: loopback,
// private and link-local ones. Reverse proxies are in one of them, mostly.
func PrivateNetworks() []netip.Prefix {
	var all []netip.Prefix
	for _, network := range []string{
		"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10",
	} {
		all = append(all, netip.MustParsePrefix(network))
	}
	return all
}

// forwardedOf finds where a request began. Nothing it brings along is believed
// unless it comes from a trusted proxy.
func (s *Server) forwardedOf(r *http.Request) forwarded {
	f := forwarded{client: peerOf(r), scheme: "http", host: r.Host}
	if r.TLS != nil {
		f.scheme = "https"
	}
	if !s.trusts(f.client) {
		return f
	}
	last := func(name string) string {
		return strings.TrimSpace(lastElement(r.Header.Values(name)))
	}
	standard, usual := parseForwarded(r.Header.Values("Forwarded")), parseForwardedFor(r.Header.Values("X-Forwarded-For"))
	found := s.first(standard, f.client)
	if len(usual) > 0 || len(standard) == 0 {
		h := s.first(usual, f.client)
		if len(standard) > 0 && h.client != found.client {
			// One of them is what a client made up, and the proxy knows nothing of
			// that field. Which one can't be told, so neither is believed.
			return f
		}
		found = hop{h.client, last("X-Forwarded-Proto"), last("X-Forwarded-Host")}
	}
	f.client = found.client
	if scheme := strings.ToLower(found.scheme); scheme == "http" || scheme == "https" {
		f.scheme = scheme
	}
	if validHost(found.host) {
		f.host = found.host
	}
	if prefix := last("X-Forwarded-Prefix"); validPrefix(prefix) {
		f.prefix = strings.TrimSuffix(prefix, "/")
	}
	return f
}

// first goes back from hop to hop as long as who noted it is a trusted proxy, and
// returns the one that came from somebody else. Without any it is the peer's.
func (s *Server) first(hops []hop, peer netip.Addr) hop {
	found := hop{client: peer}
	for _, h := range slices.Backward(hops) {
		if !s.trusts(found.client) {
			break
		}
		if !h.client.IsValid() { // hidden, so found is the farthest that is known
			h.client = found.client
			return h
		}
		found = h
	}
	return found
}

func (s *Server) trusts(addr netip.Addr) bool {
	return addr.IsValid() && slices.ContainsFunc(s.opts.Proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// peerOf is the address at the other end of the connection, or the zero address
// where it has none, as on a Unix socket.
func peerOf(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap().WithZone("")
}

func lastElement(values []string) string {
	all := strings.Join(values, ",")
	return all[strings.LastIndexByte(all, ',')+1:]
}

// parseForwardedFor reads X-Forwarded-For: addresses, the client's first.
func parseForwardedFor(values []string) []hop {
	if len(values) == 0 {
		return nil
	}
	var hops []hop
	for element := range strings.SplitSeq(strings.Join(values, ","), ",") {
		hops = append(hops, hop{client: parseNode(strings.TrimSpace(element))})
	}
	return hops
}

// parseForwarded reads Forwarded (RFC 7239, section 4). A field whose quotes don't
// match is one hidden hop: read on, it could be taken for what a proxy added to it.
func parseForwarded(fields []string) []hop {
	var hops []hop
	for _, field := range fields {
		elements, ok := splitQuoted(field, ',')
		if !ok {
			hops = append(hops, hop{})
			continue
		}
		for _, element := range elements {
			hops = append(hops, parseElement(element))
		}
	}
	return hops
}

func parseElement(element string) hop {
	var h hop
	pairs, _ := splitQuoted(element, ';')
	for _, pair := range pairs {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		switch value = unquote(value); strings.ToLower(name) {
		case "for":
			h.client = parseNode(value)
		case "proto":
			h.scheme = value
		case "host":
			h.host = value
		}
	}
	return h
}

// splitQuoted splits at sep outside of quoted strings, which all have to end.
func splitQuoted(s string, sep byte) (parts []string, ok bool) {
	quoted, from := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			parts, from = append(parts, s[from:i]), i+1
		}
	}
	return append(parts, s[from:]), !quoted
}

// unquote returns the text of a quoted string, or s if it is none (RFC 9110,
// section 5.6.4).
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' && i+1 < len(s)-1 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// parseNode reads an address, perhaps with a port, and IPv6 in brackets then. It
// isn't valid where the node is hidden or unknown.
func parseNode(s string) netip.Addr {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

func validHost(host string) bool {
	u, err := url.Parse("//" + host)
	return err == nil && host != "" && u.Host == host
}

// validPrefix: an absolute path that has nothing to be resolved.
func validPrefix(prefix string) bool {
	u, err := url.ParseRequestURI(prefix)
	return err == nil && strings.HasPrefix(prefix, "/") && !strings.HasPrefix(prefix, "//") && u.EscapedPath() == prefix &&
		path.Clean(prefix) == "/"+strings.Trim(prefix, "/")
}
